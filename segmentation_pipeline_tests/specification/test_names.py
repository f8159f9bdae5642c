"""Names that people give to segments in the YAML."""

import pytest
from pydantic import ValidationError

from segmentation_pipeline.specification.segmentation import SegmentationSpec

SPEC = {
    "title": "Lens",
    "criteria": {"behaviour": "What they do."},
    "features": {"visits": {"criterion": "behaviour"}},
}


def names(given):
    return SegmentationSpec.model_validate({**SPEC, "names": given}).names


def test_a_name_is_given_to_an_id():
    assert names({"engagement-1": "Keen readers"}) == {"engagement-1": "Keen readers"}
    assert names({}) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"engagement1": "Readers"}, "should match pattern"),
        ({"engagement-noise": "Readers"}, "should match pattern"),
        ({"engagement-1": ""}, "at least 1 character"),
        ({"engagement-1": "Readers", "engagement-2": "readers"}, "two segments need two names"),
    ],
)
def test_what_is_no_name_is_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        names(given)
