import numpy as np
import pytest

from segmentation_pipeline.measurement.ratio_effect import linearised, linearised_alike

CLICKS = np.array([2.0, 0.0, 3.5, 1.0, 0.0, 4.0])
MAILS = np.array([4.0, 1.0, 5.0, 2.0, 0.0, 4.0])
IS_TREATED = np.array([True, True, True, False, False, False])


def test_the_mean_of_an_arm_is_its_ratio_and_the_variance_that_of_the_delta_method():
    values = linearised(CLICKS, MAILS, IS_TREATED)

    for arm in (IS_TREATED, ~IS_TREATED):
        clicks, mails = CLICKS[arm], MAILS[arm]
        ratio, mean = clicks.sum() / mails.sum(), mails.mean()
        covariance = np.cov(clicks, mails)
        expected = (
            covariance[0, 0] - 2 * ratio * covariance[0, 1] + ratio**2 * covariance[1, 1]
        ) / mean**2
        assert values[arm].mean() == pytest.approx(ratio)
        assert values[arm].var(ddof=1) == pytest.approx(expected)


def test_values_to_permute_differ_between_arms_as_the_ratios_do():
    values = linearised_alike(CLICKS, MAILS, IS_TREATED)

    assert values[IS_TREATED].mean() - values[~IS_TREATED].mean() == pytest.approx(5.5 / 10 - 5 / 6)


def test_values_to_permute_depend_on_the_arms_by_a_factor_only():
    values = linearised_alike(CLICKS, MAILS, IS_TREATED)
    others = linearised_alike(CLICKS, MAILS, IS_TREATED[[0, 3, 1, 4, 2, 5]])

    ratio = CLICKS.sum() / MAILS.sum()
    has_mails = MAILS > 0
    factors = (values - ratio)[has_mails] / (others - ratio)[has_mails]
    assert np.ptp(factors) == pytest.approx(0.0)
    assert factors[0] != pytest.approx(1.0)
