"""The search and the choice, on customers whose segments are known."""

import math

import numpy as np
import pytest
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)

from segmentation_pipeline.clustering.candidates import Limits, described
from segmentation_pipeline.clustering.found import SearchSample
from segmentation_pipeline.clustering.hdbscan import HDBSCAN
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.k_medoids import KMedoids
from segmentation_pipeline.clustering.metrics import EUCLIDEAN
from segmentation_pipeline.clustering.mixture import GaussianMixtures
from segmentation_pipeline.clustering.scoring import score_partitions
from segmentation_pipeline.clustering.search import search
from segmentation_pipeline.clustering.silhouette import silhouette_widths
from segmentation_pipeline.clustering.structure.raw_features import RawFeature
from segmentation_pipeline.errors import ClusteringError


def k_means(ks):
    return [KMeansFamily(ks)]


def search_for(
    rows, k_range=range(2, 7), *, families=k_means, workers=2, progress=lambda _: None, **limits
):
    rows = np.asarray(rows, dtype=np.float64)
    features = [RawFeature(f"x{i}", x[:2000], "continuous") for i, x in enumerate(rows.T)]
    return search(
        rows,
        families,
        SearchSample(features, lambda raw: np.column_stack([feature.values for feature in raw])),
        Limits(ks=k_range, **limits),
        similarity=EUCLIDEAN,
        seed=11,
        handicap={},
        fidelity=lambda _, labels: len(np.unique(labels)) / 100,
        workers=workers,
        progress=progress,
    )


def labels_of(found):
    return found.chosen.evidence.labels


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
    found = search_for(rows)
    assert found.chosen.segments == len(sizes)
    assert adjusted_rand_score(planted, labels_of(found)) == 1
    assert found.chosen.scores.smallest_share == min(sizes) / sum(sizes)
    assert found.fit is found.chosen.fit


def test_the_choice_does_not_depend_on_the_order_or_the_names_of_the_customers():
    rows, _ = blobs(4, [120, 100, 80])
    order = np.random.default_rng(0).permutation(len(rows))
    one, other = search_for(rows), search_for(rows[order])
    np.testing.assert_array_equal(labels_of(other), labels_of(one)[order])
    np.testing.assert_allclose(
        other.fit.arrays["prototypes"], one.fit.arrays["prototypes"], atol=1e-12
    )


def test_workers_change_no_bit_of_any_figure():
    rows = np.random.default_rng(5).normal(size=(1500, 5))
    one, two = (
        search_for(rows, range(2, 5), silhouette_customers=700, workers=count) for count in (1, 2)
    )
    for a, b in zip(one.candidates, two.candidates, strict=True):
        np.testing.assert_array_equal(a.fit.arrays["prototypes"], b.fit.arrays["prototypes"])
        assert a.scores == b.scores
        assert (a.evidence.stability, a.evidence.border) == (
            b.evidence.stability,
            b.evidence.border,
        )
        assert (a.evidence.held_out, a.evidence.crowded_leak) == (
            b.evidence.held_out,
            b.evidence.crowded_leak,
        )
        assert a.reason == b.reason


def test_the_scores_are_those_of_scikit_learn_on_all_rows():
    rows, _ = blobs(6, [90, 70, 60], distance=4.0)
    for candidate in search_for(rows).candidates:
        labels, scores = candidate.evidence.labels, candidate.scores
        assert scores.silhouette == pytest.approx(silhouette_score(rows, labels), abs=1e-9)
        assert scores.davies_bouldin == pytest.approx(davies_bouldin_score(rows, labels))
        assert scores.calinski_harabasz == pytest.approx(calinski_harabasz_score(rows, labels))
        assert candidate.rule_fidelity == candidate.segments / 100
        assert candidate.seconds > 0


def test_noise_has_no_part_in_scores():
    rows, planted = blobs(6, [90, 70, 60], distance=9.0)
    labels = np.where(np.arange(len(rows)) % 10 == 0, -1, planted).astype(np.int32)
    held = labels >= 0
    (scores,) = score_partitions(rows, [labels], EUCLIDEAN, seed=1, silhouette_rows=5000)
    assert scores.silhouette == pytest.approx(silhouette_score(rows[held], labels[held]))
    assert scores.davies_bouldin == pytest.approx(davies_bouldin_score(rows[held], labels[held]))
    assert (scores.segments, scores.noise_share) == (3, pytest.approx(0.1))
    assert scores.smallest_size == np.bincount(labels[held]).min()


