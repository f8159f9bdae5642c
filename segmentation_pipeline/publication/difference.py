"""What publishing a night's work tables would change for readers of one segmentation."""

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segmentation_pipeline.clustering.registry import ModelRecord
from segmentation_pipeline.publication.building import attached_version
from segmentation_pipeline.publication.plan import BEFORE
from segmentation_pipeline.publication.versions import current_version, version_folder
from segmentation_pipeline.specification.strategies import NO_STRATEGY
from segmentation_pipeline.warehouse import Build, Connection, Table, literal


@dataclass(frozen=True)
class Side:
    """A segmentation as it is published, or would be: its date, its model, what may be claimed."""

    as_of: str
    model_version: int
    algorithm: str
    segments: int
    customers: int
    verdict: str
    sentence: str


@dataclass(frozen=True)
class SegmentDifference:
    """A segment before and after; None on the side that doesn't have it.

    `is_noise` tells of customers whom no segment holds; they have no strategies.
    """

    segment_id: str
    label: str
    is_noise: bool
    customers_before: int | None
    customers_after: int | None
    share_before: float | None
    share_after: float | None
    strategies_kept: tuple[str, ...]
    strategies_gained: tuple[str, ...]
    strategies_lost: tuple[str, ...]


@dataclass(frozen=True)
class Migration:
    """How many customers would go from one segment to another; None is from or to nowhere.

    `share` is of the customers of the segment that they come from.
    """

    from_segment_id: str | None
    to_segment_id: str | None
    customers: int
    share: float | None


@dataclass(frozen=True)
class Difference:
    """What is published now, what would be, and who would move.

    `before` is None where the segmentation has not been published yet. `moved_share` is the share
    of the customers whom both sides know that would change their segment.
    """

    segmentation: str
    before: Side | None
    after: Side
    is_new_model: bool
    moved_share: float | None
    segments: tuple[SegmentDifference, ...]
    migration: tuple[Migration, ...]


def compare_with_published(
    connection: Connection, published: Path, segmentation: str, model: ModelRecord, build: Build
) -> Difference:
    """Compare the work tables of a segmentation with the version in force.

    `connection` is to the warehouse that holds the work tables, which `build` made by `model`. All
    customers stay in DuckDB. Raises PublicationError where what is published can't be read.
    """
    manifest = current_version(published)
    with ExitStack() as attached:
        known: Collection[str] = ()
        if manifest is not None and segmentation in manifest.segmentations:
            folder = version_folder(published, manifest.version)
            attached.enter_context(attached_version(connection, folder))
            # An earlier release may have published fewer tables.
            known = manifest.rows
        before = _before(connection, segmentation) if known else None
        after = _after(connection, segmentation, model, build)
        migration = _migration(connection, segmentation) if known else ()
        return Difference(
            segmentation=segmentation,
            before=before,
            after=after,
            is_new_model=before is None or before.model_version != after.model_version,
            moved_share=_moved_share(migration),
            segments=_segments(connection, segmentation, known),
            migration=migration,
        )


def _before(connection: Connection, segmentation: str) -> Side:
    runs, members, verdicts = (
        Table(BEFORE, name).sql
        for name in ("segmentation_runs", "customer_segments", "structure_verdict")
    )
    (row,) = connection.execute(
        "SELECT strftime(as_of, '%Y-%m-%d'), model_version, algorithm, segments,"
        f" (SELECT count(*) FROM {members} WHERE segmentation = ?), verdict, sentence"
        f" FROM {verdicts} JOIN (SELECT segmentation, as_of, algorithm FROM {runs})"
        " USING (segmentation, as_of) WHERE segmentation = ?",
        [segmentation, segmentation],
    ).fetchall()
    return Side(*row)


def _after(connection: Connection, segmentation: str, model: ModelRecord, build: Build) -> Side:
    (row,) = connection.execute(
        f"SELECT segments, (SELECT count(*) FROM {Table(segmentation, 'customer_segments').sql}),"
        f" verdict, sentence FROM {Table(segmentation, 'structure_verdict').sql}"
    ).fetchall()
    return Side(build.as_of.isoformat(), model.model_version, model.algorithm, *row)


