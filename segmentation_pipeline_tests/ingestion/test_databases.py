"""A source that is a table or a query of a database: SQLite, by the code that reads any other."""

import datetime as dt
import sqlite3

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import check_source, load_source
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Build

TABLE = {"format": "database", "database": {"url_variable": "CRM_URL", "table": "people"}}


@pytest.fixture
def crm(workshop, tmp_path):
    """A database beside the home, and a way to load from it."""

    class Crm:
        path = tmp_path / "it's 100% crm.db"
        environment = {"CRM_URL": f"sqlite:///{path}"}  # noqa: RUF012

        def execute(self, *statements):
            connection = sqlite3.connect(self.path)
            for statement in statements:
                connection.execute(statement)
            connection.commit()
            connection.close()

        def load(self, source, day=1):
            build = Build(dt.date(2025, 1, day), f"run-{day}")
            return load_source(
                workshop.connection, workshop.home, "people", source, build, self.environment
            )

    crm = Crm()
    crm.execute(
        'CREATE TABLE people (id, age, name, "shoe size")',
        "INSERT INTO people VALUES ('007', 30, 'Ann', 1), (8, 41.0, 'B:b 50%', 2)",
        "INSERT INTO people VALUES ('x', 'old', NULL, 3)",
    )
    return crm


def declared(make_source, **parts):
    return SourceSpec.model_validate(
        make_source().model_dump(exclude={"path"}, exclude_unset=True) | TABLE | parts
    )


def test_a_table_is_read_typed_and_audited(workshop, make_source, crm):
    summary = crm.load(declared(make_source))
    assert sorted(workshop.rows("id, age, name")) == [
        ("007", 30, "Ann"), ("8", 41, "B:b 50%"), ("x", None, None)
    ]  # fmt: skip
    assert (summary.rows, summary.rejected_values, summary.ignored_columns) == (3, 1, ())
    ((file, size, rows),) = workshop.query("SELECT file, bytes, rows FROM core.source_loads")
    assert (file, rows, size > 0) == ("CRM_URL:people", 3, True)
    assert sorted(path.name for path in workshop.home.iterdir() if path.is_dir()) == []


def test_the_same_rows_in_another_order_are_the_same_load(workshop, make_source, crm):
    source = declared(make_source)
    assert crm.load(source).files_loaded == 1
    crm.execute(
        "CREATE TABLE turned AS SELECT * FROM people ORDER BY id DESC", "DROP TABLE people",
        "ALTER TABLE turned RENAME TO people",
    )  # fmt: skip
    assert crm.load(source, day=2).files_skipped == 1
    crm.execute("UPDATE people SET age = 31 WHERE id = '007'")
    assert crm.load(source, day=3).files_loaded == 1
    assert workshop.query("SELECT snapshot_date::VARCHAR FROM core.source_loads ORDER BY ALL") == [
        ("2025-01-01",), ("2025-01-03",)
    ]  # fmt: skip


def test_a_query_is_sent_as_it_is(workshop, make_source, crm):
    query = "SELECT id, age, name, '12:30' AS clock FROM people WHERE name LIKE '%:b 50%'"
    summary = crm.load(declared(make_source, database={"url_variable": "CRM_URL", "query": query}))
    assert workshop.rows("id, age, name") == [("8", 41, "B:b 50%")]
    assert summary.ignored_columns == ("clock",)


def test_real_dates_and_dates_in_words_are_both_read(workshop, make_source, crm):
    crm.execute(
        "CREATE TABLE visits (id TEXT, seen DATE)",
        "INSERT INTO visits VALUES ('1', '2025-01-31'), ('2', '01.02.2025')",
    )
    source = declared(
        make_source, kind="web", time="seen",
        columns={"id": {"type": "text"}, "seen": {"type": "date", "formats": ["%d.%m.%Y"]}},
        database={"url_variable": "CRM_URL", "table": "visits"},
    )  # fmt: skip
    crm.load(source)
    assert sorted(workshop.rows("id, seen::VARCHAR")) == [("1", "2025-01-31"), ("2", "2025-02-01")]


def test_check_reads_it_as_a_night_would(workshop, make_source, crm):
    told = check_source(workshop.home, "people", declared(make_source), crm.environment)
    assert told == ["people: CRM_URL:people: 3 rows; 1 values of `age` cannot be read"]


@pytest.mark.parametrize(
    ("database", "message"),
    [
        ({"table": "peple"}, r"there is no such table; did you mean `people`\?"),
        ({"query": "SELECT id FROM MARKER"}, r"refuses \(OperationalError, SQLITE_ERROR"),
        ({"query": "DELETE FROM people"}, r"refuses \(OperationalError, SQLITE_READONLY"),
        ({"query": "SELECT id, id, age, name FROM people"}, "names a column twice"),
        ({"query": "SELECT * FROM people WHERE false"}, "it has no row"),
        ({"query": "SELECT id, age FROM people"}, "the header lacks `name`"),
        ({"table": "people", "maximum_rows": 2}, "more than 2 rows"),
        ({"table": "people", "url_variable": "OTHER_URL"}, "variable OTHER_URL is not set"),
    ],
)  # fmt: skip
def test_what_the_database_cannot_give_stops_the_night(
    workshop, make_source, crm, database, message
):
    source = declared(make_source, database={"url_variable": "CRM_URL", **database})
    with pytest.raises(SourceError, match=message) as stop:
        crm.load(source)
    assert "MARKER" not in str(stop.value)
    assert stop.value.__suppress_context__ or stop.value.__context__ is None
    assert crm.load(declared(make_source)).rows == 3


def test_a_column_that_is_gone_is_named_with_the_nearest(make_source, crm):
    crm.execute("ALTER TABLE people RENAME COLUMN age TO aged")
    with pytest.raises(SourceError, match=r"lacks the column `age`; did you mean `aged`\?"):
        crm.load(declared(make_source))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("MARKER", "holds no URL that SQLAlchemy understands"),
        ("marker://u:MARKER@h/d", "holds no URL that SQLAlchemy understands"),
        ("sqlite:////nowhere/MARKER.db", r"refuses \(OperationalError, SQLITE_CANTOPEN"),
        ("oracle+oracledb://u:MARKER@h/d", "the driver `oracledb` is not installed"),
    ],
)  # fmt: skip
def test_the_url_is_never_repeated(make_source, crm, url, message):
    crm.environment = {"CRM_URL": url}
    with pytest.raises(SourceError, match=message) as stop:
        crm.load(declared(make_source))
    assert "MARKER" not in str(stop.value)
    assert stop.value.__suppress_context__


def test_a_database_that_is_not_there_is_not_made(make_source, crm, tmp_path):
    crm.environment = {"CRM_URL": f"sqlite:///{tmp_path}/absent.db"}
    with pytest.raises(SourceError):
        crm.load(declared(make_source))
    assert not (tmp_path / "absent.db").exists()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"format": "csv"}, "`database` goes with `format: database`"),
        ({"path": "x.csv"}, "only a database has none"),
        ({"database": {"url_variable": "sqlite:///x", "table": "t"}}, "url_variable"),
        ({"database": {"url_variable": "U"}}, "either a `table` or the result of a `query`"),
        ({"key": {"row_number": True}}, "rows of a database have no number"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(make_source, parts, message):
    with pytest.raises(ValueError, match=message):
        declared(make_source, **parts)
