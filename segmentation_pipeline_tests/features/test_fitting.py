import json
import math

import numpy as np
import pytest

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features.applying import apply_preparation
from segmentation_pipeline.features.fitting import fit_preparation
from segmentation_pipeline.features.preparation import Preparation
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.features.selection import select_features

NAN = np.nan


def sample(**columns):
    values = {
        name: np.array(
            column, dtype=object if any(isinstance(v, str) for v in column) else np.float64
        )
        for name, column in columns.items()
    }
    size = len(next(iter(values.values())))
    return FeatureSample(np.array([str(i) for i in range(size)], dtype=object), values)


def vectors(preparation, feature):
    lookup = preparation.lookups[feature]
    return lookup.components, lookup.vectors, lookup.other


def test_ordinal_ranks_and_values(specify):
    spec = specify(
        {
            "degree": {"encoding": {"kind": "ordinal", "order": ["bachelor", "master", "doctor"]}},
            "attitude": {
                "encoding": {"kind": "ordinal", "values": {"Positive": 1, "Unwilling": -0.5}}
            },
        }
    )
    preparation = fit_preparation(
        sample(
            degree=["master", "doctor", "magister", None],
            attitude=["Positive", "Unwilling", "Positive", None],
        ),
        spec,
    )
    ranks = {"bachelor": [1.0], "master": [2.0], "doctor": [3.0]}
    assert vectors(preparation, "degree") == (["value"], ranks, [None])
    numbers = {"Positive": [1.0], "Unwilling": [-0.5]}
    assert vectors(preparation, "attitude") == (["value"], numbers, [None])
    assert preparation.column_names == ["degree", "attitude"]
    degree, attitude = preparation.scalings
    assert (degree.centre, degree.spread, degree.fill) == (2.5, 0.5, 2.5)
    assert (attitude.centre, attitude.fill) == (0.5, 0.5)
    first, second = preparation.selection
    assert (first.missing_share, first.unseen_share, first.distinct_values) == (0.5, 1 / 3, 3)
    assert (second.missing_share, second.unseen_share, second.distinct_values) == (0.25, 0, 2)


def test_given_vectors(specify):
    encoding = {
        "kind": "given",
        "components": ["clinical", "responsibility"],
        "vectors": {"Nurse": [0.1, 0.5], "Surgeon": [0.9, 0.7]},
    }
    preparation = fit_preparation(
        sample(role=["Nurse", "Surgeon", "Porter", None]), specify({"role": {"encoding": encoding}})
    )
    assert vectors(preparation, "role") == (
        ["clinical", "responsibility"],
        {"Nurse": [0.1, 0.5], "Surgeon": [0.9, 0.7]},
        [None, None],
    )
    assert preparation.column_names == ["role__clinical", "role__responsibility"]
    assert [row.centre for row in preparation.scalings] == pytest.approx([0.5, 0.6])


def test_one_hot_of_all_categories(specify):
    preparation = fit_preparation(
        sample(city=["Rome", "Oslo", "Rome", None, "Bonn"]), specify({"city": {}})
    )
    # The most frequent first, ties by name; an unknown city is none of the three.
    components, lookup, other = vectors(preparation, "city")
    assert components == ["Rome", "Bonn", "Oslo"]
    assert lookup == {"Rome": [1, 0, 0], "Bonn": [0, 1, 0], "Oslo": [0, 0, 1]}
    assert other == [0, 0, 0]
    assert preparation.column_names == ["city__rome", "city__bonn", "city__oslo"]
    assert [row.centre for row in preparation.scalings] == [0.5, 0.25, 0.25]
    assert all(row.weight == math.sqrt(1 / 3) for row in preparation.scalings)


