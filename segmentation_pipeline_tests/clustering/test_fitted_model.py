import numpy as np
import pytest

from segmentation_pipeline.clustering.family import Assigned, Fit
from segmentation_pipeline.clustering.fitted_model import (
    distance_percentiles,
    make_model,
    outlier_distance,
)
from segmentation_pipeline.clustering.k_medoids import KMedoids
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.model import load_model, save_model
from segmentation_pipeline.clustering.prototypes import nearest_prototypes

ROWS = np.array([[float(i)] for i in range(10)] + [[100.0], [101.0]])


def fit_of(prototypes):
    return Fit(
        algorithm="k_medoids",
        metric="manhattan",
        segments=len(prototypes),
        parameters={"radius": 2.0},
        arrays={"prototypes": np.asarray(prototypes)},
        figures={},
        seconds=0.0,
    )


def test_the_model_keeps_what_scoring_needs():
    fit = fit_of([[4.0], [100.0]])
    assigner = nearest_prototypes(fit.arrays["prototypes"], Similarity("manhattan"))
    model = make_model(fit, assigner, ROWS, ["age"], {"seed": 7, "radius": 1.0})
    assert (model.algorithm, model.metric, model.feature_names) == (
        "k_medoids",
        "manhattan",
        ("age",),
    )
    assert model.arrays["prototypes"].tolist() == [[4], [100]]
    # Distances 4 3 2 1 0 1 2 3 4 5 and 0 1: sorted 0 0 1 1 1 2 2 3 3 4 4 5; ranks 5.5 and 10.945.
    assert model.arrays["distance_percentiles"].tolist() == [[50, 2], [99.5, 5]]
    assert outlier_distance(model) == 5
    assert dict(model.parameters) == {"seed": 7, "radius": 2.0, "segments": 2}


def test_the_reference_distance_is_unclipped_where_the_flag_is():
    clipped = np.array([[0.0], [1.0], [9.0], [10.0]])
    unclipped = np.array([[-20.0], [1.0], [9.0], [10.0]])
    assigner = nearest_prototypes(np.array([[0.0], [10.0]]), Similarity("manhattan"))
    found = distance_percentiles(assigner, clipped, unclipped=unclipped)
    assert found.tolist() == [[50, 1], [99.5, 20]]


class OnlyNoise:
    """Everyone is noise between 0 and 10; labels are the nearest of the two."""

    segments = 2

    def query(self, columns):
        (x,) = columns
        nearest = (x > 5).astype(np.int32)
        noise = np.full(len(x), -1, dtype=np.int32)
        distance = self.distances(columns, nearest)
        return Assigned(noise, nearest, distance, np.full(len(x), np.nan))

    def distances(self, columns, labels):
        assert (labels >= 0).all()
        return np.abs(columns[0] - 10.0 * labels)


def test_noise_counts_by_its_distance_to_the_nearest_segment():
    rows = np.array([[1.0], [2.0], [7.0]])
    assert distance_percentiles(OnlyNoise(), rows).tolist() == [[50, 2], [99.5, 3]]
    found = distance_percentiles(OnlyNoise(), rows, unclipped=rows + 10)
    assert found.tolist() == [[50, 11], [99.5, 12]]


def test_workers_change_nothing():
    rows = np.random.default_rng(0).normal(size=(70_000, 3))
    assigner = nearest_prototypes(rows[:4], Similarity("manhattan"))
    one = distance_percentiles(assigner, rows, unclipped=2 * rows)
    np.testing.assert_array_equal(
        distance_percentiles(assigner, rows, unclipped=2 * rows, workers=2), one
    )


@pytest.mark.parametrize("metric", ["cosine", "manhattan", "minkowski"])
def test_a_model_that_was_read_back_assigns_alike(tmp_path, metric):
    rows = np.random.default_rng(1).normal(size=(300, 3))
    family = KMedoids([4], metric=metric, p=3.0 if metric == "minkowski" else None)
    (fit,) = family.fit(rows, seed=0)
    assigner = family.assigner(fit.arrays, fit.parameters)
    model = make_model(fit, assigner, rows, ["a", "b", "c"], {})
    digest = save_model(model, tmp_path / "model")
    read = load_model(tmp_path / "model", digest)
    again = family.assigner(read.arrays, read.parameters).query(list(rows.T))
    first = assigner.query(list(rows.T))
    np.testing.assert_array_equal(again.own, first.own)
    np.testing.assert_array_equal(again.margin, first.margin)
