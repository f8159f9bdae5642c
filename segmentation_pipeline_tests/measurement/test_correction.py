import numpy as np
import pytest

from segmentation_pipeline.measurement.correction import holm


def test_the_smallest_pays_for_all_and_order_is_kept():
    found = holm(np.array([0.01, 0.02, 0.02, 0.4, 0.9]))

    assert found == pytest.approx([0.05, 0.08, 0.08, 0.8, 0.9])


def test_it_is_capped_at_one_and_never_falls():
    assert holm(np.array([0.3, 0.9, 0.5])) == pytest.approx([0.9, 1.0, 1.0])


def test_a_declared_cell_without_a_p_counts_and_has_none():
    found = holm(np.array([np.nan, 0.01, np.nan, 0.02]))

    assert found[[1, 3]] == pytest.approx([0.04, 0.06])
    assert np.isnan(found[[0, 2]]).all()


def test_no_cells():
    assert holm(np.array([])).size == 0


def test_any_false_win_among_six_is_as_rare_as_it_may_be():
    p_values = np.random.default_rng(3).random((4000, 6))

    uncorrected = np.mean((p_values <= 0.05).any(axis=1))
    corrected = np.mean([(holm(row) <= 0.05).any() for row in p_values])

    assert uncorrected == pytest.approx(1 - 0.95**6, abs=0.025)
    assert corrected == pytest.approx(0.049, abs=0.012)
