import datetime as dt
import itertools
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from segmentation_pipeline.errors import PreparationError, StaleUpstreamError
from segmentation_pipeline.features.fitting import fit_preparation
from segmentation_pipeline.features.matrix import make_feature_matrix
from segmentation_pipeline.features.preparation import Preparation, ScalingRow, SelectionRow
from segmentation_pipeline.features.sample import read_feature_sample, read_sample
from segmentation_pipeline.features.transform import feature_matrix_sql
from segmentation_pipeline.specification.customers import Limits
from segmentation_pipeline.warehouse import (
    Table,
    column_types,
    literal,
    open_warehouse,
    read_build,
    record_build,
)

MATRIX = Table("lens", "feature_matrix")
ROLES = {"kind": "given", "components": ["u", "v"], "vectors": {"A": [0.1, 0.5], "B": [1, 1.5]}}
FEATURES = {
    "age": {},
    "euros": {"transform": "log1p", "clip": {"upper_quantile": 0.95}, "missing": "indicator"},
    "visits": {"scaling": "min_max", "clip": {"lower": 0, "upper": 50}, "weight": 2},
    "minutes": {"scaling": "robust", "missing": {"constant": 0}},
    "is_member": {"scaling": "none"},
    "city": {"encoding": {"kind": "one_hot", "maximum_categories": 3}, "missing": "indicator"},
    "degree": {"encoding": {"kind": "ordinal", "order": ["low", "mid", "high"]}},
    "role": {"encoding": ROLES, "missing": "indicator"},
}


def columns(n, seed=1):
    """Values of FEATURES with everything that may be wrong with them."""
    rng = np.random.default_rng(seed)

    def some(values):
        return [None if rng.random() < 0.1 else value for value in values]

    return {
        "customer_id": [f"c{i:06}" for i in range(n)],
        "age": some(rng.normal(40, 10, n).tolist()),
        "euros": some((rng.lognormal(3, 2, n) - 1).tolist()),
        "visits": some(rng.poisson(20, n).astype(float).tolist()),
        "minutes": some(rng.exponential(20, n).tolist()),
        "is_member": some((rng.random(n) < 0.3).tolist()),
        "city": some(rng.choice(["Rome", "Oslo", "Bonn", "Graz", "Wien"], n).tolist()),
        "degree": some(rng.choice(["low", "mid", "high", "??"], n).tolist()),
        "role": some(rng.choice(["A", "B", "C"], n, p=[0.5, 0.48, 0.02]).tolist()),
    }


def expected_matrix(preparation, features):
    """Apply a preparation row by row in plain Python, as its documentation says."""
    lookups = preparation.lookups
    matrix = np.empty((len(features["customer_id"]), len(preparation.scalings)), dtype=np.float32)
    for j, row in enumerate(preparation.scalings):
        for i, value in enumerate(features[row.feature]):
            x = value
            if row.feature in lookups:
                lookup = lookups[row.feature]
                vector = lookup.vectors.get(value, lookup.other) if value is not None else None
                if row.component == "is_missing":
                    x = None if vector is None or None in vector else 1.0
                else:
                    x = None if vector is None else vector[lookup.components.index(row.component)]
            elif row.transform == "log1p" and x is not None:
                x = math.log(1 + x) if x >= 0 else None
            if row.component == "is_missing":
                x = float(x is None)
            x = row.fill if x is None else float(x)
            x = max(x, -math.inf if row.lower is None else row.lower)
            x = min(x, math.inf if row.upper is None else row.upper)
            matrix[i, j] = row.weight * (x - row.centre) / row.spread
    return matrix


def test_the_matrix_is_what_the_tables_say(connection, build, put_features, specify, fit):
    features = columns(500)
    put_features(features)
    preparation = fit(specify(FEATURES))
    summary = make_feature_matrix(connection, "lens", preparation, Limits(), build)
    assert (summary.rows, summary.columns, summary.is_stored) == (500, 15, True)
    made = connection.sql(f"FROM {MATRIX.sql} ORDER BY customer_id").to_arrow_table().to_pydict()
    assert made.pop("customer_id") == features["customer_id"]
    assert set(column_types(connection, MATRIX).values()) == {"VARCHAR", "FLOAT"}
    clipped = [row for row in preparation.scalings if row.is_clipped]
    names = preparation.column_names
    assert list(made) == [*names, *(f"{row.column_name}:unclipped" for row in clipped)]
    matrix = np.array([made[name] for name in names], dtype=np.float32).T
    np.testing.assert_array_equal(matrix, expected_matrix(preparation, features))
    assert clipped
    unbounded = replace(
        preparation,
        scalings=tuple(replace(row, lower=None, upper=None) for row in preparation.scalings),
    )
    unclipped = np.array([made[name] for name in preparation.unclipped_names], np.float32).T
    np.testing.assert_array_equal(unclipped, expected_matrix(unbounded, features))
    assert (unclipped != matrix).any()


