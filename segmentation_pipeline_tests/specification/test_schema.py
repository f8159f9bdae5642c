"""The committed JSON Schemas are those of the models, and describe every setting."""

import json
from pathlib import Path

import pytest

import segmentation_pipeline.specification as package
from segmentation_pipeline.specification.schema import SCHEMAS, json_schema

COMMITTED = Path(package.__file__).parent / "schemas"


@pytest.mark.parametrize("file_name", SCHEMAS)
def test_the_committed_schema_is_up_to_date(file_name):
    assert (COMMITTED / file_name).read_text(encoding="utf-8") == json_schema(file_name), (
        "run `make schemas`"
    )


@pytest.mark.parametrize("file_name", SCHEMAS)
def test_every_setting_is_described(file_name):
    schema = json.loads(json_schema(file_name))
    models = [schema, *schema["$defs"].values()]
    settings = [
        (model["title"], name, setting)
        for model in models
        for name, setting in model.get("properties", {}).items()
    ]

    assert len(settings) > 20
    assert [
        (model, name) for model, name, setting in settings if "description" not in setting
    ] == []