def test_one_hot_with_a_cap(specify):
    spec = specify({"city": {"encoding": {"kind": "one_hot", "maximum_categories": 2}}})
    cities = ["Rome"] * 3 + ["Oslo"] * 2 + ["Bonn"] * 2 + ["Graz", "Wien", None]
    preparation = fit_preparation(sample(city=cities), spec)
    components, lookup, other = vectors(preparation, "city")
    assert components == ["Rome", "Bonn", "other"]
    assert lookup == {"Rome": [1, 0, 0], "Bonn": [0, 1, 0]}
    assert other == [0, 0, 1]
    assert preparation.selection[0].unseen_share == pytest.approx(4 / 9)
    # A category that is called "other" is the other one.
    cities = ["other"] * 3 + ["Oslo"] * 2 + ["Bonn"] * 2 + ["Graz", "Wien", None]
    components, _, other = vectors(fit_preparation(sample(city=cities), spec), "city")
    assert (components, other) == (["other", "Bonn"], [1, 0])


def test_an_identifier_is_refused(specify):
    spec = specify({"email": {}})
    names = [f"n{i}" for i in range(40)]
    with pytest.raises(PreparationError, match="`email` looks like an identifier: 40 categories"):
        fit_preparation(sample(email=names), spec)
    # 20 categories are never too many, nor 40 among 80 customers.
    assert len(fit_preparation(sample(email=names[:20]), spec).scalings) == 20
    assert len(fit_preparation(sample(email=names * 2), spec).scalings) == 21


def test_column_names_are_safe_and_unique(specify):
    spec = specify({"a": {}, "a__x": {}, "b": {}})
    preparation = fit_preparation(
        sample(a=["x", "X", "!?", "x y"], a__x=[1, 2, 3, 4], b=["Ä" * 99, "ß", None, None]), spec
    )
    assert preparation.column_names == [
        "a__category",
        "a__x",
        "a__x_2",
        "a__x_y",
        "a__x_3",
        "b__" + "ä" * 57,
        "b__ß",
    ]
    assert [row.component for row in preparation.scalings[:4]] == ["!?", "X", "x", "x y"]


def test_weights_are_shared_within_a_block(specify):
    spec = specify({"gender": {"weight": 2}, "age": {}, "income": {"weight": 3}})
    preparation = fit_preparation(
        sample(gender=["F", "M", "F", "M"], age=[1, 2, 3, 4], income=[1, 3, 2, 9]), spec
    )
    weights = {row.column_name: row.weight for row in preparation.scalings}
    assert weights == {
        "gender__f": 1.0,
        "gender__m": 1.0,
        "age": 1.0,
        "income": math.sqrt(3),
    }


def test_missing_values(specify):
    spec = specify(
        {
            "centre": {},
            "indicator": {"missing": "indicator"},
            "never": {"missing": "indicator"},
            "constant": {"missing": {"constant": 0}},
            "city": {"missing": "indicator"},
        }
    )
    preparation = fit_preparation(
        sample(
            centre=[1, 3, NAN, NAN],
            indicator=[1, 3, NAN, NAN],
            never=[1, 2, 3, 4],
            constant=[1, 3, NAN, NAN],
            city=["x", "y", None, None],
        ),
        spec,
    )
    rows = {row.column_name: row for row in preparation.scalings}
    assert list(rows) == [
        "centre",
        "indicator",
        "indicator__is_missing",
        "never",
        "constant",
        "city__x",
        "city__y",
        "city__is_missing",
    ]
    assert (rows["centre"].centre, rows["centre"].fill, rows["centre"].weight) == (2, 2, 1)
    assert (rows["constant"].centre, rows["constant"].fill) == (1, 0)
    half = math.sqrt(0.5)
    assert rows["indicator"].weight == rows["indicator__is_missing"].weight == half
    assert rows["indicator__is_missing"].component == "is_missing"
    assert (rows["indicator__is_missing"].centre, rows["indicator__is_missing"].spread) == (
        0.5,
    ) * 2
    # Nobody lacks it, so there is no column for that, and the feature's weight is undivided.
    assert rows["never"].weight == 1
    dropped = [row for row in preparation.selection if not row.is_kept]
    assert [(row.feature, row.column_name) for row in dropped] == [("never", "never__is_missing")]


def test_log1p(specify):
    spec = specify({"euros": {"transform": "log1p", "clip": {"upper": 2.5}}})
    preparation = fit_preparation(sample(euros=[0, math.e - 1, math.e**3 - 1, -1, NAN]), spec)
    (row,) = preparation.scalings
    assert row.transform == "log1p"
    assert row.centre == pytest.approx((0 + 1 + 2.5) / 3)
    assert preparation.selection[0].missing_share == 0.4


