"""The four distances: against their definitions, and that a value depends on two rows alone."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from segmentation_pipeline.clustering.metrics import Similarity, count_distinct
from segmentation_pipeline.errors import ClusteringError

EVERY = [
    (Similarity("euclidean"), {"metric": "euclidean"}),
    (Similarity("manhattan"), {"metric": "cityblock"}),
    (Similarity("minkowski", 1), {"metric": "cityblock"}),
    (Similarity("minkowski", 2), {"metric": "euclidean"}),
    (Similarity("minkowski", 2.5), {"metric": "minkowski", "p": 2.5}),
    (Similarity("minkowski", 3), {"metric": "minkowski", "p": 3}),
    (Similarity("minkowski", 13), {"metric": "minkowski", "p": 13}),
    (Similarity("cosine"), {"metric": "cosine"}),
]
every = pytest.mark.parametrize(("similarity", "theirs"), EVERY)
each = pytest.mark.parametrize("similarity", [similarity for similarity, _ in EVERY])


@every
def test_pairwise_distances_are_those_of_the_definition(similarity, theirs):
    rng = np.random.default_rng(0)
    rows, others = rng.normal(size=(301, 6)), rng.normal(size=(257, 6))
    found = similarity.pairwise(rows, others)
    np.testing.assert_allclose(found, cdist(rows, others, **theirs), rtol=1e-12, atol=1e-13)


@each
def test_every_way_to_a_distance_gives_the_same_bits(similarity):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(1000, 5)).astype(np.float32)
    rows[7] = 0
    vectors = rng.normal(size=(3, 5))
    labels = rng.integers(0, 3, 1000)
    columns = list(rows.T)
    whole = similarity.pairwise(rows, vectors)
    for batch in (1, 7, 1000):
        for start in range(0, 1000, batch) if batch > 1 else range(50):
            part = slice(start, start + batch)
            columns_of_part = [column[part] for column in columns]
            np.testing.assert_array_equal(similarity.pairwise(rows[part], vectors), whole[part])
            np.testing.assert_array_equal(
                similarity.to_vector(columns_of_part, vectors[1]), whole[part, 1]
            )
            np.testing.assert_array_equal(
                similarity.to_labelled(columns_of_part, vectors, labels[part]),
                whole[np.arange(1000), labels][part],
            )
    order = rng.permutation(1000)
    np.testing.assert_array_equal(similarity.pairwise(rows[order], vectors), whole[order])


@each
def test_it_is_symmetric_and_a_row_is_at_no_distance_from_itself(similarity):
    rows = np.random.default_rng(2).normal(size=(50, 4))
    found = similarity.pairwise(rows, rows)
    np.testing.assert_array_equal(found, found.T)
    assert found.diagonal().tolist() == [0.0] * 50


@each
def test_parts_add_up_to_the_distance(similarity):
    rng = np.random.default_rng(3)
    rows, others = rng.normal(size=(20, 4)), rng.normal(size=(20, 4))
    parts = similarity.parts(list(rows.T), list(others.T))
    expected = similarity.pairwise(rows, others).diagonal()
    np.testing.assert_allclose(similarity.distance(sum(parts)), expected, rtol=1e-14)
    to_one = similarity.parts(list(rows.T), list(others[:1].T))
    np.testing.assert_array_equal([part[0] for part in to_one], [part[0] for part in parts])


def test_cosine_by_hand_with_rows_that_have_no_direction():
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [-6.0, -8.0], [8.0, -6.0], [-0.0, 0.0]])
    found = Similarity("cosine").pairwise(rows, rows)
    expected = [
        [0, 1, 2, 1, 1],
        [1, 0, 1, 1, 0],
        [2, 1, 0, 1, 1],
        [1, 1, 1, 0, 1],
        [1, 0, 1, 1, 0],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-15)
    units = [[0.6, 0.8, 0], [0, 0, 1], [-0.6, -0.8, 0], [0.8, -0.6, 0], [0, 0, 1]]
    np.testing.assert_array_equal(Similarity("cosine").rows(rows), units)


def test_what_has_no_length_is_not_a_number():
    rows = np.array([[1e200, 1.0], [np.inf, 1.0], [np.nan, 1.0], [1e-200, 0.0], [1.0, 0.0]])
    found = Similarity("cosine").to_vector(list(rows.T), np.array([0.0, 2.0]))
    np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 1, 1])


@pytest.mark.parametrize(
    ("metric", "p", "message"),
    [
        ("minkowski", None, "exponent None"),
        ("euclidean", 2.0, "and no other"),
        ("minkowski", 0.5, "at least 1"),
        ("minkowski", np.inf, "at least 1"),
        ("minkowski", np.nan, "at least 1"),
    ],
)
def test_an_exponent_that_makes_no_metric_is_refused(metric, p, message):
    with pytest.raises(ClusteringError, match=message):
        Similarity(metric, p)


@pytest.mark.parametrize(("enough", "found"), [(2, 2), (3, 3), (4, 3), (100, 3)])
def test_distinct_rows_are_counted_as_far_as_they_matter(enough, found):
    rows = np.zeros((10_000, 2))
    rows[5000], rows[9999], rows[1] = [1, 0], [0, 1], [0, -0.0]
    assert count_distinct(rows, enough) == found


def test_rows_of_one_direction_are_not_distinct_by_cosine():
    one = np.random.default_rng(4).normal(size=(1, 5))
    rows = np.concatenate([one * np.arange(1.0, 100.0)[:, np.newaxis], -one, np.zeros((3, 5))])
    assert count_distinct(rows, 50, Similarity("cosine")) == 3
    assert count_distinct(rows, 50) == 50
