"""Every segment has its sample: the same customers in any order of the rows."""

import datetime as dt

import pytest

from segmentation_pipeline.segments.segment_sample import read_segment_sample, segment_sizes
from segmentation_pipeline.warehouse import Build, Table, open_in_memory, write_table

MEMBERS = Table("staff", "customer_segments")
NIGHT = Build(dt.date(2025, 6, 30), "run")


def rows_of(order):
    return (
        "SELECT 'c' || i AS customer_id, CASE WHEN i < 30 THEN 's-1' ELSE 's-2' END AS segment_id"
        f" FROM range(20000) AS t(i) ORDER BY {order}"
    )


@pytest.fixture
def sample(tmp_path):
    def _sample(order, limit, seed=3):
        with open_in_memory(threads=2) as connection:
            connection.execute("CREATE SCHEMA core")
            connection.execute(
                "CREATE TABLE core.builds (table_name VARCHAR PRIMARY KEY, as_of DATE,"
                " run_id VARCHAR, rows BIGINT)"
            )
            write_table(connection, MEMBERS, rows_of(order), NIGHT)
            sizes = segment_sizes(connection, MEMBERS)
            assert sizes == {"s-1": 30, "s-2": 19_970}
            found = read_segment_sample(
                connection, MEMBERS, "", ["members.customer_id"], sizes, seed=seed, limit=limit
            )
            return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    return _sample


def test_a_small_segment_is_there_whole_and_a_large_one_up_to_the_limit(sample):
    found = sample("i", 500)

    assert sum(segment == "s-1" for segment, _ in found) == 30
    assert sum(segment == "s-2" for segment, _ in found) == 500
    assert found == sample("random()", 500)
    assert found != sample("i", 500, seed=4)
    assert set(sample("i", 50)) < set(found)
