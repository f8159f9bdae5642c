import numpy as np
import pytest
from scipy import stats

from segmentation_pipeline.measurement.mean_effect import welch


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_it_is_scipy_s_test_of_unequal_variances(alpha):
    rng = np.random.default_rng(5)
    treated, control = rng.normal(1.1, 1.0, 40), rng.normal(1.0, 3.0, 25)
    expected = stats.ttest_ind(treated, control, equal_var=False)

    found = welch(
        np.concatenate([treated, control]), np.repeat([True, False], [40, 25]), alpha=alpha
    )

    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.lower, found.upper) == pytest.approx(
        tuple(expected.confidence_interval(1 - alpha))
    )
    assert found.effect / found.standard_error == pytest.approx(expected.statistic)
