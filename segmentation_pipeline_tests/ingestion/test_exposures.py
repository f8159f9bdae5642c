"""What campaigns did is a source like others, but for its beginning: nothing has been sent yet."""

import datetime as dt

import pytest
from pydantic import ValidationError

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.validation import validate_table
from segmentation_pipeline.validation.source_suites import raw_source_suite

STATUS = {"type": "category", "categories": ["sent", "delivered", "bounced"]}
COLUMNS = {
    "id": {"type": "text"},
    "sent_at": {"type": "timestamp"},
    "strategy": {"type": "text"},
    "status": STATUS,
}
HEADER = "id,sent_at,strategy,status\n"


def exposures(**parts):
    declared = {
        "kind": "exposures",
        "path": "sent_*.csv",
        "key": "id",
        "time": "sent_at",
        "columns": COLUMNS,
        "minimum_rows": 0,
    }
    return SourceSpec.model_validate(declared | parts)


@pytest.mark.parametrize("files", [{}, {"sent_1.csv": HEADER}])
def test_before_the_first_campaign_there_is_no_file_or_no_row(workshop, files):
    for name, content in files.items():
        workshop.write(content, name)

    assert workshop.load(exposures()).rows == 0
    assert workshop.rows() == []
    suite = raw_source_suite("people", exposures(), dt.date(2025, 1, 1))
    results = validate_table(workshop.connection, raw_table("people"), suite)
    assert all(result.success for result in results)


def test_files_come_and_go(workshop):
    workshop.load(exposures(), 1)
    workshop.write(HEADER + "7,2025-01-01 09:00:00,write,sent\n", "sent_1.csv")
    assert workshop.load(exposures(), 2).rows == 1
    (workshop.home / "sent_1.csv").unlink()

    assert workshop.load(exposures(), 3).rows == 0
    assert workshop.rows() == []


def test_where_rows_are_needed_no_file_stops(workshop):
    with pytest.raises(SourceError, match="no file matches"):
        workshop.load(exposures(minimum_rows=1))
    workshop.write(HEADER, "sent_1.csv")
    with pytest.raises(SourceError, match="a header and no row"):
        workshop.load(exposures(minimum_rows=1))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"time": None}, "needs `time`"),
        ({"columns": {**COLUMNS, "strategy": {"type": "integer"}}}, "need a column `strategy`"),
        ({"columns": {**COLUMNS, "status": {"type": "text"}}}, "need a category `status`"),
        (
            {"columns": {**COLUMNS, "status": STATUS | {"categories": ["sent", "opened"]}}},
            "got sent, opened",
        ),
        (
            {"columns": {**COLUMNS, "status": STATUS | {"categories": ["delivered"]}}},
            "got delivered",
        ),
        ({"kind": "web"}, "`minimum_rows: 0` is for kind exposures"),
    ],
)
def test_a_source_of_exposures_says_what_was_sent_to_whom_and_when(parts, message):
    with pytest.raises(ValidationError, match=message):
        exposures(**parts)
