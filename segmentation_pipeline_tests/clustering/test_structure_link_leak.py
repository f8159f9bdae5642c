import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_circles, make_moons
from sklearn.metrics import silhouette_score

from segmentation_pipeline.clustering.structure.link_leak import agreement, link_leak


@pytest.mark.parametrize("make", [make_moons, make_circles])
def test_silhouette_prefers_the_wrong_partition_of_moons_and_rings_and_links_do_not(make):
    shape = {"factor": 0.4} if make is make_circles else {}
    matrix, truth = make(600, noise=0.06, random_state=0, **shape)
    halves = KMeans(2, n_init=10, random_state=0).fit_predict(matrix)
    assert silhouette_score(matrix, halves) > silhouette_score(matrix, truth) + 0.1
    assert link_leak(matrix, truth) < link_leak(matrix, halves)


def test_the_share_is_that_of_the_leakiest_segment():
    # Each customer's ten nearest are the other ten of the own group, but for one who sits with
    # the other group: all of that customer's links leave, and one of each neighbour's.
    matrix = np.r_[np.arange(11.0), 1000.0 + np.arange(11.0)][:, None]
    groups = np.repeat([0, 1], 11)
    assert link_leak(matrix, groups) == 0.0
    astray = groups.copy()
    astray[0] = 1
    # Segment 1: 1 customer with 10 leaving links of 10, 11 with none; segment 0: 1 of 10 each.
    assert link_leak(matrix, astray) == pytest.approx(0.1)
    astray[0] = 2
    assert link_leak(matrix, astray) == 1.0


def test_links_to_noise_leave_and_links_from_noise_do_not_count():
    matrix = np.arange(11.0)[:, None]
    labels = np.zeros(11, dtype=int)
    labels[3] = -1
    assert link_leak(matrix, labels) == pytest.approx(0.1)
    assert link_leak(matrix, np.full(11, -1)) == 1.0


def test_links_are_counted_in_the_metric_that_was_asked_for():
    """Two directions, each with lengths from 1 to a million: near the origin they meet."""
    angles = np.r_[np.linspace(0.0, 0.1, 20), np.linspace(1.4, 1.5, 20)]
    lengths = np.tile(2.0 ** np.arange(20), 2)[:, None]
    matrix = np.column_stack([np.cos(angles), np.sin(angles)]) * lengths
    groups = np.repeat([0, 1], 20)
    assert link_leak(matrix, groups, metric="cosine") == 0.0
    assert link_leak(matrix, groups) > 0.2
    assert link_leak(matrix, groups, metric="minkowski", p=1.0) == link_leak(
        matrix, groups, metric="manhattan"
    )


def test_agreement_counts_noise_as_a_group():
    labels = np.repeat([0, 1], 10)
    found = agreement(labels, {"renamed": labels + 5, "one": labels * 0, "noise": labels - 1})
    assert found == {"renamed": 1.0, "one": 0.0, "noise": 1.0}
