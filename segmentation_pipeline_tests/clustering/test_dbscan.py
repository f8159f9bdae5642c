import math

import numpy as np
import pytest
from sklearn.cluster import DBSCAN as TheirDBSCAN  # noqa: N811
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

from segmentation_pipeline.clustering.dbscan import DBSCAN, one_of_each_run
from segmentation_pipeline.clustering.density import labels_of
from segmentation_pipeline.clustering.family import NOISE, Fit
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.model import SegmentModel, load_model, save_model
from segmentation_pipeline.clustering.stability import cluster_stability


def moons(rng, n, noise):
    truth = rng.integers(0, 2, n)
    angle = rng.uniform(0, math.pi, n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    rows = np.where(truth[:, None] == 0, upper, [1.0, 0.5] - upper)
    return standard(rows + noise * rng.normal(size=(n, 2))), truth


def rings(rng, n, noise):
    truth = rng.integers(0, 2, n)
    angle = rng.uniform(0, 2 * math.pi, n)
    radius = np.where(truth == 0, 0.5, 1.0) + noise * rng.normal(size=n)
    return standard(radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])), truth


def blobs(rng, n, spread):
    truth = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    return standard(5.5 * np.eye(3)[truth, :2] + spread * rng.normal(size=(n, 2))), truth


def standard(rows):
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def labels(family, fit, rows):
    return family.assigner(fit.arrays, fit.parameters).query(list(rows.T)).own


@pytest.mark.parametrize("shape", [moons, rings, blobs])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_planted_shapes_are_among_the_candidates_and_stable(shape, level):
    noises = {moons: (0.05, 0.1, 0.15), rings: (0.03, 0.05, 0.07), blobs: (0.5, 0.8, 1.0)}
    rows, truth = shape(np.random.default_rng([level, 5]), 1500, noises[shape][level])
    family = DBSCAN()
    fits = family.fit(rows, seed=0)
    assert 1 <= len(fits) <= 5

    def agreement(fit):
        found = family.assigner(fit.arrays, fit.parameters).nearest(list(rows.T)).own
        return adjusted_rand_score(truth, found)

    best = max(fits, key=agreement)
    assert agreement(best) > 0.9
    found = labels(family, best, rows)
    assert np.mean(found == NOISE) < 0.15
    stability = cluster_stability(
        rows, found.astype(np.intp), family.refits(best), seed=0, n_resamples=8
    )
    assert stability.stable


def test_a_silhouette_would_prefer_to_cut_the_moons():
    rows, truth = moons(np.random.default_rng(0), 600, 0.05)
    fit = DBSCAN().fit(rows, seed=0)[-1]
    found = labels(DBSCAN(), fit, rows)
    assert adjusted_rand_score(truth, found) > 0.9
    across = KMeans(2, n_init=3, random_state=0).fit_predict(rows)
    assert silhouette_score(rows, across) > silhouette_score(rows, found)


@pytest.mark.parametrize(
    ("metric", "p", "radius"),
    [
        ("euclidean", None, 0.5),
        ("manhattan", None, 0.8),
        ("minkowski", 3.0, 0.45),
        ("cosine", None, 0.004),
    ],
)
def test_core_points_and_noise_are_scikit_learn_s(metric, p, radius):
    rng = np.random.default_rng(1)
    centres = np.array([[6, 0, 0], [0, 6, 0], [4, 4, 4]])
    rows = centres[rng.integers(0, 3, 600)] + 0.4 * rng.normal(size=(600, 3))
    rows[:60] = rng.uniform(-2, 8, size=(60, 3))
    theirs = TheirDBSCAN(eps=radius, min_samples=8, metric=metric, p=p).fit(rows)
    core = theirs.core_sample_indices_
    assert 100 < len(core) < 560
    family = DBSCAN(metric, p, radius=radius, neighbours=8)
    (fit,) = family.fit(rows, seed=0)
    assert fit.segments == 3
    assert fit.parameters["radius"] == radius
    assert fit.parameters["core_share"] is None
    assert {*map(tuple, rows[core])} == {*map(tuple, fit.arrays["core_points"])}
    found = labels(family, fit, rows)
    np.testing.assert_array_equal(found == NOISE, theirs.labels_ == NOISE)
    assert adjusted_rand_score(theirs.labels_, found) == 1
    np.testing.assert_array_equal(labels_of(fit.arrays, rows, Similarity(metric, p)), found)


def test_the_fit_says_what_it_is():
    rows, _ = blobs(np.random.default_rng(2), 800, 0.4)
    told = []
    fits = DBSCAN("minkowski", 3.0, rows=700).fit(rows, seed=0, on_done=told.append)
    fit = next(fit for fit in fits if fit.segments == 3)
    assert (fit.algorithm, fit.metric, dict(fit.figures)) == ("dbscan", "minkowski", {})
    assert fit.parameters["neighbours"] == 13
    assert fit.parameters["fitted_rows"] == 700
    assert fit.parameters["minkowski_p"] == 3.0
    assert fit.arrays["reaches"].tolist() == [fit.parameters["radius"]] * 3
    sizes = np.bincount(labels(DBSCAN("minkowski", 3.0), fit, rows[:700]) + 1)[1:]
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    assert len(told) <= 22
    assert all(phrase.startswith("radius ") for phrase in told)


