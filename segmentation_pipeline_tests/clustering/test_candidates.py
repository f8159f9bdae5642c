"""The search and the choice, on customers whose segments are known."""

import math

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)

from segmentation_pipeline.clustering.candidates import search_candidates
from segmentation_pipeline.clustering.choice import choose_candidate, explain_choice
from segmentation_pipeline.clustering.silhouette import silhouette_widths
from segmentation_pipeline.errors import ClusteringError


def search(rows, k_range=range(2, 7), **changed):
    arguments = {
        "k_range": k_range,
        "seed": 11,
        "n_init": 10,
        "minimum_share": None,
        "silhouette_sample": 5000,
        "privacy_floor": 10,
        "workers": 2,
    }
    return search_candidates(np.asarray(rows, dtype=np.float64), **{**arguments, **changed})


def blobs(seed, sizes, features=4, distance=12.0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = distance * np.eye(len(sizes), features)[labels]
    rows = rows + rng.normal(size=rows.shape)
    order = rng.permutation(len(labels))
    return rows[order], labels[order]


@pytest.mark.parametrize(("seed", "sizes"), [(1, [150, 150]), (2, [200, 90, 30]), (3, [80] * 5)])
def test_the_planted_number_of_segments_is_chosen(seed, sizes):
    rows, planted = blobs(seed, sizes, features=6)
    chosen = choose_candidate(search(rows))
    assert chosen.k == len(sizes)
    assert adjusted_rand_score(planted, chosen.labels) == 1
    assert chosen.smallest_share == min(sizes) / sum(sizes)


def test_the_choice_does_not_depend_on_the_order_or_the_names_of_the_customers():
    rows, _ = blobs(4, [120, 100, 80])
    order = np.random.default_rng(0).permutation(len(rows))
    one, other = choose_candidate(search(rows)), choose_candidate(search(rows[order]))
    np.testing.assert_array_equal(other.labels, one.labels[order])
    np.testing.assert_allclose(other.centroids, one.centroids, atol=1e-12)


def test_workers_change_no_bit_of_any_score():
    rows = np.random.default_rng(5).normal(size=(1500, 5))
    one, two = (search(rows, silhouette_sample=700, workers=count) for count in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.centroids, b.centroids)
        np.testing.assert_array_equal(a.labels, b.labels)
        for score in ("silhouette", "silhouette_error", "davies_bouldin", "calinski_harabasz"):
            assert getattr(a, score) == getattr(b, score)
        assert a.inertia == b.inertia
    assert choose_candidate(one).k == choose_candidate(two).k


def test_the_scores_are_those_of_scikit_learn_on_all_rows():
    rows, _ = blobs(6, [90, 70, 60], distance=4.0)
    for candidate in search(rows):
        labels = candidate.labels
        assert candidate.silhouette == pytest.approx(silhouette_score(rows, labels), abs=1e-9)
        assert candidate.davies_bouldin == pytest.approx(davies_bouldin_score(rows, labels))
        assert candidate.calinski_harabasz == pytest.approx(calinski_harabasz_score(rows, labels))
        theirs = KMeans(candidate.k, n_init=10, random_state=0).fit(rows).inertia_
        assert candidate.inertia <= theirs * 1.01
        assert candidate.seconds > 0


def test_a_sampled_silhouette_is_within_its_error_of_the_full_one():
    rows = np.random.default_rng(7).normal(size=(2000, 3))
    deviations = []
    for seed in range(20):
        (found,) = search(rows, range(3, 4), n_init=1, silhouette_sample=400, seed=seed)
        full = silhouette_widths(rows, [found.labels])[0]
        # 400 customers: a twentieth of the spread between customers.
        assert found.silhouette_error == pytest.approx(full.std() / 20, rel=0.2)
        deviations.append((found.silhouette - full.mean()) / found.silhouette_error)
    assert np.abs(deviations).max() < 3.5
    assert 0.3 < math.sqrt(np.mean(np.square(deviations))) < 1.5


def test_a_segment_that_is_too_small_loses_and_says_why():
    rows, _ = blobs(8, [400, 396, 4], distance=30.0)
    candidates = search(rows, range(2, 4), privacy_floor=1)
    assert candidates[1].smallest_share == 0.005
    assert candidates[1].reason == (
        "inadmissible: the smallest segment has 0.50% of the customers, less than the minimum "
        "share of 1.00%"
    )
    assert choose_candidate(candidates).k == 2
    assert search(rows, range(3, 4), privacy_floor=5, minimum_share=0.0)[0].reason == (
        "inadmissible: the smallest segment has 4 of 800 customers, fewer than the privacy floor "
        "of 5"
    )
    lowered = search(rows, range(2, 4), minimum_share=0.004, privacy_floor=4)
    assert choose_candidate(lowered).k == 3


def test_the_default_minimum_share_falls_with_k():
    rows, _ = blobs(9, [100] * 24 + [17], features=25, distance=40.0)
    (candidate,) = search(rows, range(25, 26), n_init=30)
    assert candidate.smallest_share == pytest.approx(17 / 2417)  # .70 %: below .2 / 25 = .8 %.
    assert "0.70% of the customers, less than the minimum share of 0.80%" in candidate.reason


def test_every_candidate_says_why_it_won_or_lost():
    rows, _ = blobs(10, [100, 80, 60])
    candidates = search(rows, range(2, 5), minimum_share=0.22)
    chosen = choose_candidate(candidates)
    two, three, four = explain_choice(candidates, chosen)
    assert (
        three.reason == f"chosen: silhouette {three.silhouette:.4f} is the highest of 2 admissible"
    )
    assert two.reason == (
        f"lost: silhouette {two.silhouette:.4f} is not above the {three.silhouette:.4f} of k = 3"
    )
    assert four.reason.startswith("inadmissible: the smallest segment has")
    assert [candidate.k for candidate in (two, three, four)] == [2, 3, 4]


def test_a_fixed_number_is_taken_and_labelled_so():
    rows, _ = blobs(11, [100, 80, 60])
    candidates = search(rows, range(2, 5))
    chosen = choose_candidate(candidates, fixed_k=2)
    assert (chosen.k, chosen.reason) == (2, "chosen: the specification fixes k = 2")
    assert explain_choice(candidates, chosen)[1].reason == "lost: k = 2 is fixed"
    with pytest.raises(ClusteringError, match=r"k = 9 is fixed, .* \(2, 3, 4\)"):
        choose_candidate(candidates, fixed_k=9)
    strict = search(rows, range(2, 5), minimum_share=0.3)
    with pytest.raises(ClusteringError, match=r"no candidate is admissible: k = 3: .* 30.00%"):
        choose_candidate(strict, fixed_k=3)


def test_identical_customers_are_one_segment():
    for fixed_k in (None, 3):
        (only,) = search(np.full((30, 2), 0.1))
        assert choose_candidate([only], fixed_k=fixed_k) is only
        assert only.k == 1
        assert only.is_admissible
        assert only.reason == "one segment: all 30 customers are identical in these features"
        assert only.centroids.tolist() == [[0.1, 0.1]]
        assert only.labels.tolist() == [0] * 30
        assert (only.silhouette, only.davies_bouldin, only.inertia) == (None, None, 0.0)
        assert explain_choice([only], only)[0].reason == only.reason


def test_no_k_above_the_number_of_distinct_customers():
    rows = np.repeat([[0.0], [5.0], [-0.0], [9.0]], 20, axis=0)  # Three distinct: 0 is -0.
    candidates = search(rows)
    assert [candidate.is_admissible for candidate in candidates] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert candidates[2].reason == (
        "not fitted: there are only 3 distinct customers in these features"
    )
    assert candidates[2].centroids is None
    chosen = choose_candidate(candidates)
    assert (chosen.k, chosen.silhouette) == (3, 1.0)
    (alone,) = search(rows, range(4, 6))
    assert (alone.k, alone.reason) == (
        1,
        "one segment: only 3 distinct customers among 80, fewer than the least k of 4",
    )


def test_too_few_customers():
    rows = np.random.default_rng(0).normal(size=(5, 2))
    candidates = search(rows, range(2, 5))
    assert [candidate.labels is not None for candidate in candidates] == [True, False, False]
    assert candidates[2].reason == "not fitted: 4 segments need at least 8 customers, there are 5"
    with pytest.raises(ClusteringError, match=r"no candidate is admissible.*privacy floor of 10"):
        choose_candidate(candidates)
    with pytest.raises(ClusteringError, match=r"too few customers.*need at least 6"):
        choose_candidate(search(rows, range(3, 5)))
    with pytest.raises(ClusteringError, match=r"too few customers.*1 customers are fewer than"):
        choose_candidate(search(rows[:1]))
    with pytest.raises(ClusteringError, match="too few customers: there is none"):
        search(rows[:0])


def test_what_cannot_be_searched_is_refused():
    rows = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(ClusteringError, match="from 2 up"):
        search(rows, range(1, 4))
    with pytest.raises(ClusteringError, match="from 2 up"):
        search(rows, range(4, 4))
    with pytest.raises(ClusteringError, match="no feature"):
        search(rows[:, :0])
    rows[3, 1] = np.nan
    with pytest.raises(ClusteringError, match="NaN"):
        search(rows)


def test_progress_counts_to_its_total():
    told = []
    rows = np.random.default_rng(0).normal(size=(60, 2))
    search(rows, range(2, 4), n_init=3, progress=lambda *event: told.append(event))
    assert [event[0] for event in told] == list(range(1, 12))
    assert {event[1] for event in told} == {11}
    assert told[0][2] == "k = 2: start 1 of 3"
    assert told[-1][2] == "silhouettes"