def test_the_small_tables_are_the_preparation(connection, build, put_features, specify, fit):
    put_features(columns(300))
    preparation = fit(specify(FEATURES))
    make_feature_matrix(connection, "lens", preparation, Limits(), build)

    def rows(name):
        return connection.sql(f"FROM lens.{name}").to_arrow_table().to_pylist()

    assert [ScalingRow(**row) for row in rows("scalings")] == list(preparation.scalings)
    assert [tuple(row.values()) for row in rows("encodings")] == [
        (row.feature, row.category, row.is_other, row.component, row.value)
        for row in preparation.encodings
    ]
    # Tonight's customers are those of the fitting: so are the shares.
    assert [SelectionRow(**row) for row in rows("feature_selection")] == list(preparation.selection)
    for name in ("encodings", "scalings", "feature_selection", "feature_matrix"):
        assert read_build(connection, Table("lens", name)) == build


def test_standardised_columns_are_those_of_scikit_learn(
    connection, build, put_features, specify, fit
):
    features = columns(400) | {
        "age": np.random.default_rng(2).normal(40, 10, 400),
        "city": np.random.default_rng(2).choice(["Rome", "Oslo", "Bonn"], 400).tolist(),
    }
    put_features(features)
    preparation = fit(specify({"age": {}, "city": {"weight": 3}}))
    make_feature_matrix(connection, "lens", preparation, Limits(), build)
    query = f"SELECT age, city__bonn, city__oslo, city__rome FROM {MATRIX.sql} ORDER BY customer_id"
    made = np.array(connection.sql(query).fetchall())
    cities = OneHotEncoder(sparse_output=False).fit_transform(
        np.array(features["city"], dtype=object)[:, None]
    )
    expected = StandardScaler().fit_transform(np.column_stack([features["age"], cities]))
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-6)


def test_a_block_carries_one_features_share_of_the_distance(
    connection, build, put_features, specify, fit
):
    put_features(columns(2000))
    cap = {"kind": "one_hot", "maximum_categories": 5}
    spec = specify(
        {
            "age": {},
            "city": {"encoding": cap},
            "role": {"encoding": ROLES},
            "minutes": {"weight": 3},
        },
    )
    preparation = fit(spec)
    make_feature_matrix(connection, "lens", preparation, Limits(), build)
    _, matrix = read_sample(connection, MATRIX, preparation.column_names, 0, 2000)
    features = [row.feature for row in preparation.scalings]
    assert [features.count(name) for name in spec.features] == [1, 5, 2, 1]
    # The mean squared distance of two customers is twice the sum of the columns' variances.
    variances = matrix.astype(np.float64).var(axis=0)
    share = {
        name: sum(v for v, feature in zip(variances, features, strict=True) if feature == name)
        for name in spec.features
    }
    present = {"age": 0.9, "city": 0.9, "role": 0.9 * 0.98, "minutes": 0.9}
    for name, weight in {"age": 1, "city": 1, "role": 1, "minutes": 3}.items():
        # Those who lack the feature are at its centre, and carry nothing.
        assert share[name] == pytest.approx(weight * present[name], rel=0.03)


def test_one_customer_alone_gets_the_same_row(connection, build, put_features, specify, fit):
    engineered = put_features(columns(300))
    preparation = fit(specify(FEATURES))
    make_feature_matrix(connection, "lens", preparation, Limits(), build)
    for customer_id in ("c000000", "c000007", "c000299"):
        alone = f"(SELECT * FROM {engineered.sql} WHERE customer_id = {literal(customer_id)})"
        one = connection.sql(feature_matrix_sql(preparation, alone)).fetchall()
        query = f"FROM {MATRIX.sql} WHERE customer_id = {literal(customer_id)}"
        assert one == connection.sql(query).fetchall()


