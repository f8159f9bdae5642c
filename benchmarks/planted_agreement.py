"""A home's published history beside its planted truth, and beside what each night published."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from benchmarks.nights_in_order import Home
from segmentation_pipeline.demo import PlantedMove
from segmentation_pipeline.demo.planted import WEB_LEADS_DAYS
from segmentation_pipeline.demo.truth import TRUTH_NAME

AT_ONCE = "profession"
"""The segmentation in whose features a move shows on its date."""
WITHIN_NIGHTS = 5


@dataclass(frozen=True)
class Found:
    """How well one segmentation's history agrees with its planted moves."""

    planted: int
    sought: int
    moved: int
    right: int
    found: int
    lags: Counter[int]
    of_stayers: int
    of_changing: int
    there_in_time: int

    @property
    def precision(self) -> float:
        """Share of the moves in the history that were planted so."""
        return self.right / self.moved

    @property
    def recall(self) -> float:
        """Share of the planted moves that were found in time."""
        return self.found / self.sought


def compare(home: Home, segmentation: str, moves: Sequence[PlantedMove]) -> Found:
    """Set the history beside the planted moves; both are of one segmentation."""
    dates = {night.as_of for night in home.nights[1:]}
    refits = {night.as_of for night in home.nights if night.is_refit}
    planted = {move.customer_id: move for move in moves if move.as_of in dates}
    sought = {name for name, move in planted.items() if move.as_of not in refits}
    ids = id_of_planted(home, segmentation)
    moved = home.ask(
        "SELECT customer_id, valid_from, segment_id FROM segment_history"
        f" WHERE segmentation = '{segmentation}' AND reason = 'moved'"
    )
    lags: Counter[int] = Counter()
    right: set[str] = set()
    of_changing = 0
    leads = 0 if segmentation == AT_ONCE else WEB_LEADS_DAYS
    for customer, date, segment in moved:
        move = planted.get(customer)
        if move is None:
            continue
        lag = (date - move.as_of).days
        of_changing += -leads <= lag < WITHIN_NIGHTS
        if segment == ids[move.to_segment]:
            lags[lag] += 1
            if 0 <= lag < WITHIN_NIGHTS:
                right.add(customer)
    return Found(
        planted=len(planted),
        sought=len(sought),
        moved=len(moved),
        right=len(right),
        found=len(right & sought),
        lags=lags,
        of_stayers=sum(customer not in planted for customer, *_ in moved),
        of_changing=of_changing,
        there_in_time=sum(
            home_segment(home, segmentation, planted[name]) == ids[planted[name].to_segment]
            for name in sought
        ),
    )


def home_segment(home: Home, segmentation: str, move: PlantedMove) -> str | None:
    """Where a mover was published four nights after the move, or last."""
    until = move.as_of + dt.timedelta(days=WITHIN_NIGHTS - 1)
    published = None
    for night in home.nights:
        if night.as_of <= until:
            published = night.members.get((segmentation, move.customer_id), published)
    return published


def id_of_planted(home: Home, segmentation: str) -> dict[str, str]:
    """Planted segment -> the id that most of its customers had on the first night."""
    first = home.nights[0]
    with duckdb.connect() as connection:
        truth = connection.execute(
            f"SELECT customer_id, segment FROM '{home.full / TRUTH_NAME}'"
            " WHERE as_of = ? AND segmentation = ?",
            [first.as_of, segmentation],
        ).fetchall()
    pairs = Counter((segment, first.members[segmentation, name]) for name, segment in truth)
    return {segment: one for (segment, one), _ in reversed(pairs.most_common())}


def history_errors(home: Home) -> int:
    """Customers and nights of whom the history says otherwise than what was published then."""
    wrong = 0
    for night in home.nights:
        told = home.ask(
            "SELECT segmentation, customer_id, segment_id FROM segment_history"
            f" WHERE valid_from <= DATE '{night.as_of}'"
            f" AND (valid_to IS NULL OR valid_to > DATE '{night.as_of}')"
        )
        wrong += len({((s, c), one) for s, c, one in told} ^ set(night.members.items()))
    return wrong


def movement_errors(home: Home) -> int:
    """Customers and nights of whom `segment_movements` says otherwise than two published nights."""
    wrong = 0
    told = {
        (as_of, segmentation, customer): (before, after)
        for as_of, segmentation, customer, before, after in home.ask(
            "SELECT as_of, segmentation, customer_id, from_segment_id, to_segment_id"
            " FROM segment_movements"
        )
    }
    for before, after in zip(home.nights, home.nights[1:], strict=False):
        seen = {
            (after.as_of, *name): (before.members.get(name), after.members.get(name))
            for name in before.members.keys() | after.members.keys()
            if before.members.get(name) != after.members.get(name)
        }
        listed = {key: pair for key, pair in told.items() if key[0] == after.as_of}
        wrong += len(seen.items() ^ listed.items())
    return wrong