def test_order_and_workers_change_no_bit():
    rng = np.random.default_rng(3)
    rows, _ = moons(rng, 700, 0.1)
    first = DBSCAN().fit(rows, seed=0)
    assert first
    for other_rows, workers, threads in ((rows, 2, 2), (rows[rng.permutation(700)], 1, 1)):
        with threadpool_limits(threads):
            others = DBSCAN().fit(other_rows, seed=1, workers=workers)
        for one, other in zip(first, others, strict=True):
            assert one.parameters == other.parameters
            for name, array in one.arrays.items():
                np.testing.assert_array_equal(array, other.arrays[name])


def test_new_customers_and_outsiders():
    rng = np.random.default_rng(4)
    rows, _ = rings(rng, 1500, 0.04)
    family = DBSCAN()
    fit = max(family.fit(rows, seed=0), key=lambda fit: fit.parameters["radius"])
    assigner = family.assigner(fit.arrays, fit.parameters)
    fresh, truth = rings(rng, 1500, 0.04)
    assert adjusted_rand_score(truth, assigner.query(list(fresh.T)).own) > 0.97
    outside = [np.array([0.0, 9.0]), np.array([0.0, -9.0])]
    assert assigner.query(outside).own.tolist() == [NOISE, NOISE]
    # The outer ring has more core points, but customers are as many: sizes decide the numbers.
    assert assigner.nearest(outside).own[0] != assigner.nearest(outside).own[1]


def test_a_model_from_disk_has_its_exponent(tmp_path):
    rows, _ = blobs(np.random.default_rng(5), 500, 0.5)
    family = DBSCAN("minkowski", 4.0)
    fit = family.fit(rows, seed=0)[-1]
    model = SegmentModel("dbscan", "minkowski", ("a", "b"), fit.arrays, fit.parameters)
    read = load_model(tmp_path / "m", save_model(model, tmp_path / "m"))
    one = family.assigner(fit.arrays, fit.parameters).query(list(rows.T))
    other = DBSCAN("minkowski", 2.0).assigner(read.arrays, read.parameters).query(list(rows.T))
    np.testing.assert_array_equal(one.own, other.own)
    np.testing.assert_array_equal(one.distance, other.distance)


def test_a_given_radius_stays_and_its_neighbours_follow_the_rows():
    rng = np.random.default_rng(6)
    rows, truth = blobs(rng, 2000, 0.5)
    family = DBSCAN(radius=0.25, neighbours=20)
    (fit,) = family.fit(rows, seed=0)
    refit = family.refits(fit)
    half = refit(rows[:1000], 0, 3)
    assert adjusted_rand_score(truth[:1000], half) > 0.95
    # With all 20 neighbours, half the rows would not be dense so often.
    (as_before,) = DBSCAN(radius=0.25, neighbours=20).fit(rows[:1000], seed=0)
    alone = labels(family, as_before, rows[:1000])
    assert np.mean(half == NOISE) < np.mean(alone == NOISE)


def test_nothing_dense_gives_no_candidate():
    rng = np.random.default_rng(7)
    assert DBSCAN().fit(np.zeros((100, 2)), seed=0) == []
    assert DBSCAN().fit(rng.normal(size=(3, 2)), seed=0) == []
    assert DBSCAN(radius=1e-9).fit(rng.normal(size=(200, 2)), seed=0) == []
    assert DBSCAN(radius=100.0).fit(rng.normal(size=(200, 2)), seed=0) == []


def test_a_refit_that_finds_nothing_is_all_noise():
    rows, _ = blobs(np.random.default_rng(8), 500, 0.5)
    family = DBSCAN()
    refit = family.refits(family.fit(rows, seed=0)[-1])
    assert refit(rows[:1], 0, 3).tolist() == [NOISE]
    assert set(refit(np.zeros((50, 2)), 0, 3)) <= {NOISE, 0}


def fake(segments, number):
    fit = Fit("dbscan", "euclidean", segments, {"number": number}, {}, {}, 0.0)
    return fit, np.arange(12) % segments


def test_of_each_run_of_radii_the_one_two_thirds_up_is_a_candidate():
    found = [fake(4, 0), *(fake(3, i) for i in range(1, 8)), None, fake(3, 9), fake(3, 10)]
    picked = [fit.parameters["number"] for fit in one_of_each_run(found)]
    assert picked == [5, 9]
    assert [fit.segments for fit in one_of_each_run([fake(4, 0), fake(3, 1), None])] == [4, 3]
    assert one_of_each_run([None, None]) == []
    many = [fake(2 + i // 2 % 2, i) for i in range(16)]
    assert [fit.parameters["number"] for fit in one_of_each_run(many)] == [0, 2, 4, 6, 8]