def test_what_is_dropped_is_reported(specify):
    spec = specify(
        {
            "good": {},
            "constant": {},
            "empty": {},
            "one_city": {},
            "no_city": {"missing": "indicator"},
            "rare": {},
            "zeros": {"scaling": "robust"},
            "story": {"use": "profile"},
        }
    )
    size = 200
    preparation = fit_preparation(
        sample(
            good=range(size),
            constant=[7] * size,
            empty=[NAN] * size,
            one_city=["x"] * size,
            no_city=[None] * (size - 1) + ["x"],
            rare=[1, 2] + [NAN] * (size - 2),
            zeros=[0] * (size - 5) + [1] * 5,
        ),
        spec,
    )
    report = {row.column_name: (row.is_kept, row.reason) for row in preparation.selection}
    same, none = "all customers have the same value", "no customer has a value"
    mostly = "more than 95% of the customers have no value"
    assert report == {
        "good": (True, None),
        "constant": (False, same),
        "empty": (False, none),
        "one_city__x": (False, same),
        "no_city__x": (False, same),
        "no_city__is_missing": (True, mostly),
        "rare": (True, mostly),
        "zeros": (True, "its quartiles are equal: scaled by the standard deviation instead"),
    }
    values = sample(no_city=["x"] * 3).values | {"no_city": np.array([None] * 3, dtype=object)}
    nobody = FeatureSample(np.array(["1", "2", "3"], dtype=object), values)
    with pytest.raises(PreparationError, match=r"no feature is left .*`no_city`: no customer has"):
        fit_preparation(nobody, specify({"no_city": {}}))


def test_no_customers_and_no_feature_left(specify):
    with pytest.raises(PreparationError, match=r"no feature is left .*`age`: no customer has"):
        fit_preparation(sample(age=[]), specify({"age": {}}))
    with pytest.raises(PreparationError, match="`age`: all customers have the same value"):
        fit_preparation(sample(age=[5]), specify({"age": {}}))


def test_customers_who_are_all_alike_keep_the_features_in_which_they_are(specify):
    features = {"age": {}, "city": {}, "clipped": {"clip": {"upper": 5}}, "none": {}}
    features["filled"] = {"missing": {"constant": 3}}
    spec = specify(features)
    alike = sample(
        age=[0.1, NAN], city=["x", "x"], clipped=[6, 9], none=[NAN] * 2, filled=[NAN] * 2
    )

    preparation = select_features(fit_preparation(alike, spec), alike, spec)

    told = {row.feature: (row.is_kept, row.reason) for row in preparation.selection}
    one, no = "all customers have the same value", "no customer has a value"
    kept = dict.fromkeys(("age", "city", "clipped", "filled"), (True, one))
    assert told == kept | {"none": (False, no)}
    assert not apply_preparation(preparation, alike).any()


def test_a_preparation_survives_json_to_the_last_bit(specify):
    rng = np.random.default_rng(3)
    values = sample(
        age=rng.normal(size=99) / 3, city=rng.choice(["Ä", 'q"uote', "\n"], 99).tolist()
    )
    preparation = fit_preparation(values, specify({"age": {}, "city": {"missing": "indicator"}}))
    again = Preparation.from_json(preparation.to_json())
    assert again == preparation
    assert again.digest == preparation.digest
    other = fit_preparation(values, specify({"age": {"weight": 2}, "city": {}}))
    assert other.digest != preparation.digest


@pytest.mark.parametrize("damage", ["{", "[]", '{"encodings": []}'])
def test_a_damaged_preparation_is_refused(damage):
    with pytest.raises(PreparationError, match="cannot be read"):
        Preparation.from_json(damage)


def test_an_unknown_field_is_refused(specify):
    preparation = fit_preparation(sample(age=[1, 2]), specify({"age": {}}))
    content = json.loads(preparation.to_json())
    content["scalings"][0]["surprise"] = 1
    with pytest.raises(PreparationError, match="cannot be read"):
        Preparation.from_json(json.dumps(content))
