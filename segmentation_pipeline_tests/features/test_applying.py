"""A preparation applied in memory is the generated SELECT, on data with everything that is odd."""

import numpy as np
import pytest

from segmentation_pipeline.features.applying import apply_preparation, transformed
from segmentation_pipeline.features.sample import FeatureSample, read_feature_sample
from segmentation_pipeline.features.transform import feature_matrix_sql

SEED = 7
FEATURES = {
    "euros": {"transform": "log1p", "clip": {"upper_quantile": 0.9}, "missing": "indicator"},
    "visits": {"scaling": "min_max", "clip": {"lower": 2, "upper": 50}, "weight": 2},
    "minutes": {"scaling": "robust", "missing": {"constant": -1}},
    "tiny": {},
    "is_member": {"missing": "indicator"},
    "city": {"encoding": {"kind": "one_hot", "maximum_categories": 2}, "missing": "indicator"},
    "area": {},
    "degree": {
        "encoding": {"kind": "ordinal", "order": ["low", "mid", "high"]},
        "missing": "indicator",
    },
    "role": {
        "encoding": {
            "kind": "given",
            "components": ["u", "v"],
            "vectors": {"A": [0.1, 0.5], "B": [1, 1.5]},
        }
    },
}


def awkward(n, seed):
    """Values with gaps, negatives under a logarithm, unseen categories and extremes."""
    rng = np.random.default_rng(seed)

    def gaps(values):
        return [None if rng.random() < 0.15 else value for value in values]

    return {
        "customer_id": [f"c{i:04}" for i in range(n)],
        "euros": gaps((rng.lognormal(3, 2, n) - 1.5).tolist()),
        "visits": gaps(rng.poisson(20, n).tolist()),
        "minutes": gaps((rng.random(n) * rng.choice([0, 1e-9, 1, 1e9], n)).tolist()),
        "tiny": gaps((rng.random(n) * 1e-30).tolist()),
        "is_member": gaps((rng.random(n) < 0.3).tolist()),
        "city": gaps(rng.choice(["Rome", "Oslo", "Bonn", "it's", "other"], n).tolist()),
        "area": gaps(rng.choice(["n", "s", "w"], n).tolist()),
        "degree": gaps(rng.choice(["low", "mid", "high", "??"], n).tolist()),
        "role": gaps(rng.choice(["A", "B", "C"], n).tolist()),
    }


def test_it_is_what_the_generated_select_makes(connection, put_features, specify, fit):
    put_features(awkward(400, 1))
    preparation = fit(specify(FEATURES))
    assert len(preparation.scalings) == 18
    # Tonight there are other customers, a new category, and values beyond all bounds.
    tonight = awkward(400, 2)
    tonight["area"][:40] = ["Atlantis"] * 40
    tonight["tiny"][:2] = [1e15, -1e15]
    engineered = put_features(tonight)

    sample = read_feature_sample(connection, engineered, list(FEATURES), SEED, 300)
    made = apply_preparation(preparation, sample)

    query = feature_matrix_sql(preparation, engineered.sql)
    columns = ", ".join(f'"{name}"' for name in preparation.column_names)
    rows = connection.sql(f"SELECT customer_id, {columns} FROM ({query})").fetchall()
    by_id = {row[0]: row[1:] for row in rows}
    selected = np.array([by_id[customer_id] for customer_id in sample.customer_ids], np.float32)
    assert made.shape == (300, 18)
    assert made.dtype == np.float64
    is_logarithm = np.array([row.transform == "log1p" for row in preparation.scalings])
    assert is_logarithm.sum() == 2
    single = made.astype(np.float32)
    np.testing.assert_array_equal(single[:, ~is_logarithm], selected[:, ~is_logarithm])
    # numpy's logarithm and the C library's may round differently.
    np.testing.assert_array_max_ulp(single[:, is_logarithm], selected[:, is_logarithm], 1)


def test_nobody_gives_no_rows(connection, put_features, specify, fit):
    engineered = put_features(awkward(50, 3))
    preparation = fit(specify(FEATURES))
    nobody = read_feature_sample(connection, engineered, list(FEATURES), SEED, 0)

    assert apply_preparation(preparation, nobody).shape == (0, len(preparation.scalings))


@pytest.mark.parametrize("missing", ["centre", "indicator"])
def test_everybody_lacking_a_feature_gets_its_fill(put_features, specify, fit, missing):
    put_features(awkward(50, 4))
    preparation = fit(specify({"visits": {}, "degree": FEATURES["degree"] | {"missing": missing}}))
    ids = np.array(["a", "b"], dtype=object)
    lacking = FeatureSample(
        ids, {"visits": np.full(2, np.nan), "degree": np.full(2, None, dtype=object)}
    )

    made = apply_preparation(preparation, lacking)

    np.testing.assert_array_equal(made[:, :2], 0.0)
    assert (made[:, 2:] > 0.0).all()


def test_a_negative_number_has_no_logarithm():
    values = np.array([-0.5, 0.0, np.e - 1.0, np.nan])

    np.testing.assert_array_equal(transformed(values, "none"), values)
    np.testing.assert_allclose(transformed(values, "log1p"), [np.nan, 0.0, 1.0, np.nan])
