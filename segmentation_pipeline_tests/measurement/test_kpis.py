"""KPIs of segments: exact figures, of who was there on the date, corrected by what comes late."""

import datetime as dt

import pytest

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.errors import MeasurementError
from segmentation_pipeline.kept import keep_from
from segmentation_pipeline.measurement.kpis import make_segment_kpis
from segmentation_pipeline.segments.movements import record_night
from segmentation_pipeline.segments.nights import Night
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import (
    Build,
    Table,
    column_types,
    open_warehouse,
    write_table,
)

VISITS = {"kind": "mean", "source": "web", "function": "count", "window_days": 2}
ACTIVE = {"kind": "binary", "source": "web", "function": "count", "window_days": 2}
CONTRACT = {"kind": "heavy", "expression": "contract", "window_days": 1, "unit": "EUR"}
OPEN_RATE = {
    "kind": "ratio",
    "numerator": {"source": "web", "function": "count", "where": "event = 'open'"},
    "denominator": {"source": "web", "function": "count", "where": "event = 'sent'"},
    "window_days": 2,
}
SHOWN = "segment_id, customers, numerator, denominator, value, previous_value, change"


def day(number):
    return dt.date(2025, 6, number)


def make_spec(smallest_group=1, **kpis):
    columns = {"id": {"type": "text"}, "contract": {"type": "number"}}
    web = {"id": {"type": "text"}, "seen_at": {"type": "timestamp"}, "event": {"type": "text"}}
    return CustomersSpec.model_validate(
        {
            "name": "Clinic staff",
            "nights": {"first": "2025-01-01"},
            "sources": {
                "crm": {"kind": "crm", "path": "c.csv", "key": "id", "columns": columns},
                "web": {
                    "kind": "web", "path": "w.csv", "key": "id", "time": "seen_at", "columns": web,
                },
            },
            "customers": {"base": "crm"},
            "limits": {"smallest_group": smallest_group},
            "kpis": {name: {"description": f"About {name}", **kpi} for name, kpi in kpis.items()},
        }
    )  # fmt: skip


class Home:
    """A warehouse in which nights are run by hand: who is in which segment, and what happened."""

    def __init__(self, connection):
        self.connection = connection
        self.loads = self.runs = 0
        connection.execute(
            "CREATE TABLE raw.raw_web (load_id BIGINT, source_row BIGINT, customer_id VARCHAR,"
            " id VARCHAR, seen_at TIMESTAMP, event VARCHAR);"
            " CREATE TABLE core.left_out_rows (source VARCHAR, load_id BIGINT, source_row BIGINT,"
            " step VARCHAR)"
        )

    def load(self, *events):
        """Load a file of events: (customer, day of June) or (customer, day, what happened)."""
        self.loads += 1
        rows = [
            [self.loads, number, customer, customer, day(when), *(what or ["visit"])]
            for number, (customer, when, *what) in enumerate(events, start=1)
        ]
        self.connection.executemany("INSERT INTO raw.raw_web VALUES (?, ?, ?, ?, ?, ?)", rows)

    def night(self, number, members, spec, contracts=None):
        """Run a night whose customers are in segments: {"a": "1"}; returns what was measured."""
        self.runs += 1
        build = Build(day(number), f"run-{self.runs}")
        rows = [f"('{customer}', 'x-{one}', 'x-{one}')" for customer, one in members.items()]
        query = f"FROM (VALUES {', '.join(rows)}) t(customer_id, segment_id, raw_segment_id)"
        write_table(self.connection, Table("x", "customer_segments"), query, build)
        record_night(self.connection, "x", Night(build.as_of, 1), build, hold="margin")
        values = contracts or dict.fromkeys(members, 1.0)
        rows = [f"('{customer}', {values[customer]}::DOUBLE)" for customer in members]
        query = f"FROM (VALUES {', '.join(rows)}) t(customer_id, contract)"
        write_table(self.connection, Table("core", "customers"), query, build)
        return make_segment_kpis(self.connection, "x", spec, build)

    def rows(self, columns=SHOWN, where="TRUE"):
        return self.connection.execute(
            f"SELECT {columns} FROM x.segment_kpis WHERE {where} ORDER BY kpi, kpi_date, segment_id"
        ).fetchall()

    def of(self, kpi, number, columns=SHOWN):
        return self.rows(columns, f"kpi = '{kpi}' AND kpi_date = '{day(number)}'")


