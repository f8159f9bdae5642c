import numpy as np
import pyarrow as pa
import pytest

from segmentation_pipeline.clustering.metrics import EUCLIDEAN, Similarity
from segmentation_pipeline.clustering.similar import similar_customers
from segmentation_pipeline.errors import ClusteringError

SIMILARITIES = [
    EUCLIDEAN,
    Similarity("manhattan"),
    Similarity("minkowski", 3),
    Similarity("cosine"),
]
ALONE = {"a": "a", "b": "b", "c": "c"}


def batch_of(rows, ids, names=("a", "b", "c")):
    columns = [pa.array(np.ascontiguousarray(column)) for column in np.asarray(rows).T]
    return pa.record_batch([pa.array(ids), *columns], ["customer_id", *names])


def drawn(seed, count=400):
    rows = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return rows, [f"c{i:03d}" for i in range(count)]


@pytest.mark.parametrize("similarity", SIMILARITIES, ids=str)
@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_the_nearest_are_found_in_batches_of_any_size(similarity, batch_rows):
    rows, ids = drawn(0)
    whole = batch_of(rows, ids)
    batches = (whole.slice(start, batch_rows) for start in range(0, 400, batch_rows))
    found = similar_customers("c005", rows[5], batches, rows, ALONE, similarity, 12)
    distances = similarity.pairwise(rows, rows[5:6])[:, 0]
    expected = [i for i in np.argsort(distances) if i != 5][:12]
    assert [one.customer_id for one in found] == [ids[i] for i in expected]
    assert [one.distance for one in found] == distances[expected].tolist()
    for one in found:
        assert sum(feature.share for feature in one.features) == pytest.approx(1)
        assert sum(feature.expected_share for feature in one.features) == pytest.approx(1)


def test_equally_near_customers_come_by_their_id_whatever_the_batch():
    ids = [f"c{i:02d}" for i in np.random.default_rng(1).permutation(40)]
    rows = np.zeros((40, 3), dtype=np.float32)
    rows[20:] = [1, 0, 0]
    for size in (1, 7, 40):
        batches = [batch_of(rows[i : i + size], ids[i : i + size]) for i in range(0, 40, size)]
        found = similar_customers("c99", rows[0], batches, rows, ALONE, EUCLIDEAN, 25)
        assert [one.customer_id for one in found] == sorted(ids[:20]) + sorted(ids[20:])[:5]
        assert [one.distance for one in found] == [0.0] * 20 + [1.0] * 5


def test_a_twin_is_found_and_the_customer_is_not():
    rows, ids = drawn(2, 10)
    rows[3] = rows[8]
    (first, *others) = similar_customers(
        "c008", rows[8], [batch_of(rows, ids)], rows, ALONE, EUCLIDEAN, 20
    )
    assert (first.customer_id, first.distance) == ("c003", 0)
    assert [feature.share for feature in first.features] == [0, 0, 0]
    assert sorted(one.customer_id for one in others) == [
        i for i in ids if i not in {"c008", "c003"}
    ]


def test_likeness_by_hand():
    # Neighbours of the sample differ by 2, 2, 2, 2 in a, by 1, 1, 1, 1 in b and never in c.
    sample = np.array([[0.0, 0.0, 5.0], [2.0, 1.0, 5.0], [0.0, 0.0, 5.0], [2.0, 1.0, 5.0]])
    (found,) = similar_customers(
        7,
        np.array([1.0, 0.0, 5.0]),
        [batch_of([[0.5, 1.0, 5.0]], [1])],
        sample,
        ALONE,
        EUCLIDEAN,
        3,
    )
    assert found.distance == pytest.approx(np.sqrt(1.25))
    told = [
        (one.feature, one.share, one.expected_share, one.as_near_share) for one in found.features
    ]
    # In a, nobody of the sample is within 0.5 of 1; in b everyone is within 1 of 0; in c, of 5.
    assert told == [
        ("a", 0.25 / 1.25, 0.8, 0.0),
        ("b", 1.0 / 1.25, 0.2, 1.0),
        ("c", 0.0, 0.0, 1.0),
    ]


@pytest.mark.parametrize("similarity", SIMILARITIES, ids=str)
def test_columns_of_a_feature_count_together(similarity):
    rows, ids = drawn(3)
    batch = batch_of(rows, ids)
    alone = similar_customers("c000", rows[0], [batch], rows, ALONE, similarity, 5)
    features = {"a": "role", "b": "role", "c": "visits"}
    together = similar_customers("c000", rows[0], [batch], rows, features, similarity, 5)
    for one, two in zip(alone, together, strict=True):
        assert (one.customer_id, one.distance) == (two.customer_id, two.distance)
        shares = {likeness.feature: likeness.share for likeness in one.features}
        grouped = {likeness.feature: likeness.share for likeness in two.features}
        assert grouped["role"] == pytest.approx(shares["a"] + shares["b"])
        assert grouped["visits"] == pytest.approx(shares["c"])


def test_what_few_share_comes_first():
    rng = np.random.default_rng(4)
    # Rare: one in fifty has a 1; common: one in two; and a number.
    rows = np.column_stack(
        [rng.random(1000) < 0.02, rng.random(1000) < 0.5, rng.normal(size=1000)]
    ).astype(np.float32)
    rows[0] = [1, 1, 0]
    twin = batch_of([[1.0, 1.0, 3.0]], ["twin"])
    (found,) = similar_customers("c", rows[0], [twin], rows, ALONE, EUCLIDEAN, 1)
    assert [one.feature for one in found.features] == ["a", "b", "c"]
    rare, common, number = (one.as_near_share for one in found.features)
    assert rare == pytest.approx(0.02, abs=0.01)
    assert common == pytest.approx(0.5, abs=0.05)
    assert number > 0.99
    assert found.features[2].share == 1


def test_nobody_else_is_no_answer_and_nonsense_is_refused():
    rows, ids = drawn(5, 3)
    one = batch_of(rows[:1], ids[:1])
    assert similar_customers("c000", rows[0], [one], rows, ALONE, EUCLIDEAN, 5) == []
    assert similar_customers("c000", rows[0], [], rows, ALONE, EUCLIDEAN, 5) == []
    with pytest.raises(ClusteringError, match="at least two"):
        similar_customers("c000", rows[0], [one], rows[:1], ALONE, EUCLIDEAN, 5)
    with pytest.raises(ClusteringError, match="finite"):
        similar_customers("c000", np.full(3, np.nan), [one], rows, ALONE, EUCLIDEAN, 5)
    broken = batch_of([[1.0, np.nan, 2.0]], ["x"])
    with pytest.raises(ClusteringError, match=r"b \(1\)"):
        similar_customers("c000", rows[0], [broken], rows, ALONE, EUCLIDEAN, 5)
    far = batch_of([[1e30, 0.0, 0.0]], ["x"])
    with pytest.raises(ClusteringError, match="too large"):
        similar_customers("c", rows[0], [far], rows, ALONE, Similarity("minkowski", 16), 5)
