"""Whose a visitor's events are: by an identity map, by time, and each event once at most."""

import datetime as dt
from collections import Counter

import pytest
from pydantic import ValidationError

from segmentation_pipeline.assets.cross_checks import look_across_sources
from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.ingestion import check_source, load_source, snapshot_in_force
from segmentation_pipeline.measurement.kpi_inputs import source_days
from segmentation_pipeline.preparation import events_sql, make_customers
from segmentation_pipeline.preparation.set_aside import read_quarantine
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.validation.source_suites import raw_source_suite
from segmentation_pipeline.validation.tables import validate_table
from segmentation_pipeline.warehouse import Build, Table, open_warehouse

CRM = {
    "kind": "crm",
    "path": "crm_*.csv",
    "snapshot_date": {"file_name": "crm_%Y-%m-%d.csv"},
    "key": "id",
    "columns": {"id": {"type": "text"}, "city": {"type": "category"}},
}
LOGINS = {
    "kind": "identity",
    "path": "logins*.csv",
    "key": "id",
    "time": "seen_at",
    "visitors": {"key": "visitor"},
    "columns": {
        "id": {"type": "text"},
        "visitor": {"type": "text"},
        "seen_at": {"type": "timestamp"},
    },
}
WEB = {
    "kind": "web",
    "path": "web*.csv",
    "key": "visitor",
    "identity": "logins",
    "time": "visited_at",
    "columns": {
        "visitor": {"type": "text"},
        "page": {"type": "text"},
        "visited_at": {"type": "timestamp"},
    },
}
PEOPLE = ("a,Bern", "b,Genf", "c,Bern")


class Home:
    """A home of three customers, with log-ins and visits written by a test."""

    def __init__(self, path, connection):
        self.path, self.connection = path, connection
        self.write("crm_2026-03-01.csv", "id,city", *PEOPLE)

    def write(self, name, header, *rows):
        (self.path / name).write_text("".join(f"{row}\n" for row in (header, *rows)))

    def logins(self, *rows, name="logins.csv", header="id,visitor,seen_at"):
        self.write(name, header, *rows)

    def web(self, *rows, name="web.csv"):
        self.write(name, "visitor,page,visited_at", *rows)

    def spec(self, logins=None, **web):
        return CustomersSpec.model_validate(
            {
                "name": "Shop",
                "nights": {"first": "2026-01-01"},
                "sources": {"crm": CRM, "logins": logins or LOGINS, "web": WEB | web},
                "customers": {"base": "crm"},
                "kpis": {
                    "visits": {
                        "description": "Visits of a week.",
                        "kind": "mean",
                        "source": "web",
                        "function": "count",
                        "window_days": 7,
                        "higher_is_better": True,
                    }
                },
            }
        )

    def night(self, spec, day=31):
        build = Build(dt.date(2026, 3, day), f"night-{day}")
        loaded = {
            name: load_source(self.connection, self.path, name, source, build)
            for name, source in spec.sources.items()
        }
        snapshot = snapshot_in_force(self.connection, "crm", spec.sources["crm"], build.as_of)
        make_customers(self.connection, spec, {"crm": snapshot}, build)
        return loaded

    def events(self, spec, day=31):
        """Customer -> pages, of all events of a night."""
        query = events_sql("web", spec.sources["web"], dt.date(2026, 3, day))
        rows = self.connection.execute(f"SELECT customer_id, page FROM ({query})").fetchall()
        assert max(Counter(page for _, page in rows).values(), default=0) <= 1
        found = {}
        for customer, page in sorted(rows, key=str):
            found.setdefault(customer, []).append(page)
        return {customer: "".join(pages) for customer, pages in found.items()}

    def counted(self, source="web"):
        return dict(
            self.connection.execute(
                "SELECT step, sum(rows)::BIGINT FROM core.cleaning_report"
                " WHERE source = ? AND column_name IS NULL AND rows > 0 GROUP BY ALL",
                [source],
            ).fetchall()
        )


@pytest.fixture
def home(tmp_path):
    with open_warehouse(tmp_path / "w.duckdb", memory_limit="300MB", threads=2) as connection:
        yield Home(tmp_path, connection)


