"""Effects of strategies: how often a planted one is found and covered, and none is not won.

    nice -n 19 .venv/bin/python -m benchmarks.effects

Power is computed from another sample of the customer base, and printed before any experiment.
Finished parts are kept in results/effects.jsonl and are not played again: delete it to start anew.
The page is results/effects.md; the exit status is 1 where something that is wanted is missed.
All of it takes some six minutes of one core; `--processes` share it.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joblib import parallel_config

from benchmarks.effect_plays import (
    CELLS,
    CUSTOMERS,
    FEW_CUSTOMERS,
    HOLD_OUT,
    HOLD_OUTS,
    LIFT,
    NIGHTS,
    SEEDS,
    accruing,
    arriving,
    coverage,
    nightly,
    nothing_planted,
    planned,
    planted,
    simulated_smallest,
    worst_speed,
)
from benchmarks.effect_sets import KINDS

RESULTS = Path(__file__).parent / "results"
LEAST_POWER, LEAST_FOUND, COVERED, MOST_FALSE_WINS = 0.95, 180, (181, 197), 18
MOST_OFF = 0.15
LEAST_COVERED = 0.93
"""Of 1,000 intervals; 950 are expected, with a standard error of 7."""


def parts() -> dict[str, Callable[[], Any]]:
    """Everything that is played, by the name under which its figures are kept."""
    heavy, mean = KINDS["heavy"], KINDS["mean"]
    found: dict[str, Callable[[], Any]] = {
        "speed": worst_speed,
        "planted": lambda: planted(CUSTOMERS, has_past=True),
        "underpowered": lambda: planted(FEW_CUSTOMERS, has_past=False),
        "simulated": lambda: simulated_smallest(FEW_CUSTOMERS, has_past=False),
    }
    for has_past in (True, False):
        for kind in KINDS.values():
            hold_outs = (0.1,) * CELLS if kind is heavy else HOLD_OUTS
            name = f"{kind.kpi} {'with' if has_past else 'without'} past"
            found[f"none: {name}"] = lambda k=kind, h=hold_outs, p=has_past: nothing_planted(
                k, h, has_past=p
            )
            if has_past:
                found[f"coverage: {name}"] = lambda k=kind, h=hold_outs[0]: coverage(k, h)
    for name, play, lift in (
        ("arriving", arriving, 1.0),
        ("arriving", arriving, LIFT),
        ("accruing", accruing, 1.0),
    ):
        found[f"nightly: {name} {lift}"] = lambda p=play, x=lift: nightly(mean, p, lift=x)
    return found


def played(file: Path) -> dict[str, Any]:
    """Play what the file does not hold yet, and append it there part by part."""
    done = {}
    if file.exists():
        rows = map(json.loads, file.read_text().splitlines())
        done = {row["part"]: row["figures"] for row in rows}
    with file.open("a") as lines:
        for name, play in parts().items():
            if name not in done:
                done[name] = play()
                lines.write(json.dumps({"part": name, "figures": done[name]}) + "\n")
                lines.flush()
            print(f"{name}: {done[name]}", flush=True)
    return done


def wanted(power: float, done: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """What is measured, the figure, what is wanted of it, and whether it is met."""
    hit, twin, simulated = done["planted"], done["underpowered"], done["simulated"]
    off = twin["smallest_detectable"] / simulated - 1
    rows = [
        ("power, printed beforehand", f"{power:.3f}", f">= {LEAST_POWER}", power >= LEAST_POWER),
        (
            "planted effects that are found",
            f"{hit['found']} of {SEEDS}",
            f">= {LEAST_FOUND}",
            hit["found"] >= LEAST_FOUND,
        ),
        (
            "95 % intervals that hold the truth",
            f"{hit['covered']} of {SEEDS}",
            f"{COVERED[0]} to {COVERED[1]}",
            COVERED[0] <= hit["covered"] <= COVERED[1],
        ),
        (
            "underpowered twin: smallest detectable, against playing",
            f"{twin['smallest_detectable']:.3f}, {simulated:.3f} ({off:+.1%})",
            "within 15 %",
            abs(off) <= MOST_OFF,
        ),
        (
            "underpowered twin: finds it, or says so",
            f"{twin['found']} + {twin['silent']} of {SEEDS}",
            f"{SEEDS} together",
            twin["found"] + twin["silent"] == SEEDS,
        ),
    ]
    rows += [
        (
            f"A/A, {part.removeprefix('none: ')}: replays with any false win",
            f"{figures['wins']} of {SEEDS}",
            f"<= {MOST_FALSE_WINS}",
            figures["wins"] <= MOST_FALSE_WINS,
        )
        for part, figures in done.items()
        if part.startswith("none: ")
    ]
    rows += [
        (
            f"A/A, {NIGHTS} nightly looks, {part.split()[1]}: any false win",
            f"{figures['sequential']} of {SEEDS}",
            f"<= {MOST_FALSE_WINS}",
            figures["sequential"] <= MOST_FALSE_WINS,
        )
        for part, figures in done.items()
        if part.startswith("nightly: ") and part.endswith(" 1.0")
    ]
    rows += [
        (
            f"+8 %, {part.removeprefix('coverage: ')}: intervals that hold it",
            f"{figures['covered']:.1%} of 1,000",
            f">= {LEAST_COVERED:.0%}",
            figures["covered"] >= LEAST_COVERED,
        )
        for part, figures in done.items()
        if part.startswith("coverage: ")
    ]
    return rows


def page(rows: list[tuple[str, str, str, bool]], done: dict[str, Any]) -> str:
    least, most = done["underpowered"]["extremes"]
    lines = [
        "# Effects: found where they are, and not where there are none",
        "",
        f"{SEEDS} seeds, {CUSTOMERS:,} customers in each experiment. {CELLS} experiments are read",
        "together and corrected by Holm, as many as the example declares and with its hold-outs",
        f"{HOLD_OUTS}; of revenue, which is log-normal with 70 % zeros, 0.1. Planted is +8 %",
        f"visits, {HOLD_OUT:.0%} held out, the past used. The underpowered twin has",
        f"{FEW_CUSTOMERS} customers and no past; of the others a tenth have none. Experiments are",
        "made in `effect_sets.py` and played in `effect_plays.py`.",
        "",
        "| | measured | wanted | |",
        "|---|---:|---:|---|",
        *(
            f"| {what} | {figure} | {bound} | {'met' if is_met else '**missed**'} |"
            for what, figure, bound, is_met in rows
        ),
        "",
        f"Over the seeds the twin's smallest detectable effect lies between {least:.3f} and",
        f"{most:.3f} visits.",
        "",
        "What is said of the first seed of each:",
        "",
        f"- {done['planted']['sentence']}",
        f"- {done['underpowered']['sentence']}",
        "",
        "## The same A/A replays in the usual way",
        "",
        "Clicks pooled over mails; Welch's test whatever the tails; no correction. Of an exact",
        "method 5 % are expected, and 200 replays leave a standard error of 1.5.",
        "",
        (
            "| KPI | replays with any false win, here | the first experiment alone, here "
            "| any false win, usual way |"
        ),
        "|---|---:|---:|---:|",
        *(
            f"| {part.removeprefix('none: ')} | {figures['wins'] / SEEDS:.1%} "
            f"| {figures['first_cell'] / SEEDS:.1%} | {figures['usual'] / SEEDS:.1%} |"
            for part, figures in done.items()
            if part.startswith("none: ")
        ),
        "",
        "## Where intervals miss",
        "",
        "Of 1,000 intervals around +8 %, 25 are expected to end below it, and 25 to begin above.",
        "",
        "| KPI | end below | begin above |",
        "|---|---:|---:|",
        *(
            f"| {part.removeprefix('coverage: ')} | {figures['below']} | {figures['above']} |"
            for part, figures in done.items()
            if part.startswith("coverage: ")
        ),
        "",
        f"## Looking on each of {NIGHTS} nights",
        "",
        "`arriving`: each night more customers have their window behind them. `accruing`: the same",
        "customers, who have done more each night. tau is the smallest detectable effect, planned",
        "for all customers.",
        "",
        "| | effect | found by mSPRT | median night | by a p meant for one look |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {part.split()[1]} | {'+8 %' if part.endswith('8') else 'none'} "
            f"| {figures['sequential'] / SEEDS:.1%} "
            f"| {'' if part.endswith('1.0') else round(figures['night'])} "
            f"| {figures['fixed'] / SEEDS:.1%} |"
            for part, figures in done.items()
            if part.startswith("nightly: ")
        ),
        "",
        "## What the slowest method costs",
        "",
        "The permutation test with a past, 20,000 draws.",
        "",
        "| customers per arm | processor seconds | memory |",
        "|---:|---:|---:|",
        *(
            f"| {per_arm} | {seconds:.1f} | {megabytes:,.0f} MB |"
            for per_arm, (seconds, megabytes) in done["speed"].items()
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2, help="2 unless told")
    arguments = parser.parse_args()
    power = planned(CUSTOMERS, has_past=True)["power"]
    print(f"power of +8 % visits with {CUSTOMERS:,} customers at .05 / {CELLS}: {power:.3f}")
    with parallel_config(n_jobs=arguments.processes):
        done = played(RESULTS / "effects.jsonl")
    rows = wanted(power, done)
    (RESULTS / "effects.md").write_text(page(rows, done))
    return int(not all(is_met for *_, is_met in rows))


if __name__ == "__main__":
    sys.exit(main())
