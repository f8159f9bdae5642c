"""What a challenger would do is counted against who is in which segment tonight."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.segments.shadow import adjusted_rand, figures


def counts(*rows):
    """Pairs of raw segments, noise last on both sides."""
    return np.array(rows, dtype=np.int64)


def test_the_same_segments_under_other_numbers_move_nobody():
    night = figures(counts([0, 40, 0], [60, 0, 0], [0, 0, 0]), 7, None)

    assert (night.champion_model_version, night.customers, night.churn_share) == (7, 100, None)
    assert (night.agreement, night.migration_share, night.kept_segments) == (1.0, 0.0, 2)
    assert (night.smallest_customers, night.sizes, night.noise_share) == (40, "[60, 40]", 0.0)


def test_who_would_have_another_id_moves():
    night = figures(counts([45, 5, 0], [10, 40, 0], [0, 0, 0]), 1, 0.02)

    assert night.kept_segments == 2
    assert night.migration_share == pytest.approx(0.15)
    assert night.churn_share == 0.02


def test_a_segment_that_falls_apart_moves_all_who_lose_its_id():
    # 100 become 70 and 30: the larger part keeps the id.
    night = figures(counts([70, 30, 0], [0, 0, 0]), 1, None)

    assert (night.kept_segments, night.smallest_customers) == (1, 30)
    assert night.migration_share == pytest.approx(0.3)


def test_noise_stays_noise_and_is_told():
    night = figures(counts([50, 0, 10], [0, 0, 0], [5, 0, 35]), 1, None)

    assert night.noise_share == 0.45
    assert night.migration_share == pytest.approx(0.15)
    # A segment of the challenger that nobody is in.
    assert night.smallest_customers == 0


def test_the_rand_index_is_that_of_scikit_learn():
    rng = np.random.default_rng(4)
    old, new = rng.integers(0, 4, 500), rng.integers(0, 3, 500)
    new = np.where(rng.random(500) < 0.6, old % 3, new)
    table = np.zeros((4, 3), dtype=np.int64)
    np.add.at(table, (old, new), 1)

    assert adjusted_rand(table) == pytest.approx(adjusted_rand_score(old, new), abs=1e-12)
    assert adjusted_rand(counts([5])) == 1.0
    # Numbers that no float holds.
    assert adjusted_rand(counts([10**9, 0], [0, 10**9])) == 1.0
