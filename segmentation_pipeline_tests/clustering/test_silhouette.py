import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from segmentation_pipeline.clustering import silhouette as silhouette_module
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.silhouette import silhouette_widths


def test_by_hand():
    rows = np.array([[0.0], [1.0], [4.0], [6.0]])
    widths = silhouette_widths(rows, [np.array([0, 0, 1, 1], dtype=np.int32)])
    assert widths[0] == pytest.approx([0.8, 0.75, 3 / 7, 7 / 11], abs=1e-12)


def test_a_customer_alone_and_a_single_segment_count_zero():
    rows = np.array([[0.0], [1.0], [5.0]])
    labelings = [np.array([0, 0, 1], dtype=np.int32), np.zeros(3, dtype=np.int32)]
    widths = silhouette_widths(rows, labelings)
    assert widths[0] == pytest.approx([0.8, 0.75, 0.0], abs=1e-12)
    assert widths[1].tolist() == [0, 0, 0]


def test_all_partitions_at_once_equal_scikit_learn_s_one_by_one():
    rng = np.random.default_rng(0)
    rows = 1e3 + rng.normal(size=(700, 5))
    rows[100:200] = rows[:100]  # Repeated rows.
    labelings = [rng.integers(0, k, 700).astype(np.int32) for k in (2, 3, 9)]
    labelings.append(np.where(labelings[2] == 4, 3, labelings[2]).astype(np.int32))  # No 4.
    for widths, labels in zip(silhouette_widths(rows, labelings), labelings, strict=True):
        np.testing.assert_allclose(widths, silhouette_samples(rows, labels), atol=1e-6)


@pytest.mark.parametrize(
    ("similarity", "theirs"),
    [
        (Similarity("manhattan"), {"metric": "manhattan"}),
        (Similarity("minkowski", 3), {"metric": "minkowski", "p": 3}),
        (Similarity("cosine"), {"metric": "cosine"}),
        (Similarity("minkowski", 2), {"metric": "euclidean"}),
    ],
)
def test_every_metric_equals_scikit_learn_s(similarity, theirs):
    rng = np.random.default_rng(0)
    rows = 0.5 + rng.normal(size=(600, 4))
    labelings = [rng.integers(0, k, 600).astype(np.int32) for k in (2, 5)]
    found = silhouette_widths(rows, labelings, similarity=similarity, workers=2)
    for widths, labels in zip(found, labelings, strict=True):
        np.testing.assert_allclose(widths, silhouette_samples(rows, labels, **theirs), atol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_noise_has_no_width_and_changes_none(metric):
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(60, 3))
    labels = rng.integers(0, 3, 60).astype(np.int32)
    inside = rng.random(60) < 0.7
    noisy = np.where(inside, labels, -1).astype(np.int32)
    similarity = Similarity(metric)
    found = silhouette_widths(rows, [labels, noisy], similarity=similarity)[1]
    assert np.isnan(found[~inside]).all()
    alone = silhouette_widths(rows[inside], [labels[inside]], similarity=similarity)[0]
    np.testing.assert_allclose(found[inside], alone, atol=1e-12)


def test_one_segment_beside_noise_counts_zero_and_nothing_but_noise_is_nan():
    rows = np.array([[0.0], [1.0], [5.0]])
    labelings = [np.array([0, -1, 0], dtype=np.int32), np.full(3, -1, dtype=np.int32)]
    found = silhouette_widths(rows, labelings)
    np.testing.assert_array_equal(found, [[0, np.nan, 0], [np.nan] * 3])


def test_workers_and_partitions_beside_it_change_no_bit():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(1500, 8))
    labelings = [rng.integers(0, k, 1500).astype(np.int32) for k in (2, 5)]
    both = silhouette_widths(rows, labelings, workers=2)
    np.testing.assert_array_equal(both, silhouette_widths(rows, labelings, workers=1))
    assert len(rows) > 2 * silhouette_module._BLOCK_ROWS


def test_identical_rows_have_no_silhouette():
    labels = np.array([0, 1, 0, 1], dtype=np.int32)
    assert silhouette_widths(np.ones((4, 2)), [labels]).tolist() == [[0, 0, 0, 0]]
