"""A version is written in parts, from the catalogue of the one before, and is whole."""

import pytest

from segmentation_pipeline.publication import current_version, verify, version_database
from segmentation_pipeline.warehouse import open_warehouse

CATALOGUE = """
    SELECT table_name, t.comment, t.sql, column_index, column_name, data_type, c.comment
    FROM duckdb_tables() AS t JOIN duckdb_columns() AS c USING (table_name) ORDER BY ALL
"""


@pytest.mark.usefixtures("after_first_night")
def test_the_tables_of_a_later_night_are_declared_as_those_of_the_first(workbench, night):
    published = workbench.home.published
    first = current_version(published).version
    later = workbench.publish(night(2)).manifest.version

    catalogues = []
    for version in (first, later):
        with open_warehouse(version_database(published, version), read_only=True) as readers:
            catalogues.append(readers.execute(CATALOGUE).fetchall())

    assert catalogues[0] == catalogues[1]
    assert len(catalogues[0]) == workbench.read("SELECT count(*) FROM data_dictionary")[0][0]


def test_rows_of_past_dates_stay_in_order_with_those_of_a_date_between(workbench, night):
    key = "as_of, segmentation, customer_id"
    for day in (1, 4, 2):
        workbench.publish(night(day))
    # A segmentation that is not ready keeps its rows of that date.
    workbench.of("engagement").publish(night(2, "again"), file_digest="bb")

    found = workbench.read(f"SELECT {key} FROM segment_movements")

    assert found == sorted(found)
    assert len(found) == 3 * 2 * 6
    assert verify(workbench.home.published) == []


def test_more_rows_than_a_row_group_are_in_parquet_too_where_none_are_of_an_earlier_date(
    workbench, night
):
    rows = 130_000  # See `warehouse.checkpoint`.
    workbench.publish_after(
        night(1),
        "INSERT INTO engagement.segment_movements"
        " SELECT m.* REPLACE ('x' || range AS customer_id)"
        f" FROM engagement.segment_movements AS m, range({rows}) WHERE customer_id = 'c1'",
    )

    parquet = workbench.home.published / "current" / "parquet" / "segment_movements.parquet"
    for table in ("segment_movements", f"read_parquet('{parquet}')"):
        assert workbench.read(f"SELECT count(DISTINCT customer_id) FROM {table}") == [(rows + 6,)]


def test_a_text_that_is_too_long_to_be_compressed_is_kept_as_it_is(workbench, night):
    longest = "c" + "x" * 9_999
    workbench.publish_after(
        night(1),
        f"UPDATE engagement.customer_segments SET customer_id = '{longest}'"
        " WHERE customer_id = 'c1'",
        f"UPDATE engagement.segment_history SET reason = '{longest}' WHERE customer_id = 'c1'",
    )

    for table, column in (("customer_segments", "customer_id"), ("segment_history", "reason")):
        count = f"SELECT count(*) FROM {table} WHERE {column} = '{longest}'"
        assert workbench.read(count) == [(1,)]
    assert verify(workbench.home.published) == []
