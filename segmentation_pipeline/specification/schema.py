"""JSON Schemas of both kinds of file, so that an editor completes and checks them."""

import json
from collections.abc import Mapping

from segmentation_pipeline.specification.closed import ClosedModel
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.segmentation import SegmentationSpec

SCHEMAS: Mapping[str, type[ClosedModel]] = {
    "customers.schema.json": CustomersSpec,
    "segmentation.schema.json": SegmentationSpec,
}


def json_schema(file_name: str) -> str:
    """Write the JSON Schema of one of `SCHEMAS` as text, equal for equal models."""
    schema = SCHEMAS[file_name].model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
