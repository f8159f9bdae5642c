"""Each step leaves a line: what it made, how long it took, whether it failed."""

import datetime as dt
import json

import pytest

from segmentation_pipeline.assets.stage_log import logged_stage
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Build, Table, open_warehouse, write_table

BUILD = Build(dt.date(2025, 6, 30), "run-1")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path, customers=None, segmentations={})


def test_a_line_for_each_step(home):
    with open_warehouse(home.warehouse) as connection:
        with logged_stage(connection, home, "customers", BUILD):
            write_table(connection, Table("core", "customers"), "FROM range(3)", BUILD)
        with logged_stage(connection, home, "lens__model", BUILD):
            write_table(connection, Table("lens", "model"), "FROM range(2)", BUILD)
        with (
            pytest.raises(PipelineError),
            logged_stage(connection, home, "lens__segments", BUILD),
        ):
            raise PipelineError("no segments")

    log = (home.logs / "2025-06-30.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in log.splitlines()]
    assert [(line["stage"], line["outcome"], line["rows"]) for line in lines] == [
        ("customers", "done", {"core.customers": 3}),
        ("lens/model", "done", {"lens.model": 2}),
        ("lens/segments", "failed", {}),
    ]
    for line in lines:
        assert (line["as_of"], line["run_id"]) == ("2025-06-30", "run-1")
        assert line["seconds"] >= 0
        assert line["peak_mb"] > 10
