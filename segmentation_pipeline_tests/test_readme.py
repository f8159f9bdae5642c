"""What the README and pages of docs/ show is run here as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.ingestion import latest_date
from segmentation_pipeline.publication import read_published
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.specification.schema import SCHEMAS

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
GUIDE = (REPOSITORY / "docs" / "specification.md").read_text(encoding="utf-8")
TABLES = (REPOSITORY / "docs" / "tables.md").read_text(encoding="utf-8")
CHOICE = (REPOSITORY / "docs" / "choice.md").read_text(encoding="utf-8")
PERSONAS = (REPOSITORY / "docs" / "personas.md").read_text(encoding="utf-8")
DRIFT = (REPOSITORY / "docs" / "drift.md").read_text(encoding="utf-8")
EXAMPLE = REPOSITORY / "segmentation_pipeline" / "demo" / "home" / "customers.yaml"

ANY_CRITERIA = {
    "demographics": "Who they are.",
    "behaviour": "What they do.",
    "needs": "What they need.",
    "preferences": "What they like.",
}
ANY_FEATURES = {"publications": {"criterion": "behaviour"}}


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def table_of(query):
    return re.search(r"^FROM (\w+)$", query, re.MULTILINE)[1]


def shown_segments(text):
    """Rows of the tables that `run` prints: segmentation, segment, customers, share."""
    found = re.findall(r"^│ (\w+) +│ (\w+-\d+) +│ +([\d,]+) │ +([\d.]+%) │", text, re.MULTILINE)
    return [
        (name, segment, int(size.replace(",", "")), share) for name, segment, size, share in found
    ]


def published_segments(home):
    rows = read_published(
        home / "published",
        "SELECT segmentation, segment_id, customers, share FROM segments"
        " ORDER BY segmentation, customers DESC, segment_id",
    )
    return [(*row, f"{share:.1%}") for *row, share in rows]


QUERIES = {table_of(query): query for query in blocks(TABLES, "sql")}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The home of "Your own data in ten minutes", made by the README's own script and files."""
    folder = tmp_path_factory.mktemp("readme")
    (script,) = blocks(README, "python")
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
    customers, segmentation = blocks(README, "yaml")
    home = folder / "shop"
    (home / "customers.yaml").write_text(customers, encoding="utf-8")
    (home / "segmentations" / "buying.yaml").write_text(segmentation, encoding="utf-8")
    return home


def test_each_published_table_has_one_query():
    assert len(blocks(TABLES, "sql")) == len(QUERIES)
    assert set(QUERIES) == set(CONTRACTS)


def test_the_queries_of_the_readme_are_some_of_these():
    assert set(blocks(README, "sql")) < set(QUERIES.values())
    assert f"holds {len(CONTRACTS)} tables" in README
    named = set(re.findall(r"`([a-z_]+)`", README.split("| you ask |")[1].split("\n\n")[0]))
    assert named <= set(CONTRACTS)


@pytest.mark.parametrize("table", QUERIES)
def test_a_query_runs_on_a_published_home_and_finds_rows_where_there_are_any(published_home, table):
    published = published_home / "published"
    found = read_published(published, QUERIES[table].rstrip().rstrip(";"))

    assert found or not read_published(published, f"SELECT 1 FROM {table} LIMIT 1")


def test_the_segments_shown_are_those_of_the_example(published_home):
    shown = [row for row in shown_segments(README) if row[0] != "buying"]

    assert shown == published_segments(published_home)


def test_the_ten_minutes_lead_to_the_segments_shown(shop):
    date = latest_date(load_home(shop))

    result = run_night(shop, date, progress=lambda *_: None)

    assert result.success, result.failures
    assert f"The next night would be for {date}." in README
    assert published_segments(shop) == [r for r in shown_segments(README) if r[0] == "buying"]


def test_the_files_point_to_schemas_that_the_command_writes(shop):
    named = re.findall(r"\$schema=(?:\.\./)?(\S+)", "".join(blocks(README, "yaml")))

    assert sorted(named) == sorted(SCHEMAS)


@pytest.mark.parametrize(
    "block", [block for page in (GUIDE, CHOICE, PERSONAS, DRIFT) for block in blocks(page, "yaml")]
)
def test_an_example_of_the_guide_loads_for_the_shipped_example(tmp_path, block):
    (tmp_path / "segmentations").mkdir()
    (tmp_path / "customers.yaml").write_bytes(EXAMPLE.read_bytes())
    frame = {"title": "Guide", "criteria": ANY_CRITERIA, "features": ANY_FEATURES}
    content = {**frame, **yaml.safe_load(block)}
    (tmp_path / "segmentations" / "guide.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    assert list(load_home(tmp_path).segmentations["guide"].features) == list(content["features"])


def test_the_survey_of_the_sources_page_loads_with_its_features(write_home):
    text = (REPOSITORY / "docs" / "sources.md").read_text(encoding="utf-8")
    survey, features = blocks(text.split("## Answers of a survey")[1], "yaml")
    content = {"title": "Guide", "criteria": ANY_CRITERIA, **yaml.safe_load(features)}

    home = write_home(
        f"name: Guide\nnights: {{first: 2025-01-01}}\n{survey}customers: {{base: survey}}\n",
        guide=yaml.safe_dump(content, sort_keys=False),
    )

    assert "channels__phone" in load_home(home).segmentations["guide"].features


def test_files_that_are_named_exist():
    for page in (REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text):
            assert (page.parent / target).exists(), (page.name, target)


def test_commands_that_are_named_exist():
    told = subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    commands = set(re.findall(r"^\W+([a-z]+) {2,}[A-Z]", told, re.MULTILINE))
    text = README + (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")

    named = set(re.findall(r"(?<!-)segmentation ([a-z]+)(?: --|`)", text))
    assert {"run", "check", "schema", "rollback", "ui"} <= named <= commands
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)) <= targets
