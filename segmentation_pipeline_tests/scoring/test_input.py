"""What an input may be, and what is said of one that can't be: where, why, and never a value."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

import segmentation_pipeline
from segmentation_pipeline.errors import PipelineError, PublicationError, SpecificationError
from segmentation_pipeline.scoring import load_published_model, score_file
from segmentation_pipeline.specification.home import load_home

TWO = {"prototypes": np.array([[0.0, 0.0], [4.0, 0.0]])}
SECRET = "seventeen"


@pytest.fixture
def score(make_published, tmp_path):
    """Score a text as a file of some name; rows, and what was said."""

    def _score(text, name="in.csv", found=None, **options):
        path, output = tmp_path / name, tmp_path / "out.parquet"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        done = score_file(found or make_published("k_means", TWO), path, output, **options)
        return pq.read_table(output).to_pylist(), done

    return _score


def segments(rows):
    return [row["segment_id"] for row in rows]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x,y\n1,0\n3,0\n", "in.csv"),
        ("x;y\r\n1,0;0\r\n3,5;0\r\n", "semicolons.csv"),
        ("y,x\n0,1\n0,3\n", "other_order.txt"),
        (gzip.compress(b"x,y\n1,0\n3,0\n"), "in.csv.gz"),
        ('{"x": 1, "y": 0}\n{"y": 0, "x": "3"}\n', "in.ndjson"),
        ("x,y\n1,0\n3,0\n", "strange [1]*.csv"),
    ],
    # a gzip holds the second of its making: as an id it would differ between two collections
    ids=["csv", "semicolons", "other-order", "gzip", "ndjson", "strange-name"],
)
def test_files_of_several_kinds(score, text, name):
    rows, done = score(text, name)

    assert segments(rows) == ["lens-7", "lens-8"]
    assert done.customers == done.taking_part == 2
    said = ("numbers are read with a decimal comma",) if ";" in str(text) else ()
    assert done.notes == said


def test_the_key_comes_back_under_its_name_and_rows_in_their_order(score):
    rows, _ = score("number,x,y\nB,3,0\nA,1,0\nB,1,0\n,1,0\n")

    assert [(row["number"], row["segment_id"]) for row in rows] == [
        ("B", "lens-8"),
        ("A", "lens-7"),
        ("B", "lens-7"),
        (None, "lens-7"),
    ]


def test_a_column_that_is_not_there_is_missing_for_everybody_and_said_so(score):
    rows, done = score("x\n1\n")

    assert rows[0]["missing_features"] == 1
    assert done.notes == ("not in the input, and so missing for everybody: y",)


def test_other_columns_of_customers_are_allowed_and_not_read(score):
    rows, done = score(f"x,y,email,born,has_web\n1,0,{SECRET},no date,maybe\n")

    assert segments(rows) == ["lens-7"]
    assert done.notes == ("3 columns that lens is not made of: not read",)


def test_what_a_night_would_make_missing_is_missing_and_counted(score, make_published):
    features = {
        "x": {"criterion": "needs"},
        "in_kiel": {"criterion": "needs", "expression": "CASE city WHEN 'Kiel' THEN 4 ELSE 0 END"},
        "age": {"use": "profile", "expression": "as_of - born"},
    }
    found = make_published("k_means", TWO, features=features)

    rows, done = score("x,city\n1,ki\n1,Paris\n-2000,Bern\n", found=found)

    assert [row["missing_features"] for row in rows] == [0, 0, 1]
    assert done.notes[:2] == (
        "`x`: 1 values below -1000: made missing",
        "`city`: 1 values not a listed category: made missing",
    )
    assert done.notes[2] == "customers without a value, of 3: x 1"


def test_dates_are_read_as_declared_and_as_iso(score, make_published):
    features = {
        "x": {"criterion": "needs", "expression": "date_diff('day', born, as_of) / 10"},
        "y": {"criterion": "needs"},
    }
    found = make_published("k_means", TWO, features=features)

    rows, _ = score("born,y\n21.01.2026,0\n2025-12-22,0\n", found=found)

    # 10 and 40 days before the night.
    assert segments(rows) == ["lens-7", "lens-8"]


def test_a_feature_may_be_given_by_its_name_instead_of_what_it_is_made_of(score, make_published):
    features = {
        "right": {"criterion": "needs", "expression": "x / 10"},
        "visits": {"criterion": "needs", "aggregate": {"source": "web", "function": "count"}},
    }
    found = make_published("k_means", TWO, features=features)

    given, done = score("right,visits\n1,0\n3,0\n", found=found)
    made, said = score("x,visits\n10,0\n30,0\n", found=found)

    assert segments(given) == segments(made) == ["lens-7", "lens-8"]
    assert done.notes == said.notes == ()
    # Nobody counted the visits of who is in no source: they are missing, not 0.
    _, unknown = score("x\n10\n", found=found)
    assert unknown.notes == ("not in the input, and so missing for everybody: visits",)


def test_who_takes_no_part_has_no_segment(score, make_published):
    found = make_published("k_means", TWO, where="city = 'Kiel'")

    rows, done = score("x,y,city\n1,0,Kiel\n1,0,Bern\n", found=found)
    free, unchecked = score("x,y\n1,0\n", found=found)

    assert segments(rows) == ["lens-7", None]
    assert (done.customers, done.taking_part) == (2, 1)
    assert done.notes == ("1 customers do not take part in lens: no segment",)
    assert segments(free) == ["lens-7"]
    assert "`where` reads columns that are not in the input" in unchecked.notes[0]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("x,hight\n1,2\n", "in.csv", r"in.csv: no column .* `hight` \(known are"),
        ("x,yy\n1,2\n", "in.csv", r"`yy` \(did you mean `y`\?\)"),
        ('{"x": 1}\n{"x": 2, "yy": 1}\n', "in.ndjson", r"`yy` \(did you mean `y`\?\)"),
        (f"x,y\n1,0\n2,{SECRET}\n", "in.csv", "in.csv: line 3, `y`: not a number. Correct"),
        ('{"x": 1}\n{"x": [1]}\n', "in.ndjson", "line 2, `x`: not a number"),
        (f"x,y\n1,0\n2,0,{SECRET}\n", "in.csv", "line 3: too many values"),
        ("{}\n{\n", "in.ndjson", "no line holds a JSON object with a key"),
        ('{"x": 1}\n{"x"\n', "in.ndjson", "line 2: not a JSON object"),
        ("", "in.csv", "in.csv: it is empty"),
        ("x,y\n", "in.csv", "a header and no row"),
        ("1,2\n3,4\n", "in.csv", "line 1 is no header"),
        ('{"x": 1}\n', "in.csv", "seems to be ndjson and not csv: say so by the file's ending"),
        ("x,y\n1,2\n", "in.parquet", "in.parquet: it is no Parquet file"),
        ("x,y\n1,2\n", "in.ndjson", "no line holds a JSON object"),
        ("number,email\nA,b\n", "in.csv", "no column that lens is made of; they are: x, y"),
        ("number,customer_id,x\nA,B,1\n", "in.csv", "both the key"),
        ("x,x\n1,2\n", "in.csv", "no column of it has a name of its own"),
    ],
)
def test_an_input_that_cannot_be_read(score, text, name, message):
    with pytest.raises(PipelineError, match=message) as caught:
        score(text, name)

    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_cut_parquet_file(score, tmp_path):
    pd.DataFrame({"x": [1.0] * 100, "y": [0.0] * 100}).to_parquet(tmp_path / "whole")

    with pytest.raises(PipelineError, match=r"in.parquet.*no Parquet file, or was cut short"):
        score((tmp_path / "whole").read_bytes()[:-10], "in.parquet")


def test_many_unread_values_are_counted(score):
    text = "x,y\n" + "1,a\n" * 30

    with pytest.raises(PipelineError, match="line 11, `y`: not a number; and 20 more values"):
        score(text)


def test_a_spreadsheet_runs_nothing(make_published, tmp_path):
    (tmp_path / "in.csv").write_text("number,x,y\n=1+1,-1,0\n")

    score_file(make_published("k_means", TWO), tmp_path / "in.csv", tmp_path / "out.csv")

    row = pd.read_csv(tmp_path / "out.csv").iloc[0]
    assert row["number"] == "'=1+1"
    assert row["contribution_1"] == pytest.approx(1.5)


def test_an_output_that_cannot_be_written(make_published, tmp_path):
    (tmp_path / "in.csv").write_text("x,y\n1,0\n")
    output = tmp_path / "no_folder" / "out.csv"

    with pytest.raises(PipelineError, match=r"out.csv: it cannot be written \(IOException\)"):
        score_file(make_published("k_means", TWO), tmp_path / "in.csv", output)


def test_ids_mean_nothing_of_customers_in_no_source(score, make_published):
    found = make_published("k_means", TWO, where="customer_id NOT LIKE 'TEST%'")

    with pytest.raises(PipelineError, match="lens reads `customer_id` in an expression"):
        score("x\n1\n", found=found)


def test_a_frame_that_cannot_be_scored(example):
    for frame, message in (
        (pd.DataFrame({"publications": []}), "no row"),
        (pd.DataFrame({"publicatons": [1]}), "did you mean `publications`"),
        (pd.DataFrame({"publications": [1, "many"]}), "several kinds|not a whole number"),
        (pd.DataFrame({"publications": [1.0, 1.5]}), "line 2, `publications`: not a whole number"),
    ):
        with pytest.raises(PipelineError, match=message):
            segmentation_pipeline.score(example.path, "profession", frame)


def test_segments_of_another_yaml_are_not_used(example, tmp_path):
    home = tmp_path / "home"
    (home / "segmentations").mkdir(parents=True)
    for name in ("published", "models"):
        (home / name).symlink_to(example.path / name)
    (home / "customers.yaml").write_text((example.path / "customers.yaml").read_text())
    file = example.path / "segmentations" / "profession.yaml"
    content = yaml.safe_load(file.read_text())

    def load(**changes):
        changed = json.dumps(content | changes)
        (home / "segmentations" / "profession.yaml").write_text(changed)
        return load_published_model(load_home(home), "profession")

    assert load(title="Another title").segment_ids == load().segment_ids
    with pytest.raises(SpecificationError, match=r"changed since the night of 2025-06-30"):
        load(scaling="robust")
    (home / "published").unlink()
    with pytest.raises(PublicationError, match="profession has not been published yet"):
        load()
    with pytest.raises(SpecificationError, match="did you mean `profession`"):
        load_published_model(load_home(home), "professions")


def command(*arguments, given=None):
    return subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", "score", *arguments],
        input=given,
        capture_output=True,
        check=False,
    )


def test_the_command_reads_and_writes_the_standard_streams(example):
    one = b'{"customer_id": "NEW-1", "publications": 40, "education": "PhD"}\n'
    options = ("--home", str(example.path), "--segmentation", "profession")

    done = command(*options, "--input", "-", "--format", "ndjson", given=one)

    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["customer_id"] == "NEW-1"
    assert row["segment_id"].startswith("profession-")
    assert {row["feature_1"], row["feature_2"]} == {"publications", "education"}
    assert "not in the input" in done.stderr.decode()
    assert "1 of 1 customers take part in profession" in done.stderr.decode()


def test_the_command_says_what_is_wrong(example, tmp_path):
    options = ("--home", str(example.path), "--segmentation", "profession")
    (tmp_path / "in.csv").write_text(f"publications\n{SECRET}\n")

    bad = command(*options, "--input", str(tmp_path / "in.csv"))
    gone = command(*options, "--input", str(tmp_path / "gone.csv"))
    neither = command(*options)
    both = command(*options, "--sql", "--input", str(tmp_path / "in.csv"))

    assert bad.returncode == 1
    assert "line 2, `publications`: not a whole number" in bad.stderr.decode()
    assert SECRET not in bad.stderr.decode()
    assert bad.stdout == b""
    assert [gone.returncode, neither.returncode, both.returncode] == [2, 2, 2]
    assert command(*options, "--sql").stdout.startswith(b"-- Segmentation profession")
