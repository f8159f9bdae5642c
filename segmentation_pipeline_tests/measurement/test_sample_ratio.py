import pytest

from segmentation_pipeline.errors import MeasurementError
from segmentation_pipeline.measurement.sample_ratio import attrition_p, sample_ratio_p


def test_the_worked_example_of_the_handbook():
    """Kohavi, Tang, Xu 2020, "Trustworthy Online Controlled Experiments", chapter 3."""
    assert sample_ratio_p(821_588, 815_482, 0.5) == pytest.approx(1.8e-6, rel=0.03)


def test_arms_as_planned_and_arms_that_are_not():
    assert sample_ratio_p(3500, 1500, 0.3) == 1.0
    assert sample_ratio_p(3540, 1460, 0.3) == pytest.approx(0.217, abs=0.001)  # chi2 = 1.524
    assert sample_ratio_p(3650, 1350, 0.3) < 0.001


@pytest.mark.parametrize(("treated", "control", "share"), [(0, 0, 0.3), (5, 5, 0.0), (5, 5, 1.0)])
def test_what_no_plan_can_be_is_refused(treated, control, share):
    with pytest.raises(MeasurementError, match="hold-out share"):
        sample_ratio_p(treated, control, share)


def test_attrition_asks_whether_one_arm_loses_more():
    assert attrition_p(0, 700, 0, 300) == 1.0
    assert attrition_p(70, 700, 30, 300) == 1.0
    assert attrition_p(140, 700, 30, 300) < 0.001