def test_events_are_of_who_logged_in_and_before_the_first_log_in_of_who_did_first(home):
    home.web(
        "v1,A,2026-03-01 08:00:00",
        "v1,B,2026-03-10 12:00:00",
        "v1,C,2026-03-20 11:59:59",
        "v1,D,2026-03-20 12:00:00",
        "v2,E,2026-03-05 08:00:00",
        "v3,F,2026-03-05 08:00:00",
    )
    home.logins("a,v1,2026-03-10 12:00:00", "b,v1,2026-03-20 12:00:00", "b,v2,2026-03-06 00:00:00")
    spec = home.spec()
    home.night(spec)
    assert home.events(spec) == {"a": "ABC", "b": "DE", None: "F"}
    assert home.counted() == {"loaded": 6, "kept": 5, "unmapped_visitor": 1}
    assert home.counted("logins") == {"loaded": 3, "kept": 3}
    columns = home.connection.execute("DESCRIBE raw.raw_web").fetchall()
    assert [row[0] for row in columns][:3] == ["load_id", "source_row", "visitor_key"]


def test_a_predicate_may_name_the_visitor_as_the_specification_lets_it(home):
    home.logins("a,v1,2026-03-10 12:00:00")
    home.web("v1,A,2026-03-11 08:00:00", "bot,B,2026-03-11 08:00:00")
    people = {"name": "no_bot", "predicate": "visitor_key <> 'bot'", "maximum_share": 0.5}
    spec = home.spec(expectations=[people | {"quarantine": "row"}])
    home.night(spec)
    assert home.events(spec) == {"a": "A"}
    assert home.counted() == {"loaded": 2, "kept": 1, "quarantined_row": 1}
    listed = read_quarantine(home.connection, spec, ["web"], 10).listed
    assert [(one.line, one.reason) for one in listed] == [(3, "breaks no_bot: left out")]


def test_a_visitor_who_logs_in_later_brings_the_events_that_wait(home):
    home.web("v1,A,2026-03-01 08:00:00", "v1,B,2026-03-02 08:00:00", "v2,C,2026-03-02 08:00:00")
    home.logins("a,v9,2026-03-01 00:00:00")
    spec = home.spec()
    home.night(spec, 2)
    assert home.events(spec, 2) == {None: "ABC"}
    before = source_days(home.connection, spec, Build(dt.date(2026, 3, 2), "night-2"))["web"]

    home.logins("a,v9,2026-03-01 00:00:00", "b,v1,2026-03-03 09:00:00")
    loaded = home.night(spec, 3)

    assert loaded["web"].files_skipped == 1
    assert loaded["logins"].files_loaded == 1
    assert home.events(spec, 3) == {"b": "AB", None: "C"}
    assert home.counted()["unmapped_visitor"] == 1
    # Figures of the dates before are measured again, since their customers are others.
    after = source_days(home.connection, spec, Build(dt.date(2026, 3, 3), "night-3"))["web"]
    day = dt.date(2026, 3, 1)
    assert before.between(day, day)[0] == after.between(day, day)[0] == 1
    assert before.between(day, day)[1] != after.between(day, day)[1]

    # A date that is run again has the map as of that date.
    home.night(spec, 2)
    assert home.events(spec, 2) == {None: "ABC"}


def test_the_order_of_rows_and_files_changes_nothing(home):
    web = [f"v{n % 3},{n},2026-03-{n + 1:02} 08:00:00" for n in range(9)]
    logins = [f"{'abc'[n % 3]},v{n % 2},2026-03-{n * 4 + 1:02} 07:00:00" for n in range(6)]
    spec = home.spec()
    home.web(*web)
    home.logins(*logins)
    home.night(spec)
    expected = home.events(spec)
    assert sum(map(len, expected.values())) == 9
    home.web(*web[::-1][:4])
    home.web(*web[::-1][4:], name="web_2.csv")
    home.logins(*logins[::-1], logins[0])
    home.night(spec)
    assert home.events(spec) == expected


def test_validity_decides_between_two_customers_of_a_machine(home):
    columns = LOGINS["columns"] | {"until": {"type": "date", "maximum_null_share": 1.0}}
    logins = LOGINS | {"visitors": {"key": "visitor", "until": "until"}, "columns": columns}
    home.logins(
        "a,v1,2026-03-02,2026-03-10",
        "b,v1,2026-03-08,2026-03-20",
        "c,v2,2026-03-02,",
        "c,v3,2026-03-09,2026-03-01",
        header="id,visitor,seen_at,until",
    )
    home.web(
        "v1,A,2026-03-01 00:00:00",
        "v1,B,2026-03-07 23:59:59",
        "v1,C,2026-03-08 00:00:00",
        "v1,D,2026-03-10 23:59:59",
        "v1,E,2026-03-11 00:00:00",
        "v1,F,2026-03-20 23:59:59",
        "v1,G,2026-03-21 00:00:00",
        "v2,H,2026-03-30 00:00:00",
        "v3,I,2026-03-05 00:00:00",
    )
    spec = home.spec(logins, maximum_orphan_share=0.3)
    home.night(spec)
    # C and D: both customers then. G: nobody any more. I: a row that ends before it begins.
    assert home.events(spec) == {"a": "AB", "b": "EF", "c": "H", None: "CDGI"}
    counted = home.counted()
    assert counted == {"loaded": 9, "kept": 5, "ambiguous_visitor": 2, "unmapped_visitor": 2}
    assert home.counted("logins")["quarantined_row"] == 1

    with pytest.raises(PreparationError, match=r"2 of 7 rows \(28.57%\) .* several customers at"):
        home.night(home.spec(logins, maximum_orphan_share=0.2))


