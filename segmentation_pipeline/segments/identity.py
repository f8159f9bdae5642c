"""The ids of segments: given once, never reused, and never a model's label number.

A model numbers its clusters as it likes; readers join on `segment_id`. What belongs here: the
registry. `core.segments_known` has every segment that there ever was, `core.segment_ids` says which
of them a cluster of a model version is, `core.segment_transitions` what became of the segments of
the model before. Which segments are the same belongs to `matching`; names that people give belong
to `naming`.
"""

from collections.abc import Mapping, Sequence

from segmentation_pipeline.segments.matching import Transition, all_born
from segmentation_pipeline.segments.nights import create_nights
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    literal,
    transaction,
    write_table,
)

NOISE_LABEL = "in no segment"
"""What the customers are called whom no segment holds."""

_REGISTRY_SQL = """
CREATE TABLE IF NOT EXISTS core.segments_known (
    segmentation VARCHAR NOT NULL,
    segment_id VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    born_model_version INTEGER NOT NULL,
    parent_segment_ids VARCHAR[] NOT NULL,
    label VARCHAR,
    given_name VARCHAR,
    PRIMARY KEY (segmentation, segment_id)
);
CREATE TABLE IF NOT EXISTS core.segment_ids (
    segmentation VARCHAR NOT NULL,
    model_version INTEGER NOT NULL,
    raw_segment INTEGER NOT NULL,
    segment_id VARCHAR NOT NULL,
    PRIMARY KEY (segmentation, model_version, raw_segment)
);
CREATE TABLE IF NOT EXISTS core.segment_transitions (
    segmentation VARCHAR NOT NULL,
    model_version INTEGER NOT NULL,
    as_of DATE NOT NULL,
    kind VARCHAR NOT NULL,
    from_segment_id VARCHAR,
    to_segment_id VARCHAR,
    from_model_version INTEGER,
    customers BIGINT,
    from_share DOUBLE,
    to_share DOUBLE,
    jaccard DOUBLE
)
"""


def noise_id(segmentation: str) -> str:
    """Name the row of customers whom no segment holds; the same under every model."""
    return f"{segmentation}-noise"


def segment_ids(
    connection: Connection, segmentation: str, model_version: int, clusters: int
) -> list[str]:
    """Give the segment ids of a model version, in the order of its labels.

    A version that was never met gets `clusters` new ids, such as `["staff-4", "staff-5"]`; where
    there is a model before it, `meet_model` is asked first.
    """
    create_registry(connection)
    known = _known_ids(connection, segmentation, model_version)
    if known:
        return known
    with transaction(connection):
        return _give_ids(connection, segmentation, model_version, all_born(clusters), [])


def is_met(connection: Connection, segmentation: str, model_version: int) -> bool:
    """Whether the segments of a model version have their ids."""
    create_registry(connection)
    return bool(_known_ids(connection, segmentation, model_version))


def meet_model(
    connection: Connection,
    segmentation: str,
    model_version: int,
    transitions: Sequence[Transition],
    build: Build,
    *,
    before: int | None,
) -> list[str]:
    """Give a model version's segments their ids on its first night: old ones back, or new ones.

    `transitions` are of `matching`, between the version `before` (None, and `all_born`, for the
    first model) and this one. They are kept for `segment_transitions`. A version is met once: ids
    that it has stay, whatever a later night would conclude. One transaction; returns the ids in the
    order of the model's labels.
    """
    create_registry(connection)
    known = _known_ids(connection, segmentation, model_version)
    if known:
        return known
    old_ids = [] if before is None else _known_ids(connection, segmentation, before)
    with transaction(connection):
        ids = _give_ids(connection, segmentation, model_version, transitions, old_ids)
        for link in transitions:
            connection.execute(
                "INSERT INTO core.segment_transitions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    segmentation,
                    model_version,
                    build.as_of,
                    link.kind,
                    None if link.old is None else old_ids[link.old],
                    None if link.new is None else ids[link.new],
                    before,
                    link.customers,
                    link.old_share,
                    link.new_share,
                    link.jaccard,
                ],
            )
    return ids


def label_segments(
    connection: Connection, segmentation: str, labels: Mapping[str, str]
) -> dict[str, str]:
    """Keep the label of each segment that has none yet; returns what all are called now.

    A name that people gave goes before the label that was made of traits.
    """
    create_registry(connection)
    for segment_id, label in labels.items():
        connection.execute(
            "UPDATE core.segments_known SET label = ?"
            " WHERE segmentation = ? AND segment_id = ? AND label IS NULL",
            [label, segmentation, segment_id],
        )
    rows = connection.execute(
        "SELECT segment_id, coalesce(given_name, label) AS called FROM core.segments_known"
        " WHERE segmentation = ? AND called IS NOT NULL ORDER BY number",
        [segmentation],
    ).fetchall()
    return dict(rows)


