"""A load is compared with the last one that passed: planted changes are found, chance is not."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.validation import ExpectationResult
from segmentation_pipeline.validation.expectations import Expectation
from segmentation_pipeline.validation.kept_profiles import last_accepted
from segmentation_pipeline.validation.last_load import (
    compare_with_last_load,
    distribution_expectation,
)
from segmentation_pipeline.warehouse import open_in_memory

COLUMNS = {
    "id": {"type": "text"},
    "happened_on": {"type": "date"},
    "amount": {"type": "number"},
    "visits": {"type": "integer"},
    "channel": {"type": "category"},
    "is_new": {"type": "boolean"},
    "remark": {"type": "text", "personal": True},
}


def make_source(**parts):
    declared = {"kind": "web", "path": "web_*.csv", "key": "id", "time": "happened_on"}
    return SourceSpec.model_validate({**declared, "columns": COLUMNS, **parts})


SOURCE = make_source()


def night(number):
    return dt.date(2026, 3, number)


def rows(seed, count=400, **changes):
    """Rows whose columns are drawn alike for every seed; a change replaces a column."""
    draw = np.random.default_rng(seed)
    drawn = {
        "amount": draw.lognormal(3, 1, count),
        "visits": draw.poisson(1.0, count),
        "channel": draw.choice(["mail", "phone", "visit"], count, p=[0.6, 0.3, 0.1]),
        "is_new": draw.random(count) < 0.2,
        "remark": np.where(draw.random(count) < 0.3, None, "private"),
    }
    return {**drawn, **{name: change(drawn[name], draw) for name, change in changes.items()}}


class Nights:
    """A raw table to which loads are added, and what each night says of it."""

    def __init__(self, connection):
        self.connection = connection
        connection.execute("CREATE SCHEMA raw; CREATE SCHEMA core")
        connection.execute(
            "CREATE TABLE raw.raw_web (load_id BIGINT, source_row BIGINT, customer_id VARCHAR,"
            " id VARCHAR, happened_on DATE, amount DOUBLE, visits BIGINT, channel VARCHAR,"
            " is_new BOOLEAN, remark VARCHAR)"
        )

    def load(self, load_id, drawn, date=None, people=1_000_000):
        table = pa.table({name: pa.array(list(values)) for name, values in drawn.items()})
        self.connection.register("drawn", table)
        self.connection.execute(
            "INSERT INTO raw.raw_web BY NAME SELECT *, ? AS load_id, ? AS happened_on,"
            " row_number() OVER () AS source_row, 'c' || source_row % ? AS customer_id FROM drawn",
            [load_id, date or night(load_id), people],
        )
        self.connection.unregister("drawn")

    def look(self, number, source=SOURCE, snapshot=None, results=()):
        found = compare_with_last_load(
            self.connection, "web", source, night(number), snapshot, results
        )
        return {one.expectation.name: one for one in found}

    def changed(self, number, **options):
        found = self.look(number, **options)
        assert not [one.exception for one in found.values() if one.exception]
        return [name for name, one in found.items() if one.outcome == "failed"]


@pytest.fixture
def nights():
    with open_in_memory(memory_limit="256MB", threads=1) as connection:
        yield Nights(connection)


def test_the_first_load_has_nothing_to_compare_with_and_does_not_hold(nights):
    nights.load(1, rows(1))

    (only,) = nights.look(1).values()

    assert (only.success, only.outcome, only.expectation.severity) == (
        False, "not_compared", "warning",
    )  # fmt: skip
    assert only.message == "nothing to compare with: it is the first load that is looked at"
    assert only.evaluated_rows == 400


def test_every_declared_column_is_compared_and_chance_changes_nothing(nights):
    nights.load(1, rows(1))
    nights.look(1)
    nights.load(2, rows(2))

    found = nights.look(2)

    assert list(found) == [
        "table__distribution",
        "amount__missing_change",
        "amount__quantile_change",
        "visits__missing_change",
        "visits__quantile_change",
        "channel__missing_change",
        "channel__shares_change",
        "is_new__missing_change",
        "is_new__shares_change",
        "remark__missing_change",
    ]
    assert {one.outcome for one in found.values()} == {"held"}
    assert found["table__distribution"].message == (
        "400 new rows were compared with the load of 2026-03-01: nothing has changed"
    )


def test_of_a_hundred_nights_of_small_loads_none_cries_wolf(nights):
    alarms = []
    for number in range(1, 101):
        nights.load(number, rows(number, 60), night(1))
        found = compare_with_last_load(
            nights.connection,
            "web",
            SOURCE,
            night(1) + dt.timedelta(number),
            None,
            (),
        )
        alarms += [one.expectation.name for one in found if one.outcome == "failed"]

    # 100 nights of 9 comparisons each; chance exceeds twice the noise once in ten thousand.
    assert alarms == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # Cents instead of euros, and half of what it was.
        ({"amount": lambda values, _: values * 100}, ["amount__quantile_change"]),
        ({"amount": lambda values, _: values / 3}, ["amount__quantile_change"]),
        ({"visits": lambda values, _: values + 1}, ["visits__quantile_change"]),
        # A channel that is called otherwise, and one that is gone.
        ({"channel": lambda values, _: np.where(values == "mail", "e-mail", values)},
         ["channel__shares_change"]),
        ({"channel": lambda values, _: np.where(values == "phone", "mail", values)},
         ["channel__shares_change"]),
        ({"is_new": lambda values, _: ~values}, ["is_new__shares_change"]),
        ({"remark": lambda values, draw: np.where(draw.random(len(values)) < 0.5, None, "x")},
         ["remark__missing_change"]),
        # Everything is missing: nothing is left to compare, which is no reason to be content.
        ({"amount": lambda values, _: np.full(len(values), None)},
         ["amount__missing_change", "amount__quantile_change"]),
        ({"channel": lambda values, _: np.full(len(values), None)},
         ["channel__missing_change", "channel__shares_change"]),
    ],
)  # fmt: skip
def test_a_planted_change_is_found_and_no_other(nights, change, expected):
    nights.load(1, rows(1))
    nights.look(1)
    nights.load(2, rows(2, **change))

    assert nights.changed(2) == ["table__distribution", *expected]


@pytest.mark.parametrize(("people", "expected"), [(400, ["channel__shares_change"]), (4, [])])
def test_what_four_people_did_is_no_four_hundred_observations(nights, people, expected):
    swapped = {"mail": "phone", "phone": "mail", "visit": "visit"}
    nights.load(1, rows(1), people=people)
    nights.look(1)
    changed = rows(2, channel=lambda values, _: np.array([swapped[one] for one in values]))
    nights.load(2, changed, people=people)

    assert nights.changed(2) == (["table__distribution", *expected] if expected else [])


def test_so_few_values_that_none_is_chance_are_no_change(nights):
    def rare(values, _):
        return np.where(np.arange(len(values)) < 9, values, None)

    nights.load(1, rows(1, amount=rare))
    nights.look(1)
    nights.load(2, rows(2, amount=lambda values, _: np.full(len(values), None)))

    found = nights.look(2)["amount__quantile_change"]
    assert (found.outcome, found.message) == ("held", "no value; 9 would be usual")


def test_messages_tell_shares_and_no_value(nights):
    nights.load(1, rows(1))
    nights.look(1)
    changed = {
        "amount": lambda values, _: np.full(len(values), 987654.0),
        "channel": lambda values, _: np.full(len(values), "marker"),
        "remark": lambda values, _: np.full(len(values), "marker"),
    }
    nights.load(2, rows(2, **changed))

    told = " ".join(one.message for one in nights.look(2).values())

    assert "changed are amount, channel, remark. amount: a quartile" in told
    assert "0.0% of 400 rows have no value, 33.2% of 400 in the load of 2026-03-01" in told
    assert "now has 0.0% of the values below it" in told
    assert "987654" not in told
    assert "marker" not in told


def test_an_all_missing_column_holds_only_where_it_may_be_so(nights):
    empty = {"amount": lambda values, _: np.full(len(values), None)}
    may = make_source(columns={**COLUMNS, "amount": {"type": "number", "maximum_null_share": 1}})
    for number in (1, 2):
        nights.load(number, rows(number, **empty))
    nights.look(1)

    assert nights.changed(2) == ["table__distribution", "amount__quantile_change"]
    assert nights.changed(2, source=may) == []
    nights.load(3, rows(3))
    found = nights.look(3, source=may)
    assert found["amount__quantile_change"].outcome == "not_compared"
    assert found["amount__missing_change"].outcome == "failed"


def test_a_load_that_was_stopped_is_no_measure_for_later_ones(nights):
    source = make_source(distribution={"severity": "error"})
    nights.load(1, rows(1))
    nights.look(1, source=source)
    nights.load(2, rows(2, amount=lambda values, _: values * 100))
    assert nights.look(2, source=source)["table__distribution"].expectation.severity == "error"
    assert not last_accepted(nights.connection, "web", night(3)).loads - {1}
    # The third night's load is right, but the second's rows are still there, and still new.
    nights.load(3, rows(3))
    assert nights.changed(3, source=source) == ["table__distribution", "amount__quantile_change"]
    nights.connection.execute("DELETE FROM raw.raw_web WHERE load_id = 2")
    nights.load(4, rows(4))
    assert nights.changed(3, source=source) == []


def test_a_load_that_failed_its_suite_is_no_measure_either(nights):
    failed = ExpectationResult(Expectation("a", "not_null", "id"), False, 1, 1, 1.0, None, "")
    nights.load(1, rows(1))
    nights.look(1, results=[failed])
    nights.load(2, rows(2, amount=lambda values, _: values * 100))

    assert nights.look(2)["table__distribution"].outcome == "not_compared"


def test_a_warning_is_told_once_and_then_usual(nights):
    def cents(values, _):
        return values * 100

    nights.load(1, rows(1))
    nights.look(1)
    nights.load(2, rows(2, amount=cents))
    assert nights.changed(2) == ["table__distribution", "amount__quantile_change"]
    nights.load(3, rows(3, amount=cents))
    assert nights.changed(3) == []
    # A date that is run again is judged as it was.
    assert nights.changed(2) == ["table__distribution", "amount__quantile_change"]


def test_a_night_without_new_rows_says_so(nights):
    nights.load(1, rows(1))
    nights.load(9, rows(9))
    nights.look(1)

    # The ninth's rows don't exist yet on the second; on the ninth they do.
    (only,) = nights.look(2).values()
    assert (only.outcome, only.message) == (
        "held", "no row is new since the load of 2026-03-01: nothing has changed",
    )  # fmt: skip
    assert nights.look(9)["table__distribution"].evaluated_rows == 400


def test_a_table_without_rows_does_not_hold(nights):
    (only,) = nights.look(1).values()

    assert (only.success, only.message) == (False, "there is no row to compare")
    assert last_accepted(nights.connection, "web", night(2)) is None


def test_snapshots_are_compared_with_the_snapshot_before(nights):
    columns = {name: column for name, column in COLUMNS.items() if name != "happened_on"}
    source = make_source(kind="crm", time=None, columns=columns)
    for number in (1, 2):
        nights.load(number, rows(number))
    nights.load(3, rows(3, amount=lambda values, _: values * 100))

    assert nights.look(1, source=source, snapshot=1)["table__distribution"].evaluated_rows == 400
    assert nights.changed(2, source=source, snapshot=2) == []
    assert nights.changed(3, source=source, snapshot=2) == []
    assert "amount__quantile_change" in nights.changed(4, source=source, snapshot=3)


def test_columns_have_a_severity_of_their_own(nights):
    source = make_source(distribution={"columns": {"amount": "error", "visits": "ignore"}})
    assert distribution_expectation("web", source).severity == "error"
    nights.load(1, rows(1))
    nights.look(1, source=source)
    nights.load(2, rows(2, channel=lambda values, _: np.full(len(values), "x")))
    found = nights.look(2, source=source)
    assert "visits__missing_change" not in found
    assert found["amount__quantile_change"].expectation.severity == "error"
    # What changed is only a warning, and so is the summary.
    assert found["table__distribution"].expectation.severity == "warning"


def test_who_ignores_all_columns_has_no_check():
    assert distribution_expectation("web", make_source(distribution={"severity": "ignore"})) is None


def test_a_column_that_was_declared_since_is_told_to_be_new(nights):
    nights.load(1, rows(1))
    nights.look(1, source=make_source(distribution={"columns": {"amount": "ignore"}}))
    nights.load(2, rows(2))

    found = nights.look(2)

    assert found["amount__missing_change"].outcome == "not_compared"
    assert found["table__distribution"].outcome == "held"


def test_a_look_that_cannot_run_is_a_failure(nights):
    nights.load(1, rows(1))
    nights.connection.execute("ALTER TABLE raw.raw_web DROP amount")

    (only,) = nights.look(1).values()

    assert (only.success, only.outcome) == (False, "not_run")


def test_a_large_load_is_profiled_by_a_sample_that_knows_its_noise(nights):
    nights.connection.execute(
        "INSERT INTO raw.raw_web BY NAME SELECT 1 + i % 2 AS load_id, i AS source_row,"
        " DATE '2026-03-01' + (i % 2)::INTEGER AS happened_on, hash(i) % 1000 AS amount,"
        " 'c' || i AS customer_id,"
        " 1 AS visits, 'mail' AS channel, TRUE AS is_new, 'x' AS remark FROM range(500_000) AS t(i)"
    )
    first = nights.look(1)["table__distribution"]
    assert 80_000 < first.evaluated_rows < 90_000
    assert nights.changed(2) == []


def test_rare_words_are_not_kept(nights):
    def with_rare(values, _):
        return np.where(np.arange(len(values)) < 9, "rare", values)

    nights.load(1, rows(1, channel=with_rare))
    nights.look(1)

    kept = last_accepted(nights.connection, "web", night(2)).columns["channel"]
    assert set(kept.words) == {"mail", "phone", "visit"}
    assert kept.counts(["mail"])[1] == kept.values - kept.words["mail"]
