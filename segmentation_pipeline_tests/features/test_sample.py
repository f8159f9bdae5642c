import hashlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from segmentation_pipeline.features import sample_keys
from segmentation_pipeline.features.sample import read_feature_sample, read_sample, sample_sql
from segmentation_pipeline.warehouse import write_table

IDS = [f"c{number:05}" for number in range(20_000)]


def key(customer_id, seed):
    return hashlib.md5(f"{seed}:{customer_id}".encode()).hexdigest()


@pytest.fixture
def table(put_features):
    numbers = np.arange(len(IDS))
    return put_features(
        {
            "customer_id": IDS,
            "number": numbers.astype(np.float64),
            "half": pa.array([n / 2 if n % 2 else None for n in numbers.tolist()], pa.float64()),
            "is_even": [n % 2 == 0 for n in numbers.tolist()],
            "word": [None if n % 3 == 0 else f"w{n % 3}" for n in numbers.tolist()],
        }
    )


@pytest.mark.parametrize("limit", [1, 10, 1000, 19_999, 20_000, 50_000])
def test_the_smallest_hashes_are_chosen_in_their_order(connection, table, limit):
    ids, values = read_sample(connection, table, ["number", "half"], 3, limit)
    assert ids.tolist() == sorted(IDS, key=lambda customer_id: key(customer_id, 3))[:limit]
    assert values.dtype == np.float32
    expected = np.array([float(customer_id[1:]) for customer_id in ids])
    np.testing.assert_array_equal(values[:, 0], expected)
    np.testing.assert_array_equal(values[:, 1], np.where(expected % 2, expected / 2, np.nan))


def kept_tables(connection):
    rows = connection.execute("SHOW ALL TABLES").fetchall()
    return [name for database, _, name, *_ in rows if database == "temp"]


@pytest.mark.parametrize("limit", [1, 10, 300, 2_500])
def test_customers_of_small_hashes_are_kept_for_the_next_sample(
    connection, table, limit, monkeypatch
):
    monkeypatch.setattr(sample_keys, "KEPT_CUSTOMERS", 1_000)
    for _ in range(2):
        ids, values = read_sample(connection, table, ["number"], 3, limit)
        assert ids.tolist() == sorted(IDS, key=lambda customer_id: key(customer_id, 3))[:limit]
        assert values[:, 0].tolist() == [int(customer_id[1:]) for customer_id in ids]
        # More are asked for than are kept: every id is hashed.
        assert len(kept_tables(connection)) == (limit < 2_500)


def test_what_is_kept_of_an_earlier_table_is_not_read(connection, table, build, monkeypatch):
    monkeypatch.setattr(sample_keys, "KEPT_CUSTOMERS", 1_000)
    read_sample(connection, table, ["number"], 3, 100)
    write_table(
        connection,
        table,
        "SELECT 'd' || i AS customer_id, i::DOUBLE AS number FROM range(20000) t(i)",
        replace(build, run_id="another"),
    )

    ids, _ = read_sample(connection, table, ["number"], 3, 100)

    others = [f"d{number}" for number in range(20_000)]
    assert ids.tolist() == sorted(others, key=lambda customer_id: key(customer_id, 3))[:100]
    assert len(kept_tables(connection)) == 1


def test_another_seed_chooses_others(connection, table):
    ids, _ = read_sample(connection, table, ["number"], 3, 1000)
    others, _ = read_sample(connection, table, ["number"], 4, 1000)
    assert 10 < len(set(ids) & set(others)) < 100  # 50 by chance


def test_features_keep_their_types(connection, table):
    sample = read_feature_sample(connection, table, ["half", "is_even", "word"], 3, 500)
    numbers = np.array([int(customer_id[1:]) for customer_id in sample.customer_ids])
    assert len(numbers) == 500
    half, is_even, word = sample.values.values()
    np.testing.assert_array_equal(half, np.where(numbers % 2, numbers / 2, np.nan))
    np.testing.assert_array_equal(is_even, (numbers % 2 == 0).astype(np.float64))
    assert is_even.dtype == np.float64
    assert word.tolist() == [None if n % 3 == 0 else f"w{n % 3}" for n in numbers]


def test_an_empty_table_gives_an_empty_sample(connection, put_features):
    table = put_features({"customer_id": pa.array([], pa.string()), "x": pa.array([], "float64")})
    ids, values = read_sample(connection, table, ["x"], 0, 10)
    assert (ids.shape, values.shape) == ((0,), (0, 1))
    sample = read_feature_sample(connection, table, ["x"], 0, 10)
    assert sample.customer_ids.shape == sample.values["x"].shape == (0,)


def test_the_query_quotes_nothing_it_did_not_make():
    assert sample_sql("t", ["x"], 1, 2) == (
        "SELECT x FROM t\nORDER BY md5('1:' || customer_id), customer_id LIMIT 2"
    )
