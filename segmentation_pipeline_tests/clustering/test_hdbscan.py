import numpy as np
import pytest
from sklearn.cluster import HDBSCAN as TheirHDBSCAN  # noqa: N811
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from segmentation_pipeline.clustering.family import NOISE
from segmentation_pipeline.clustering.hdbscan import HDBSCAN
from segmentation_pipeline.clustering.model import SegmentModel, load_model, save_model
from segmentation_pipeline.clustering.stability import cluster_stability


def unequal(rng, n):
    """Three blobs, each twice as wide as the one before: no radius suits them all; and a haze."""
    truth = rng.choice(4, n, p=[0.3, 0.3, 0.35, 0.05])
    centres, spreads = np.array([[0, 0], [4, 0], [0, 9], [0, 0]]), np.array([0.3, 0.6, 1.2, 0])
    rows = centres[truth] + spreads[truth, None] * rng.normal(size=(n, 2))
    haze = truth == 3
    rows[haze] = rng.uniform(-12, 20, size=(haze.sum(), 2))
    return rows, np.where(haze, NOISE, truth)


def labels(family, fit, rows):
    return family.assigner(fit.arrays, fit.parameters).query(list(rows.T)).own


@pytest.mark.parametrize("n", [500, 1500])
def test_segments_of_unequal_density(n):
    rng = np.random.default_rng(n)
    rows, truth = unequal(rng, n)
    family = HDBSCAN()
    (fit,) = (fit for fit in family.fit(rows, seed=0) if fit.segments == 3)
    found = labels(family, fit, rows)
    assert adjusted_rand_score(truth, found) > 0.93
    fresh, fresh_truth = unequal(rng, n)
    new = labels(family, fit, fresh)
    assert adjusted_rand_score(fresh_truth, new) > 0.93
    # New customers are noise as often as those it was fitted on, and the far haze is.
    assert np.mean(new == NOISE) == pytest.approx(np.mean(found == NOISE), abs=0.03)
    assert np.mean(new[fresh_truth == NOISE] == NOISE) > 0.5
    stability = cluster_stability(
        rows, found.astype(np.intp), family.refits(fit), seed=0, n_resamples=8
    )
    assert stability.stable


def test_members_are_scikit_learn_s_and_reach_as_far_as_their_neighbours():
    rows, _ = unequal(np.random.default_rng(0), 400)
    # Its tree goes by the rows' order where distances are equal, as those up to a hub often are.
    rows = rows[np.lexsort(rows.T[::-1])]
    family = HDBSCAN(neighbours=8, smallest_share=0.05)
    fit = family.fit(rows, seed=0)[0]
    theirs = TheirHDBSCAN(min_cluster_size=20, min_samples=8, copy=True).fit(rows).labels_
    inside = theirs != NOISE
    assert {*map(tuple, fit.arrays["core_points"])} == {*map(tuple, rows[inside])}
    found = labels(family, fit, rows)
    assert adjusted_rand_score(theirs[inside], found[inside]) == 1
    every = np.linalg.norm(rows[:, None] - rows, axis=2)
    eighth = np.sort(every, axis=1)[:, 7]
    for segment in range(fit.segments):
        members = inside & (found == segment)
        assert fit.arrays["reaches"][segment] == pytest.approx(eighth[members].max())
    # Some of theirs that are noise lie within reach of a member.
    assert 0 < np.mean(found == NOISE) < np.mean(theirs == NOISE)


@pytest.mark.parametrize(
    ("metric", "p"), [("manhattan", None), ("minkowski", 3.0), ("cosine", None)]
)
def test_other_metrics(metric, p, tmp_path):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 600)
    directions = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.6, 0.6]])[truth]
    length = rng.uniform(1, 9, (600, 1)) if metric == "cosine" else 5
    rows = length * (directions + 0.05 * rng.normal(size=(600, 3)))
    family = HDBSCAN(metric, p)
    fit = family.fit(rows, seed=0)[0]
    assert adjusted_rand_score(truth, labels(family, fit, rows)) > 0.95
    model = SegmentModel("hdbscan", metric, ("a", "b", "c"), fit.arrays, fit.parameters)
    read = load_model(tmp_path / "m", save_model(model, tmp_path / "m"))
    again = HDBSCAN(metric).assigner(read.arrays, read.parameters).query(list(rows.T)).own
    np.testing.assert_array_equal(again, labels(family, fit, rows))


def test_order_and_workers_change_no_bit():
    rng = np.random.default_rng(2)
    # Half the rows on a grid: many distances are equal.
    rows = np.concatenate([rng.normal(size=(300, 2)), rng.integers(4, 7, (300, 2))])
    rows = rows[rng.permutation(600)]
    first = HDBSCAN().fit(rows, seed=0)
    assert first
    for other_rows, workers, threads in ((rows, 2, 2), (rows[rng.permutation(600)], 1, 1)):
        with threadpool_limits(threads):
            others = HDBSCAN().fit(other_rows, seed=1, workers=workers)
        for one, other in zip(first, others, strict=True):
            assert one.parameters == other.parameters
            for name, array in one.arrays.items():
                np.testing.assert_array_equal(array, other.arrays[name])


def test_what_is_one_segment_at_five_percent_may_be_two_at_one():
    rng = np.random.default_rng(3)
    truth = rng.choice(3, 1000, p=[0.5, 0.46, 0.04])
    rows = np.array([[0, 0], [10, 0], [13, 0]])[truth] + 0.4 * rng.normal(size=(1000, 2))
    told = []
    fits = HDBSCAN().fit(rows, seed=0, on_done=told.append)
    assert [fit.segments for fit in fits] == [3, 2]
    assert [fit.parameters["smallest_share"] for fit in fits] == [0.01, 0.05]
    assert told == ["smallest segment 1.0%", "smallest segment 2.0%", "smallest segment 5.0%"]
    assert fits[0].parameters["neighbours"] == 16
    assert fits[0].parameters["fitted_rows"] == 1000


def test_too_few_or_equal_rows_give_no_candidate():
    assert HDBSCAN().fit(np.random.default_rng(4).normal(size=(7, 2)), seed=0) == []
    assert HDBSCAN().fit(np.zeros((100, 2)), seed=0) == []


def test_a_refit_on_too_few_rows_is_all_noise():
    rows, _ = unequal(np.random.default_rng(5), 400)
    family = HDBSCAN()
    refit = family.refits(family.fit(rows, seed=0)[0])
    assert refit(rows[:3], 0, 3).tolist() == [NOISE] * 3
