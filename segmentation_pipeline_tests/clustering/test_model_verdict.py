"""Planted segments are supported, one correlated Gaussian is not, by the model's own labels."""

import numpy as np
import pytest

from segmentation_pipeline.clustering.fitted_model import make_model
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.model_verdict import (
    judge_segments,
    prepare_with,
    raw_features,
    segments_given,
)
from segmentation_pipeline.clustering.new_model import Training, judge_kept
from segmentation_pipeline.features.applying import apply_preparation
from segmentation_pipeline.features.fitting import fit_preparation
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.specification.segmentation import SegmentationSpec

DEGREES = ["Bachelor", "Master", "Doctorate"]


def specify(features, seed=3, tried=(2, 4)):
    features = {name: {"criterion": "needs"} | feature for name, feature in features.items()}
    return SegmentationSpec.model_validate(
        {
            "title": "test",
            "criteria": {"needs": "test"},
            "features": features,
            "clustering": {
                "seed": seed,
                "minimum_segments": tried[0],
                "maximum_segments": tried[1],
            },
        }
    )


def sample_of(columns):
    n = len(next(iter(columns.values())))
    return FeatureSample(np.array([f"c{i}" for i in range(n)], dtype=object), columns)


def types_of(columns, **known):
    return {
        name: "VARCHAR" if values.dtype == object else "DOUBLE" for name, values in columns.items()
    } | known


def fitted(sample, spec, k):
    preparation = fit_preparation(sample, spec)
    matrix = apply_preparation(preparation, sample)
    family = KMeansFamily([k], starts=5)
    (fit,) = family.fit(matrix, seed=1)
    model = make_model(
        fit,
        family.assigner(fit.arrays, fit.parameters),
        matrix,
        preparation.column_names,
        {"reason": "one segment: all 3 customers are identical in these features"},
    )
    return preparation, model


def judged(model, preparation, sample, spec, types, workers=1):
    training = Training(preparation, np.empty((0, 0)), None, sample, types)
    return judge_kept(spec, training, model, workers)


def verdict_of(columns, spec, k, **options):
    sample = sample_of(columns)
    preparation, model = fitted(sample, spec, k)
    return judged(model, preparation, sample, spec, types_of(columns), **options)


def planted(n=1200):
    """Three groups that combine a heavy-tailed count, a number, a degree and a role."""
    rng = np.random.default_rng(8)
    group = rng.integers(0, 3, n)
    degree = np.array([DEGREES[0], DEGREES[1], DEGREES[2]], dtype=object)
    return {
        "papers": rng.poisson(np.array([0.3, 60.0, 60.0])[group]).astype(np.float64),
        "hours": np.array([10.0, 10.0, 40.0])[group] + rng.normal(0.0, 3.0, n),
        "degree": degree[(group + (rng.random(n) < 0.1)) % 3],
        "euros": np.exp(np.array([3.0, 7.0, 7.0])[group] + rng.normal(0.0, 0.5, n)),
    }


SPEC = specify(
    {
        "papers": {"transform": "log1p"},
        "hours": {},
        "degree": {"encoding": {"kind": "ordinal", "order": DEGREES}},
        "euros": {"transform": "log1p"},
    }
)


def test_planted_segments_are_supported():
    found = verdict_of(planted(), SPEC, 3)

    assert (found.word, found.n_segments, found.n_customers) == ("supported", 3, 1200)
    assert found.n_tried == 3
    assert found.evidence is not None
    assert found.evidence.null is not None
    assert found.evidence.null.p == 0.005


def test_one_correlated_gaussian_is_a_continuum():
    rng = np.random.default_rng(9)
    trend = 2.0 * rng.normal(size=1000)
    columns = {f"x{i}": trend + rng.normal(size=1000) for i in range(4)}

    found = verdict_of(columns, specify({name: {} for name in columns}), 2)

    assert (found.word, found.separated) == ("continuum", False)
    assert found.evidence is not None
    assert found.evidence.stability.stable


def test_neither_threads_nor_a_second_run_change_it():
    columns = {name: values[:200] for name, values in planted().items()}
    found = [verdict_of(columns, SPEC, 3, workers=workers) for workers in (1, 2, 1)]

    assert found[0] == found[1] == found[2]


def test_one_segment_has_no_structure_and_says_why():
    columns = {"hours": np.array([1.0, 2.0, 3.0])}

    found = verdict_of(columns, specify({"hours": {}}), 1)

    assert (found.word, found.n_segments, found.n_customers) == ("no structure", 1, 3)
    assert found.sentence == (
        "There is only one segment: all 3 customers are identical in these features."
    )


def test_a_sample_of_equal_customers_has_no_structure():
    spec = specify({"hours": {}})
    preparation, model = fitted(sample_of({"hours": np.array([0.0, 0.0, 9.0, 9.0])}), spec, 2)
    alike = sample_of({"hours": np.zeros(50)})

    found = judged(model, preparation, alike, spec, {"hours": "DOUBLE"})

    assert found.word == "no structure"
    assert found.sentence.startswith("All customers that were looked at are alike")


