"""What is shown of a typical customer is shared by a crowd."""

import numpy as np
import pytest

from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.segments.typical import medoid, typical_attributes
from segmentation_pipeline.specification.features import FeatureSpec

EUCLIDEAN = Similarity("euclidean")


def features(*names, **units):
    return {
        name: FeatureSpec.model_validate({"criterion": "needs", "unit": units.get(name)})
        for name in names
    }


def test_the_medoid_is_the_customer_nearest_to_the_others():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.4, 0.4], [9.0, 9.0]])

    assert medoid(points, EUCLIDEAN) == 3
    assert medoid(np.zeros((4, 2)), EUCLIDEAN) == 0


def test_numbers_are_rounded_until_enough_share_them():
    ages = np.arange(20.0, 60.0)  # one customer of each age; the standard deviation is 11.5
    columns = {"age": ages}

    told = {
        floor: typical_attributes(columns, 20, features("age", age="years"), floor)
        for floor in (1, 2, 5, 10, 20, 21)
    }

    assert told == {
        1: {"age": "about 40 years"},
        2: {"age": "about 40 years"},
        5: {"age": "about 40 years"},
        10: {"age": "about 40 years"},
        20: {"age": "about 40 years"},
        21: {},
    }


@pytest.mark.parametrize("seed", range(5))
def test_a_crowd_shares_all_of_what_is_shown(seed):
    generator = np.random.default_rng(seed)
    columns = {
        "role": generator.choice(np.array(["Nurse", "Surgeon", None], dtype=object), 60),
        "visits": generator.poisson(2, 60).astype(float),
        "town": np.array([f"town {number}" for number in range(60)], dtype=object),
        "flags": generator.choice(np.array(["yes", "no"], dtype=object), 60),
    }
    at = 7

    told = typical_attributes(columns, at, features(*columns), 10)

    assert "town" not in told
    crowd = np.ones(60, dtype=bool)
    for name in told:
        if columns[name].dtype == object:
            crowd &= columns[name] == columns[name][at]
        elif told[name].isdigit():
            crowd &= columns[name] == float(told[name])
    assert crowd.sum() >= 10


def test_the_most_telling_attribute_goes_before_finer_ones():
    generator = np.random.default_rng(0)
    spread = generator.normal(100, 20, 40)
    same = np.zeros(40)

    told = typical_attributes({"spread": spread, "same": same}, 0, features("spread", "same"), 10)

    assert list(told) == ["spread", "same"]
    assert told["same"] == "0"


def test_missing_values_and_small_segments_show_nothing():
    values = np.array([np.nan, 1.0, 2.0])
    names = np.array([None, "a", "a"], dtype=object)

    assert typical_attributes({"x": values, "y": names}, 0, features("x", "y"), 1) == {}
    assert typical_attributes({"x": values, "y": names}, 1, features("x", "y"), 10) == {}
    assert typical_attributes({}, 0, {}, 10) == {}


def test_rates_are_told_in_percent_and_none_as_less_than_half_a_step():
    rates = np.concatenate([np.zeros(30), np.linspace(0.2, 0.6, 10)])
    columns = {"open_rate": rates, "spend": rates * 1000}

    told = typical_attributes(columns, 0, features("open_rate", "spend", spend="EUR"), 10)

    assert told == {"open_rate": "under 1%", "spend": "under 10 EUR"}
