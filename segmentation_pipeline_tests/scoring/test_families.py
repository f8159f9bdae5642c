"""What each family says of itself: its confidence, what decides, and whether it can be SQL."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_pipeline.clustering.families import assigner_of
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.scoring import score_file, segments_view_sql

TWO = {"prototypes": np.array([[0.0, 0.0], [4.0, 0.0]])}
MIXTURE = {
    "weights": np.array([0.5, 0.5]),
    "means": np.array([[0.0, 0.0], [4.0, 0.0]]),
    "precisions_cholesky": np.array([np.eye(2), np.eye(2)]),
}
CORES = {
    "core_points": np.array([[0.0, 0.0], [4.0, 0.0]]),
    "core_labels": np.array([0, 1]),
    "reaches": np.array([1.5, 1.5]),
}


@pytest.fixture
def score(tmp_path):
    def _score(found, rows):
        path, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        score_file(found, path, output)
        return pq.read_table(output).to_pylist()

    return _score


def test_a_margin_is_confidence_and_contributions_are_parts_of_it(make_published, score):
    # t of (1, 5) is (3^2 - 1^2) / 4^2; a missing x is 2, on the border.
    (one,) = score(make_published("k_means", TWO), [{"number": "A", "x": 1.0, "y": 5.0}])

    assert one["number"] == "A"
    assert (one["segment_id"], one["segment"]) == ("lens-7", "Left")
    assert (one["runner_up_segment_id"], one["runner_up_segment"]) == ("lens-8", "Right")
    assert (one["confidence"], one["confidence_kind"]) == (0.5, "margin")
    assert (one["feature_1"], one["contribution_1"]) == ("x", 0.5)
    assert one["words_1"] == (
        "How far right: 1 m (0.25 on average in the segment, 4 in the runner-up)"
    )
    # y says nothing between the two, so that nothing else decides.
    assert one["feature_2"] is one["contribution_2"] is one["words_2"] is None
    assert (one["is_noise"], one["is_outlier"], one["missing_features"]) == (False, False, 0)


def test_a_value_that_is_missing_decides_nothing(make_published, score):
    diagonal = {"prototypes": np.array([[0.0, 0.0], [4.0, 4.0]])}

    (one,) = score(make_published("k_means", diagonal), [{"x": 1.0, "y": None}])

    # t = (d^2 of (3, 2) - d^2 of (1, 2)) / 32.
    assert one["confidence"] == pytest.approx((13 - 5) / 32)
    assert (one["feature_1"], one["feature_2"]) == ("x", None)
    assert one["missing_features"] == 1


def test_what_speaks_for_the_runner_up_is_negative(make_published, score):
    diagonal = {"prototypes": np.array([[0.0, 0.0], [4.0, 4.0]])}

    (one,) = score(make_published("k_means", diagonal), [{"x": -1.0, "y": 3.0}])

    assert one["segment_id"] == "lens-7"
    told = {one[f"feature_{rank}"]: one[f"contribution_{rank}"] for rank in (1, 2)}
    assert told == {"x": pytest.approx(24 / 32), "y": pytest.approx(-8 / 32)}


def test_beyond_its_prototype_nobody_is_surer_than_1(make_published, score):
    (one,) = score(make_published("k_means", TWO), [{"x": -3.0, "y": 0.0}])

    assert one["confidence"] == 1.0


def test_a_mixture_gives_its_posterior(make_published, score):
    # Log odds of (1, 0) are (3^2 - 1^2) / 2.
    (one,) = score(make_published("gaussian_mixture", MIXTURE), [{"x": 1.0, "y": 0.0}])

    assert one["confidence"] == pytest.approx(1 / (1 + np.exp(-4.0)))
    assert one["confidence_kind"] == "probability"
    assert (one["feature_1"], one["contribution_1"]) == ("x", pytest.approx(4.0))


@pytest.mark.parametrize("algorithm", ["dbscan", "hdbscan"])
def test_whom_no_segment_reaches_is_noise_without_confidence(make_published, score, algorithm):
    near, far = score(
        make_published(algorithm, CORES), [{"x": 1.0, "y": 0.0}, {"x": 0.0, "y": 3.0}]
    )

    assert (near["segment_id"], near["is_noise"]) == ("lens-7", False)
    assert near["confidence"] == pytest.approx(1 - 1 / 3)
    assert (near["feature_1"], near["contribution_1"]) == ("x", pytest.approx(1 - 1 / 3))
    assert (far["segment_id"], far["segment"]) == ("lens-noise", "in no segment")
    assert far["is_noise"]
    assert far["confidence"] is far["confidence_kind"] is far["feature_1"] is None


def test_other_metrics_and_a_network_have_a_margin_too(make_published, score, autoencoder_arrays):
    rows = [{"x": 1.0, "y": 0.5}, {"x": 3.5, "y": 4.0}]
    for algorithm, metric, arrays in (
        ("k_medoids", "manhattan", TWO),
        ("k_medoids", "minkowski", TWO),
        ("k_means", "cosine", {"prototypes": np.array([[1.0, 0.0], [0.0, 1.0]])}),
        ("autoencoder", "euclidean", autoencoder_arrays),
    ):
        parameters = {"minkowski_p": 3.0} if metric == "minkowski" else {}
        found = make_published(algorithm, arrays, metric=metric, parameters=parameters)
        for one in score(found, rows):
            assert one["confidence_kind"] == "margin"
            assert 0 <= one["confidence"] <= 1
            assert one["feature_1"] in ("x", "y")


def test_the_only_segment_has_neither_confidence_nor_runner_up(make_published, score):
    (one,) = score(make_published("k_means", {"prototypes": np.zeros((1, 2))}), [{"x": 1.0}])

    assert one["segment_id"] == "lens-7"
    assert one["confidence"] is one["runner_up_segment_id"] is one["feature_1"] is None


def rules(make_published):
    parameters = {"segments": 2, "names": ["Left", "Right"], "predicates": ["x < 2", "x >= 2"]}
    settings = {"rules": [{"name": "Left", "where": "x < 2"}, {"name": "Right", "where": "x >= 2"}]}
    return make_published(
        "rules", {}, parameters=parameters, clustering={"algorithm": "rules", **settings}
    )


def test_a_rule_holds_or_does_not(make_published, score):
    left, nobody = score(rules(make_published), [{"x": 1.0, "y": 1.0}, {"x": None, "y": 1.0}])

    assert (left["segment_id"], left["confidence"], left["confidence_kind"]) == (
        "lens-7",
        1.0,
        "rule",
    )
    assert (nobody["segment_id"], nobody["confidence"]) == ("lens-noise", None)


def labelled_by_sql(found, points):
    with duckdb.connect() as plain:
        x, y = points.T
        table = pa.table({"customer_id": np.arange(len(points)).astype(str), "x": x, "y": y})
        plain.register("given", table)
        plain.execute("CREATE TABLE engineered_features AS FROM given")
        plain.execute(segments_view_sql(found))
        rows = plain.execute("SELECT customer_id, raw_segment_id FROM segments_of_lens").fetchall()
    return [segment for _, segment in sorted(rows, key=lambda row: int(row[0]))]


@pytest.mark.parametrize(
    ("algorithm", "metric"),
    [
        ("k_means", "euclidean"),
        ("k_means", "cosine"),
        ("k_medoids", "euclidean"),
        ("k_medoids", "manhattan"),
        ("k_medoids", "cosine"),
    ],
)
def test_sql_is_the_assigner_also_on_borders_and_at_the_origin(make_published, algorithm, metric):
    rng = np.random.default_rng(1)
    prototypes = rng.integers(-4, 5, (7, 2)) + np.array([0.5, 0.25])
    # Halves and whole numbers: many lie on borders, one has no direction.
    points = np.concatenate([rng.integers(-8, 9, (2000, 2)) / 2, rng.normal(size=(2000, 2))])
    points[:40] = 0.0
    found = make_published(algorithm, {"prototypes": prototypes}, metric=metric)
    columns = list(points.astype(np.float32).T)
    expected = assigner_of(found.model).query(columns).own

    labels = labelled_by_sql(found, points)

    assert labels == [found.segment_ids[label] for label in expected]
    assert len(set(labels)) >= 4


def test_sql_of_rules(make_published):
    points = np.array([[1.0, 0.0], [2.0, 0.0]])

    assert labelled_by_sql(rules(make_published), points) == ["lens-7", "lens-8"]


@pytest.mark.parametrize(
    ("algorithm", "metric", "arrays", "reason"),
    [
        ("gaussian_mixture", "euclidean", MIXTURE, "densities, not centres"),
        ("dbscan", "euclidean", CORES, "dense places"),
        ("hdbscan", "manhattan", CORES, "dense places"),
        ("autoencoder", "euclidean", TWO, "neural network"),
        ("k_medoids", "minkowski", TWO, "powers"),
    ],
)
def test_what_has_no_centroids_is_refused_with_the_reason(
    make_published, algorithm, metric, arrays, reason
):
    parameters = {"minkowski_p": 3.0} if metric == "minkowski" else {}
    found = make_published(algorithm, arrays, metric=metric, parameters=parameters)

    with pytest.raises(ClusteringError, match=reason):
        segments_view_sql(found)
