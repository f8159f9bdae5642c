"""Settings of a format: what goes with what, and what to do where it doesn't."""

import pytest
from pydantic import ValidationError

from segmentation_pipeline.ingestion.declaration import reading_digest
from segmentation_pipeline.specification.sources import SourceSpec

COLUMNS = {"id": {"type": "text"}, "age": {"type": "integer"}}
PLACED = {"id": {"type": "text", "position": 1}, "age": {"type": "integer", "position": 3}}
FIXED = {"id": {"type": "text", "start": 1, "width": 5}, "age": {"type": "integer", "start": 6}}


def source(**parts):
    declared = {"kind": "crm", "path": "a.csv", "key": "id", "columns": COLUMNS}
    return SourceSpec.model_validate(declared | parts)


@pytest.mark.parametrize(
    "parts",
    [
        {"encoding": "cp1252", "delimiter": "\t", "quote": None, "decimal_mark": ","},
        {"has_header": False, "columns": PLACED, "column_count": 4},
        {"format": "fixed_width", "columns": FIXED, "has_header": False, "thousands_mark": " "},
        {"format": "ndjson", "encoding": "UTF-16"},
        {"format": "excel", "sheet": "People"},
        {"format": "excel", "columns": PLACED, "has_header": False},
        {"format": "parquet"},
    ],
)
def test_what_goes_together_is_accepted(parts):
    assert source(**parts).path == "a.csv"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"encoding": "latin-11"}, r"no text encoding that Python knows; did you mean `latin"),
        ({"encoding": "rot13"}, "no text encoding"),
        ({"encoding": "idna"}, "not the encoding of a file"),
        ({"encoding": "undefined"}, "not the encoding of a file"),
        ({"delimiter": "||"}, "at most 1 character"),
        ({"delimiter": '"'}, "can't be the same character"),
        ({"decimal_mark": ",", "thousands_mark": ","}, "can't be the same character"),
        ({"path": ""}, "only a database has none"),
        ({"format": "parquet", "decimal_mark": ","}, r"`decimal_mark` makes no sense .*parquet"),
        ({"format": "ndjson", "has_header": False}, "`has_header` makes no sense"),
        ({"sheet": "People"}, "`sheet` makes no sense"),
        ({"column_count": 2}, "`column_count` makes no sense"),
        ({"has_header": False}, "`position` goes with `has_header: false`"),
        ({"columns": PLACED}, "`position` goes with `has_header: false`"),
        ({"has_header": False, "columns": PLACED, "column_count": 2}, "above `column_count`"),
        ({"format": "fixed_width"}, "each column of one needs it"),
        ({"columns": FIXED}, "`start` is where a column of a fixed-width file begins"),
        ({"columns": {"id": {"type": "text", "width": 3}}}, "`width` is for fixed-width files"),
        (
            {
                "has_header": False,
                "columns": {"id": {"type": "text", "position": 1, "header": "x"}},
            },
            "a file without header has no `header`",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(parts, message):
    with pytest.raises(ValidationError, match=message):
        source(**parts)


def test_new_settings_at_their_defaults_do_not_make_a_home_read_its_files_again():
    # The digest of this declaration in the release before there were other formats.
    before = "50551daea4aba70ddfacea55245c91e413cf33f41cbc12800cecc1e4f4323fc7"
    assert reading_digest(source()) == before
    assert reading_digest(source(quote='"', has_header=True, decimal_mark=".")) == before


@pytest.mark.parametrize(
    "parts",
    [
        {"quote": "'"},
        {"decimal_mark": ","},
        {"encoding": "cp1252"},
        {"has_header": False, "columns": PLACED},
        {"format": "fixed_width", "columns": FIXED, "has_header": False},
    ],
)
def test_a_setting_that_reads_otherwise_is_another_declaration(parts):
    assert reading_digest(source(**parts)) != reading_digest(source())


def test_a_place_that_moves_is_another_declaration():
    moved = {**PLACED, "age": {"type": "integer", "position": 2}}
    parts = {"has_header": False, "column_count": 3}
    assert reading_digest(source(columns=PLACED, **parts)) != reading_digest(
        source(columns=moved, **parts)
    )