def test_a_sampled_silhouette_is_within_its_error_of_the_full_one():
    rows = np.random.default_rng(7).normal(size=(2000, 3))
    (fit,) = KMeansFamily([3], starts=1).fit(rows, seed=1)
    labels = KMeansFamily([3]).assigner(fit.arrays, fit.parameters).query(list(rows.T)).own
    full = silhouette_widths(rows, [labels])[0]
    deviations = []
    for seed in range(20):
        (scores,) = score_partitions(rows, [labels], EUCLIDEAN, seed=seed, silhouette_rows=400)
        # 400 customers: a twentieth of the spread between customers.
        assert scores.silhouette_error == pytest.approx(full.std() / 20, rel=0.2)
        deviations.append((scores.silhouette - full.mean()) / scores.silhouette_error)
    # The error is that of the drawn customers; the others, to whom they are near, vary as well.
    assert 0.5 < math.sqrt(np.mean(np.square(deviations))) < 2.0


def test_a_segment_that_is_too_small_loses_and_says_why():
    rows, _ = blobs(8, [400, 396, 4], distance=30.0)
    found = search_for(rows, range(2, 4), privacy_floor=1)
    assert found.candidates[1].scores.smallest_share == 0.005
    assert found.candidates[1].reason == (
        "inadmissible: the smallest segment has 0.50% of the customers, less than the minimum "
        "share of 1.00%"
    )
    assert not found.candidates[1].is_admissible
    assert found.chosen.segments == 2
    with pytest.raises(
        ClusteringError, match="has 4 of 800 customers, fewer than the privacy floor of 5"
    ):
        search_for(rows, range(3, 4), privacy_floor=5, minimum_share=0.0)
    lowered = search_for(rows, range(3, 4), minimum_share=0.004, privacy_floor=4)
    assert lowered.chosen.segments == 3


def test_the_default_minimum_share_falls_with_k():
    rows, _ = blobs(9, [100] * 24 + [17], features=25, distance=40.0)
    # 17 of 2,417 are .70 %, below .2 / 25 = .8 %.
    with pytest.raises(ClusteringError, match=r"0.70% .* less than the minimum share of 0.80%"):
        search_for(rows, range(25, 26), families=lambda ks: [KMeansFamily(ks, starts=30)])


def test_every_candidate_says_why_it_won_or_lost():
    rows, _ = blobs(10, [100, 80, 60])
    two, three, four = search_for(rows, range(2, 5), minimum_share=0.22).candidates
    assert three.is_chosen
    assert three.reason == "chosen: the most segments that are stable and separated"
    assert two.reason == (
        "lost to k_means with 3 segments: the most segments that are stable and separated"
    )
    assert four.reason.startswith("inadmissible: the smallest segment has")
    assert [one.parameters for one in (two, three, four)] == [
        "segments=2",
        "segments=3",
        "segments=4",
    ]


def test_a_fixed_number_is_taken_and_labelled_so():
    rows, _ = blobs(11, [100, 80, 60])
    found = search_for(rows, range(2, 3), is_fixed=True)
    assert (found.chosen.segments, found.chosen.reason) == (
        2,
        "chosen: the specification fixes 2 segments",
    )
    with pytest.raises(ClusteringError, match=r"no candidate is admissible: k_means.* 30.00%"):
        search_for(rows, range(3, 4), is_fixed=True, minimum_share=0.3)


def test_the_other_families_are_compared_with_the_chosen_one():
    rows, _ = blobs(12, [100, 80, 60])
    found = search_for(rows, families=lambda ks: [KMeansFamily(ks), KMedoids(ks, starts=2)])
    assert found.chosen.algorithm == "k_means"
    (other,) = found.others
    assert (other.algorithm, other.agreement) == ("k_medoids", 1.0)
    (medoids,) = [
        one for one in found.candidates if one.algorithm == "k_medoids" and one.segments == 3
    ]
    assert medoids.reason == (
        "lost to k_means with 3 segments: nearly the same segments (adjusted Rand index 1.00), "
        "and simpler"
    )


