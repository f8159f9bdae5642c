import numpy as np
import pytest

from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels
from segmentation_pipeline.clustering.validity import (
    agreement_inside,
    crowded_leak,
    held_out,
    merges,
    neighbourhoods,
    random_halves,
)

EUCLIDEAN = Similarity("euclidean")


def moons(n, noise):
    rng = np.random.default_rng(0)
    truth, angle = rng.integers(0, 2, n), rng.uniform(0.0, np.pi, n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)])
    matrix = np.where(truth[:, None] == 0, upper, lower) + noise * rng.standard_normal((n, 2))
    return matrix, truth


def rings(n, noise):
    rng = np.random.default_rng(0)
    truth, angle = rng.integers(0, 2, n), rng.uniform(0.0, 2.0 * np.pi, n)
    radius = np.where(truth == 0, 0.5, 1.0) + noise * rng.standard_normal(n)
    return radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]), truth


@pytest.mark.parametrize("draw", [moons, rings])
def test_silhouettes_prefer_the_wrong_partition_where_crowded_leak_does_not(draw):
    from sklearn.metrics import silhouette_score

    matrix, truth = draw(800, 0.05)
    cut = kmeans_labels(matrix, 0, 2)
    around = neighbourhoods(matrix, EUCLIDEAN)
    assert silhouette_score(matrix, cut) > silhouette_score(matrix, truth) + 0.1
    assert crowded_leak(around, truth) == 0.0
    assert crowded_leak(around, cut) > 0.003


def test_nobody_is_their_own_neighbour_not_even_among_equals():
    around = neighbourhoods(np.zeros((30, 2)), EUCLIDEAN)
    assert around.links.shape == (30, 10)
    assert not (around.links == np.arange(30)[:, None]).any()
    assert (around.reach == 0.0).all()


def test_few_customers_have_all_others_as_neighbours():
    around = neighbourhoods(np.arange(4.0)[:, None], EUCLIDEAN)
    assert np.sort(around.links, axis=1).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert around.reach.tolist() == [3.0, 2.0, 2.0, 3.0]


def test_a_border_through_the_crowd_is_counted_exactly():
    matrix = np.random.default_rng(0).standard_normal((11, 2))
    labels = np.repeat([0, 1], [5, 6])
    # Everybody's neighbours are the ten others: in the smaller segment 6 of them leave, in the
    # larger one 5.
    assert crowded_leak(neighbourhoods(matrix, EUCLIDEAN), labels) == pytest.approx(0.6)


def test_who_is_misplaced_is_no_border():
    rng = np.random.default_rng(0)
    matrix = np.repeat([[0.0, 0.0], [20.0, 0.0]], 200, axis=0) + rng.normal(size=(400, 2))
    around = neighbourhoods(matrix, EUCLIDEAN)
    labels = np.repeat([0, 1], 200)
    # Three of the first group's most crowded, each by themselves.
    crowd = np.argsort(around.reach[:200])
    misplaced = [crowd[0]]
    for one in crowd:
        if len(misplaced) < 3 and np.linalg.norm(matrix[misplaced] - matrix[one], axis=1).min() > 1:
            misplaced.append(one)
    labels[misplaced] = 1
    assert crowded_leak(around, labels) == 0.0
    # A half of the group is no misplacement, wherever it is cut.
    assert crowded_leak(around, np.where(matrix[:, 0] < 0.0, 2, labels)) > 0.05


def test_a_segment_of_strays_is_none():
    matrix = np.random.default_rng(0).normal(size=(400, 2))
    labels = np.zeros(400, np.intp)
    labels[::20] = 1
    assert crowded_leak(neighbourhoods(matrix, EUCLIDEAN), labels) > 0.8


def test_one_segment_and_noise_have_no_border():
    around = neighbourhoods(np.random.default_rng(0).standard_normal((50, 2)), EUCLIDEAN)
    assert crowded_leak(around, np.where(np.arange(50) < 25, -1, 0)) == 1.0


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(1)
    return np.vstack([rng.standard_normal((150, 2)), rng.normal((8.0, 0.0), 1.0, (150, 2))])


def test_real_groups_are_found_by_either_half_and_describe_the_other(groups):
    found = held_out(groups, 2, kmeans_labels, random_halves(300, seed=0), EUCLIDEAN, seed=0)
    assert found.agreement == 1.0
    assert len(found.gains) == 10
    # One Gaussian spreads over both: its standard deviation along the first axis is 4.1, and the
    # groups' is 1, at the price of ln 2 for which of them.
    assert np.median(found.gains) == pytest.approx(np.log(4.1) - np.log(2.0), abs=0.1)


def test_a_cut_through_one_gaussian_describes_nobody_better():
    matrix = np.random.default_rng(2).standard_normal((400, 2))
    found = held_out(matrix, 3, kmeans_labels, random_halves(400, seed=0), EUCLIDEAN, seed=0)
    assert max(found.gains) < 0.05


def test_noise_is_described_too(groups):
    def second_is_noise(matrix, seed, segments):
        return np.where(matrix[:, 0] > 4.0, -1, 0)

    halves = random_halves(300, seed=0)
    noisy = held_out(groups, 1, second_is_noise, halves, EUCLIDEAN, seed=0)
    assert np.median(noisy.gains) == pytest.approx(np.log(4.1) - np.log(2.0), abs=0.1)


def test_threads_change_nothing(groups):
    halves = random_halves(300, seed=0)
    one, two = (
        held_out(groups, 3, kmeans_labels, halves, EUCLIDEAN, seed=0, workers=workers)
        for workers in (1, 2)
    )
    assert one == two


def test_unions_of_segments_are_told_from_other_segments():
    four = np.repeat([0, 1, 2, 3], 30)
    assert merges(np.where(four < 2, 0, 1), four)
    assert not merges(four, four)
    assert not merges(four, np.where(four < 2, 0, 1))
    assert not merges(np.arange(120) % 2, four)


def test_unions_may_differ_in_one_of_twenty_and_noise_is_left_out():
    four = np.repeat([0, 1, 2, 3], 30)
    unions = np.where(four < 2, 0, 1)
    unions[:6] = 1
    assert merges(unions, four)
    unions[:7] = 1
    assert not merges(unions, four)
    assert merges(np.where(np.arange(120) < 7, -1, unions), four)
    assert not merges(np.full(120, -1), four)


def test_agreement_is_of_those_whom_neither_calls_noise():
    labels, others = np.array([0, 0, 1, 1, -1, 0]), np.array([5, 5, 7, 7, 5, -1])
    assert agreement_inside(labels, others) == 1.0
