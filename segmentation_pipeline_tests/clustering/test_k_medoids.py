import numpy as np
import pytest
from kmedoids import fasterpam
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.clustering import k_medoids as k_medoids_module
from segmentation_pipeline.clustering.k_medoids import KMedoids
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.stability import cluster_stability
from segmentation_pipeline.errors import ClusteringError

SETTINGS = [
    {"metric": "euclidean"},
    {"metric": "manhattan"},
    {"metric": "minkowski", "p": 3.0},
    {"metric": "cosine"},
]
each = pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings["metric"])


def heavy_tailed(rng, sizes, distance=30.0, features=4):
    """Clusters of t with 2 degrees of freedom, which has no variance, far from the origin."""
    centres = distance * np.eye(len(sizes), features)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = centres[labels] + rng.standard_t(2, size=(len(labels), features))
    order = rng.permutation(len(labels))
    return rows[order], labels[order]


def labels_of(family, fit, rows):
    return family.assigner(fit.arrays, fit.parameters).query(list(rows.T)).own


@each
def test_planted_segments_come_out_in_canonical_order(settings):
    rows, planted = heavy_tailed(np.random.default_rng(0), [200, 400, 300])
    family = KMedoids([3], **settings)
    (fit,) = family.fit(rows, seed=1)
    labels = labels_of(family, fit, rows)
    assert adjusted_rand_score(planted, labels) > 0.9
    assert planted[
        [np.flatnonzero((rows == m).all(axis=1))[0] for m in fit.arrays["prototypes"]]
    ].tolist() == [1, 2, 0]
    assert (np.diff(np.bincount(labels)) <= 0).all()
    assert (fit.algorithm, fit.metric, fit.segments) == ("k_medoids", settings["metric"], 3)
    distances = Similarity(**settings).pairwise(rows, fit.arrays["prototypes"])
    assert fit.figures["inertia"] == pytest.approx(distances.min(axis=1).sum(), rel=1e-12)
    assert fit.seconds > 0


def test_medoids_by_hand():
    family = KMedoids([2], metric="manhattan")
    (fit,) = family.fit(
        np.array([[0.0], [1.0], [2.0], [50.0], [51.0], [53.0], [54.0], [60.0]]), seed=0
    )
    assert fit.arrays["prototypes"].tolist() == [[53], [1]]
    assert fit.figures == {"inertia": 3 + 2 + 1 + 7 + 1 + 1}
    (fit,) = KMedoids([1]).fit(np.array([[0.0], [1.0], [5.0]]), seed=0)
    assert fit.arrays["prototypes"].tolist() == [[1]]
    assert fit.figures == {"inertia": 5}


def test_another_order_and_other_workers_give_the_same_segments():
    rng = np.random.default_rng(1)
    rows, _ = heavy_tailed(rng, [150, 120, 100, 50])
    family = KMedoids([2, 4], metric="manhattan")
    fits = family.fit(rows, seed=1)
    for other in (family.fit(rows, seed=1, workers=2), family.fit(rows, seed=1)):
        for one, two in zip(fits, other, strict=True):
            np.testing.assert_array_equal(one.arrays["prototypes"], two.arrays["prototypes"])
            assert one.figures == two.figures
    shuffled = family.fit(rows[rng.permutation(len(rows))], seed=1)
    for one, two in zip(fits, shuffled, strict=True):
        np.testing.assert_array_equal(one.arrays["prototypes"], two.arrays["prototypes"])


def test_it_is_as_good_as_the_library_on_all_rows(monkeypatch):
    rows = np.random.default_rng(2).normal(size=(600, 5))
    distances = Similarity("manhattan").pairwise(rows, rows).astype(np.float32)
    theirs = min(fasterpam(distances, 6, random_state=i, n_cpu=1).loss for i in range(10))
    monkeypatch.setattr(k_medoids_module, "_START_ROWS", 150)
    monkeypatch.setattr(k_medoids_module, "_START_ROWS_PER_SEGMENT", 10)
    (fit,) = KMedoids([6], metric="manhattan").fit(rows, seed=0)
    assert fit.figures["inertia"] == pytest.approx(theirs, rel=0.01)


