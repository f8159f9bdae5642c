"""A home's published history beside its planted truth, and beside what each night published."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from benchmarks.nights_in_order import Home
from segmentation_pipeline.demo import ClearMove
from segmentation_pipeline.demo.truth import TRUTH_NAME

WITHIN_NIGHTS = 5


@dataclass(frozen=True)
class Found:
    """How well one segmentation's history agrees with where customers truly are."""

    moves: int
    at_once: int
    """Moves that show in one night; the others take longer."""
    found: int
    found_at_once: int
    moved: int
    timely: int
    late: int
    there_all_along: int
    elsewhere: int

    @property
    def precision(self) -> float:
        """Share of the `moved` spells that say where the customer truly is."""
        return 1 - self.elsewhere / max(1, self.moved)

    @property
    def recall(self) -> float:
        """Share of the true moves that were found in time."""
        return self.found / max(1, self.moves)


def compare(home: Home, segmentation: str, moves: Sequence[ClearMove]) -> Found:
    """Set the history beside the truth; `moves` are those of the segmentation."""
    last = home.nights[-1].as_of
    done = [move for move in moves if home.nights[0].as_of < move.as_of <= last]
    ids = id_of_planted(home, segmentation)
    found = [
        move for move in done if home_segment(home, segmentation, move) == ids[move.to_segment]
    ]
    places = _places(home, segmentation, ids)
    movers = {move.customer_id for move in done}
    kinds = Counter(
        _kind(places, customer, date, before, segment, is_mover=customer in movers)
        for customer, date, before, segment in _moved(home, segmentation)
    )
    return Found(
        moves=len(done),
        at_once=sum(move.nights == 1 for move in done),
        found=len(found),
        found_at_once=sum(move.nights == 1 for move in found),
        moved=kinds.total(),
        timely=kinds["timely"],
        late=kinds["late"],
        there_all_along=kinds["there all along"],
        elsewhere=kinds["elsewhere"],
    )


def home_segment(home: Home, segmentation: str, move: ClearMove) -> str | None:
    """Where a mover was published four nights after the move, or last."""
    until = move.as_of + dt.timedelta(days=WITHIN_NIGHTS - 1)
    published = None
    for night in home.nights:
        if night.as_of <= until:
            published = night.members.get((segmentation, move.customer_id), published)
    return published


def _kind(
    places: dict[tuple[str, dt.date], set[str]],
    customer: str,
    date: dt.date,
    before: str,
    segment: str,
    *,
    is_mover: bool,
) -> str:
    """Say what a spell is that begins with a move: in the right place, and in time or not."""
    if segment not in places[customer, date]:
        return "elsewhere"
    lately = (date - dt.timedelta(days=back) for back in range(WITHIN_NIGHTS + 1))
    if any(before in places.get((customer, night), ()) for night in lately):
        return "timely"
    return "late" if is_mover else "there all along"


def _places(
    home: Home, segmentation: str, ids: dict[str, str]
) -> dict[tuple[str, dt.date], set[str]]:
    """Customer and night -> the segment that is true, and the one on whose border they lie."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT customer_id, as_of, expected_segment, border_segment"
            f" FROM '{home.full / TRUTH_NAME}' WHERE segmentation = ?",
            [segmentation],
        ).fetchall()
    return {(customer, date): {ids[one] for one in pair if one} for customer, date, *pair in rows}


def _moved(home: Home, segmentation: str) -> list[tuple[str, dt.date, str, str]]:
    """Customer, night, segment before and after of every move that the history tells."""
    return home.ask(
        "SELECT customer_id, valid_from, before, segment_id FROM ("
        " SELECT *, lag(segment_id) OVER (PARTITION BY customer_id ORDER BY valid_from) AS before"
        f" FROM segment_history WHERE segmentation = '{segmentation}') WHERE reason = 'moved'"
    )


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
