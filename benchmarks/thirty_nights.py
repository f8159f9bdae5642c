"""Thirty nights of the example in the real job: segments stay themselves, and moves are found.

    python -m benchmarks.thirty_nights [--customers 3000] [--nights 30] [--seed 7] [--drift moves]

A demo home of 30 nights, whose customers move between planted segments on known dates. Each night
gets its files as they would arrive (that night's CRM snapshot and web events, the survey's answers
so far) and runs as `segmentation run --as-of` does. Halfway, and once more after the last night,
`seed` is changed in the YAML of both segmentations, so that new models are fitted.

A planted move is found where `segment_history` has a spell of reason `moved` that begins on the
night of the move or on one of the four after it, in the segment that continues the planted one.
Precision is the share of all such spells, recall that of all planted moves but those of the night
of a refit, when nobody can tell a move from the new model.

The whole takes about 20 minutes of one core; results/thirty_nights.md is written at its end. The
exit status is 1 where something that is wanted is missed.
"""

import argparse
import datetime as dt
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")

from benchmarks.nights_in_order import Home, Ran
from benchmarks.planted_agreement import (
    AT_ONCE,
    Found,
    compare,
    history_errors,
    movement_errors,
)
from segmentation_pipeline.demo import Drift, make_demo, planted_moves
from segmentation_pipeline.demo.planted import WEB_LEADS_DAYS

TABLE = Path(__file__).parent / "results" / "thirty_nights.md"
LAST_NIGHT = dt.date(2025, 6, 30)
DAYS = 30
LEAST_PRECISION, LEAST_RECALL, MOST_CHURN = 0.9, 0.85, 0.01
SEGMENTATIONS = ("engagement", "profession")
SEEDS = (7, 8, 9)
"""The example's own, that of the refit halfway, that of the refit after the last night."""


def run_nights(home: Home, nights: int) -> None:
    first = LAST_NIGHT - dt.timedelta(days=DAYS - 1)
    for number in range(nights):
        as_of = first + dt.timedelta(days=number)
        home.deliver(as_of)
        is_refit = number == nights // 2
        if is_refit:
            home.change_seed(SEEDS[1], instead=SEEDS[0])
        home.run(as_of, is_refit=is_refit)


def report(home: Home, customers: int, drift: str) -> tuple[str, bool]:
    """Write the page; the second value says whether all that is wanted is met."""
    moves = planted_moves(home.full)
    ordinary = [night for night in home.nights[1:] if not night.is_refit]
    found = {
        name: compare(home, name, [move for move in moves if move.segmentation == name])
        for name in SEGMENTATIONS
    }
    history, movements = history_errors(home), movement_errors(home)
    churn = _churn(home)
    # Now a third model, on the last night again: what follows is about ids alone.
    home.change_seed(SEEDS[2], instead=SEEDS[1])
    home.run(home.nights[-1].as_of, is_refit=True)
    kinds, known = _transitions(home), _known_ids(home)
    wanted = [
        (f"`{name}`: {what}", f"{value:.3f}", f">= {least}", value >= least)
        for name, one in found.items()
        for what, value, least in (
            ("precision", one.precision, LEAST_PRECISION),
            ("recall", one.recall, LEAST_RECALL),
        )
    ]
    wanted += [
        ("both: largest share that changed segment on a night without a new model",
         f"{max(churn):.2%}", f"< {MOST_CHURN:.0%}", max(churn) < MOST_CHURN),
        ("both: `segment_transitions` after two refits from other seeds",
         ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())), "kept, all",
         set(kinds) == {"kept"}),
        ("both: segments that there ever were", str(sum(known)), f"{sum(_segments(home))}",
         known == _segments(home)),
        ("both: customers and nights of whom `segment_history` says otherwise than was published",
         str(history), "0", history == 0),
        ("both: the same of `segment_movements`", str(movements), "0", movements == 0),
    ]  # fmt: skip
    lines = [
        "# Thirty nights of the example",
        "",
        f"{customers:,} customers, {len(home.nights) - 1} nights through the job, drift `{drift}`,",
        "each night with the files that it would have; new models from another seed halfway, and",
        "after the last night. What counts as found is told in `thirty_nights.py`.",
        "",
        "| | measured | wanted | |",
        "|---|---:|---:|---|",
        *(
            f"| {what} | {measured} | {limit} | {'met' if is_met else '**missed**'} |"
            for what, measured, limit, is_met in wanted
        ),
        "",
        *_moves_lines(found),
        "",
        *_cost_lines(home, ordinary),
    ]
    return "\n".join(lines) + "\n", all(is_met for *_, is_met in wanted)


