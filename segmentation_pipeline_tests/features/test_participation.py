"""Which part a customer takes: by the file's condition, and by which source knows them."""

import pytest

from segmentation_pipeline.features.engineered import make_engineered_features
from segmentation_pipeline.features.participation import (
    PART,
    fitting_features,
    grouped_features,
    has_parts,
    held_out_features,
)
from segmentation_pipeline.warehouse import Table, column_types, quote, read_build

COLUMNS = {"age": "number", "country": "category"}


@pytest.fixture
def make(connection, build, specify, customers_spec, put_customers):
    """Make the engineered features of 200 customers under some settings."""

    def _make(**settings):
        spec = specify({"age": {}}, **settings)
        ids = [f"k{i:03}" for i in range(200)]
        put_customers(
            {
                "customer_id": ids,
                "age": list(range(200)),
                "country": [["DE", "FR", None, "AT"][i % 4] for i in range(200)],
                "has_crm": [True] * 200,
                "has_web": [i % 5 != 0 for i in range(200)],
            }
        )
        make_engineered_features(connection, "lens", spec, customers_spec(COLUMNS), {}, build)
        return spec

    return _make


def parts(connection):
    query = f"SELECT customer_id, {quote(PART)} FROM lens.engineered_features ORDER BY 1"
    return [part for _, part in connection.execute(query).fetchall()]


def ids(connection, table):
    return {row[0] for row in connection.execute(f"SELECT customer_id FROM {table.sql}").fetchall()}


def test_a_condition_that_is_null_does_not_hold_and_goes_before_typing(connection, make):
    make(eligible="country <> 'FR'", typing={"sources": ["web"]})

    found = parts(connection)

    for i, part in enumerate(found):
        expected = "typed" if i % 5 == 0 else "grouped"
        assert part == ("ineligible" if i % 4 in (1, 2) else expected), i


def test_where_leaves_out_and_eligible_keeps_in_sight(connection, make):
    make(where="age < 100", eligible="age >= 50")

    assert parts(connection) == ["ineligible"] * 50 + ["grouped"] * 50


def test_everybody_grouped_is_fitted_on_or_kept_aside(connection, make, build):
    spec = make(typing={"sources": ["web"]})

    grouped, fitted, held = (
        ids(connection, table)
        for table in (
            grouped_features("lens", spec),
            fitting_features("lens", spec),
            held_out_features("lens"),
        )
    )

    assert fitted | held == grouped
    assert not fitted & held
    assert 15 <= len(held) <= 50
    assert read_build(connection, fitting_features("lens", spec)) == build
    assert PART not in column_types(connection, fitting_features("lens", spec))


def test_who_is_kept_aside_depends_on_the_seed_and_on_nothing_else(connection, make):
    found = []
    for seed in (0, 0, 1):
        make(typing={"sources": ["web"]}, clustering={"seed": seed})
        found.append(ids(connection, held_out_features("lens")))

    assert found[0] == found[1] != found[2]


def test_eligible_alone_keeps_nobody_aside(connection, make):
    spec = make(eligible="age >= 50")

    assert fitting_features("lens", spec) == grouped_features("lens", spec)
    assert len(ids(connection, grouped_features("lens", spec))) == 150


def test_nothing_changes_where_the_file_says_nothing(connection, make):
    spec = make()

    assert not has_parts(spec)
    assert list(column_types(connection, Table("lens", "engineered_features"))) == [
        "customer_id",
        "age",
    ]
    assert grouped_features("lens", spec) == Table("lens", "engineered_features")
