"""What is set aside is listed by line, mended in the file, and loaded again exactly."""

import datetime as dt
import subprocess
import sys

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import check_source, load_source, snapshot_in_force
from segmentation_pipeline.lock import hold_lock
from segmentation_pipeline.preparation import make_customers
from segmentation_pipeline.preparation.set_aside import ReasonCount, SetAside, read_quarantine
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Build, open_warehouse

NIGHT = dt.date(2026, 3, 2)
CUSTOMERS = """\
name: Clinic staff
nights: {first: 2026-03-01}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: id
    columns:
      id: {type: text}
      name: {type: text, personal: true}
      age: {type: integer, minimum: 16, maximum: 120, maximum_rejected_share: 1}
      role: {type: category, categories: [Nurse, Doctor], maximum_rejected_share: 1}
    expectations:
      - {name: no_template, predicate: "name <> 'Muster'", quarantine: row, maximum_share: 0.5}
    maximum_rejected_share: 0.3
    maximum_volume_change: null
  web:
    kind: web
    path: web/*.csv
    key: id
    time: seen_on
    maximum_rejected_share: 0.5
    columns:
      id: {type: text}
      seen_on: {type: date}
      event: {type: category}
customers:
  base: crm
  expectations:
    - {name: aged, predicate: age IS NOT NULL, quarantine: row, maximum_share: 1}
"""
SEGMENTATION = """\
title: Age
criteria: {demographics: How old they are.}
features: {age: {criterion: demographics}}
"""
# A record of two lines and a blank line put the lines ahead of the rows.
CRM = """\
id,name,age,role
1,"Ada
Byron",36,Nurse

2,Muster,40,Nurse
3,Grace,230,Doctor
4,Alan,forty,Doctr
,Nobody,50,Nurse
6,Edsger,51,nurse
"""
MENDED = """\
id,name,age,role
1,"Ada
Byron",36,Nurse

2,Konrad,40,Nurse
3,Grace,23,Doctor
4,Alan,40,Doctor
5,Nobody,50,Nurse
6,Edsger,51,nurse
"""


class Home:
    def __init__(self, path):
        self.path = path
        for folder in ("segmentations", "web"):
            (path / folder).mkdir(parents=True)
        (path / "customers.yaml").write_text(CUSTOMERS, encoding="utf-8")
        (path / "segmentations" / "age.yaml").write_text(SEGMENTATION, encoding="utf-8")
        self.write("crm.csv", CRM)
        self.write("web/1.csv", "id,seen_on,event\n1,2026-03-01,click\n2,2026-13-01,click\n")
        self.write("web/2.csv", "id,seen_on,event\n3,2026-03-02,click\n3,2026-03-05,view\n")

    def write(self, name, text):
        (self.path / name).write_text(text, encoding="utf-8")

    def run(self, as_of=NIGHT):
        """Load all sources, make customers; returns how many files each source loaded."""
        spec = load_home(self.path).customers
        build = Build(as_of, f"run of {as_of}")
        with open_warehouse(self.path / "warehouse.duckdb", threads=1) as connection:
            loaded = {
                name: load_source(connection, self.path, name, source, build).files_loaded
                for name, source in spec.sources.items()
            }
            in_force = snapshot_in_force(connection, "crm", spec.sources["crm"], as_of)
            make_customers(connection, spec, {"crm": in_force}, build)
        return loaded

    def fetch(self, query):
        with open_warehouse(self.path / "warehouse.duckdb", read_only=True) as connection:
            return connection.execute(query).fetchall()

    def quarantine(self, sources=("crm", "web"), limit=50):
        spec = load_home(self.path).customers
        with open_warehouse(self.path / "warehouse.duckdb", read_only=True) as connection:
            return read_quarantine(connection, spec, sources, limit)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


UNREAD_TIME = "a time that is not as declared"
OF_CRM = [
    (5, None, "breaks no_template: left out"),
    (6, "age", "above 120: made missing"),
    (7, "age", "not a whole number"),
    (7, "role", "not a listed category: made missing"),
    (8, None, "no customer id"),
]


def test_everything_set_aside_is_listed_by_the_line_of_its_file(home):
    home.run()

    found = home.quarantine()

    assert [(one.line, one.column, one.reason) for one in found.listed if one.source == "crm"] == (
        OF_CRM
    )
    assert [(one.file, one.line, one.reason) for one in found.listed if one.source == "web"] == [
        ("web/1.csv", 3, UNREAD_TIME)
    ]
    assert ReasonCount("crm", "age", "above 120: made missing", 1, 1) in found.reasons
    # A row dated after the night is not there yet: nothing is wrong with it.
    assert all(one.file != "web/2.csv" for one in found.listed)
    # Customers are counted: 3 and 4 have no age.
    assert found.reasons[-1] == ReasonCount("customers", None, "breaks aged: left out", 2, 0)


