"""What preparation did, where it is known: the unit of one feature hides the planted groups."""

import datetime as dt

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.clustering.preprocessing_effect import (
    PREPROCESSING_SCHEMA,
    compare_preprocessing,
    preprocessing_rows,
)
from segmentation_pipeline.contracts.features import FEATURE_CONTRACTS
from segmentation_pipeline.features.fitting import fit_preparation
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, Table, column_types, open_warehouse, write_rows


def specification(**features):
    features = {name: {"criterion": "needs"} | one for name, one in features.items()}
    return SegmentationSpec.model_validate(
        {"title": "test", "criteria": {"needs": "test"}, "features": features}
    )


def customers(count=300):
    """Three groups by visits and papers, and money in cents that has nothing to do with them."""
    generator = np.random.default_rng(0)
    group = np.arange(count) % 3
    values = {
        "visits": np.array([0.0, 6.0, 6.0])[group] + generator.normal(size=count),
        "papers": np.array([0.0, 0.0, 6.0])[group] + generator.normal(size=count),
        "money": generator.normal(5000, 900, size=count),
    }
    return FeatureSample(np.arange(count).astype(str).astype(object), values), group


def compared(sample, spec, segments=3):
    return compare_preprocessing(fit_preparation(sample, spec), sample, spec, segments)


def test_without_scaling_the_largest_unit_makes_the_segments():
    sample, group = customers()
    spec = specification(visits={}, papers={}, money={"weight": 0.2})

    declared, unscaled = compared(sample, spec)

    assert (declared.name, unscaled.name) == ("as declared", "without scaling")
    assert adjusted_rand_score(group, declared.labels) > 0.95
    assert adjusted_rand_score(group, unscaled.labels) < 0.05
    assert declared.agreement == 1.0
    assert unscaled.agreement == adjusted_rand_score(declared.labels, unscaled.labels)
    assert unscaled.leading_feature == "money"
    assert unscaled.leading_share > 0.99
    # All as it was but centre and spread: the money is its own, times the root of its weight.
    np.testing.assert_allclose(unscaled.matrix[:, 2], np.sqrt(0.2) * sample.values["money"])
    assert declared.leading_share == pytest.approx(1 / 2.2)
    assert declared.leading_feature == "visits"
    sizes = np.bincount(unscaled.labels) / 300
    assert unscaled.smallest_share == sizes.min()


def test_logarithms_are_undone_after_filling_and_clipping():
    generator = np.random.default_rng(1)
    money = generator.lognormal(3, 1, size=200)
    money[:20] = np.nan
    sample = FeatureSample(
        np.arange(200).astype(str).astype(object),
        {"money": money, "age": generator.normal(40, 9, size=200)},
    )
    spec = specification(
        money={"transform": "log1p", "clip": {"upper": 4.0}, "missing": "indicator"}, age={}
    )

    variants = compared(sample, spec, 2)

    assert [one.name for one in variants] == [
        "as declared",
        "without scaling",
        "without transforms",
    ]
    declared, _, raw = variants
    logs = np.minimum(np.log1p(np.where(np.isnan(money), 0, money)), 4.0)
    logs[:20] = logs[20:].mean()
    values = np.expm1(logs)
    expected = np.sqrt(0.5) * (values - values.mean()) / values.std()
    np.testing.assert_allclose(raw.matrix[:, 0], expected)
    np.testing.assert_allclose(raw.matrix[:, 1:], declared.matrix[:, 1:], atol=1e-12)


def test_groups_are_numbered_like_those_as_declared():
    sample, _ = customers()

    declared, unscaled = compared(sample, specification(visits={}, papers={"weight": 1.1}))

    assert unscaled.agreement > 0.9
    assert (declared.labels == unscaled.labels).mean() > 0.95


def test_customers_who_hardly_differ_make_fewer_groups():
    ages = np.array([1.0, 1.0, 2.0, 2.0])
    sample = FeatureSample(np.array(list("abcd"), dtype=object), {"age": ages})

    rows = preprocessing_rows(compared(sample, specification(age={}), 3))

    assert [(row["segments"], row["silhouette"]) for row in rows] == [(2, 1.0), (2, 1.0)]


def test_at_most_5000_customers_and_the_same_each_time():
    sample, _ = customers(6000)
    spec = specification(visits={}, papers={}, money={})

    once, again = (preprocessing_rows(compared(sample, spec)) for _ in range(2))

    assert once == again
    assert {row["sampled_customers"] for row in once} == {5000}


def test_the_table_is_that_of_its_contract(tmp_path):
    sample, _ = customers()
    rows = preprocessing_rows(compared(sample, specification(visits={}, papers={})))
    table = Table("staff", "preprocessing_effect")
    contract = next(one for one in FEATURE_CONTRACTS if one.name == table.name)
    required = [column.name for column in contract.work_columns if not column.is_nullable]

    with open_warehouse(tmp_path / "w.duckdb") as connection:
        build = Build(dt.date(2025, 6, 30), "run-1")
        write_rows(connection, table, PREPROCESSING_SCHEMA, rows, build)
        types = column_types(connection, table)

    assert types == {column.name: column.type for column in contract.work_columns}
    assert all(row[name] is not None for row in rows for name in required)