def test_two_customers_at_the_same_moment_are_ambiguous_and_never_counted_twice(home):
    home.logins("a,v1,2026-03-02 00:00:00", "b,v1,2026-03-02 00:00:00", "b,v1,2026-03-05 00:00:00")
    home.web("v1,A,2026-03-01 00:00:00", "v1,B,2026-03-03 00:00:00", "v1,C,2026-03-06 00:00:00")
    spec = home.spec(maximum_orphan_share=1.0)
    home.night(spec)
    assert home.events(spec) == {None: "AB", "b": "C"}
    assert home.counted()["ambiguous_visitor"] == 2


def test_how_far_back_the_first_log_in_reaches_is_declared(home):
    home.logins("a,v1,2026-03-10 12:00:00")
    home.web("v1,A,2026-03-08 11:59:59", "v1,B,2026-03-08 12:00:00", "v1,C,2026-03-11 00:00:00")
    for days, expected in ((2, {"a": "BC", None: "A"}), (0, {"a": "C", None: "AB"})):
        visitors = {"key": "visitor", "days_before_first": days}
        spec = home.spec(LOGINS | {"visitors": visitors})
        home.night(spec)
        assert home.events(spec) == expected


def test_a_map_without_time_holds_always_and_may_not_contradict_itself(home):
    columns = {name: LOGINS["columns"][name] for name in ("id", "visitor")}
    logins = LOGINS | {"time": None, "columns": columns}
    home.logins("a,v1", "a,v1", "a,v2", "b,v2", header="id,visitor")
    home.web("v1,A,2026-03-08 00:00:00", "v2,B,2026-03-08 00:00:00")
    spec = home.spec(logins, maximum_orphan_share=0.5)
    home.night(spec)
    assert home.events(spec) == {"a": "A", None: "B"}
    assert home.counted()["ambiguous_visitor"] == 1


def test_a_machine_that_everybody_uses_is_nobodys(home):
    home.logins(*(f"{one},v1,2026-03-0{n} 00:00:00" for n, one in enumerate("abc", start=1)))
    home.web("v1,A,2026-03-08 00:00:00")
    for most, expected in ((3, {"c": "A"}), (2, {None: "A"})):
        visitors = {"key": "visitor", "maximum_customers": most}
        spec = home.spec(LOGINS | {"visitors": visitors}, maximum_orphan_share=1.0)
        home.night(spec)
        assert home.events(spec) == expected


def test_log_ins_of_nobody_are_orphans_and_so_are_their_visitors_events(home):
    logins = LOGINS | {"maximum_orphan_share": 0.5}
    home.logins("a,v1,2026-03-01 00:00:00", "x,v2,2026-03-01 00:00:00")
    home.web("v1,A,2026-03-08 00:00:00", "v2,B,2026-03-08 00:00:00")
    spec = home.spec(logins, maximum_orphan_share=0.5)
    home.night(spec)
    assert home.counted() == {"loaded": 2, "kept": 1, "orphan": 1}
    customers = home.connection.execute(
        "SELECT customer_id, has_logins, has_web FROM core.customers ORDER BY ALL"
    ).fetchall()
    assert customers == [("a", True, True), ("b", False, False), ("c", False, False)]


def test_too_many_unmapped_visitors_stop_where_that_is_declared(home):
    home.logins("a,v1,2026-03-01 00:00:00")
    home.web("v1,A,2026-03-08 00:00:00", "v2,B,2026-03-08 00:00:00")
    with pytest.raises(PreparationError, match=r"1 of 2 rows \(50.00%\) are of visitors whom `log"):
        home.night(home.spec(maximum_unmapped_share=0.4))


def test_both_sides_may_write_a_visitor_in_their_own_way(home):
    home.logins("a,GA1.V-007,2026-03-01 00:00:00")
    home.web("v7,A,2026-03-08 00:00:00")
    form = {"column": "visitor", "pattern": r"(?:GA1\.)?V-?0*([0-9]+)"}
    spec = home.spec(LOGINS | {"visitors": {"key": form}}, key=form)
    home.night(spec)
    assert home.events(spec) == {"a": "A"}


