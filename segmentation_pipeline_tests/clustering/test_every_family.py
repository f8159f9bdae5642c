"""What holds for every family and each of its metrics, from the settings to the assignments."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.clustering import assignment
from segmentation_pipeline.clustering.assignment import assign_rows
from segmentation_pipeline.clustering.families import assigner_of, families_of, family_of
from segmentation_pipeline.clustering.family import NOISE
from segmentation_pipeline.clustering.fitted_model import make_model, outlier_distance
from segmentation_pipeline.clustering.model import SegmentModel, load_model, save_model
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import METRICS, Clustering

NAMES = ["a", "b", "c", "d"]
GROUPS = [160, 110, 80]
STRAYS = 4
CASES = [
    (algorithm, metric)
    for algorithm, metrics in METRICS.items()
    for metric in metrics
    if algorithm != "rules"
]
every_family = pytest.mark.parametrize(
    "case", CASES, ids=[f"{algorithm}-{metric}" for algorithm, metric in CASES]
)


def group_rows(rng, groups, spread):
    """Rows of groups that are apart by any metric: in place, and in direction."""
    return 8.0 * np.eye(3, len(NAMES))[groups] + spread * rng.normal(size=(len(groups), len(NAMES)))


def planted():
    """Three round groups, and a few customers who belong to none; -1 are those."""
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], GROUPS)
    # Farther from each group than the groups are from each other: HDBSCAN joins the nearest first.
    strays = np.array([-5.0, -5.0, -5.0, 0.0]) + rng.normal(size=(STRAYS, len(NAMES)))
    rows = np.concatenate([group_rows(rng, groups, 0.7), strays])
    order = rng.permutation(len(rows))
    return rows[order], np.concatenate([groups, np.full(STRAYS, -1)])[order]


def spec_of(case):
    algorithm, metric = case
    return Clustering.model_validate(
        {
            "algorithm": algorithm,
            "metric": metric,
            "starts": 2,
            "mixture": {"covariances": ["full", "tied", "diagonal", "spherical"]},
            **({"minkowski_p": 2.5} if metric == "minkowski" else {}),
        }
    )


@cache
def fits_of(case, workers=1):
    (family,) = families_of(spec_of(case), [3])
    return family, family.fit(planted()[0], seed=1, workers=workers)


def models_of(case):
    """The models of the fits that found as many segments as there are groups."""
    family, fits = fits_of(case)
    found = [
        make_model(fit, family.assigner(fit.arrays, fit.parameters), planted()[0], NAMES, {})
        for fit in fits
        if fit.segments == len(GROUPS)
    ]
    assert found
    return found


def batch_of(rows):
    columns = [pa.array(np.ascontiguousarray(column, np.float32)) for column in rows.T]
    return pa.record_batch([pa.array(range(len(rows))), *columns], ["customer_id", *NAMES])


def assigned(model, batches, **options):
    return pa.Table.from_batches(
        list(assign_rows(assigner_of(model), NAMES, outlier_distance(model), batches, **options))
    )


def labels_of(table):
    return table["raw_segment"].to_numpy()


@every_family
def test_an_assignment_depends_on_the_customer_alone(case, monkeypatch):
    rng = np.random.default_rng(2)
    # Half of them anywhere, so that some are near borders, and outside.
    rows = np.concatenate([planted()[0][:40], rng.uniform(-2, 10, size=(40, len(NAMES)))])
    whole = batch_of(rows)
    order = pa.array(rng.permutation(len(rows)))
    for model in models_of(case):
        expected = assigned(model, [whole])
        for threads in (1, 2):
            # Else a batch so small has no second slice for the second thread.
            monkeypatch.setattr(assignment, "_SLICE_ROWS", 17 if threads == 2 else 1 << 15)
            for size in (1, 7, 1000):
                parts = [whole.slice(start, size) for start in range(0, len(rows), size)]
                assert assigned(model, parts, threads=threads).equals(expected)
            shuffled = assigned(model, [whole.take(order)], threads=threads)
            assert shuffled.equals(expected.take(order))


@every_family
def test_workers_change_no_bit_of_a_fit(case):
    (_, ones), (_, twos) = fits_of(case), fits_of(case, workers=2)
    assert len(ones) == len(twos) > 0
    for one, two in zip(ones, twos, strict=True):
        assert (one.parameters, one.figures) == (two.parameters, two.figures)
        assert one.arrays.keys() == two.arrays.keys()
        for name, array in one.arrays.items():
            np.testing.assert_array_equal(two.arrays[name], array)


@every_family
def test_a_model_that_was_read_back_assigns_alike(case, tmp_path):
    batch = batch_of(planted()[0])
    for number, model in enumerate(models_of(case)):
        digest = save_model(model, tmp_path / str(number))
        read = load_model(tmp_path / str(number), digest)
        assert outlier_distance(read) == outlier_distance(model)
        assert assigned(read, [batch]).equals(assigned(model, [batch]))


@every_family
def test_every_customer_has_a_row_and_noise_is_an_answer(case):
    rows, groups = planted()
    for model in models_of(case):
        kept = assigned(model, [batch_of(rows)])
        assert kept["customer_id"].to_pylist() == list(range(len(rows)))
        assert kept["distance"].null_count == 0
        is_noise = labels_of(kept) == NOISE
        assert adjusted_rand_score(groups[~is_noise], labels_of(kept)[~is_noise]) > 0.95
        if case[0] in {"dbscan", "hdbscan"}:
            assert is_noise[groups == -1].all()
            assert is_noise.mean() < 0.05
        else:
            assert not is_noise.any()
        nearest = assigned(model, [batch_of(rows)], noise="nearest")
        assert nearest["customer_id"].equals(kept["customer_id"])
        # Whom no segment holds gets the one that was named as the nearest, all others their own.
        expected = np.where(is_noise, kept["runner_up"].to_numpy(), labels_of(kept))
        assert labels_of(nearest).tolist() == expected.tolist()
        assert set(expected) == {0, 1, 2}


@every_family
def test_customers_never_seen_get_the_segment_of_their_group(case):
    groups = np.tile([0, 1, 2], 30)
    rows = group_rows(np.random.default_rng(9), groups, 0.3)
    for model in models_of(case):
        # Segments are numbered by size, and so are the groups.
        assert labels_of(assigned(model, [batch_of(rows)])).tolist() == groups.tolist()


@pytest.mark.parametrize(
    ("algorithm", "metric", "reason", "alternatives"),
    [
        (
            "gaussian_mixture",
            "manhattan",
            "each component measures by its own covariance",
            "with manhattan there are k_medoids, dbscan, hdbscan; gaussian_mixture takes euclidean",
        ),
        (
            "k_means",
            "minkowski",
            "its centres are means, which minimise squared Euclidean distances only",
            "there are k_medoids, dbscan, hdbscan; k_means takes euclidean or cosine",
        ),
        (
            "autoencoder",
            "cosine",
            "its latent vectors are learned so that Euclidean K-Means suits them",
            "with cosine there are k_means, k_medoids, dbscan, hdbscan; autoencoder takes euclid",
        ),
    ],
)
def test_a_pair_that_makes_no_sense_is_refused_with_alternatives(
    algorithm, metric, reason, alternatives
):
    with pytest.raises(ValidationError) as refusal:
        spec_of((algorithm, metric))
    assert reason in str(refusal.value)
    assert alternatives in str(refusal.value)
    assert f"`{algorithm}` can't use `metric: {metric}`" in str(refusal.value)


@pytest.mark.parametrize("use", [lambda model: family_of(Clustering(), model), assigner_of])
def test_rules_have_no_family_and_no_assigner_and_say_what_has(use):
    model = SegmentModel("rules", "euclidean", ("x",), {}, {"segments": 2})
    with pytest.raises(ClusteringError, match=r"rules has no .* Assign customers with .*k_means"):
        use(model)
