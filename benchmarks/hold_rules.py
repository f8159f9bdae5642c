"""Stricter rules of when a customer moves: fewer false moves, and what they cost.

    python -m benchmarks.hold_rules [--customers 3000] [--seeds 2001 2002 2003]

The seven features of the example's `engagement` on thirty nights, standardised by the first, and a
K-Means model of four segments that is fitted then and kept. Nothing else of the job runs, so that
a seed takes seconds. Each rule is applied to the same features, night by night. What counts as a
move, as found and as right is that of `thirty_nights`; `right segment` is by the planted dates.

A rule asks for t >= `least`, but for t >= `crept` of who was beyond t = -`near` on one of the last
`nights` nights: a customer who creeps over a border shows what chance in few events does, too.
"""

import argparse
import datetime as dt
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from segmentation_pipeline.demo import ClearMove, Drift, clear_moves, make_demo, planted
from segmentation_pipeline.demo.truth import TRUTH_NAME

TABLE = Path(__file__).parent / "results" / "hold_rules.md"
DAYS, SEGMENTS, WITHIN_NIGHTS = 30, 4, 5
NIGHTS = [planted.LAST_NIGHT - dt.timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
FEATURES = ("landings", "services", "sessions", "open_rate", "attended", "minutes", "contract")

Array = NDArray[np.float64]
Members = dict[str, str]


@dataclass(frozen=True)
class Rule:
    """Who moves: t of at least `least`, or `crept` for who was near the border before."""

    least: float
    crept: float = 0.0
    near: float = 0.0
    nights: int = 0


RULES = {
    "t of 0.2": Rule(0.2),
    "t of 0.4": Rule(0.4),
    "0.5 for who was over the border the night before, else 0.2": Rule(0.2, 0.5, 0.0, 1),
    "0.5 for who was within 0.2 of it on one of five nights, else 0.2": Rule(0.2, 0.5, 0.2, 5),
    "0.6 for who was within 0.3 of it on one of five nights, else 0.2": Rule(0.2, 0.6, 0.3, 5),
}


@dataclass(frozen=True)
class World:
    """A demo home as its features and its truth."""

    features: list[dict[str, Array]]
    """For each night, customer -> standardised features."""
    planted: dict[tuple[str, dt.date], str]
    places: dict[tuple[str, dt.date], set[str]]
    moves: list[ClearMove]
    centres: Array
    names: list[str]
    """The planted segment that each centre stands for."""


def make_world(home: Path) -> World:
    raw = [_features(home, night) for night in NIGHTS]
    first = np.array(list(raw[0].values()))
    middle, spread = np.nanmean(first, axis=0), np.nanstd(first, axis=0)
    features = [
        {name: np.nan_to_num((row - middle) / spread) for name, row in night.items()}
        for night in raw
    ]
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT customer_id, as_of, segment, expected_segment, border_segment"
            f" FROM '{home / TRUTH_NAME}' WHERE segmentation = 'engagement'"
        ).fetchall()
    truth = {(name, date): segment for name, date, segment, *_ in rows}
    points = np.array(list(features[0].values()))
    model = KMeans(SEGMENTS, n_init=10, random_state=0).fit(points)
    pairs = Counter(
        zip(model.labels_, (truth[name, NIGHTS[0]] for name in features[0]), strict=True)
    )
    likeliest = {label: segment for (label, segment), _ in reversed(pairs.most_common())}
    return World(
        features=features,
        planted=truth,
        places={(name, date): {one for one in places if one} for name, date, _, *places in rows},
        moves=[move for move in clear_moves(home) if move.segmentation == "engagement"],
        centres=model.cluster_centers_,
        names=[likeliest[label] for label in range(SEGMENTS)],
    )


def _features(home: Path, night: dt.date) -> dict[str, Array]:
    """Customer -> the features on a night, NaN where there is none."""
    sources = home / "sources"
    counted = ", ".join(
        f"count(DISTINCT event_id) FILTER (event = '{event}') AS {event}"
        for event in (*planted.EVENT_RATES, "email_sent", "email_opened")
    )
    logs = ", ".join(f"ln(1 + coalesce({event}, 0))" for event in planted.EVENT_RATES)
    query = f"""
        WITH crm AS (
            SELECT DISTINCT staff_id, TRY_CAST(attended_events AS DOUBLE) AS attended,
                TRY_CAST(contract_value_eur AS DOUBLE) AS contract
            FROM '{sources}/crm/crm_{night}.parquet'
        ), answers AS (
            SELECT staff_id, TRY_CAST(average_visit_minutes AS DOUBLE) AS minutes
            FROM '{sources}/survey.parquet' WHERE answered_at < DATE '{night}' + 1
            QUALIFY row_number() OVER (PARTITION BY staff_id ORDER BY answered_at DESC) = 1
        ), events AS (
            SELECT staff_id, {counted} FROM '{sources}/web/*.parquet'
            WHERE occurred_at >= DATE '{night}' - 89 AND occurred_at < DATE '{night}' + 1
            GROUP BY staff_id
        )
        SELECT staff_id, {logs}, email_opened / nullif(email_sent, 0), ln(1 + attended), minutes,
            ln(1 + contract)
        FROM crm LEFT JOIN answers USING (staff_id) LEFT JOIN events USING (staff_id)
        ORDER BY staff_id"""
    with duckdb.connect() as connection:
        rows = connection.execute(query).fetchall()
    return {name: np.array(values, dtype=np.float64) for name, *values in rows}


