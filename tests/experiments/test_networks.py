"""The paper's networks: their sizes, their gradients, their start."""

import numpy as np
import pytest

from stnref.experiments.networks import MODELS, TRANSFORMER, build_network
from stnref.nn import softmax_cross_entropy_backward, softmax_cross_entropy_forward
from stnref.nn.sequential import under

PARAMETERS = {"cnn": 54_122, "st-cnn": 65_208, "fcn": 269_322, "st-fcn": 296_752}


@pytest.mark.parametrize("model", MODELS)
def test_sizes(model: str) -> None:
    """Counted by hand, e.g. the CNN: 81·32 + 32 + 49·32·32 + 32 + 2·2·32·10 + 10."""
    network = build_network(model, (28, 28, 1))
    params = network.init(np.random.default_rng(0))
    assert sum(p.size for p in params.values()) == PARAMETERS[model]
    logits, _ = network.forward(np.zeros((2, 28, 28, 1), dtype=np.float32), params)
    assert logits.shape == (2, 10)
    assert logits.dtype == np.float32


@pytest.mark.parametrize("model", ["st-cnn", "st-fcn"])
@pytest.mark.parametrize("transform", ["attention", "affine"])
def test_the_transformer_begins_as_the_identity(model: str, transform: str) -> None:
    network = build_network(model, (28, 28, 1), transform=transform)
    params = network.init(np.random.default_rng(0))
    images = np.random.default_rng(1).random((3, 28, 28, 1))
    V, _ = network.layers[TRANSFORMER].forward(images, under(TRANSFORMER, params))
    np.testing.assert_allclose(V, images, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_of_the_loss_along_a_random_direction(model: str) -> None:
    """A complex step through the whole network, away from the identity start's lattice."""
    network = build_network(model, (28, 30, 1), filters=3, hidden=7)
    rng = np.random.default_rng(2)
    params = {
        name: value.astype(float) + rng.normal(scale=0.02, size=value.shape)
        for name, value in network.init(rng).items()
    }
    direction = {name: rng.normal(size=value.shape) for name, value in params.items()}
    images, labels = rng.random((2, 28, 30, 1)), np.array([3, 7])

    def loss(h: complex) -> np.ndarray:
        moved = {name: params[name] + h * direction[name] for name in params}
        return softmax_cross_entropy_forward(network.forward(images, moved)[0], labels)[0]

    logits, cache = network.forward(images, params)
    _, loss_cache = softmax_cross_entropy_forward(logits, labels)
    _, grads = network.backward(softmax_cross_entropy_backward(np.array(1.0), loss_cache), cache)
    along = sum((grads[name] * direction[name]).sum() for name in params)
    step = 1e-30
    np.testing.assert_allclose(along, loss(1j * step).imag / step, rtol=1e-10)


def test_channels_and_classes_are_free() -> None:
    network = build_network("st-cnn", (32, 30, 3), classes=4, filters=5)
    params = network.init(np.random.default_rng(0))
    assert network.forward(np.zeros((2, 32, 30, 3)), params)[0].shape == (2, 4)


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        ("resnet", (28, 28, 1), "model: expected one of 'cnn', 'st-cnn', 'fcn', 'st-fcn'"),
        ("cnn", (20, 28, 1), r"in_shape: expected at least 24 rows and columns, got \(20, 28, 1\)"),
        ("st-cnn", (30, 26, 1), r"in_shape: expected at least 28 rows and columns, got \(30, 26"),
        ("cnn", (28, 28), r"in_shape: expected 3 positive integers, got \(28, 28\)"),
    ],
)
def test_bad_input(model: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_network(model, shape)
