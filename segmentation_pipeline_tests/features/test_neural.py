import subprocess
import sys
import time

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features.applying import apply_preparation
from segmentation_pipeline.features.fitting import fit_preparation
from segmentation_pipeline.features.neural import OtherColumn, encode_neurally
from segmentation_pipeline.features.preparation import Preparation, gather_lookups
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.specification.features import NeuralEncoding


def planted(n, roles, groups, seed, features=4):
    """Customers whose features depend on the group of their role; with the roles' groups."""
    rng = np.random.default_rng(seed)
    group = np.arange(roles) % groups
    means = 1.5 * rng.standard_normal((groups, features))[group]
    role = rng.integers(0, roles, n)
    numbers = means[role] + rng.standard_normal((n, features))
    numbers = np.column_stack([numbers, rng.standard_normal((n, 2))])
    names = np.array([f"role {number:04}" for number in role], dtype=object)
    return names, (numbers - numbers.mean(axis=0)) / numbers.std(axis=0), group


def learn(names, numbers, seed=0, **settings):
    encoding = NeuralEncoding(kind="neural", **settings)
    others = (OtherColumn(column, 1.0) for column in numbers.T)
    return encode_neurally("role", encoding, names, others, seed)


def vectors(rows):
    lookup = gather_lookups(rows)["role"]
    return {category: np.array(vector) for category, vector in lookup.vectors.items()}


def groups_of(found, group):
    return group[[int(name.removeprefix("role ")) for name in found]]


@pytest.mark.parametrize("maximum", [200, 14])
def test_roles_of_a_group_lie_nearer_to_each_other_than_to_any_other(maximum):
    names, numbers, group = planted(1500, 15, 3, seed=0)
    found = vectors(learn(names, numbers, maximum_categories=maximum))
    places, truth = np.array(list(found.values())), groups_of(found, group)
    assert len(found) == 15
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    is_same = truth[:, None] == truth
    within = np.where(is_same, distances, 0).max(axis=1)
    between = np.where(is_same, np.inf, distances).min(axis=1)
    assert (2 * within < between).all()


def test_vectors_are_centred_on_customers_and_turned_to_their_axes():
    names, numbers, _ = planted(1500, 15, 3, seed=0)
    found = vectors(learn(names, numbers, dimensions=3))
    by_customer = np.array([found[name] for name in names])
    np.testing.assert_allclose(by_customer.mean(axis=0), 0, atol=1e-12)
    covariance = np.cov(by_customer.T)
    np.testing.assert_allclose(covariance, np.diag(covariance.diagonal()), atol=1e-12)
    assert (np.diff(covariance.diagonal()) < 0).all()
    for axis in np.array(list(found.values())).T:
        assert axis[np.abs(axis).argmax()] > 0


def test_rare_and_unseen_categories_have_the_mean_vector():
    names, numbers, _ = planted(1500, 15, 3, seed=0)
    names[names == "role 0003"] = "role 0004"
    names[:9] = "rare"
    names[9:30] = None
    rows = learn(names, numbers, rare_count=10)
    lookup = gather_lookups(rows)["role"]
    assert "rare" not in lookup.vectors
    assert None not in lookup.vectors
    assert len(lookup.vectors) == 14
    assert lookup.components == ["neural_1", "neural_2"]
    assert lookup.other == [0, 0]
    known = [lookup.vectors[name] for name in names if name in lookup.vectors]
    np.testing.assert_allclose(np.mean(known, axis=0), lookup.other, atol=1e-12)
    assert len(gather_lookups(learn(names, numbers, rare_count=9))["role"].vectors) == 15


@pytest.mark.parametrize("maximum", [200, 10])
def test_the_seed_decides_and_nothing_else(maximum):
    names, numbers, _ = planted(1500, 15, 3, seed=0)
    rows = learn(names, numbers, maximum_categories=maximum)
    assert learn(names, numbers, maximum_categories=maximum) == rows
    if maximum == 200:
        assert learn(names, numbers, seed=1) != rows