def test_it_takes_the_first_rows_of_its_budget():
    rows, _ = heavy_tailed(np.random.default_rng(3), [200, 100])
    (within,) = KMedoids([2], rows=120).fit(rows, seed=0)
    (same,) = KMedoids([2]).fit(rows[:120], seed=0)
    np.testing.assert_array_equal(within.arrays["prototypes"], same.arrays["prototypes"])


@each
def test_too_few_distinct_rows_leave_a_candidate_out(settings):
    rows = np.repeat([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], 20, axis=0)
    family = KMedoids([2, 3, 4], **settings)
    fits = family.fit(rows, seed=0)
    assert [fit.segments for fit in fits] == [2, 3]
    assert fits[1].figures["inertia"] == pytest.approx(0, abs=1e-12)
    assert KMedoids([4, 5], **settings).fit(rows, seed=0) == []
    # A refit on customers who are all alike finds one segment.
    assert set(family.refits(fits[1])(rows[:20], 0, 3)) == {0}


def test_customers_of_one_direction_are_one_by_cosine():
    rows = np.array([[1.0, 1.0], [0.3, 0.3], [7.0, 7.0], [0.0, 0.0], [1.0, 0.0]])
    family = KMedoids([2, 3, 4], metric="cosine")
    fits = family.fit(rows, seed=0)
    assert [fit.segments for fit in fits] == [2, 3]
    labels = labels_of(family, fits[1], rows)
    assert labels.tolist()[:3] == [0, 0, 0]
    assert sorted(labels.tolist()[3:]) == [1, 2]


@each
def test_a_planted_segment_is_stable_and_a_split_one_is_not(settings):
    rng = np.random.default_rng(4)
    planted = rng.permutation(np.repeat([0, 1], [250, 150]))
    rows = 30 * np.eye(2, 4)[planted] + rng.normal(size=(400, 4))
    family = KMedoids([2, 3], **settings)
    two, three = family.fit(rows, seed=0)

    def stability(fit):
        labels = labels_of(family, fit, rows).astype(np.intp)
        return cluster_stability(rows, labels, family.refits(fit), seed=0, n_resamples=20)

    assert adjusted_rand_score(planted, labels_of(family, two, rows)) == 1
    assert stability(two).worst > 0.9
    assert stability(three).worst < 0.75


def test_a_refit_depends_on_its_seed_alone(monkeypatch):
    monkeypatch.setattr(k_medoids_module, "_START_ROWS", 100)
    rows = np.random.default_rng(5).normal(size=(500, 3))
    family = KMedoids([4], metric="manhattan")
    (fit,) = family.fit(rows, seed=0)
    refit = family.refits(fit)
    np.testing.assert_array_equal(refit(rows, 1, 4), refit(rows, 1, 4))
    assert adjusted_rand_score(refit(rows, 1, 4), refit(rows, 2, 4)) < 1


def test_a_model_keeps_its_exponent():
    rows, _ = heavy_tailed(np.random.default_rng(6), [50, 50])
    (fit,) = KMedoids([2], metric="minkowski", p=4).fit(rows, seed=0)
    assert fit.parameters == {"segments": 2, "minkowski_p": 4}
    elsewhere = KMedoids([2], metric="minkowski", p=1.5)
    found = elsewhere.assigner(fit.arrays, fit.parameters).query(list(rows.T))
    expected = Similarity("minkowski", 4).pairwise(rows, fit.arrays["prototypes"])
    np.testing.assert_array_equal(found.distance, expected.min(axis=1))
    with pytest.raises(ClusteringError, match="exponent None"):
        elsewhere.assigner(fit.arrays, {"segments": 2})


def test_every_fit_is_told():
    told = []
    rows = np.random.default_rng(7).normal(size=(60, 2))
    KMedoids([2, 3], starts=4).fit(rows, seed=0, on_done=told.append)
    assert told == ["k = 2: best of 4 starts", "k = 3: best of 4 starts"]