def make_segment_registry(connection: Connection, segmentation: str, build: Build) -> int:
    """Write `segment_registry`: every segment that there ever was, its name, life and parents.

    A segment is born on the first night of a model that has it. It is retired on the first night
    after the last such, unless a later model has it again: that follows from the nights that were
    run, so that going back to an older model needs no repair. One whose only date was run again
    with another model came and went on that date.
    """
    create_registry(connection)
    create_nights(connection)
    query = f"""
        WITH nights AS (
            SELECT as_of, model_version, lead(as_of) OVER (ORDER BY as_of) AS next_date
            FROM core.segment_nights WHERE segmentation = {literal(segmentation)}
        ), lives AS (
            SELECT
                segment_id,
                min(as_of) AS born_date,
                last(next_date ORDER BY as_of) AS retired_date
            FROM nights JOIN core.segment_ids USING (model_version)
            WHERE segmentation = {literal(segmentation)}
            GROUP BY segment_id
        ), arrivals AS (
            SELECT to_segment_id AS segment_id, min(as_of) AS met_date
            FROM core.segment_transitions
            WHERE segmentation = {literal(segmentation)} GROUP BY ALL
        )
        SELECT
            segment_id,
            coalesce(given_name, label) AS label,
            given_name IS NOT NULL AS is_named,
            coalesce(born_date, met_date) AS born_date,
            born_model_version,
            CASE WHEN born_date IS NULL THEN met_date ELSE retired_date END AS retired_date,
            nullif(array_to_string(parent_segment_ids, ', '), '') AS parent_segment_ids
        FROM core.segments_known
        LEFT JOIN lives USING (segment_id)
        LEFT JOIN arrivals USING (segment_id)
        WHERE segmentation = {literal(segmentation)}
        ORDER BY number"""
    return write_table(connection, Table(segmentation, "segment_registry"), query, build)


def make_segment_transitions(connection: Connection, segmentation: str, build: Build) -> int:
    """Write the night's `segment_transitions`: rows on the first night of a model, else none.

    A date that was run again with another model has those of the last one.
    """
    create_registry(connection)
    query = (
        "SELECT kind, from_segment_id, to_segment_id, from_model_version, model_version, customers,"
        " from_share, to_share, jaccard FROM core.segment_transitions"
        f" WHERE segmentation = {literal(segmentation)} AND as_of = {literal(build.as_of)}"
        " QUALIFY model_version = max(model_version) OVER ()"
        " ORDER BY ALL"
    )
    return write_table(connection, Table(segmentation, "segment_transitions"), query, build)


def create_registry(connection: Connection) -> None:
    """Create the tables of the registry where there are none."""
    connection.execute(_REGISTRY_SQL)


def _known_ids(connection: Connection, segmentation: str, model_version: int) -> list[str]:
    rows = connection.execute(
        "SELECT segment_id FROM core.segment_ids WHERE segmentation = ? AND model_version = ?"
        " ORDER BY raw_segment",
        [segmentation, model_version],
    ).fetchall()
    return [str(row[0]) for row in rows]


def _give_ids(
    connection: Connection,
    segmentation: str,
    model_version: int,
    transitions: Sequence[Transition],
    old_ids: Sequence[str],
) -> list[str]:
    ids = {
        link.new: old_ids[link.old]
        for link in transitions
        if link.kind == "kept" and link.new is not None and link.old is not None
    }
    parents: dict[int, list[str]] = {}
    for link in transitions:
        if link.new is not None and link.new not in ids:
            found = parents.setdefault(link.new, [])
            found += [] if link.old is None else [old_ids[link.old]]
    last = connection.execute(
        "SELECT coalesce(max(number), 0) FROM core.segments_known WHERE segmentation = ?",
        [segmentation],
    ).fetchall()[0][0]
    for number, label in enumerate(sorted(parents), start=last + 1):
        ids[label] = f"{segmentation}-{number}"
        connection.execute(
            "INSERT INTO core.segments_known VALUES (?, ?, ?, ?, ?, NULL, NULL)",
            [segmentation, ids[label], number, model_version, parents[label]],
        )
    for label, segment_id in sorted(ids.items()):
        connection.execute(
            "INSERT INTO core.segment_ids VALUES (?, ?, ?, ?)",
            [segmentation, model_version, label, segment_id],
        )
    return [ids[label] for label in sorted(ids)]