def follow(world: World, rule: Rule) -> tuple[list[Members], list[tuple[str, int, str, str]]]:
    """Say who is in which segment on each night, and who moved: name, night, from, to."""
    gaps = ((world.centres[:, None] - world.centres) ** 2).sum(axis=2)
    nights: list[dict[str, int]] = []
    moves = []
    seen_near: dict[str, int] = {}
    for number, features in enumerate(world.features):
        points = np.array(list(features.values()))
        squares = ((points[:, None] - world.centres) ** 2).sum(axis=2)
        order = squares.argsort(axis=1)
        members = {}
        for row, name in enumerate(features):
            raw, second = int(order[row, 0]), int(order[row, 1])
            old = nights[-1].get(name, raw) if nights else raw
            t = (squares[row, old] - squares[row, raw]) / gaps[old, raw] if old != raw else 0.0
            is_creeping = seen_near.get(name, -DAYS) >= number - rule.nights and rule.nights > 0
            if old != raw and t >= (rule.crept if is_creeping else rule.least):
                moves.append((name, number, world.names[old], world.names[raw]))
                old = raw
            own = (squares[row, second] - squares[row, raw]) / gaps[raw, second]
            if old != raw or own < rule.near:
                seen_near[name] = number
            members[name] = old
        nights.append(members)
    return [{k: world.names[v] for k, v in night.items()} for night in nights], moves


def judge(world: World, rule: Rule) -> dict[str, Any]:
    nights, moves = follow(world, rule)
    right = sum(to in world.places[name, NIGHTS[number]] for name, number, _, to in moves)
    found = {"all": 0, "at once": 0}
    for move in world.moves:
        last = min(NIGHTS.index(move.as_of) + WITHIN_NIGHTS - 1, DAYS - 1)
        published = [
            night[move.customer_id] for night in nights[: last + 1] if move.customer_id in night
        ]
        is_found = published[-1] == move.to_segment
        found["all"] += is_found
        found["at once"] += is_found and move.nights == 1
    at_once = sum(move.nights == 1 for move in world.moves)
    shares = [
        np.mean([world.planted[name, date] == one for name, one in members.items()])
        for date, members in ((NIGHTS[0], nights[0]), (NIGHTS[-1], nights[-1]))
    ]
    return {
        "spells": len(moves),
        "precision": right / len(moves),
        "recall": found["all"] / len(world.moves),
        "at once": found["at once"] / at_once,
        "first": shares[0],
        "last": shares[1],
    }


def report(customers: int, seeds: list[int]) -> Iterator[str]:
    yield from ("# Rules of when a customer moves", "")
    listed = ", ".join(map(str, seeds))
    yield f"{customers:,} customers, thirty nights, seeds {listed}; means of them."
    drifts: tuple[Drift, ...] = ("role_changes", "moves")
    for drift in drifts:
        worlds = []
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                make_demo(Path(folder), customers, DAYS, seed, "parquet", drift=drift, threads=1)
                worlds.append(make_world(Path(folder)))
        headings = (
            "rule", "`moved` spells", "in the right place", "moves found by the fifth night",
            "of those that show in one night", "right segment, first night", "last night",
        )  # fmt: skip
        yield from ("", f"## `{drift}`", "", f"| {' | '.join(headings)} |", f"|---|{'---:|' * 6}")
        for name, rule in RULES.items():
            judged = [judge(world, rule) for world in worlds]
            mean = {key: float(np.mean([one[key] for one in judged])) for key in judged[0]}
            figures = [f"{mean[key]:.3f}" for key in list(mean)[1:]]
            yield f"| {name} | {mean['spells']:.0f} | {' | '.join(figures)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=3_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2001, 2002, 2003])
    arguments = parser.parse_args()
    text = "\n".join(report(arguments.customers, arguments.seeds)) + "\n"
    print(text)
    TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