def _migration(connection: Connection, segmentation: str) -> tuple[Migration, ...]:
    rows = connection.execute(
        f"""
        WITH pairs AS (
            SELECT
                old.segment_id AS from_segment_id,
                new.segment_id AS to_segment_id,
                count(*) AS customers
            FROM (
                SELECT customer_id, segment_id FROM {Table(BEFORE, "customer_segments").sql}
                WHERE segmentation = {literal(segmentation)}
            ) AS old
            FULL JOIN {Table(segmentation, "customer_segments").sql} AS new USING (customer_id)
            GROUP BY ALL
        )
        SELECT
            *,
            CASE WHEN from_segment_id IS NOT NULL
                THEN customers / sum(customers) OVER (PARTITION BY from_segment_id) END
        FROM pairs ORDER BY from_segment_id NULLS LAST, to_segment_id NULLS LAST
        """
    ).fetchall()
    return tuple(Migration(*row) for row in rows)


def _moved_share(migration: Collection[Migration]) -> float | None:
    both = [one for one in migration if one.from_segment_id and one.to_segment_id]
    customers = sum(one.customers for one in both)
    if not customers:
        return None
    return (
        sum(one.customers for one in both if one.from_segment_id != one.to_segment_id) / customers
    )


def _segments(
    connection: Connection, segmentation: str, known: Collection[str]
) -> tuple[SegmentDifference, ...]:
    """Pair the segments of both sides by their ids, which a new model's segments keep."""
    columns = "segment_id, label, is_noise, customers, share"
    old = (
        _by_id(
            connection,
            f"SELECT {columns} FROM {Table(BEFORE, 'segments').sql}"
            f" WHERE segmentation = {literal(segmentation)}",
        )
        if known
        else {}
    )
    new = _by_id(connection, f"SELECT {columns} FROM {Table(segmentation, 'segments').sql}")
    had = (
        _strategies(connection, BEFORE, f"segmentation = {literal(segmentation)}")
        if "segment_strategies" in known
        else {}
    )
    has = _strategies(connection, segmentation, "TRUE")
    nothing: tuple[Any, ...] = (None, False, None, None)
    found = []
    for segment_id in sorted(old.keys() | new.keys(), key=_numbered):
        label_before, was_noise, customers_before, share_before = old.get(segment_id, nothing)
        label_after, is_noise, customers_after, share_after = new.get(segment_id, nothing)
        before, after = had.get(segment_id, ()), has.get(segment_id, ())
        found.append(
            SegmentDifference(
                segment_id=segment_id,
                label=label_after or label_before or "",
                is_noise=is_noise or was_noise,
                customers_before=customers_before,
                customers_after=customers_after,
                share_before=share_before,
                share_after=share_after,
                strategies_kept=tuple(one for one in after if one in before),
                strategies_gained=tuple(one for one in after if one not in before),
                strategies_lost=tuple(one for one in before if one not in after),
            )
        )
    return tuple(found)


def _by_id(connection: Connection, query: str) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in connection.execute(query).fetchall()}


def _strategies(connection: Connection, schema: str, where: str) -> dict[str, tuple[str, ...]]:
    """List the strategies of each segment, in the order of their ranks."""
    rows = connection.execute(
        "SELECT segment_id, list(strategy ORDER BY rank)"
        f" FROM {Table(schema, 'segment_strategies').sql}"
        f" WHERE strategy <> {literal(NO_STRATEGY)} AND {where} GROUP BY segment_id"
    ).fetchall()
    return {segment_id: tuple(strategies) for segment_id, strategies in rows}


def _numbered(segment_id: str) -> tuple[int, str]:
    """Sort `staff-2` before `staff-10`, and what has no number first."""
    number = segment_id.rpartition("-")[2]
    return (int(number) if number.isdecimal() else 0, segment_id)
