"""What a batch of typed customers becomes, and what the batches add up to."""

import numpy as np
import pyarrow as pa
import pytest

from segmentation_pipeline.clustering.typed.model import TypingModel
from segmentation_pipeline.features.preparation import Preparation, ScalingRow
from segmentation_pipeline.segments.hysteresis import PREVIOUS
from segmentation_pipeline.segments.typed import ExpectedSizes, Names, typed_batches


def numbers_preparation():
    row = ScalingRow("c0", "c0", None, "none", 0.0, 1.0, None, None, 0.0, 1.0)
    return Preparation((), (row,), ())


def test_unknown_is_below_six_tenths_and_whoever_was_there_stays_to_one_half():
    weights, biases = np.array([[0.0, 1.0]]), np.zeros(2)
    model = TypingModel(numbers_preparation(), np.arange(2, dtype=np.int32), weights, biases)
    odds = {0.7: None, 0.59: None, 0.58: 1, 0.57: 0, 0.45: 0, 0.3: 1}
    batch = pa.record_batch(
        {
            "customer_id": [str(p) for p in odds],
            "c0": np.log(np.array(list(odds)) / (1 - np.array(list(odds)))),
            PREVIOUS: pa.array(list(odds.values()), pa.int32()),
        }
    )
    names, sizes = Names(["x-1", "x-2"], "x-noise", "x-unknown", "x-ineligible"), ExpectedSizes()

    (found,) = typed_batches([batch], model, names, sizes)

    rows = {row["customer_id"]: row for row in found.to_pylist()}
    segments = {customer: row["segment_id"] for customer, row in rows.items()}
    assert segments == {
        "0.7": "x-2",
        "0.59": "x-unknown",
        "0.58": "x-2",
        "0.57": "x-unknown",
        "0.45": "x-1",
        "0.3": "x-1",
    }
    assert rows["0.58"]["raw_segment_id"] == "x-unknown"
    assert rows["0.59"]["runner_up_segment_id"] == "x-2"
    assert rows["0.7"]["runner_up_segment_id"] == "x-1"
    assert rows["0.45"]["typing_confidence"] == pytest.approx(0.55)
    assert sizes.customers == {"x-1": round(6 - sum(odds), 3), "x-2": round(sum(odds), 3)}


def test_expected_sizes_do_not_depend_on_the_order_of_batches():
    rng = np.random.default_rng(0)
    parts = rng.dirichlet(np.ones(3), size=(50, 7))

    found = []
    for order in (parts, parts[::-1], parts.reshape(1, 350, 3)):
        sizes = ExpectedSizes()
        for probabilities in order:
            sizes.add(["a", "b", "c"], probabilities)
        found.append(sizes.customers)

    assert found[0] == found[1] == found[2]
    assert sum(found[0].values()) == pytest.approx(350, abs=0.01)