def test_a_limit_bounds_what_is_listed_and_not_what_is_counted(home):
    home.run()

    found = home.quarantine(limit=2)

    assert len(found.listed) == 2
    assert sum(one.count for one in found.reasons if one.files) == 6
    assert home.quarantine(["web"]).listed == (
        SetAside("web", "web/1.csv", 3, None, None, UNREAD_TIME),
    )


def test_a_mended_file_is_loaded_again_exactly_and_its_entries_go(home, tmp_path):
    home.run()
    home.write("crm.csv", MENDED)
    home.write("web/1.csv", "id,seen_on,event\n1,2026-03-01,click\n2,2026-03-01,click\n")

    # The other file of the web is not read again.
    assert home.run() == {"crm": 1, "web": 1}

    assert home.quarantine().reasons == ()
    assert home.run() == {"crm": 0, "web": 0}
    fresh = Home(tmp_path / "fresh")
    fresh.write("crm.csv", MENDED)
    fresh.write("web/1.csv", (home.path / "web/1.csv").read_text(encoding="utf-8"))
    fresh.run()
    rows = "SELECT * EXCLUDE (load_id) FROM raw.raw_web ORDER BY ALL"
    customers = "SELECT * FROM core.customers ORDER BY ALL"
    assert home.fetch(rows) == fresh.fetch(rows)
    assert home.fetch(customers) == fresh.fetch(customers)
    assert [row[0] for row in home.fetch(customers)] == ["1", "2", "3", "4", "5", "6"]


def test_half_mended_leaves_the_other_half(home):
    home.run()
    home.write("crm.csv", CRM.replace("230", "23").replace("Muster", "Konrad"))
    home.run()

    of_crm = [(one.line, one.column, one.reason) for one in home.quarantine(["crm"]).listed]

    assert of_crm == OF_CRM[2:]


def test_a_snapshot_that_is_no_longer_in_force_is_not_to_be_mended(home):
    home.run()
    home.write("crm.csv", MENDED)
    home.run(NIGHT + dt.timedelta(days=1))

    # The old snapshot stays, with what was noted of it; its file is gone.
    assert home.fetch("SELECT count(*) FROM core.rejected_rows WHERE source = 'crm'")[0][0] > 0
    assert [one.source for one in home.quarantine().listed] == ["web"]


def test_a_file_that_was_refused_names_its_lines_and_loads_once_it_is_mended(home):
    home.run()
    before = home.fetch("SELECT * FROM raw.raw_web ORDER BY ALL")
    bad = "id,seen_on,event\n1,yesterday,click\n3,today,click\n3,2026-03-02,click\n"
    home.write("web/3.csv", bad)

    with pytest.raises(SourceError, match=rf"line 2: {UNREAD_TIME}; line 3: {UNREAD_TIME}"):
        home.run()

    assert home.fetch("SELECT * FROM raw.raw_web ORDER BY ALL") == before
    home.write("web/3.csv", bad.replace("yesterday", "2026-03-01").replace("today", "2026-03-02"))
    source = load_home(home.path).customers.sources["web"]
    assert "web: web/3.csv: 3 rows" in check_source(home.path, "web", source)
    assert home.run()["web"] == 1


def test_loads_of_an_earlier_release_tell_their_row(home):
    home.run()
    with open_warehouse(home.path / "warehouse.duckdb") as connection:
        connection.execute("DROP TABLE core.load_lines")

    listed = home.quarantine(["crm"]).listed

    assert [(one.line, one.row) for one in listed if "no_template" in one.reason] == [(None, 2)]


def command(home, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", "quarantine", "--home", home.path,
         *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_tells_lines_and_no_value(home):
    early = command(home)
    assert (early.returncode, "no night has run yet" in early.stderr) == (1, True)
    home.run()

    told = command(home, "--source", "crm")

    with hold_lock(home.path / "warehouse.lock", "a night", timeout_seconds=0):
        held = command(home)
    assert (held.returncode, "is held by" in held.stderr) == (1, True)
    assert told.returncode == 0, told.stderr
    assert "crm.csv: line 6: `age`: above 120: made missing" in told.stdout
    for value in ("Muster", "230", "forty", "Doctr", "Nobody"):
        assert value not in told.stdout + told.stderr


def test_the_command_knows_its_sources(home):
    unknown = command(home, "--source", "crn")

    assert (unknown.returncode, "did you mean `crm`?" in unknown.stderr) == (1, True)