def test_what_the_time_does_not_suffice_for_is_listed():
    rows, _ = blobs(13, [100, 80, 60])
    told = []
    found = search_for(
        rows,
        families=lambda ks: [KMeansFamily(ks), KMedoids(ks)],
        time_budget_seconds=0.0,
        progress=told.append,
    )
    assert found.chosen.segments == 3
    assert found.candidates[-1].reason == "not tried: the time budget of 0.0 s was spent"
    assert (found.candidates[-1].algorithm, found.candidates[-1].segments) == ("k_medoids", 0)
    assert told[0] == "k_means: fitting"
    assert told[-1] == "k_medoids: not tried: the time budget of 0.0 s was spent"


def test_identical_customers_are_one_segment():
    for limits in ({}, {"is_fixed": True}):
        found = search_for(np.full((30, 2), 0.1), **limits)
        (only,) = found.candidates
        assert found.chosen is only
        assert (only.segments, only.is_admissible, only.is_chosen) == (1, True, True)
        assert only.reason == "one segment: all 30 customers are identical in these features"
        assert found.fit.arrays["prototypes"].tolist() == [[0.1, 0.1]]
        assert only.scores.silhouette is None


def test_no_k_above_the_number_of_distinct_customers():
    rows = np.repeat([[0.0], [5.0], [-0.0], [9.0]], 20, axis=0)  # Three distinct: 0 is -0.
    found = search_for(rows)
    assert [one.is_admissible for one in found.candidates] == [True, True, False, False, False]
    assert found.candidates[2].reason == "not fitted: too few customers differ in these features"
    assert found.candidates[2].fit is None
    assert (found.chosen.segments, found.chosen.scores.silhouette) == (3, 1.0)
    (alone,) = search_for(rows, range(4, 6)).candidates
    assert (alone.segments, alone.reason) == (
        1,
        "one segment: only 3 distinct customers among 80, fewer than the least k of 4",
    )


def test_too_few_customers():
    rows = np.random.default_rng(0).normal(size=(5, 2))
    with pytest.raises(ClusteringError, match=r"privacy floor of 10.*4 segments need at least 8"):
        search_for(rows, range(2, 5))
    with pytest.raises(ClusteringError, match=r"too few customers.*3 segments need at least 6"):
        search_for(rows, range(3, 5))
    with pytest.raises(ClusteringError, match=r"too few customers.*: 1, fewer than"):
        search_for(rows[:1])
    with pytest.raises(ClusteringError, match="too few customers: there is none"):
        search_for(rows[:0])


def test_customers_without_dense_groups_are_one_segment():
    rows = np.random.default_rng(5).uniform(size=(200, 2))
    found = search_for(rows, families=lambda _: [HDBSCAN(neighbours=60)])
    missing, only = found.candidates
    assert missing.reason == "not fitted: it finds no two dense groups of customers"
    assert found.chosen is only
    assert only.segments == 1
    assert only.reason == (
        "one segment: no algorithm of the specification finds groups of customers within the limits"
    )


def test_dense_groups_outside_the_limits_are_one_segment_too():
    rows, _ = blobs(1, [150, 150])
    *specks, only = search_for(rows, families=lambda _: [HDBSCAN()], privacy_floor=200).candidates
    assert specks[0].reason.startswith("inadmissible: the smallest segment has")
    assert (only.is_chosen, only.segments) == (True, 1)


def test_a_mixture_alone_publishes_what_reappears_most_surely():
    rows = np.random.default_rng(6).normal(size=(400, 2))
    found = search_for(rows, range(2, 4), families=lambda ks: [GaussianMixtures(ks)])
    best = max(found.candidates, key=lambda one: one.evidence.stability.worst)
    assert found.chosen is best
    assert best.reason.startswith("chosen: no family has an answer")


def test_what_cannot_be_searched_is_refused():
    rows = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(ClusteringError, match="no feature"):
        search_for(rows[:, :0])
    rows[3, 1] = np.nan
    with pytest.raises(ClusteringError, match="NaN"):
        search_for(rows)


def test_parameters_are_told_in_words():
    assert described({"segments": 3, "radius": 0.70000001, "core_share": None}) == (
        "segments=3, radius=0.7"
    )