def test_a_segment_of_which_nobody_was_drawn_is_not_supported():
    rng = np.random.default_rng(5)
    groups = np.repeat([0.0, 50.0, 500.0], 100)
    spec = specify({"hours": {}})
    everybody = groups + rng.normal(size=300)
    preparation, model = fitted(sample_of({"hours": everybody}), spec, 3)
    drawn = sample_of({"hours": everybody[:200]})

    found = judged(model, preparation, drawn, spec, {"hours": "DOUBLE"})

    assert (found.n_segments, found.separated) == (3, False)
    assert found.word not in {"supported", "weak"}
    assert found.evidence is not None
    assert sorted(found.evidence.stability.jaccards) == [0.0, 1.0, 1.0]


def test_segments_that_nobody_fitted_are_judged_by_their_labels():
    columns = planted()
    sample = sample_of(columns)
    preparation = fit_preparation(sample, SPEC)
    features = raw_features(preparation, sample, SPEC, types_of(columns))
    given = np.where(columns["euros"] > np.exp(5.0), np.where(columns["hours"] > 25, 2, 1), 0)
    given[:6] = -1

    found = judge_segments(
        segments_given(given), features, prepare_with(preparation), seed=3, tried=[], n_tried=1
    )

    assert (found.verdict.word, found.verdict.n_segments) == ("supported", 3)
    assert found.verdict.evidence is not None
    assert found.verdict.evidence.stability.worst > 0.99
    assert [*found.nulls] == [3]


KINDS = {
    "papers": {"transform": "log1p"},
    "hours": {"missing": "indicator"},
    "is_member": {},
    "city": {},
    "degree": {"encoding": {"kind": "ordinal", "order": DEGREES}, "missing": "indicator"},
    "role": {
        "encoding": {
            "kind": "given", "components": ["u", "v"], "vectors": {"A": [0, 1], "B": [2, 1.5]},
        }
    },
    "constant": {},
}  # fmt: skip


def mixed():
    return {
        "papers": np.array([0.0, 3.0, -1.0, np.nan, 12.0, 0.0]),
        "hours": np.array([0.5, 3.0, np.nan, 8.0, 9.0, 1.0]),
        "is_member": np.array([1.0, 0.0, np.nan, 1.0, 0.0, 0.0]),
        "city": np.array(["Rome", "Oslo", None, "Rome", "Bonn", "Bonn"], dtype=object),
        "degree": np.array([*DEGREES, None, "??", "Master"], dtype=object),
        "role": np.array(["A", "B", "C", None, "A", "B"], dtype=object),
        "constant": np.ones(6),
    }


@pytest.fixture
def raw():
    sample, spec = sample_of(mixed()), specify(KINDS)
    preparation = fit_preparation(sample, spec)
    types = types_of(mixed(), is_member="BOOLEAN")
    return sample, preparation, raw_features(preparation, sample, spec, types)


def test_every_feature_that_is_kept_has_its_kind(raw):
    _, _, features = raw

    assert {feature.name: feature.kind for feature in features} == {
        "papers": "integer",
        "hours": "continuous",
        "is_member": "categorical",
        "city": "categorical",
        "degree": "ordinal",
        "role": "categorical",
    }
    values = {feature.name: feature.values.tolist() for feature in features}
    # Without a logarithm, without a level: missing in the matrix, and missing here.
    np.testing.assert_array_equal(values["papers"], [0.0, 3.0, np.nan, np.nan, 12.0, 0.0])
    np.testing.assert_array_equal(values["degree"], [1.0, 2.0, 3.0, np.nan, np.nan, 2.0])
    assert values["is_member"] == [True, False, None, True, False, False]


def test_preparing_raw_features_is_applying_the_preparation(raw):
    sample, preparation, features = raw

    np.testing.assert_array_equal(
        prepare_with(preparation)(features), apply_preparation(preparation, sample)
    )


def test_dithered_values_lie_between_their_levels_and_below_nothing(raw):
    _, preparation, features = raw
    papers, degree = (next(f for f in features if f.name == name) for name in ("papers", "degree"))
    prepare, columns = prepare_with(preparation), preparation.column_names

    def moved(feature, by):
        return type(feature)(feature.name, feature.values + by, feature.kind)

    made = [
        prepare([moved(f, by) if f in (papers, degree) else f for f in features])
        for by in (-0.5, 0.0, 0.5)
    ]
    lower, middle, upper = (matrix[:, columns.index("degree")] for matrix in made)
    np.testing.assert_allclose(lower + upper, 2.0 * middle, atol=1e-12)
    lower, middle, upper = (matrix[0, columns.index("papers")] for matrix in made)
    # A count of 0 under a logarithm: as far below its place as above.
    assert lower < middle < upper
    assert lower + upper == pytest.approx(2.0 * middle)
