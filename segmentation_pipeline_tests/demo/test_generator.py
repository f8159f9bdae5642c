import datetime as dt
import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from segmentation_pipeline.demo import make_demo
from segmentation_pipeline.demo.summary import SUMMARY_NAME
from segmentation_pipeline.demo.template import in_format, packaged_files
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.specification.home import load_home

LAST_NIGHT = dt.date(2025, 6, 30)
COMMITTED = Path(__file__).parents[2] / "data" / "hospital"


def digests(home):
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


def test_same_arguments_give_the_same_bytes_on_any_threads(small, tmp_path):
    home, _ = small
    assert len(digests(home)) >= 2 + 1 + 7 + 7
    make_demo(tmp_path / "one", 300, 7, 7, "csv", threads=1)
    assert digests(tmp_path / "one") == digests(home)


def test_committed_example_is_what_its_seed_gives(small):
    home, _ = small
    made = digests(home)
    committed = digests(COMMITTED)
    assert made == {path: committed.get(path) for path in made}
    sources = {path for path in committed if path.startswith("sources/")}
    assert sources <= set(made)


def test_parquet_files_are_the_same_bytes_on_any_threads(tmp_path):
    # More rows than one row group holds (122,880), so that threads could disagree on the groups.
    for threads in (1, 2):
        make_demo(tmp_path / str(threads), 12_000, 1, 3, "parquet", threads=threads)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_another_seed_is_another_home(small, tmp_path):
    home, _ = small
    make_demo(tmp_path / "other", 300, 7, 8, "csv")
    ours, other = digests(home), digests(tmp_path / "other")
    same = {path for path in ours if ours[path] == other.get(path)}
    assert not {path for path in same if not path.endswith(".yaml")}


def test_parquet_says_the_same_as_csv(small, tmp_path):
    home, _ = small
    make_demo(tmp_path / "parquet", 300, 7, 7, "parquet")
    for path in sorted((home / "sources").rglob("*.csv")):
        name = path.relative_to(home).with_suffix(".parquet")
        typed = pd.read_parquet(tmp_path / "parquet" / name)
        text = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
        assert list(typed.columns) == list(text.columns)
        for column in typed:
            if pd.api.types.is_string_dtype(typed[column]):
                assert typed[column].fillna("").tolist() == text[column].fillna("").tolist()
            elif pd.api.types.is_bool_dtype(typed[column]):
                written = {"true": True, "false": False}
                assert typed[column].tolist() == text[column].map(written).tolist()
            else:
                parsed = text[column].astype(typed[column].dtype)
                pd.testing.assert_series_equal(typed[column], parsed)


def test_small_home_is_small_enough_to_be_committed(small):
    home, _ = small
    assert sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) < 1_000_000


def test_one_night_has_no_moves_and_no_late_answers(tmp_path):
    made = make_demo(tmp_path, 200, 1, 5, "csv")
    truth = pd.read_parquet(tmp_path / "planted_segments.parquet")
    assert truth.customer_id.nunique() == 200
    assert len(truth) == 400
    assert made.mess["survey"]["rows_after_first_night"] == 0


def test_summary_file_says_what_was_returned(small):
    home, made = small
    written = json.loads((home / SUMMARY_NAME).read_text(encoding="utf-8"))
    assert written["best_possible_ari"] == made.best_possible_ari
    assert written["mess"] == made.mess
    assert written["seed"] == 7


def test_a_folder_of_something_else_is_refused_untouched(tmp_path):
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(PipelineError, match="not empty, and no demo"):
        make_demo(tmp_path, 100, 1, 1, "csv")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_an_earlier_demo_is_replaced_unless_its_yaml_was_edited(tmp_path):
    make_demo(tmp_path, 100, 2, 1, "csv")
    (tmp_path / "warehouse.duckdb").write_bytes(b"kept")
    make_demo(tmp_path, 100, 1, 2, "parquet")
    assert [path.name for path in (tmp_path / "sources/crm").iterdir()] == [
        "crm_2025-06-30.parquet"
    ]
    assert (tmp_path / "warehouse.duckdb").read_bytes() == b"kept"
    settings = tmp_path / "dagster/dagster.yaml"
    settings.write_text(settings.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    before = digests(tmp_path)
    with pytest.raises(PipelineError, match=r"dagster\.yaml: edited"):
        make_demo(tmp_path, 100, 1, 3, "csv")
    assert digests(tmp_path) == before


@pytest.mark.parametrize(("customers", "days"), [(0, 1), (10, 0)])
def test_nothing_is_made_of_nobody(tmp_path, customers, days):
    with pytest.raises(PipelineError, match="needs customers and days"):
        make_demo(tmp_path / "home", customers, days, 1, "csv")
    assert not (tmp_path / "home").exists()


def test_progress_is_told(tmp_path):
    steps = []
    make_demo(tmp_path, 50, 1, 1, "csv", progress=steps.append)
    assert "web events" in steps


def test_every_night_of_a_long_demo_can_be_run(tmp_path):
    """The shipped file says 2025-01-01, which is 181 days before the last one."""
    make_demo(tmp_path, 50, 182, 1, "csv")
    first = dt.date(2024, 12, 31)
    assert load_home(tmp_path).customers.nights.first == first
    assert (tmp_path / f"sources/crm/crm_{first}.csv").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PipelineError, match=r"file/home: it cannot be made \(Not a directory\)"):
        make_demo(tmp_path / "file/home", 50, 1, 1, "csv")


def test_only_marked_lines_change_with_the_format():
    text = (
        "path: sources/crm/crm_*.csv  # csv or parquet\n"
        "format: csv # csv or parquet\n"
        "description: exported as csv\n"
    )
    assert in_format(text, "csv") == text
    assert in_format(text, "parquet") == (
        "path: sources/crm/crm_*.parquet  # csv or parquet\n"
        "format: parquet # csv or parquet\n"
        "description: exported as csv\n"
    )


def test_packaged_home_names_its_format_on_marked_lines_only():
    csv, parquet = (packaged_files(one, LAST_NIGHT) for one in ("csv", "parquet"))
    assert set(csv) == set(parquet)
    assert {"customers.yaml", "segmentations/engagement.yaml", "dagster/dagster.yaml"} <= set(csv)
    settings = [line.partition("#")[0] for line in parquet["customers.yaml"].splitlines()]
    assert sum("parquet" in setting for setting in settings) >= 6
    assert not [setting for setting in settings if "csv" in setting]


def test_both_formats_are_homes_that_the_pipeline_reads(small, tmp_path):
    home, _ = small
    make_demo(tmp_path, 50, 1, 1, "parquet")
    for path, file_format in ((home, "csv"), (tmp_path, "parquet")):
        sources = load_home(path).customers.sources
        assert {source.format for source in sources.values()} == {file_format}
        for source in sources.values():
            found = list(path.glob(source.path))
            assert found
            header = _header(found[0])
            assert set(source.columns) == set(header)


def _header(path):
    return list(pd.read_csv(path, nrows=0) if path.suffix == ".csv" else pd.read_parquet(path))
