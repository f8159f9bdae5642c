from itertools import pairwise

import numpy as np
import pytest

from segmentation_pipeline.clustering.network import Layer, Network
from segmentation_pipeline.errors import ClusteringError


def network(features=3, hidden=4, latent=2, seed=0):
    rng = np.random.default_rng(seed)
    widths = [features, hidden, latent, hidden, features]
    layers = [
        Layer(rng.normal(size=(inputs, units)), rng.normal(size=units))
        for inputs, units in pairwise(widths)
    ]
    whitening = Layer(rng.normal(size=(latent, latent)), rng.normal(size=latent))
    return Network((layers[0], layers[1]), (layers[2], layers[3]), whitening)


def test_the_forward_pass_is_that_of_matrix_products():
    made = network()
    rows = np.random.default_rng(1).normal(size=(50, 3))
    columns = list(rows.T)
    values = [rows]
    for layer in (*made.encoder, made.decoder[0]):
        values.append(np.tanh(values[-1] @ layer.weights + layer.biases))
    _, _, codes, last = values
    np.testing.assert_allclose(made.codes(columns).T, codes, atol=1e-14)
    latent = codes @ made.whitening.weights + made.whitening.biases
    np.testing.assert_allclose(made.latent_vectors(columns).T, latent, atol=1e-13)
    output = last @ made.decoder[1].weights + made.decoder[1].biases
    np.testing.assert_allclose(made.reconstruct(columns).T, output, atol=1e-13)
    errors = ((rows - output) ** 2).sum(axis=1)
    np.testing.assert_allclose(made.squared_errors(columns), errors, atol=1e-12)


def test_a_known_unit():
    layer = Layer(np.array([[2.0], [-1.0]]), np.array([0.5]))
    assert layer.sums([np.array([1.0, 0.0]), np.array([3.0, 1.0])]).tolist() == [[-0.5, -0.5]]
    np.testing.assert_array_equal(layer.activations([np.zeros(1), np.zeros(1)]), np.tanh([[0.5]]))


def test_it_goes_to_arrays_and_back():
    made = network()
    arrays = made.arrays()
    assert arrays["encoder_0_weights"].shape == (3, 4)
    assert arrays["decoder_1_biases"].shape == (3,)
    assert all(name.isidentifier() for name in arrays)
    columns = list(np.random.default_rng(1).normal(size=(3, 20)))
    read = Network.from_arrays(arrays)
    np.testing.assert_array_equal(read.latent_vectors(columns), made.latent_vectors(columns))
    np.testing.assert_array_equal(read.reconstruct(columns), made.reconstruct(columns))


def test_damaged_arrays_are_refused():
    arrays = network().arrays()
    with pytest.raises(ClusteringError, match="no array encoder_0_weights"):
        Network.from_arrays({k: v for k, v in arrays.items() if k != "encoder_0_weights"})
    with pytest.raises(ClusteringError, match="don't follow upon each other"):
        Network.from_arrays(arrays | {"decoder_0_weights": np.zeros((3, 4))})
    with pytest.raises(ClusteringError, match="don't follow upon each other"):
        Network.from_arrays(arrays | {"decoder_0_biases": np.zeros(3)})
    with pytest.raises(ClusteringError, match="not finite"):
        Network.from_arrays(arrays | {"encoder_0_biases": np.full(4, np.nan)})


@pytest.mark.parametrize("hidden", [4, 60])
def test_neither_the_order_nor_the_number_of_rows_changes_a_bit(hidden):
    made = network(features=7, hidden=hidden)
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(3000, 7)).astype(np.float32)
    latent, errors = made.latent_vectors(list(rows.T)), made.squared_errors(list(rows.T))
    order = rng.permutation(3000)
    np.testing.assert_array_equal(made.latent_vectors(list(rows[order].T)), latent[:, order])
    for size in (1, 7, 1000):
        parts = [slice(start, start + size) for start in range(0, 2000, size)][:300]
        for part in parts:
            columns = list(np.ascontiguousarray(rows[part].T))
            np.testing.assert_array_equal(made.latent_vectors(columns), latent[:, part])
            np.testing.assert_array_equal(made.squared_errors(columns), errors[part])
    assert made.latent_vectors([np.empty(0)] * 7).shape == (2, 0)