def test_threads_change_no_bit():
    program = (
        "import hashlib, runpy, sys\n"
        "module = runpy.run_path(sys.argv[1])\n"
        "names, numbers, _ = module['planted'](3000, 60, 3, seed=0)\n"
        "rows = module['learn'](names, numbers) + module['learn'](names, numbers,"
        " maximum_categories=9)\n"
        "print(hashlib.sha256(repr(rows).encode()).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, __file__],
            env={"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(digests) == 1


def test_two_thousand_product_codes_of_a_hundred_thousand_customers():
    names, numbers, group = planted(100_000, 2000, 5, seed=1)
    began = time.process_time()
    found = vectors(learn(names, numbers, dimensions=4))
    assert time.process_time() - began < 10
    assert len(found) == 2000
    places = np.array(list(found.values()))
    labels = KMeans(5, n_init=5, random_state=0).fit_predict(places)
    assert adjusted_rand_score(groups_of(found, group), labels) > 0.95


def test_a_correspondence_analysis_of_a_known_table():
    # 4 categories x 2 levels: the first two are always low, the others always high.
    names = np.repeat(np.array(["a", "b", "c", "d"], dtype=object), [10, 20, 30, 40])
    column = np.repeat([-1.0, 1.0], [30, 70])
    found = vectors(
        encode_neurally(
            "role",
            NeuralEncoding(kind="neural", maximum_categories=3),
            names,
            [OtherColumn(column, 1.0)],
            0,
        )
    )
    # The one axis has inertia 1: standardised scores, sqrt(.7/.3) for a share of .3.
    assert found["a"] == pytest.approx([np.sqrt(7 / 3), 0])
    assert found["b"] == pytest.approx([np.sqrt(7 / 3), 0])
    assert found["c"] == pytest.approx([-np.sqrt(3 / 7), 0])
    assert found["d"] == pytest.approx([-np.sqrt(3 / 7), 0])


def test_nothing_to_learn_is_no_error():
    names = np.repeat(np.array(["a", "b"], dtype=object), 20)
    constant = np.zeros((40, 1))
    zeros = {"a": [0, 0], "b": [0, 0]}
    assert gather_lookups(learn(names, constant))["role"].vectors == zeros
    three = np.repeat(np.array(["a", "b", "c"], dtype=object), 20)
    found = vectors(learn(three, np.zeros((60, 1)), maximum_categories=2))
    assert all((vector == 0).all() for vector in found.values())
    rare = gather_lookups(learn(names, np.arange(40.0)[:, None], rare_count=21))["role"]
    assert (rare.vectors, rare.other) == ({}, [0, 0])
    one_column = vectors(learn(names, np.repeat([[0.0], [1.0]], 20, axis=0)))
    assert abs(one_column["a"][0] - one_column["b"][0]) > 0.5


def test_an_identifier_is_refused():
    names = np.array([f"n{number}" for number in range(60)], dtype=object)
    with pytest.raises(PreparationError, match="`role` looks like an identifier: 60 categories"):
        learn(names, np.zeros((60, 1)))


@pytest.fixture
def customers():
    names, numbers, group = planted(1500, 15, 3, seed=2)
    columns = {f"x{index}": column for index, column in enumerate(numbers[:, :3].T)}
    towns = np.where(numbers[:, 3] > 0, "Rome", "Oslo").astype(object)
    names[:5] = None
    ids = np.array([str(number) for number in range(len(names))], dtype=object)
    return FeatureSample(ids, {"role": names, "town": towns, **columns}), group


@pytest.fixture
def spec(specify):
    features = {
        "role": {"encoding": {"kind": "neural"}, "weight": 2},
        "town": {},
        "x0": {},
        "x1": {"missing": "indicator"},
        "x2": {"transform": "log1p"},
    }
    return specify(features)


def test_its_block_keeps_the_shape_of_the_vectors_and_weighs_as_one_feature(customers, spec):
    sample, _ = customers
    preparation = fit_preparation(sample, spec)
    assert preparation.column_names[:2] == ["role__neural_1", "role__neural_2"]
    first, second = preparation.scalings[:2]
    assert first.spread == second.spread
    matrix = apply_preparation(preparation, sample)[5:, :2]
    assert matrix.var(axis=0).sum() == pytest.approx(2, rel=1e-9)
    raw = np.array(
        [preparation.lookups["role"].vectors[name] for name in sample.values["role"][5:]]
    )
    ratio = np.linalg.norm(matrix[:50] - matrix[50:100], axis=1)
    ratio /= np.maximum(np.linalg.norm(raw[:50] - raw[50:100], axis=1), 1e-300)
    assert np.ptp(ratio[ratio > 0]) == pytest.approx(0, abs=1e-9)
    # A missing role is in the centre, and so is one that was never seen.
    odd = FeatureSample(
        sample.customer_ids[:2], {k: v[:2].copy() for k, v in sample.values.items()}
    )
    odd.values["role"][1] = "never seen"
    np.testing.assert_allclose(apply_preparation(preparation, odd)[:, :2], 0, atol=1e-12)
    assert preparation.selection[0].unseen_share == 0
    assert Preparation.from_json(preparation.to_json()) == preparation


def test_it_learns_from_prepared_features_whatever_their_kind(customers, specify):
    sample, _ = customers
    features = {"role": {"encoding": {"kind": "neural"}}, "x0": {}, "town": {}}
    first = fit_preparation(sample, specify(features)).lookups["role"].vectors
    # The unit of another feature decides nothing, nor does one that only describes.
    sample.values["x0"][:] = 1000 * sample.values["x0"]
    described = features | {"x1": {"use": "profile"}}
    second = fit_preparation(sample, specify(described)).lookups["role"].vectors
    for role, vector in first.items():
        assert second[role] == pytest.approx(vector, abs=1e-6)
    # Two neural encodings see each other as categories.
    both = {"role": features["role"], "town": {"encoding": {"kind": "neural"}}}
    lookups = fit_preparation(sample, specify(both)).lookups
    assert set(lookups["town"].vectors) == {"Oslo", "Rome"}
    assert len(lookups["role"].vectors) == 15


def test_what_the_specification_refuses(specify):
    with pytest.raises(ValidationError, match="learns from the other features"):
        specify({"role": {"encoding": {"kind": "neural"}}, "x": {"use": "profile"}})
    with pytest.raises(ValidationError, match="less than or equal to 16"):
        specify({"role": {"encoding": {"kind": "neural", "dimensions": 17}}, "x": {}})
    aggregate = {"source": "web", "function": "count"}
    with pytest.raises(ValidationError, match="an `aggregate` is a number"):
        specify({"n": {"aggregate": aggregate, "encoding": {"kind": "neural"}}, "x": {}})
    numbers = FeatureSample(
        np.array(["1", "2"], dtype=object), {"n": np.array([1.0, 2.0]), "x": np.array([1.0, 2.0])}
    )
    spec = specify({"n": {"expression": "x + 1", "encoding": {"kind": "neural"}}, "x": {}})
    with pytest.raises(PreparationError, match="`n` has an `encoding`, but its values are numbers"):
        fit_preparation(numbers, spec)
