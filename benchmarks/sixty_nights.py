"""Sixty nights of the loop: a sudden change is flagged, one refit answers it, ids stay.

    python -m benchmarks.sixty_nights [--customers 36000] [--control-customers 3000] [--seed 7]

A demo home of 60 nights in which everything happens (`--drift together`): from the first night on
every number of the CRM grows by 0.2 % a night, on night 21 another kind of customer joins (a tenth
of the first night's), from night 41 on contracts cost 1.6 times as much, and of the two strategies
that are run as experiments one works (8 % more online services used by those who are drawn to get
it) and one does nothing. A second, smaller home has the growth alone.

Both are replayed as a user would: `segmentation replay` of the first night, then of the others, on
a home that has all its files (no night sees what is of a later date). After the first one, before
anything is known of the outcome, the power of both experiments is computed from what that night
published. Everything that is judged is read from what is published, and compared with the planted
truth.

What is changed in the YAML of both: `profession.yaml` is left out, so that a night costs half; the
experiment of the strategy that works lasts 56 nights, and its KPI looks at as many; of the three
strategies that could be tried, one is not. Thresholds and all else are as shipped.

About 25 minutes of one core, most of it the larger home. `--folder` keeps the homes, and goes on
with those that are there. results/sixty_nights.md is written at the end. The exit status is 1
where something that is wanted is missed.
"""

import argparse
import datetime as dt
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")

from benchmarks.loop_homes import (
    CHANGED,
    FIRST,
    JOINED,
    Home,
    Plan,
    plans_of,
)
from benchmarks.loop_judged import (
    Wanted,
    judge_control,
    judge_drift,
    judge_effects,
    judge_models,
)
from segmentation_pipeline.demo import planted
from segmentation_pipeline.warehouse import literal

TABLE = Path(__file__).parent / "results" / "sixty_nights.md"
LAST = planted.LAST_NIGHT
ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Page:
    """The text, and whether all that is wanted is met."""

    text: str
    is_met: bool


def timeline(home: Home) -> Iterator[str]:
    """Show the nights on which something happened, and what each was found to be."""
    yield from (
        "| night | | decision | highest PSI | median distance | model | segments | moved |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    )
    shadow = [row[0] for row in home.ask("SELECT as_of FROM challenger_nights ORDER BY as_of")]
    told = {
        FIRST: "the first",
        JOINED - dt.timedelta(days=1): "the eve of the group",
        JOINED: "a group joins",
        CHANGED - dt.timedelta(days=1): "the eve of the change",
        CHANGED: "contracts cost 1.6 times as much",
        LAST: "the last",
    }
    for date in shadow:
        told.setdefault(date, "challenger in the shadow")
    for (date,) in home.ask(
        "SELECT from_date FROM model_events WHERE status = 'champion' AND version > 1"
    ):
        told[date] = "the challenger is in force"
    rows = home.ask(
        "SELECT d.as_of, d.decision, d.worst_feature, d.worst_psi, d.median_distance_ratio,"
        " r.model_version, r.segments, n.churn_share"
        " FROM refit_decision d JOIN segmentation_runs r USING (as_of, segmentation)"
        " JOIN segment_nights n USING (as_of, segmentation) ORDER BY d.as_of"
    )
    for date, decision, feature, psi, ratio, version, segments, churn in rows:
        if date in told:
            worst = "" if psi is None else f"{psi:.3f} {feature}"
            distance = "" if ratio is None else f"{ratio - 1:+.1%}"
            moved = "" if churn is None else f"{churn:.2%}"
            yield (
                f"| {(date - FIRST).days + 1} | {told[date]} | {decision} | {worst} | {distance} "
                f"| {version} | {segments} | {moved} |"
            )


def page(home: Home, control: Home, plans: dict[str, Plan], sizes: tuple[int, int, int]) -> Page:
    """Write the page; `sizes` are customers of both homes, and the seed."""
    customers, control_customers, seed = sizes
    judged = [*judge_drift(home), *judge_models(home), *judge_effects(home, plans)]
    controlled = list(judge_control(control))
    reasons = home.ask("SELECT reasons FROM refit_decision WHERE decision = 'refit'")
    group = home.ask(
        "SELECT string_agg(printf('%s %.3f (%s)', feature, psi, level), ', ' ORDER BY psi DESC)"
        f" FROM feature_drift WHERE as_of = {literal(JOINED)} AND psi > 0.01"
    )[0][0]
    challenger = home.ask("SELECT max_by(sentence, as_of) FROM challenger_nights")[0][0]
    lines = [
        "# Sixty nights of the loop",
        "",
        f"{customers:,} customers of seed {seed}, drift `together`, replayed by",
        "`segmentation replay`. What is planted, and what is changed in the YAML, is told in",
        "`sixty_nights.py`.",
        "",
        *_table(judged),
        "",
        "Power, as it was foreseen after the first night:",
        "",
        *(f"- {one}" for one in plans.values()),
        "",
        "## The nights on which something happened",
        "",
        *timeline(home),
        "",
        *(f"The decision to refit says: {reason}." for (reason,) in reasons),
        "",
        f"The challenger's last night: {challenger}",
        "",
        f"On the night on which the group joins, PSI is: {group}.",
        "",
        "## By and by alone",
        "",
        f"{control_customers:,} customers of seed {seed}, drift `gradual`,",
        f"{control.nights} nights.",
        "",
        *_table(controlled),
        "",
        "## What it cost",
        "",
        f"Of processor time the larger home took {home.cpu_seconds / 60:.1f} minutes,",
        f"{home.cpu_seconds / home.nights:.1f} s a night in the mean. The smaller one took",
        f"{control.cpu_seconds / 60:.1f} minutes, {control.cpu_seconds / control.nights:.1f} s a",
        "night. The machine did other things too.",
    ]
    return Page("\n".join(lines) + "\n", all(one.is_met for one in (*judged, *controlled)))


def _table(rows: list[Wanted]) -> Iterator[str]:
    yield from ("| | measured | wanted | |", "|---|---|---|---|")
    for one in rows:
        met = "met" if one.is_met else "**missed**"
        yield f"| {one.what} | {one.measured} | {one.limit} | {met} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=36_000)
    parser.add_argument("--control-customers", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=7, help="of both homes")
    parser.add_argument("--folder", type=Path, help="keep the homes there, and go on with them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sixty_nights_") as temporary:
        folder = options.folder or Path(temporary)
        control = Home(folder / "control", options.control_customers, options.seed, "gradual")
        control.replay(FIRST, LAST)
        home = Home(folder / "together", options.customers, options.seed, "together")
        home.replay(FIRST, FIRST)
        plans = plans_of(home)
        for one in plans.values():
            print(one, file=sys.stderr, flush=True)
        home.replay(FIRST + ONE_DAY, LAST)
        sizes = options.customers, options.control_customers, options.seed
        made = page(home, control, plans, sizes)
    print(made.text)
    TABLE.write_text(made.text, encoding="utf-8")
    sys.exit(0 if made.is_met else 1)


if __name__ == "__main__":
    main()
