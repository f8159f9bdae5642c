"""What a run says of a failure: an error of ours as its message alone, any other with its class."""

import dagster as dg
import pytest

from segmentation_pipeline.assets import outcome
from segmentation_pipeline.clustering.found import NoCandidateError
from segmentation_pipeline.errors import SourceError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SourceError("crm.csv: there is no such file"), "crm.csv: there is no such file"),
        # One of a special kind, too.
        (NoCandidateError([]), str(NoCandidateError([]))),
        (ValueError("1 < 0"), "ValueError: 1 < 0"),
    ],
)
def test_a_message_of_ours_stands_for_itself(error, told):
    @dg.asset
    def broken():
        raise error

    result = dg.materialize([broken], raise_on_error=False)

    assert outcome.failures(result.all_events) == (f"broken: {told}",)
