"""What a night costs that keeps its model, beside loading, preparing and scoring alone.

    python -m benchmarks.kept_night [--customers 300 100000] [--repeats 3]

A demo home of two nights; the first one fits the models. Then the second night's files come: a new
export of the CRM, a day of web events, and the survey's export, which is written anew with the
newest answers in it. The second night keeps the models, and is run in two ways, each in a process
of its own and on a copy of the same home:

- the whole night, as `segmentation run` runs it;
- alone: the same Dagster job with only those steps selected that `customer_segments` of both
  segmentations is made from: loading the three sources, `customers`, features, the model in force,
  the score of every customer; and their checks. The graph has the drift of the features and the
  decision to keep the model among them, since a night scores with what was decided; nothing is
  published. What these two take is told.

What counts is processor time of the process, by the median of the repeats, since a machine that
does other things too makes seconds longer, not work. The first figure is that of the whole process,
which is what a command costs; the second leaves out its start (Python, Dagster, the graph), which
both have in common. results/kept_night.md is written at the end.
"""

import argparse
import datetime as dt
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")

import dagster as dg
import pyarrow.parquet as pq

from segmentation_pipeline.assets.event_storage import without_waiting_for_the_disk
from segmentation_pipeline.assets.night import dagster_home, run_night
from segmentation_pipeline.definitions import build_definitions
from segmentation_pipeline.demo import make_demo, planted
from segmentation_pipeline.specification.home import load_home

TABLE = Path(__file__).parent / "results" / "kept_night.md"
LAST = planted.LAST_NIGHT
FIRST = LAST - dt.timedelta(days=1)
GOAL = 1.3
NEW_ANSWERS = 1000
"""One answer among so many is of the second night."""
PROCESS = """
import sys
from pathlib import Path
from segmentation_pipeline.garbage import collect_seldom
collect_seldom()
from benchmarks.kept_night import run_here
run_here(Path(sys.argv[1]), sys.argv[2])
"""
"""What a process runs: like the command, it looks for garbage seldom before it imports the rest."""
WHOLE, ALONE = "whole", "alone"
STAGES = {
    "loading": ("raw_", "source_loads", "rejected_rows"),
    "preparing": ("customers", "engineered_features", "prepared_features", "feature_", "latent"),
    "the model in force, and scoring": ("model", "customer_segments"),
    "drift and decision": ("drift", "refit_decision"),
    "KPIs, experiments, effects": ("segment_kpis", "strategy_experiments", "strategy_effects"),
    "publishing": ("published",),
    "the report": ("segmentation_report",),
}
"""What a step belongs to, by how its name begins; longer beginnings win."""
CHECKS = "checks of tables"
OTHERS = "segments, profiles, rules, personas, history, pictures"


@dataclass(frozen=True)
class Cost:
    """Processor seconds of a process: all, those before the job began, and by step."""

    cpu: float
    start: float
    steps: dict[str, float]

    @property
    def job(self) -> float:
        """Processor seconds without the start."""
        return self.cpu - self.start


def run_here(home: Path, what: str) -> None:
    """Run the kept night in this process, and print what it cost."""
    start = time.process_time()
    begun: list[tuple[str, float]] = []
    if what == WHOLE:
        failures = run_night(
            home, LAST, progress=lambda step, *_: begun.append((step, time.process_time()))
        ).failures
    else:
        failures = () if _run_alone(home) else ("it failed",)
    if failures:
        raise RuntimeError("; ".join(failures))
    end = time.process_time()
    until = [*(seconds for _, seconds in begun), end][1:]
    steps = {
        step.replace("__", "/", 1): after - before
        for (step, before), after in zip(begun, until, strict=True)
    }
    print(json.dumps({"cpu": end, "start": start, "steps": steps}))


def _run_alone(home: Path) -> bool:
    last = ([name, "customer_segments"] for name in load_home(home).segmentations)
    wanted = dg.AssetSelection.assets(*last).upstream().required_multi_asset_neighbors()
    definitions = dg.Definitions.merge(
        build_definitions(home, lock_timeout_seconds=0),
        dg.Definitions(jobs=[dg.define_asset_job(ALONE, selection=wanted)]),
    )
    folder = str(dagster_home(home))
    with without_waiting_for_the_disk(), dg.DagsterInstance.from_config(folder) as instance:
        job = definitions.resolve_job_def(ALONE)
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        return job.execute_in_process(
            partition_key=LAST.isoformat(), instance=instance, run_config=quiet
        ).success