@pytest.fixture
def home(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb", threads=2) as connection:
        yield Home(connection)


def test_each_segment_and_everybody_with_the_window_before(home):
    home.load(("a", 1), ("a", 9), ("a", 10), ("b", 8), ("b", 10), ("d", 7), ("nobody", 10))

    made = home.night(10, {"a": "1", "b": "1", "c": "2", "d": "2"}, make_spec(visits=VISITS))

    assert home.of("visits", 10) == [
        ("everybody", 4, 3, 4, 0.75, 0.5, 0.25),
        ("x-1", 2, 3, 2, 1.5, 0.5, 1),
        ("x-2", 2, 0, 2, 0, 0.5, -0.5),
    ]
    assert (made.rows, made.corrected) == (3, ())
    assert home.of("visits", 10, "method, kind, description, window_days, is_higher_better")[0] == (
        "t", "mean", "About visits", 2, True,
    )  # fmt: skip


def test_shares_and_quotients(home):
    home.load(
        ("old", 1), ("a", 10, "sent"), ("a", 10, "open"), ("b", 9, "sent"), ("b", 10, "sent"),
        ("b", 8, "sent"), ("b", 8, "open"), ("c", 7, "sent"),
    )  # fmt: skip

    home.night(10, dict.fromkeys("abcd", "1"), make_spec(active=ACTIVE, open_rate=OPEN_RATE))

    columns = "measured_customers, numerator, denominator, value, previous_value, change, method"
    assert home.of("active", 10, columns) == [(4, 2, 4, 0.5, 0.5, 0, "wilson")] * 2
    third = 0.333333333333
    assert home.of("open_rate", 10, columns) == [
        (2, 1, 3, third, 0.5, -0.166666666667, "delta")
    ] * 2  # fmt: skip


def test_the_window_before_must_be_covered(home):
    home.load(("a", 8), ("a", 10))
    home.night(10, {"a": "1"}, make_spec(visits=VISITS))
    assert home.of("visits", 10, "value, previous_value, change")[0] == (1, None, None)

    # The window before is of the 7th and the 8th.
    home.load(("a", 7))
    home.night(10, {"a": "1"}, make_spec(visits=VISITS))
    assert home.of("visits", 10, "value, previous_value, change")[0] == (1, 2, -1)


def test_a_late_file_corrects_the_dates_it_belongs_to_and_no_others(home):
    spec = make_spec(visits=VISITS, active=ACTIVE)
    home.load(("a", 1), ("b", 1), ("a", 10), ("b", 12))
    home.night(10, {"a": "1", "b": "1"}, spec)
    home.night(11, {"a": "1", "b": "2"}, spec)
    home.night(13, {"a": "2", "b": "2"}, spec)
    made = home.night(14, {"a": "1", "b": "1", "new": "1"}, spec)
    before = {number: home.of("visits", number) for number in (10, 11, 13, 14)}
    assert made.corrected == ()
    assert before[11] == [
        ("everybody", 2, 1, 2, 0.5, 0, 0.5),
        ("x-1", 1, 1, 1, 1, 0, 1),
        ("x-2", 1, 0, 1, 0, 0, 0),
    ]

    home.load(("b", 11), ("gone", 11))
    made = home.night(15, {"a": "1", "b": "1"}, spec)

    # The 11th is in the windows of the 11th and 12th, and in the windows before of 13th and 14th.
    assert made.corrected == (day(11), day(13), day(14))
    assert home.of("visits", 10) == before[10]
    assert home.of("visits", 11) == [
        ("everybody", 2, 2, 2, 1, 0, 1),
        ("x-1", 1, 1, 1, 1, 0, 1),
        ("x-2", 1, 1, 1, 1, 0, 1),  # on that date b was in the second segment
    ]
    assert before[13] == [("everybody", 2, 1, 2, 0.5, 0.5, 0), ("x-2", 2, 1, 2, 0.5, 0.5, 0)]
    assert home.of("visits", 13) == [
        ("everybody", 2, 1, 2, 0.5, 1, -0.5),
        ("x-2", 2, 1, 2, 0.5, 1, -0.5),
    ]
    assert home.of("visits", 14)[0] == ("everybody", 3, 0, 3, 0, 0.666666666667, -0.666666666667)
    assert home.of("active", 11, "segment_id, numerator") == [
        ("everybody", 2), ("x-1", 1), ("x-2", 1),
    ]  # fmt: skip
    # A row that is measured again is what it would have been, had the file come in time.
    late = home.rows("*")
    home.connection.execute(
        "DROP TABLE x.segment_kpis; DROP TABLE x.kpi_figures; DROP TABLE x.kpi_inputs"
    )
    for number, members in (
        (10, {"a": "1", "b": "1"}),
        (11, {"a": "1", "b": "2"}),
        (13, {"a": "2", "b": "2"}),
        (14, {"a": "1", "b": "1", "new": "1"}),
        (15, {"a": "1", "b": "1"}),
    ):
        home.night(number, members, spec)
    assert home.rows("*") == late


def test_a_date_that_is_run_again_changes_nothing(home):
    spec = make_spec(visits=VISITS, contract=CONTRACT)
    home.load(("a", 1), ("a", 10), ("b", 11))
    home.night(10, {"a": "1", "b": "1"}, spec)
    home.night(11, {"a": "1", "b": "2"}, spec, {"a": 5.0, "b": 7.0})
    before = home.rows("*")

    for number, members in ((11, {"a": "1", "b": "2"}), (10, {"a": "1", "b": "1"})):
        contracts = {"a": 5.0, "b": 7.0} if number == 11 else None
        assert home.night(number, members, spec, contracts).corrected == ()
        assert home.rows("*") == before


def test_the_same_rows_from_other_files_in_another_order_correct_nothing(home):
    spec = make_spec(visits=VISITS)
    home.load(("a", 1), ("a", 9), ("b", 10))
    home.night(10, {"a": "1", "b": "1"}, spec)

    home.connection.execute("DELETE FROM raw.raw_web")
    home.load(("b", 10), ("a", 1))
    home.load(("a", 9))

    assert home.night(11, {"a": "1", "b": "1"}, spec).corrected == ()


def test_rows_that_are_gone_with_their_old_files_correct_nothing(home):
    spec = make_spec(visits=VISITS)
    home.load(("a", 1), ("a", 10), ("b", 10), ("b", 12))
    for number in (10, 12):
        home.night(number, {"a": "1", "b": "1"}, spec)
    before = home.rows("*")

    home.connection.execute("DELETE FROM raw.raw_web WHERE seen_at < DATE '2025-06-10'")
    assert home.night(13, {"a": "1", "b": "1"}, spec).corrected == ()
    assert home.rows("*", f"kpi_date < '{day(13)}'") == before

    # What comes late can be told no more where the rest of the window before is gone.
    home.load(("b", 10))
    assert home.night(14, {"a": "1", "b": "1"}, spec).corrected == (day(13),)
    home.load(("a", 1))
    assert home.night(15, {"a": "1", "b": "1"}, spec).corrected == (day(10), day(12))
    assert home.of("visits", 10, "value")[0] == (1.5,)

    home.connection.execute("DELETE FROM raw.raw_web WHERE seen_at < DATE '2025-06-12'")
    longer = make_spec(visits={**VISITS, "window_days": 3})
    home.night(16, {"a": "1", "b": "1"}, longer)
    # Of a new definition the earlier dates are told only where the rows go back far enough.
    assert [date.day for (date,) in home.rows("kpi_date", "segment_id = 'x-1'")] == [14, 15, 16]


def test_dates_that_are_kept_no_longer_are_not_measured_again(home):
    spec, everybody = make_spec(visits=VISITS), {"a": "1", "b": "1"}
    home.load(("a", 1), ("b", 1), ("a", 10))
    for number in (10, 11):
        home.night(number, everybody, spec)
    before = home.of("visits", 10)
    # Who was in which segment on the tenth is known of some customers only, since spells were cut.
    keep_from(home.connection, "segment_history", day(11))

    home.load(("b", 10))
    made = home.night(12, everybody, spec)

    assert made.corrected == (day(11),)
    assert home.of("visits", 10) == before
    # Figures that were cut stay away, though the rows that they were made of are there.
    keep_from(home.connection, "segment_kpis", day(12))
    for table in ("kpi_figures", "kpi_inputs"):
        home.connection.execute(f"DELETE FROM x.{table} WHERE kpi_date < DATE '{day(12)}'")
    assert home.night(13, everybody, spec).corrected == ()
    assert {date for (date,) in home.rows("kpi_date")} == {day(12), day(13)}


def test_a_date_in_the_middle_that_is_run_again_has_its_own_segments(home):
    spec = make_spec(visits=VISITS)
    home.load(("a", 1), ("a", 10), ("a", 11))
    for number in (10, 11, 12):
        home.night(number, {"a": "1", "b": "1"}, spec)
    others = {number: home.of("visits", number) for number in (10, 12)}

    home.night(11, {"a": "2", "b": "1"}, spec)

    assert [row[:4] for row in home.of("visits", 11)] == [
        ("everybody", 2, 2, 2), ("x-1", 1, 0, 1), ("x-2", 1, 2, 1),
    ]  # fmt: skip
    assert others == {number: home.of("visits", number) for number in (10, 12)}


def test_a_column_of_the_customers_is_compared_with_the_night_of_a_window_before(home):
    spec = make_spec(contract=CONTRACT)
    home.night(10, {"a": "1", "b": "1"}, spec, {"a": 10, "b": 20})
    home.night(11, {"a": "1", "b": "1"}, spec, {"a": 30, "b": 40})
    home.night(13, {"a": "1", "b": "1"}, spec, {"a": 50, "b": "NULL"})

    columns = "value, previous_value, change, lower, upper, change_lower, change_upper"
    (row,) = {*home.of("contract", 11, columns)}
    assert row[:3] == (35, 15, 20)
    half = row[4] - row[0]
    assert row[5:] == pytest.approx((20 - half * 2**0.5, 20 + half * 2**0.5))
    # The 12th was not run; of two customers one has a value.
    assert home.of("contract", 13, "customers, measured_customers, value, change, lower")[0] == (
        2, 1, 50, None, None,
    )  # fmt: skip


def test_a_kpi_that_is_declared_otherwise_is_measured_again_where_it_can_be(home):
    home.load(("a", 1), ("a", 10), ("a", 11))
    for number in (10, 11):
        home.night(number, {"a": "1"}, make_spec(visits=VISITS, contract=CONTRACT, gone=ACTIVE))

    longer = make_spec(visits={**VISITS, "window_days": 10}, contract={**CONTRACT, "unit": "USD"})
    made = home.night(12, {"a": "1"}, longer)
    assert made.corrected == (day(10), day(11))
    found = home.rows("kpi, kpi_date, value, unit, window_days", "segment_id = 'x-1'")
    assert [(kpi, date.day, value, unit, days) for kpi, date, value, unit, days in found] == [
        ("contract", 10, 1, "USD", 1), ("contract", 11, 1, "USD", 1), ("contract", 12, 1, "USD", 1),
        ("visits", 10, 2, None, 10), ("visits", 11, 2, None, 10), ("visits", 12, 2, None, 10),
    ]  # fmt: skip

    # What a column said on earlier nights nobody knows any more.
    other = make_spec(contract={**CONTRACT, "expression": "contract * 2"})
    home.night(12, {"a": "1"}, other)
    assert home.rows("kpi, kpi_date, value", "segment_id = 'x-1'") == [("contract", day(12), 2)]


def test_a_new_kpi_has_the_dates_before_it(home):
    home.load(("a", 1), ("a", 10))
    home.night(10, {"a": "1"}, make_spec(visits=VISITS))

    made = home.night(11, {"a": "1"}, make_spec(visits=VISITS, active=ACTIVE))

    assert made.corrected == (day(10),)
    assert home.rows("kpi_date", "kpi = 'active' AND segment_id = 'x-1'") == [
        (day(10),), (day(11),),
    ]  # fmt: skip


def test_figures_of_few_customers_are_withheld_and_those_that_would_tell_them(home):
    home.load(("old", 1), *((f"c{number}", 10) for number in range(0, 30, 2)))
    members = {f"c{number}": "1" if number < 3 else "2" if number < 12 else "3"
               for number in range(30)}  # fmt: skip

    home.night(10, members, make_spec(5, visits=VISITS, active=ACTIVE))

    columns = "segment_id, customers, measured_customers, value, method, is_suppressed"
    assert home.of("visits", 10, columns) == [
        ("everybody", 30, 30, 0.5, "t", False),
        ("x-1", 3, None, None, None, True),
        ("x-2", 9, None, None, None, True),  # else x-1 were everybody without the others
        ("x-3", 18, 18, 0.5, "t", False),
    ]
    # Of a share, customers for whom it doesn't hold are told as much as those for whom it does.
    assert [row[5] for row in home.of("active", 10, columns)] == [False, True, True, False]


def test_a_sum_that_few_customers_make_is_theirs(home):
    home.load(("old", 1), ("a", 10), ("a", 10))
    members = dict.fromkeys("abcdefghij", "1")

    home.night(10, members, make_spec(5, visits=VISITS))

    assert home.of("visits", 10, "customers, value, is_suppressed") == [(10, None, True)] * 2


def test_the_table_has_the_columns_of_its_contract_with_and_without_kpis(home):
    contract = CONTRACTS["segment_kpis"]
    wanted = {column.name: column.type for column in contract.work_columns}
    home.load(("a", 1))

    for spec, rows in ((make_spec(), 0), (make_spec(visits=VISITS), 2)):
        assert home.night(10, {"a": "1"}, spec).rows == rows
        assert column_types(home.connection, Table("x", "segment_kpis")) == wanted


@pytest.mark.parametrize(
    ("expression", "message"),
    [("customer_id", "KPI `odd` is of type VARCHAR"),
     ("as_of", "KPI `odd` is of type DATE"),
     ("contract + customer_id || 'x'", "`odd` can't be evaluated: Binder Error")],
)  # fmt: skip
def test_an_expression_that_is_no_number_is_refused(home, expression, message):
    odd = {"kind": "mean", "expression": expression, "window_days": 1}

    with pytest.raises(MeasurementError, match=message):
        home.night(10, {"a": "1"}, make_spec(odd=odd))


def test_a_value_that_stops_the_database_is_not_quoted(home):
    home.load(("a", 10, "secret"))
    where = {"where": "CAST(event AS INTEGER) = 1"}

    with pytest.raises(MeasurementError, match="visits of 2025-06-10 can't be evaluated") as error:
        home.night(10, {"a": "1"}, make_spec(visits=VISITS | where))

    assert "secret" not in str(error.value)
    assert error.value.__suppress_context__
