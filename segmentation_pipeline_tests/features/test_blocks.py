"""Features of a block weigh as one, and stay or go together."""

import math

import numpy as np
import pytest

from segmentation_pipeline.features.applying import apply_preparation
from segmentation_pipeline.features.distance_share import distance_shares
from segmentation_pipeline.features.fitting import fit_preparation
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.features.selection import select_features

NAN = np.nan


def sample(**columns):
    size = len(next(iter(columns.values())))
    values = {name: np.array(column, dtype=np.float64) for name, column in columns.items()}
    return FeatureSample(np.array([str(n) for n in range(size)], dtype=object), values)


def weights(preparation):
    return {row.column_name: row.weight for row in preparation.scalings}


def answers(customers=200, seed=1):
    """Three options that differ in how often they are chosen, and a number beside them."""
    rng = np.random.default_rng(seed)
    chosen = {f"way__{n}": rng.random(customers) < share for n, share in enumerate((0.5, 0.2, 0.9))}
    return sample(age=rng.normal(size=customers), **chosen)


BLOCK = {f"way__{n}": {"block": "way"} for n in range(3)}


def test_a_block_has_the_share_of_the_distance_of_one_feature(specify):
    given = answers()
    preparation = fit_preparation(given, specify({"age": {}, **BLOCK}))

    matrix = apply_preparation(preparation, given)
    shares = distance_shares(matrix, [row.feature for row in preparation.scalings], "euclidean")

    assert weights(preparation) == {
        "age": 1.0, **dict.fromkeys(BLOCK, pytest.approx(math.sqrt(1 / 3))),
    }  # fmt: skip
    assert shares["age"] == pytest.approx(0.5)
    assert sum(shares[name] for name in BLOCK) == pytest.approx(0.5)


def test_the_weight_is_that_of_the_block_whatever_columns_are_left_in_it(specify):
    given = answers()
    never = sample(**given.values, way__3=np.zeros(200))
    gaps = np.where(np.arange(200) % 4, given.values["way__0"], NAN)
    features = {name: {"block": "way", "weight": 2} for name in [*BLOCK, "way__3"]}
    features["way__0"]["missing"] = "indicator"
    given = sample(**{**never.values, "way__0": gaps})

    preparation = fit_preparation(given, specify(features))

    assert weights(preparation) == dict.fromkeys(
        ["way__0", "way__0__is_missing", "way__1", "way__2"], math.sqrt(2 / 4)
    )
    (dropped,) = (row for row in preparation.selection if not row.is_kept)
    assert dropped.feature == "way__3"


def test_an_option_that_few_choose_stays_with_its_block_and_a_dead_block_goes(specify):
    given = answers()
    rare = np.zeros(200)
    rare[0] = 1.0
    alone = specify({"age": {}, **BLOCK, "way__3": {}})
    block = specify({"age": {}, **BLOCK, "way__3": {"block": "way"}})
    dead = specify({"age": {}, "way__3": {"block": "dead"}, "way__4": {"block": "dead"}})
    values = {**given.values, "way__3": rare, "way__4": rare}

    def kept(spec):
        wanted = sample(**{name: values[name] for name in spec.features})
        prepared = select_features(fit_preparation(wanted, spec), wanted, spec)
        return [row.feature for row in prepared.scalings], {
            row.feature: row.reason for row in prepared.selection if not row.is_kept
        }

    assert kept(alone)[0] == ["age", *BLOCK]
    assert kept(block)[0] == ["age", *BLOCK, "way__3"]
    left, reasons = kept(dead)
    assert left == ["age"]
    assert list(reasons) == ["way__3", "way__4"]
    assert all("do not differ in it" in reason for reason in reasons.values())


def test_two_options_that_exclude_each_other_are_no_copies_within_a_block(specify):
    yes = np.arange(100) % 2
    spec = specify({"a": {"block": "way"}, "b": {"block": "way"}, "age": {}})
    given = sample(a=yes, b=1 - yes, age=np.arange(100) % 7)

    prepared = select_features(fit_preparation(given, spec), given, spec)

    assert [row.feature for row in prepared.scalings] == ["a", "b", "age"]


def test_a_block_that_repeats_a_feature_is_dropped_whole(specify):
    yes = (np.arange(100) % 3 == 0).astype(float)
    spec = specify({"age": {"weight": 2}, "a": {"block": "way"}, "b": {"block": "way"}})
    given = sample(age=yes, a=yes, b=1 - yes)

    prepared = select_features(fit_preparation(given, spec), given, spec)

    assert [row.feature for row in prepared.scalings] == ["age"]
    assert all("it copies `age`" in (row.reason or "") for row in prepared.selection[1:])