def test_raw_tables_pass_their_suites(home):
    home.logins("a,v1,2026-03-01 00:00:00")
    home.web("v1,A,2026-03-08 00:00:00", "v2,B,2026-03-08 00:00:00")
    spec = home.spec()
    home.night(spec)
    for name in ("logins", "web"):
        suite = raw_source_suite(name, spec.sources[name], dt.date(2026, 3, 31))
        results = validate_table(home.connection, Table("raw", f"raw_{name}"), suite)
        assert [one.expectation.name for one in results if not one.success] == []
        assert "visitor_key__not_null" in [one.expectation.name for one in results]


def test_check_tells_how_many_visitors_are_how_many_customers(home):
    home.logins("a,v1,2026-03-01 00:00:00", "a,v2,2026-03-01 00:00:00", ",v3,2026-03-01 00:00:00")
    source = home.spec(LOGINS | {"maximum_rejected_share": 0.5}).sources["logins"]
    (told,) = check_source(home.path, "logins", source)
    assert told == (
        "logins: logins.csv: 2 rows; 2 visitors are 1 customers; 1 rows cannot be read"
        " (1 without a customer id or a time)"
    )


@pytest.mark.parametrize(
    ("logins", "web", "said"),
    [
        ({"visitors": None}, {}, "it goes with that kind"),
        ({"visitors": {"key": "cookie"}}, {}, "`visitors.key` names `cookie`"),
        ({"visitors": {"key": "visitor", "until": "id"}}, {}, "neither date nor timestamp"),
        ({}, {"identity": "crm"}, "it must be a source of kind identity, and there is logins"),
        ({}, {"key": ["visitor", "page"]}, "`key` is the visitor's id"),
        ({}, {"identity": None, "maximum_unmapped_share": 0.5}, "goes with `identity`"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(home, logins, web, said):
    with pytest.raises(ValidationError, match=said):
        home.spec(LOGINS | logins, **web)


def test_a_source_must_know_the_customers_of_visitors_and_not_the_visitors(home):
    anybody = {"maximum_orphan_share": 1.0}
    known = {"references": {"source": "crm", "at_least": 0.5}}
    spec = home.spec(logins=LOGINS | anybody, **anybody, **known)
    home.logins("a,v1,2026-03-01 10:00:00", "a,v2,2026-03-01 10:00:00", "x,v3,2026-03-01 10:00:00")
    home.web(*(f"v{n},p,2026-03-0{day} 12:00:00" for n in (1, 2, 3, 4) for day in (2, 3)))
    home.night(spec)

    (found,) = look_across_sources(home.connection, spec, dt.date(2026, 3, 31))

    # v1 and v2 are a, v3 is x, whom the CRM doesn't know; v4 is nobody yet.
    assert (found.success, found.evaluated_rows, found.unexpected_rows) == (True, 2, 1)


def test_what_loading_left_aside_or_made_one_is_in_the_cleaning_report(home):
    home.write("crm_2026-03-02.csv", "id,city", "a,Bern", "A,Bern", "example,x", "Total,3")
    home.logins("a,v1,2026-03-01 00:00:00")
    home.web("v1,A,2026-03-08 00:00:00")
    rules = [
        {"name": "template", "reason": "the CRM's example", "predicate": "id = 'example'"},
        {"name": "totals", "reason": "a line of sums", "predicate": "id = 'Total'"},
        {"name": "tests", "reason": "made by testers", "predicate": "id LIKE 'test%'"},
    ]
    key = {"column": "id", "case": "lower"}
    crm = CRM | {"ignore_rows": rules, "key": key, "maximum_collision_share": 1.0}
    given = home.spec().model_dump(mode="json", exclude_unset=True)
    spec = CustomersSpec.model_validate(given | {"sources": given["sources"] | {"crm": crm}})

    home.night(spec)

    lines = home.connection.execute(
        "SELECT step, description, rows, share FROM core.cleaning_report"
        " WHERE source = 'crm' AND step IN ('ignored_row', 'key_collision', 'loaded') ORDER BY ALL"
    ).fetchall()
    assert lines == [
        ("ignored_row", "template: the CRM's example", 1, pytest.approx(1 / 3)),
        ("ignored_row", "tests: made by testers", 0, 0.0),
        ("ignored_row", "totals: a line of sums", 1, pytest.approx(1 / 3)),
        ("key_collision", "ids that are written in several ways in a file", 1, 0.5),
        ("loaded", "rows that were loaded", 2, 1.0),
    ]
