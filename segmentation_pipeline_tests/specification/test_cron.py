"""A wrong time is refused with file and line, before Dagster stumbles over it."""

import pytest
from dagster._utils.schedules import is_valid_cron_schedule
from pydantic import TypeAdapter, ValidationError

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.cron import Cron
from segmentation_pipeline.specification.home import load_home

CRON = TypeAdapter(Cron)


@pytest.mark.parametrize(
    "text",
    ["0 3 * * *", " 0  3 * * * ", "@daily", "*/5 * * * *", "0 22-2 * * *", "5/10 3 * * *",
     "0 3 * JAN-mar,12 *", "0 3 * * MON-FRI", "0 3 * * fri-sun", "0 3 * * 7", "01 03 1-15/2 * *",
     "0 3 L,15 * *", "0 3 ? * 5#2", "0 3 * * fri#2", "0 3 * * l5", "0 3 29 2 *",
     "0 3 30,31 2,3 *"],
)  # fmt: skip
def test_what_dagster_runs_is_accepted(text):
    assert CRON.validate_python(text) == text
    assert is_valid_cron_schedule(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "five fields"),
        ("daily", "five fields"),
        ("0 3 * * * *", "five fields"),
        ("@fortnightly", "five fields"),
        ("60 3 * * *", "`60`: the minute of a cron goes from 0 to 59"),
        ("0 24 * * *", "`24`: the hour of a cron goes from 0 to 23"),
        ("0 3 0 * *", "`0`: the day of the month of a cron goes from 1 to 31"),
        ("0 3 * 13 *", "from 1 to 12"),
        ("0 3 * * 8", "from 0 to 7"),
        ("0 3 * * frii", "from 0 to 7"),
        ("0 3 * * ²", "from 0 to 7"),
        ("*/0 3 * * *", "no minute of a cron"),
        ("1,,2 3 * * *", "no minute of a cron"),
        ("*-5 3 * * *", "no minute of a cron"),
        ("-5 3 * * *", "no minute of a cron"),
        ("0 3 30 2 *", "there is no such date"),
        ("0 3 31 4,jun ?", "there is no such date"),
        ("0 3 31 2 mon", "there is no such date"),
    ],
)
def test_what_is_no_time_is_refused(text, words):
    with pytest.raises(ValidationError) as refused:
        CRON.validate_python(text)
    assert words in str(refused.value)


def test_it_is_refused_by_file_and_line(write_home):
    home = write_home(
        customers="name: x\nnights:\n  first: 2025-01-01\n  cron: 61 3 * * *\nsources: {}\n"
    )
    with pytest.raises(SpecificationError, match=r"customers.yaml:4: nights.cron: `61`"):
        load_home(home)