def test_a_large_matrix_is_a_view_with_the_same_rows(connection, build, put_features, specify, fit):
    put_features(columns(300))
    preparation = fit(specify(FEATURES))
    make_feature_matrix(connection, "lens", preparation, Limits(table_customers=300), build)
    query = f"FROM {MATRIX.sql} ORDER BY customer_id"
    stored = connection.sql(query).fetchall()
    summary = make_feature_matrix(
        connection, "lens", preparation, Limits(table_customers=299), build
    )
    assert not summary.is_stored
    assert connection.sql(query).fetchall() == stored
    kind = connection.sql(
        "SELECT table_type FROM information_schema.tables WHERE table_name = 'feature_matrix'"
    ).fetchall()
    assert kind == [("VIEW",)]


def test_unseen_categories(connection, build, put_features, specify, fit):
    spec = specify(
        {
            "city": {},
            "area": {"encoding": {"kind": "one_hot", "maximum_categories": 2}},
            "degree": {"encoding": {"kind": "ordinal", "order": ["low", "high"]}},
            "age": {},
        }
    )
    common = {"customer_id": [f"c{i:03}" for i in range(100)], "age": list(range(100))}
    put_features(
        common
        | {
            "city": ["Rome", "Oslo"] * 50,
            "area": ["n", "s", "w", "e"] * 25,
            "degree": ["low", "high"] * 50,
        }
    )
    preparation = fit(spec)
    quiet = make_feature_matrix(connection, "lens", preparation, Limits(), build)
    assert quiet.unseen_shares == {"city": 0, "area": 0.5, "degree": 0}
    assert quiet.alarms == []
    put_features(
        common
        | {
            "city": ["Atlantis"] + ["Rome", "Oslo"] * 45 + [None] * 9,
            "area": ["n", "x", "y", "z"] * 25,
            "degree": ["low", "other"] * 50,
        }
    )
    loud = make_feature_matrix(connection, "lens", preparation, Limits(), build)
    assert loud.unseen_shares == {"city": 1 / 91, "area": 0.75, "degree": 0.5}
    assert loud.missing_shares == {"city": 0.09, "area": 0, "degree": 0.5, "age": 0}
    area, degree = loud.alarms
    assert area.startswith("feature `area`: 75.0% of its values are categories without a vector")
    assert degree.startswith("feature `degree`: 50.0% ")
    reported = connection.sql(
        "SELECT DISTINCT feature, missing_share, unseen_share FROM lens.feature_selection"
        " ORDER BY feature"
    ).fetchall()
    assert reported == [
        ("age", 0, None),
        ("area", 0, 0.75),
        ("city", 0.09, 1 / 91),
        ("degree", 0.5, 0.5),
    ]
    rows = {
        row[0]: row[1:]
        for row in connection.sql(
            "SELECT customer_id, city__rome, city__oslo, area__other, degree"
            f" FROM {MATRIX.sql} WHERE customer_id IN ('c000', 'c001') ORDER BY customer_id"
        ).fetchall()
    }
    half, third = math.sqrt(1 / 2), math.sqrt(1 / 3)
    # Atlantis is neither Rome nor Oslo; x is an other area; an unlisted degree is the centre.
    assert rows["c000"] == pytest.approx((-half, -half, -third, -1), rel=1e-6)
    assert rows["c001"] == pytest.approx((half, -half, third, 0), rel=1e-6)


def test_negatives_under_log1p_count_as_missing(connection, build, put_features, specify, fit):
    put_features({"customer_id": list("abcd"), "euros": [0.0, 9.0, -1.0, None]})
    preparation = fit(specify({"euros": {"transform": "log1p"}}))
    summary = make_feature_matrix(connection, "lens", preparation, Limits(), build)
    assert summary.missing_shares == {"euros": 0.5}
    assert summary.negatives == {"euros": 1}
    made = connection.sql(f"FROM {MATRIX.sql} ORDER BY customer_id").fetchall()
    assert made == [("a", -1), ("b", 1), ("c", 0), ("d", 0)]


def test_extreme_values_stay_in_reach_of_float32(connection, build, put_features, specify, fit):
    tiny = {"customer_id": list("abc"), "x": [0.0, 1e-30, 2e-30], "y": [1.0, 2.0, None]}
    put_features(tiny)
    preparation = fit(specify({"x": {}, "y": {}}))
    put_features(tiny | {"x": [1e15, -1e15, 1e-30]})
    make_feature_matrix(connection, "lens", preparation, Limits(), build)
    made = connection.sql(f"SELECT x FROM {MATRIX.sql} ORDER BY customer_id").fetchall()
    assert made == [(pytest.approx(1e17),), (pytest.approx(-1e17),), (0,)]
    # Columns whose spread is no risk are spared the bounds.
    assert feature_matrix_sql(preparation, "t").count("least(") == 1


