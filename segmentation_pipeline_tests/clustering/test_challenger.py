"""A challenger goes on from the segments in force, unless starting anew is clearly better."""

import numpy as np
import pytest

from segmentation_pipeline.clustering.challenger import (
    COLD_STARTS,
    Gain,
    choose_start,
    find_challenger,
    held_out_gain,
    with_cold_starts,
)
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.clustering.new_model import Training
from segmentation_pipeline.features.applying import apply_preparation
from segmentation_pipeline.features.fitting import fit_preparation
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.specification.customers import Limits
from segmentation_pipeline.specification.segmentation import SegmentationSpec

CORNERS = np.array([[0.0, 0.0], [0.0, 10.0], [10.0, 0.0], [10.0, 10.0]])


def blobs(centres, size, seed=1, spread=0.5):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(centres)), size))
    return np.asarray(centres)[labels] + rng.normal(0.0, spread, (len(labels), 2)), labels


def specify(**clustering):
    return SegmentationSpec.model_validate(
        {
            "title": "test",
            "criteria": {"needs": "test"},
            "features": {"x": {"criterion": "needs"}, "y": {"criterion": "needs"}},
            "clustering": {"seed": 3, **clustering},
        }
    )


def training_of(points, spec):
    ids = np.array([f"c{i}" for i in range(len(points))], dtype=object)
    sample = FeatureSample(ids, {"x": points[:, 0], "y": points[:, 1]})
    preparation = fit_preparation(sample, spec)
    types = {"x": "DOUBLE", "y": "DOUBLE"}
    return Training(preparation, apply_preparation(preparation, sample), None, sample, types)


def champion_of(segments, algorithm="k_means"):
    return SegmentModel(algorithm, "euclidean", ("x", "y"), {}, {"segments": segments})


def challenged(points, labels, spec, champion):
    return find_challenger(
        spec,
        training_of(points, spec),
        champion,
        labels.astype(np.intp),
        Limits(threads=1),
        fidelity=lambda *_: 1.0,
        progress=lambda _: None,
    )


def test_where_nothing_is_new_the_segments_in_force_go_on():
    points, labels = blobs(CORNERS, 100)

    found, start = challenged(points, labels, specify(segments=4), champion_of(4))

    assert start.kind == "warm"
    assert start.reason == "a cold start is no better"
    assert found.fit.segments == 4


def test_segments_that_follow_their_customers_are_warm():
    points, labels = blobs(CORNERS + np.array([3.0, -2.0]), 100)

    found, start = challenged(points, labels, specify(segments=4), champion_of(4))

    assert start.kind == "warm"
    means = np.sort(found.fit.arrays["prototypes"], axis=0)
    assert means == pytest.approx(np.sort([[-1, -1], [-1, 1], [1, -1], [1, 1]], axis=0), abs=0.1)


def test_a_poor_optimum_of_the_segments_in_force_gives_way_to_a_cold_start():
    # Four corners, one of which has been cut in two, while two others are one: K-Means stays there.
    points, corners = blobs(CORNERS * np.array([10.0, 1.0]), 100)
    labels = np.where(corners == 0, np.where(points[:, 0] > 0, 0, 3), np.minimum(corners, 2))
    labels = np.where(corners == 3, 2, labels)

    found, start = challenged(points, labels, specify(segments=4), champion_of(4))

    assert start.kind == "cold"
    assert start.reason.startswith("a cold start is clearly better, by +")
    assert np.bincount(_labels(found, points)).tolist() == [100, 100, 100, 100]


def _labels(found, points):
    spec = specify(segments=4)
    matrix = training_of(points, spec).matrix
    return found.family.assigner(found.fit.arrays, {}).query(list(matrix.T)).own


def test_a_new_group_is_found_by_the_cold_start():
    points, labels = blobs([*CORNERS, [30.0, 30.0]], 100)
    in_force = np.where(labels == 4, 3, labels)  # to the four segments that there are

    found, start = challenged(
        points, in_force, specify(minimum_segments=2, maximum_segments=6), champion_of(4)
    )

    assert (start.kind, found.fit.segments) == ("cold", 5)


@pytest.mark.parametrize(
    ("champion", "labels", "said"),
    [
        (champion_of(2, "gaussian_mixture"), [0, 1], "gaussian_mixture has no warm start"),
        (champion_of(1), [0, 0], "the model in force has one segment"),
        (champion_of(3), [0, 1], "a segment of the model in force holds nobody tonight"),
    ],
)
def test_without_a_warm_start_it_is_cold_and_says_so(champion, labels, said):
    points, truth = blobs(CORNERS[:2], 80)

    found, start = challenged(points, np.array(labels)[truth], specify(segments=2), champion)

    assert (start.kind, start.reason) == ("cold", said)
    assert found.fit.segments == 2


def test_the_rule_asks_for_two_standard_errors():
    assert choose_start(Gain(0.21, 0.1)).kind == "cold"
    assert choose_start(Gain(0.19, 0.1)).kind == "warm"
    assert choose_start(Gain(-1.0, 0.1)).kind == "warm"
    assert choose_start(Gain(0.0, 0.0)).kind == "warm"
    assert choose_start(None).kind == "warm"
    assert "(standard error 0.100)" in choose_start(Gain(0.21, 0.1)).reason


def test_the_gain_is_that_of_true_segments_over_wrong_ones():
    rows, truth = blobs(CORNERS[:2], 200, seed=1)
    others, _ = blobs(CORNERS[:2], 200, seed=2)
    wrong = np.random.default_rng(3).permutation(truth)

    assert held_out_gain(rows, truth, truth, others) == Gain(0.0, 0.0)
    gain = held_out_gain(rows, truth, wrong, others)
    back = held_out_gain(rows, wrong, truth, others)
    assert gain.is_clear
    assert gain.mean > 1.0
    assert not back.is_clear
    assert back.mean == pytest.approx(-gain.mean)


def test_cold_means_twenty_starts_at_least():
    assert with_cold_starts(specify(starts=3)).clustering.starts == COLD_STARTS == 20
    assert with_cold_starts(specify(starts=40)).clustering.starts == 40


def test_a_warm_fit_by_cosine_has_directions_for_prototypes():
    directions = np.array([[1.0, 0.1], [0.1, 1.0]])
    points, labels = blobs(directions * 10.0, 50)

    fit = KMeansFamily((), metric="cosine").fit_from(points, labels.astype(np.intp))

    assert np.linalg.norm(fit.arrays["prototypes"], axis=1) == pytest.approx([1.0, 1.0])
    assert fit.segments == 2
