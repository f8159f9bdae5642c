"""Brings the warehouse of an earlier release up to this one, by numbered steps that each run once.

A step is made of its own SQL and of nothing that the rooms say of their tables: what they say next
year must not change what an old home becomes. Tables that a night makes anew, and those that are
new, need no step. A step and the version that it leads to are one transaction.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.warehouse import (
    Connection,
    Table,
    column_types,
    has_table,
    literal,
    quote,
    transaction,
)

_VERSION = Table("core", "schema_version")
_BUILDS = Table("core", "builds")
FIRST_RELEASE = 1
"""Of a warehouse that says no version, and has been worked in."""


def migrate(connection: Connection) -> list[int]:
    """Run the steps that an open warehouse lacks, in order; returns their numbers.

    A new warehouse is of this release. Raises PipelineError where it is of a later one, of which
    nothing was changed.
    """
    if not has_table(connection, _BUILDS):
        _note(connection, SCHEMA_VERSION)
        return []
    version = FIRST_RELEASE
    if has_table(connection, _VERSION):
        ((version,),) = connection.execute(f"SELECT version FROM {_VERSION.sql}").fetchall()
    if version > SCHEMA_VERSION:
        raise PipelineError(
            f"the warehouse was written by a later release: its tables are of version {version}, "
            f"and this release knows them up to {SCHEMA_VERSION}. Install that release again, or "
            "restore the home from a back-up. Nothing was changed"
        )
    due = [number for number in sorted(_STEPS) if number > version]
    for number in due:
        with transaction(connection):
            _STEPS[number](connection)
            _note(connection, number)
    return due


def _note(connection: Connection, version: int) -> None:
    connection.execute(
        f"CREATE SCHEMA IF NOT EXISTS core; CREATE OR REPLACE TABLE {_VERSION.sql} AS"
        f" SELECT {version}::INTEGER AS version"
    )


def _segments_become_known(connection: Connection) -> None:
    """Part the segments from the models that have them; the last night begins their history.

    In the first release `core.segment_ids` had the segments' numbers and labels, and nothing said
    who had been in which segment but the last night's `customer_segments`.
    """
    ids = Table("core", "segment_ids")
    if not has_table(connection, ids) or "number" not in column_types(connection, ids):
        return
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE earlier_ids AS FROM core.segment_ids;
        DROP TABLE core.segment_ids;
        CREATE TABLE core.segment_ids (
            segmentation VARCHAR NOT NULL, model_version INTEGER NOT NULL,
            raw_segment INTEGER NOT NULL, segment_id VARCHAR NOT NULL,
            PRIMARY KEY (segmentation, model_version, raw_segment)
        );
        INSERT INTO core.segment_ids
            SELECT segmentation, model_version, raw_segment, segment_id FROM earlier_ids;
        CREATE TABLE core.segments_known (
            segmentation VARCHAR NOT NULL, segment_id VARCHAR NOT NULL, number INTEGER NOT NULL,
            born_model_version INTEGER NOT NULL, parent_segment_ids VARCHAR[] NOT NULL,
            label VARCHAR, given_name VARCHAR, PRIMARY KEY (segmentation, segment_id)
        );
        INSERT INTO core.segments_known
            SELECT segmentation, segment_id, min(number), min(model_version), [], max(label), NULL
            FROM earlier_ids GROUP BY segmentation, segment_id;
        CREATE TABLE core.segment_nights (
            segmentation VARCHAR NOT NULL, as_of DATE NOT NULL, model_version INTEGER NOT NULL,
            customers BIGINT NOT NULL, entered_count BIGINT NOT NULL, left_count BIGINT NOT NULL,
            moved_count BIGINT NOT NULL, model_count BIGINT NOT NULL, erased_count BIGINT NOT NULL,
            held_count BIGINT NOT NULL, PRIMARY KEY (segmentation, as_of)
        )
    """)
    names = connection.execute(
        "SELECT DISTINCT segmentation FROM earlier_ids ORDER BY ALL"
    ).fetchall()
    for (name,) in names:
        _last_night_becomes_history(connection, name)
    connection.execute("DROP TABLE earlier_ids")


def _last_night_becomes_history(connection: Connection, segmentation: str) -> None:
    people = Table(segmentation, "customer_segments")
    built = connection.execute(
        f"SELECT as_of FROM {_BUILDS.sql} WHERE table_name = ?", [str(people)]
    ).fetchall()
    if not built or not has_table(connection, people):
        return
    as_of, schema = literal(built[0][0]), quote(segmentation)
    connection.execute(f"""
        CREATE TABLE {schema}.segment_history (
            customer_id VARCHAR NOT NULL, segment_id VARCHAR NOT NULL, valid_from DATE NOT NULL,
            valid_to DATE, reason VARCHAR NOT NULL, end_reason VARCHAR
        );
        INSERT INTO {schema}.segment_history
            SELECT customer_id, segment_id, {as_of}, NULL, 'entered', NULL FROM {people.sql};
        INSERT INTO core.segment_nights
            SELECT {literal(segmentation)}, {as_of}, max(ids.model_version), any_value(counted.n),
                any_value(counted.n), 0, 0, 0, 0, 0
            FROM earlier_ids ids, (SELECT count(*) AS n FROM {people.sql}) counted
            WHERE ids.segmentation = {literal(segmentation)}
    """)


_STEPS: Mapping[int, Callable[[Connection], None]] = MappingProxyType(
    {
        2: _segments_become_known,
    }
)
SCHEMA_VERSION = max(_STEPS)
"""Of this release's tables."""
