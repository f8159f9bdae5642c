"""Latent vectors as a table."""

import datetime as dt

import numpy as np
import pytest

from segmentation_pipeline.clustering.autoencoder import AutoencoderFamily
from segmentation_pipeline.clustering.latent import make_latent_vectors
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.warehouse import Build, Table, open_in_memory, read_build

NAMES = ("a", "b", "c")
BUILD = Build(dt.date(2025, 6, 1), "run-1")


@pytest.fixture
def matrix():
    rng = np.random.default_rng(3)
    angle = rng.uniform(0, np.pi, 200)
    return np.column_stack([np.cos(angle), np.sin(angle), rng.normal(0, 0.1, 200)])


@pytest.fixture
def connection(matrix):
    with open_in_memory() as connection:
        connection.execute("CREATE SCHEMA core; CREATE SCHEMA lens")
        connection.execute(
            "CREATE TABLE core.builds (table_name VARCHAR PRIMARY KEY, as_of DATE, run_id VARCHAR,"
            " rows BIGINT)"
        )
        connection.execute(
            "CREATE TABLE lens.feature_matrix (customer_id VARCHAR, a DOUBLE, b DOUBLE, c DOUBLE)"
        )
        connection.executemany(
            "INSERT INTO lens.feature_matrix VALUES (?, ?, ?, ?)",
            [[f"c{i:03}", *map(float, row)] for i, row in enumerate(matrix)],
        )
        yield connection


def test_every_customer_has_the_vector_and_the_error_of_the_network(connection, matrix):
    family = AutoencoderFamily(ks=(2,), latent=2, hidden=8)
    fit = family.fit(matrix, seed=1)[0]
    assigner = family.assigner(fit.arrays, fit.parameters)

    rows = make_latent_vectors(
        connection,
        "lens",
        SegmentModel("autoencoder", "euclidean", NAMES, fit.arrays, fit.parameters),
        BUILD,
    )

    assert rows == 200
    assert read_build(connection, Table("lens", "latent_vectors")) == BUILD
    found = connection.execute(
        "SELECT latent_1, latent_2, reconstruction_error FROM lens.latent_vectors"
        " ORDER BY customer_id"
    ).fetchall()
    columns = list(matrix.T)
    expected = np.column_stack(
        [assigner.latent_vectors(columns), assigner.reconstruction_errors(columns)]
    )
    np.testing.assert_array_equal(np.array(found), expected)


def test_another_model_has_none(connection):
    model = SegmentModel("k_means", "euclidean", NAMES, {"centroids": np.zeros((2, 3))}, {})

    assert make_latent_vectors(connection, "lens", model, BUILD) == 0
    assert connection.execute("FROM lens.latent_vectors").fetchall() == []