def measure_kept_night(folder: Path, customers: int, repeats: int) -> dict[str, Cost]:
    """Give the median of each way."""
    home = folder / "home"
    make_demo(home, customers, 2, 7, "parquet")
    with _files_of_the_first_night(home / "sources"):
        first = run_night(home, FIRST, progress=lambda *_: None)
    if not first.success:
        raise RuntimeError("; ".join(first.failures))
    costs: dict[str, list[Cost]] = {WHOLE: [], ALONE: []}
    for number in range(repeats):
        for what, found in costs.items():
            copy = folder / f"{what}_{number}"
            shutil.copytree(home, copy, symlinks=True)
            command = [sys.executable, "-c", PROCESS, str(copy), what]
            ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found.append(Cost(**json.loads(ended.stdout.splitlines()[-1])))
            shutil.rmtree(copy)
            print(f"{customers:,} {what}: {found[-1].cpu:.1f} s", file=sys.stderr, flush=True)
    return {what: _median(found) for what, found in costs.items()}


@contextmanager
def _files_of_the_first_night(sources: Path) -> Iterator[None]:
    """Keep back what comes for the second night: files of its date, and the newest answers."""
    survey = sources / "survey.parquet"
    late = [*sources.glob(f"*/*_{LAST}.parquet"), survey]
    with tempfile.TemporaryDirectory(dir=sources.parent) as folder:
        kept_back = {path: Path(folder) / path.name for path in late}
        for path, place in kept_back.items():
            path.rename(place)
        answers = pq.read_table(kept_back[survey])
        newest = answers.sort_by([("answered_at", "descending"), ("answer_id", "descending")])
        pq.write_table(newest.slice(max(1, answers.num_rows // NEW_ANSWERS)), survey)
        yield
        for path, place in kept_back.items():
            place.rename(path)


def _median(costs: list[Cost]) -> Cost:
    steps = {step: statistics.median(one.steps[step] for one in costs) for step in costs[0].steps}
    return Cost(
        statistics.median(one.cpu for one in costs),
        statistics.median(one.start for one in costs),
        steps,
    )


def stage_of(step: str) -> str:
    """Name what a step belongs to.

    >>> stage_of("engagement/feature_drift"), stage_of("raw_crm/suite")
    ('drift and decision', 'loading')
    """
    is_loading = step.startswith("raw_")
    name = step.removesuffix("/suite").rpartition("/")[2]
    if step.endswith("/suite") and not is_loading:
        return CHECKS
    found = [
        (len(beginning), stage)
        for stage, beginnings in STAGES.items()
        for beginning in beginnings
        if name.removeprefix("feature_" if "drift" in name else "").startswith(beginning)
    ]
    # Pictures of features are told from what features are made of.
    if name in {"feature_distributions", "feature_importance", "preprocessing_effect"}:
        return OTHERS
    return max(found)[1] if found else OTHERS


def page(costs: dict[int, dict[str, Cost]], repeats: int) -> str:
    """Write the page."""
    lines = [
        "# What a kept night costs",
        "",
        "The second night of the example, beside the same job with only those steps that the",
        "segments of customers are made from; what that means exactly is told in `kept_night.py`.",
        f"Processor seconds, medians of {repeats}.",
        "",
        f"| customers | whole | alone | ratio | <= {GOAL} | no start: whole | alone | ratio |",
        "|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for customers, found in costs.items():
        whole, alone = found[WHOLE], found[ALONE]
        ratio = whole.cpu / alone.cpu
        met = "met" if ratio <= GOAL else "**missed**"
        lines.append(
            f"| {customers:,} | {whole.cpu:.1f} | {alone.cpu:.1f} | {ratio:.2f} | {met} "
            f"| {whole.job:.1f} | {alone.job:.1f} | {whole.job / alone.job:.2f} |"
        )
    lines += ["", *_where_it_goes(costs)]
    return "\n".join(lines) + "\n"


def _where_it_goes(costs: dict[int, dict[str, Cost]]) -> Iterator[str]:
    yield from (
        "## Where the time of the whole night goes",
        "",
        "Processor seconds from the start of a step to that of the next one, so that Dagster's own",
        "work for a step is in there; medians. The first two lines, scoring, drift, decision, and",
        "the checks of their tables are what is done alone, too.",
        "",
        f"| | {' | '.join(f'{customers:,}' for customers in costs)} |",
        f"|---|{'---:|' * len(costs)}",
    )
    by_stage = {customers: _by_stage(found[WHOLE].steps) for customers, found in costs.items()}
    for stage in (*STAGES, OTHERS, CHECKS):
        shown = " | ".join(f"{found[stage]:.1f}" for found in by_stage.values())
        yield f"| {stage} | {shown} |"


def _by_stage(steps: dict[str, float]) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for step, seconds in steps.items():
        found[stage_of(step)] += seconds
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, nargs="+", default=[300, 100_000])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    costs = {}
    for customers in options.customers:
        with tempfile.TemporaryDirectory(prefix="kept_night_") as folder:
            costs[customers] = measure_kept_night(Path(folder), customers, options.repeats)
    text = page(costs, options.repeats)
    print(text)
    TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
