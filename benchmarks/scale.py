"""The whole night at scale, beside the same work done the usual way, in the same run.

    python -m benchmarks.scale [--customers 200000 1000000 4000000] [--usual-way-up-to 1000000]

For each size: a demo home of Parquet files (about ten web events a customer) in a temporary folder,
then `segmentation run` as a user would call it (imports, load, checks, preparation, both
segmentations, publication), then `benchmarks.usual_way` twice: fitted on all customers, and on a
sample as large as ours. Every one is a process of its own, measured from outside (`measure`).

Processor seconds beside wall seconds tell how much of the wall was waiting for others: on a machine
with nothing else to do, wall lies between half of them (two cores) and all of them.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BEFORE_FIRST_STEP, Measured, Step, measure

RESULT = Path(__file__).parent / "results" / "scale.md"
SAMPLE = 100_000
GOAL_CUSTOMERS, GOAL_SECONDS, GOAL_MB = 1_000_000, 90.0, 2_000.0
GOAL_GROWTH_CUSTOMERS, GOAL_GROWTH = 4_000_000, 1.2
QUIET = {"DAGSTER_DISABLE_TELEMETRY": "yes", "GX_ANALYTICS_ENABLED": "False"}
SHOWN_STEP_SECONDS = 1.0


@dataclass
class Size:
    """What was measured at one number of customers; None where it was not run."""

    customers: int
    ours: Measured
    usual: Measured | None
    usual_on_sample: Measured | None


def run_size(customers: int, seed: int, folder: Path, *, is_beside: bool) -> Size:
    with tempfile.TemporaryDirectory(prefix="scale_", dir=folder) as temporary:
        home = Path(temporary) / "home"
        tell(f"{customers:,} customers: the demo")
        command = [sys.executable, "-m", "segmentation_pipeline.cli"]
        demo = ["demo", "--days", "1", "--format", "parquet", "--seed", str(seed)]
        measure([*command, *demo, "--home", str(home), "--customers", str(customers)], QUIET)
        tell(f"{customers:,} customers: segmentation run")
        ours = measure([*command, "run", "--home", str(home)], QUIET)
        tell(f"{ours.seconds:.1f} s, {ours.processor_seconds:.1f} cpu s, {ours.peak_mb:.0f} MB")
        if not is_beside:
            return Size(customers, ours, None, None)
        usual = [sys.executable, "-m", "benchmarks.usual_way", "--home", str(home)]
        tell(f"{customers:,} customers: the usual way")
        on_all = measure(usual)
        tell(f"{on_all.seconds:.1f} s, {on_all.peak_mb:.0f} MB; now fitted on a sample")
        on_sample = measure([*usual, "--fit-on", str(SAMPLE)])
        return Size(customers, ours, on_all, on_sample)


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def table(sizes: Sequence[Size]) -> str:
    cores = os.cpu_count()
    text = f"""# The whole night at scale

Machine: {cores} cores. Each line is one run of `segmentation run` on a demo home of Parquet files
(eleven web events a customer), from the start of the process to its end, everything included:
imports, load, checks, preparation, two segmentations with k = 2 to 8, publication in DuckDB and
Parquet. Peak memory is the resident set of all processes together, in 10^6 bytes. `cpu s` are
seconds of processor time, user and system.

| customers | wall s | cpu s | peak MB | usual way: wall s | cpu s | peak MB \
| fitted on {SAMPLE:,}: wall s | cpu s | peak MB | cpu: ours : usual | : usual on the sample \
| memory: ours : usual |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""
    for size in sizes:
        text += f"| {size.customers:,} | " + " | ".join(_cells(size)) + " |\n"
    text += """
The usual way is one script in pandas and scikit-learn (`usual_way.py`): the same columns, cleaning,
aggregates, features, candidates and starts, in float32, without the checks, audits, rejects by line
and the publication that readers can hold on to.
"""
    return text + "\n" + _goals(sizes) + "".join(_steps(size) for size in sizes)


def _cells(size: Size) -> list[str]:
    cells = _figures(size.ours) + _figures(size.usual) + _figures(size.usual_on_sample)
    if size.usual is None or size.usual_on_sample is None:
        return [*cells, "", "", ""]
    ratios = (
        size.ours.processor_seconds / size.usual.processor_seconds,
        size.ours.processor_seconds / size.usual_on_sample.processor_seconds,
        size.ours.peak_mb / size.usual.peak_mb,
    )
    return [*cells, *(f"{ratio:.2f}" for ratio in ratios)]


def _figures(measured: Measured | None) -> list[str]:
    if measured is None:
        return ["", "", ""]
    seconds, processor_seconds = measured.seconds, measured.processor_seconds
    return [f"{seconds:.1f}", f"{processor_seconds:.1f}", f"{measured.peak_mb:,.0f}"]


def _goals(sizes: Sequence[Size]) -> str:
    measured = {size.customers: size.ours for size in sizes}
    at_goal, at_growth = measured.get(GOAL_CUSTOMERS), measured.get(GOAL_GROWTH_CUSTOMERS)
    lines = []
    if at_goal is not None:
        lines += [
            f"- {GOAL_CUSTOMERS:,} customers under {GOAL_SECONDS:.0f} s: {at_goal.seconds:.1f} s, "
            + _verdict(at_goal.seconds < GOAL_SECONDS),
            f"- {GOAL_CUSTOMERS:,} customers under {GOAL_MB:,.0f} MB: {at_goal.peak_mb:,.0f} MB, "
            + _verdict(at_goal.peak_mb < GOAL_MB),
        ]
    if at_goal is not None and at_growth is not None:
        growth = at_growth.peak_mb / at_goal.peak_mb
        lines.append(
            f"- peak memory at {GOAL_GROWTH_CUSTOMERS:,} at most {GOAL_GROWTH} times that at "
            f"{GOAL_CUSTOMERS:,}: {growth:.2f} times, " + _verdict(growth <= GOAL_GROWTH)
        )
    return "Goals:\n\n" + "\n".join(lines) + "\n" if lines else ""


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


def _steps(size: Size) -> str:
    text = f"""
## Steps at {size.customers:,} customers

| step | wall s | cpu s | peak MB |
|---|---:|---:|---:|
"""
    steps = [step for step in size.ours.steps if step.processor_seconds >= SHOWN_STEP_SECONDS]
    others = [step for step in size.ours.steps if step.processor_seconds < SHOWN_STEP_SECONDS]
    rest = Step(
        f"{len(others)} others together",
        sum(step.seconds for step in others),
        sum(step.processor_seconds for step in others),
        max((step.peak_mb for step in others), default=0.0),
    )
    for step in [*steps, rest]:
        name = "imports, the date" if step.name == BEFORE_FIRST_STEP else step.name
        name = name.replace("__", "/")
        text += f"| {name} | {step.seconds:.1f} | {step.processor_seconds:.1f} "
        text += f"| {step.peak_mb:,.0f} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, nargs="+", default=[200_000, 1_000_000, 4_000_000])
    parser.add_argument("--usual-way-up-to", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="for the homes; the system's temporary one")
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    sizes = [
        run_size(
            customers,
            arguments.seed,
            arguments.folder,
            is_beside=customers <= arguments.usual_way_up_to,
        )
        for customers in arguments.customers
    ]
    text = table(sizes)
    arguments.result.parent.mkdir(exist_ok=True)
    arguments.result.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