def test_names_and_categories_are_quoted(connection, build, put_features, specify, fit):
    words = ["it's", '"; DROP TABLE x; --', "Ärzte", "a\nb", "order"]
    put_features({"customer_id": list("abcdefghij"), "order": words * 2, "select": list(range(10))})
    preparation = fit(specify({"order": {}, "select": {}}))
    make_feature_matrix(connection, "lens", preparation, Limits(), build)
    assert preparation.column_names == [
        "order__drop_table_x",
        "order__a_b",
        "order__it_s",
        "order__order",
        "order__ärzte",
        "select",
    ]
    made = connection.sql(f'SELECT "order__it_s" > 0 FROM {MATRIX.sql} ORDER BY customer_id')
    assert made.fetchall() == [(word == "it's",) for word in words * 2]


def test_a_preparation_for_other_features_is_refused(connection, build, put_features, specify, fit):
    put_features({"customer_id": list("abc"), "age": [1, 2, 3], "city": ["x", "y", "x"]})
    preparation = fit(specify({"age": {}, "city": {}}))
    for changed in ({"age": [1, 2, 3]}, {"age": ["x", "y", "z"], "city": ["x", "y", "x"]}):
        put_features({"customer_id": list("abc")} | changed)
        with pytest.raises(PreparationError, match="refit the segmentation"):
            make_feature_matrix(connection, "lens", preparation, Limits(), build)


def test_features_of_another_date_are_refused(connection, build, put_features, specify, fit):
    put_features({"customer_id": list("abc"), "age": [1, 2, 3]})
    preparation = fit(specify({"age": {}}))
    tomorrow = replace(build, as_of=build.as_of + dt.timedelta(days=1))
    with pytest.raises(StaleUpstreamError, match="engineered_features was made for"):
        make_feature_matrix(connection, "lens", preparation, Limits(), tomorrow)


def test_neither_row_order_nor_threads_change_a_bit(tmp_path, specify, build):
    spec = specify(FEATURES)
    engineered = Table("lens", "engineered_features")
    made, digests = [], set()
    for threads, order in itertools.product([1, 2], ["customer_id", "age", "hash(customer_id)"]):
        path = tmp_path / f"{threads} {order}.duckdb"
        with open_warehouse(path, threads=threads) as connection:
            connection.execute("CREATE SCHEMA lens")
            connection.register("given", pa.table(columns(3000)))
            connection.execute(f"CREATE TABLE {engineered.sql} AS FROM given ORDER BY {order}")
            connection.unregister("given")
            record_build(connection, engineered, build)
            sample = read_feature_sample(connection, engineered, list(spec.features), 7, 1000)
            preparation = fit_preparation(sample, spec)
            digests.add(preparation.digest)
            make_feature_matrix(connection, "lens", preparation, Limits(), build)
            made.append(connection.sql(f"FROM {MATRIX.sql} ORDER BY customer_id").fetchall())
    assert len(digests) == 1
    assert len(made[0]) == 3000
    assert all(rows == made[0] for rows in made[1:])
    assert Preparation.from_json(preparation.to_json()).digest in digests


def test_a_neural_encoding_whose_categories_are_all_rare(
    connection, build, put_features, specify, fit
):
    """It has no vectors: nobody's category tells anything, and all of them are unseen."""
    spec = specify({"town": {"encoding": {"kind": "neural"}}, "age": {}})
    towns = ["Rome", "Oslo", None, "Rome"]
    put_features({"customer_id": ["1", "2", "3", "4"], "town": towns, "age": [10, 20, 30, 40]})
    preparation = fit(spec)
    assert preparation.lookups["town"].vectors == {}
    assert preparation.column_names == ["age"]

    made = make_feature_matrix(connection, "lens", preparation, Limits(), build)

    assert made.unseen_shares == {"town": 1}
    assert made.missing_shares == {"town": 0.25, "age": 0}
    ages = connection.sql(f"SELECT age FROM {MATRIX.sql} ORDER BY customer_id").fetchall()
    expected = [(age - 25) / math.sqrt(125) for age in (10, 20, 30, 40)]
    assert [age for (age,) in ages] == pytest.approx(expected, rel=1e-6)
