"""Answers of an input are read as a night reads them: scales, several options, free texts."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.scoring import score_file
from segmentation_pipeline.specification.customers import CustomersSpec

COLUMNS = {
    "number": {"type": "text"},
    "way": {
        "type": "choices",
        "options": ["email", "phone"],
        "separator": ";",
        "aliases": {"email": ["Mail"]},
    },
    "mood": {
        "type": "integer",
        "words": {"bad": 1, "good": 3},
        "number": "first",
        "minimum": 1,
        "maximum": 3,
        "reverse": True,
    },
    "note": {"type": "free_text"},
}
FEATURES = {
    "way__email": {"criterion": "needs", "block": "way"},
    "way__phone": {"criterion": "needs", "block": "way"},
    "mood": {"criterion": "needs"},
    "note__words": {"criterion": "needs"},
}
# Of email, phone, mood (turned around) and words; a missing value is 2.
TWO = {"prototypes": np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 3.0, 3.0]])}
SECRET = "seventeen"


@pytest.fixture
def score(make_published, tmp_path):
    customers = CustomersSpec.model_validate(
        {
            "name": "test",
            "nights": {"first": "2026-01-01"},
            "customers": {"base": "crm"},
            "sources": {
                "crm": {"kind": "crm", "path": "crm.csv", "key": "number", "columns": COLUMNS}
            },
        }
    )
    found = replace(make_published("k_means", TWO, features=FEATURES), customers=customers)

    def _score(text):
        path, output = tmp_path / "in.csv", tmp_path / "out.parquet"
        path.write_text(text)
        done = score_file(found, path, output)
        return pq.read_table(output).to_pylist(), done.notes

    return _score


def test_answers_as_given_and_columns_made_of_them_give_the_same_segments(score):
    given, _ = score("way,mood,note\nMAIL;email,good,hi\nphone, 1 - bad,a b c\n")
    parted, _ = score("way__email,way__phone,mood,note__words\ntrue,false,3,1\nfalse,true,1,3\n")

    assert [row["segment_id"] for row in given] == ["lens-7", "lens-8"]
    assert given == parted
    assert [row["missing_features"] for row in given] == [0, 0]


def test_a_missing_answer_is_missing_in_all_of_its_features(score):
    rows, _ = score("way,mood,note\n,2,x y\n")

    assert [row["missing_features"] for row in rows] == [2]


def test_an_unlisted_option_is_counted_as_on_a_night(score):
    rows, notes = score("way,mood,note\nphone;fax,2,x\nphone,7,x\n")

    assert [row["missing_features"] for row in rows] == [2, 1]
    assert "`way`: 1 values with an option that isn't listed: made missing" in notes
    assert "`mood`: 1 values above 3: made missing" in notes


def test_an_answer_that_cannot_be_read_is_refused_by_line_and_never_with_its_words(score):
    with pytest.raises(SourceError, match="line 3, `mood`: neither a number nor a") as said:
        score(f"way,mood,note\nphone,2,{SECRET}\nphone,{SECRET},{SECRET}\n")

    assert SECRET not in str(said.value)


def test_an_answer_beside_a_column_made_of_it_is_refused(score):
    with pytest.raises(SourceError, match="`way__email` is made of `way`: leave one of them out"):
        score("way,way__email\nphone,true\n")


def test_no_text_is_in_what_is_written(score, tmp_path):
    score(f"way,mood,note\nphone,2,{SECRET} words\n")

    assert SECRET.encode() not in (tmp_path / "out.parquet").read_bytes()