def _moves_lines(found: dict[str, Found]) -> Iterator[str]:
    headings = (
        "segmentation", "planted", "sought", "`moved` spells", "right, within 5 nights",
        "precision", "recall", "on the very night", "of who never moves", "there within 5 nights",
    )  # fmt: skip
    yield from ("## Moves", "", f"| {' | '.join(headings)} |", f"|---|{'---:|' * 9}")
    for name, one in found.items():
        yield (
            f"| {name} | {one.planted} | {one.sought} | {one.moved} | {one.right} "
            f"| {one.precision:.3f} | {one.recall:.3f} | {one.lags[0]} | {one.of_stayers} "
            f"| {one.there_in_time} ({one.there_in_time / one.sought:.3f}) |"
        )
    slow = next(one for name, one in found.items() if name != AT_ONCE)
    yield from (
        "",
        "A move in `profession` shows on its date, in the CRM and in the answers. A move in",
        "`engagement` has no one date: four of its seven features count what happened in 90 days,",
        f"and in the example that behaviour changes {WEB_LEADS_DAYS} days before contract and",
        f"answers do. Of its {slow.moved} moves, {slow.of_changing}",
        f"({slow.of_changing / slow.moved:.3f}) are of customers",
        "whose behaviour was changing then; the last column says who was in the new segment",
        "four nights after the planted date, whenever they got there. That is not the whole cause",
        "where precision is missed:",
        f"{slow.of_stayers} moves are of customers who never move, so that precision is at most",
        f"{1 - slow.of_stayers / slow.moved:.3f} however time is counted.",
    )


def _cost_lines(home: Home, ordinary: Sequence[Ran]) -> Iterator[str]:
    fitted = [night for night in home.nights if night not in ordinary]
    yield from ("## What a night costs", "", "| nights | seconds | of CPU |", "|---|---:|---:|")
    for what, nights in (("that keep their models", ordinary), ("with new models", fitted)):
        seconds = statistics.median(night.seconds for night in nights)
        cpu = statistics.median(night.cpu_seconds for night in nights)
        yield f"| {len(nights)} {what} (medians) | {seconds:.1f} | {cpu:.1f} |"
    yield from ("", "Wall seconds are of a machine that did other things too.")


def _churn(home: Home) -> list[float]:
    refits = ", ".join(f"DATE '{night.as_of}'" for night in home.nights if night.is_refit)
    query = (
        "SELECT churn_share FROM segment_nights WHERE churn_share IS NOT NULL"
        f" AND as_of NOT IN ({refits})"
    )
    return [share for (share,) in home.ask(query)]


def _transitions(home: Home) -> Counter[str]:
    rows = home.ask("SELECT kind FROM segment_transitions WHERE from_model_version IS NOT NULL")
    return Counter(kind for (kind,) in rows)


def _known_ids(home: Home) -> list[int]:
    return [
        count
        for (count,) in home.ask(
            "SELECT count(*) FROM segment_registry GROUP BY segmentation ORDER BY segmentation"
        )
    ]


def _segments(home: Home) -> list[int]:
    first = home.nights[0].members
    return [len({one for key, one in first.items() if key[0] == name}) for name in SEGMENTATIONS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=3_000)
    parser.add_argument("--nights", type=int, default=DAYS, choices=range(3, DAYS + 1))
    parser.add_argument("--seed", type=int, default=7, help="of the demo home")
    parser.add_argument("--drift", choices=get_args(Drift), default="moves")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="thirty_nights_") as folder:
        full = Path(folder) / "full"
        make_demo(full, arguments.customers, DAYS, arguments.seed, "parquet", drift=arguments.drift)
        home = Home(full, Path(folder) / "home")
        run_nights(home, arguments.nights)
        text, is_met = report(home, arguments.customers, arguments.drift)
    print(text)
    if arguments.nights == DAYS:
        TABLE.write_text(text, encoding="utf-8")
    sys.exit(0 if is_met else 1)


if __name__ == "__main__":
    main()
