"""Names that are made of traits: once, when a segment is born, and no two alike.

What belongs here: how a name is put together, and which traits it was made of
(`core.segment_name_traits`), so that it can be told when they have ceased to hold. A name is not
changed then: people change names (`naming`).
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import combinations
from typing import Any

from segmentation_pipeline.segments.identity import create_registry, label_segments
from segmentation_pipeline.segments.traits import NAMING_MAJORITY, may_name
from segmentation_pipeline.segments.wording import attribute_words, people_words
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Connection, transaction

EVERYBODY = "Everybody"
"""What the only segment is called."""
_LIKE_EVERYBODY = ", like everybody"
_MOST_TRAITS = 3
_NAME_TRAITS_SQL = """
CREATE TABLE IF NOT EXISTS core.segment_name_traits (
    segmentation VARCHAR NOT NULL,
    segment_id VARCHAR NOT NULL,
    feature VARCHAR NOT NULL,
    category VARCHAR,
    is_high BOOLEAN NOT NULL
)
"""

Row = Mapping[str, Any]


def name_segments(
    connection: Connection,
    segmentation: str,
    spec: SegmentationSpec,
    segments: Sequence[str],
    traits: Sequence[Row],
    given: Mapping[str, str],
    withheld: Set[str] = frozenset(),
) -> dict[str, str]:
    """Name each segment that has no name yet; returns what all are called now.

    `segments` are those with customers tonight, without noise; `traits` their rows of
    `segment_traits`; `given` are names that business rules bring along. Of `withheld`, figures are
    not shown, so that nobody can say that they are like everybody. The traits that a name is made
    of are kept beside it, in one transaction.
    """
    create_registry(connection)
    connection.execute(_NAME_TRAITS_SQL)
    rows = connection.execute(
        "SELECT segment_id, label, given_name FROM core.segments_known"
        " WHERE segmentation = ? ORDER BY number",
        [segmentation],
    ).fetchall()
    taken = {name.casefold() for _, *names in rows for name in names if name is not None}
    taken |= {name.casefold() for name in given.values()}
    labelled = {segment_id for segment_id, label, _ in rows if label is not None}
    unnamed = [one for one in segments if one not in labelled and one not in given]
    own = {one: [row for row in traits if row["segment_id"] == one] for one in unnamed}
    made: dict[str, str] = {}
    with transaction(connection):
        # Of two that would be called alike, the one that is more so gets the name.
        for one in sorted(unnamed, key=lambda one: (-_strength(own[one]), unnamed.index(one))):
            name, used = _new_name(one, spec, own[one], taken, is_only=len(segments) == 1)
            if not used and one in withheld:
                name = name.removesuffix(_LIKE_EVERYBODY)
            taken.add(name.casefold())
            made[one] = name
            for row in used:
                connection.execute(
                    "INSERT INTO core.segment_name_traits VALUES (?, ?, ?, ?, ?)",
                    [segmentation, one, row["feature"], row["category"], is_high(row)],
                )
        return label_segments(connection, segmentation, {**made, **given})


def outdated_names(
    connection: Connection, segmentation: str, traits: Sequence[Row], *, segments: int = 1
) -> set[str]:
    """Find the segments whose name was made of a trait that is none any more.

    A category isn't one for a name either once less than half of the segment are in it; and none is
    everybody among several `segments`. Names that people gave are theirs to judge.
    """
    connection.execute(_NAME_TRAITS_SQL)
    held = {
        (row["segment_id"], row["feature"], row["category"], is_high(row))
        for row in traits
        if row["category"] is None or row["value"] >= NAMING_MAJORITY
    }
    made_of = connection.execute(
        "SELECT segment_id, feature, category, is_high FROM core.segment_name_traits"
        " JOIN core.segments_known USING (segmentation, segment_id)"
        " WHERE segmentation = ? AND given_name IS NULL",
        [segmentation],
    ).fetchall()
    found = {trait[0] for trait in made_of if trait not in held}
    if segments > 1:
        everybody = connection.execute(
            "SELECT segment_id FROM core.segments_known"
            " WHERE segmentation = ? AND label = ? AND given_name IS NULL",
            [segmentation, EVERYBODY],
        ).fetchall()
        found |= {row[0] for row in everybody}
    return found


def compose_name(spec: SegmentationSpec, traits: Sequence[Row]) -> str:
    """Put a name together from one to three traits, in their order.

    The first is what the specification calls such customers, where it does; "with" leads over to
    what they have.
    """
    phrases: list[tuple[str, bool, bool]] = []
    for row in traits:
        feature = spec.features[row["feature"]]
        high = is_high(row)
        people = people_words(feature, row["category"], is_high=high)
        if people is not None:
            phrases.append((people, True, False))
        else:
            words, is_had = attribute_words(row["feature"], feature, row["category"], is_high=high)
            phrases.append((words, False, is_had))
    # People come first, then what they have.
    name, is_people, _ = phrases[0]
    for position, (words, _, is_had) in enumerate(phrases[1:], start=1):
        leads_over = position == 1 and is_people and is_had
        name += f" with {words}" if leads_over else f", {words}"
    return name[:1].upper() + name[1:]


def is_high(row: Row) -> bool:
    """Whether a trait is that there is more of something than elsewhere."""
    return bool(row["value"] > row["overall_value"])


def _new_name(
    segment_id: str,
    spec: SegmentationSpec,
    traits: Sequence[Row],
    taken: Set[str],
    *,
    is_only: bool,
) -> tuple[str, Sequence[Row]]:
    """Make a name that nobody has, and say of which traits."""
    if is_only and EVERYBODY.casefold() not in taken:
        return EVERYBODY, ()
    chosen: Sequence[Row] = ()
    for chosen in _choices(traits):
        name = compose_name(spec, chosen)
        if name.casefold() not in taken:
            return name, chosen
    # Like everybody, or in nothing unlike a segment that has the name.
    number = segment_id.rpartition("-")[2]
    if not chosen:
        return f"Group {number}{_LIKE_EVERYBODY}", ()
    first = next(_choices(traits))
    return f"{compose_name(spec, first)} (group {number})", first


def _choices(traits: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """List the traits that a name may be made of: the best first, then others that tell apart."""
    placed = sorted(
        (row for row in traits if row["name_place"] is not None), key=lambda row: row["name_place"]
    )
    if not placed:
        return
    yield placed
    naming = [
        row
        for row in traits
        if may_name(row["use"], row["category"], row["value"], is_high=is_high(row))
    ]
    for size in range(2, _MOST_TRAITS + 1):
        yield from combinations(naming, size)


def _strength(traits: Sequence[Row]) -> float:
    """How far a segment is from everybody in what its name begins with.

    Only segments of one name are compared by it, so that differences never meet lifts.
    """
    leading = next((row for row in traits if row["name_place"] == 1), None)
    if leading is None:
        return 0.0
    return float("inf") if leading["effect"] is None else abs(leading["effect"])
