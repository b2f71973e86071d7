"""The network kit against literal loops and stated rules; its gradients see tests/gradcheck."""

import numpy as np
import pytest

from stnref import nn


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (1, 2), (3, 1)])
def test_conv2d_equals_the_loops(stride: int, padding: int, rng: np.random.Generator) -> None:
    X, W, b = rng.standard_normal((2, 7, 5, 2)), rng.standard_normal((3, 3, 2, 4)), np.arange(4.0)
    Y, _ = nn.conv2d_forward(X, W, b, stride=stride, padding=padding)
    padded = np.zeros((2, 7 + 2 * padding, 5 + 2 * padding, 2))
    padded[:, padding : padding + 7, padding : padding + 5] = X
    assert Y.shape == (2, *((n + 2 * padding - 3) // stride + 1 for n in (7, 5)), 4)
    for batch, i, j, f in np.ndindex(Y.shape):
        window = padded[batch, stride * i : stride * i + 3, stride * j : stride * j + 3]
        expected = b[f] + (window * W[..., f]).sum()
        np.testing.assert_allclose(Y[batch, i, j, f], expected, atol=1e-13)


def test_pooling_leaves_out_rows_that_fill_no_square(rng: np.random.Generator) -> None:
    X = rng.standard_normal((2, 5, 7, 3))
    for forward, reduce in ((nn.max_pool2d_forward, np.max), (nn.avg_pool2d_forward, np.mean)):
        Y, _ = forward(X, 2)
        expected = reduce(X[:, :4, :6].reshape(2, 2, 2, 3, 2, 3), axis=(2, 4))
        np.testing.assert_allclose(Y, expected, atol=1e-15)


def test_of_equal_values_in_a_pool_the_first_gets_the_gradient() -> None:
    X = np.array([[1.0, 2.0], [2.0, 2.0]]).reshape(1, 2, 2, 1)
    _, cache = nn.max_pool2d_forward(X, 2)
    dX = nn.max_pool2d_backward(np.ones((1, 1, 1, 1)), cache)
    np.testing.assert_array_equal(dX[0, :, :, 0], [[0, 1], [0, 0]])


def test_relu_at_zero_has_slope_zero() -> None:
    _, cache = nn.relu_forward(np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(nn.relu_backward(np.ones(3), cache), [0, 0, 1])


def test_relu_lets_nan_through() -> None:
    assert np.isnan(nn.relu_forward(np.array([np.nan]))[0]).all()


def test_softmax_cross_entropy_does_not_overflow() -> None:
    loss, cache = nn.softmax_cross_entropy_forward(np.array([[1e4, 0.0], [0.0, -1e4]]), [0, 1])
    assert loss == 5000
    dlogits = nn.softmax_cross_entropy_backward(1.0, cache)
    np.testing.assert_array_equal(dlogits, [[0, 0], [0.5, -0.5]])


def test_the_loss_is_the_mean_over_the_batch(rng: np.random.Generator) -> None:
    logits, labels = rng.standard_normal((3, 4)), [0, 3, 1]
    loss, _ = nn.softmax_cross_entropy_forward(logits, labels)
    single = [
        nn.softmax_cross_entropy_forward(logits[b : b + 1], labels[b : b + 1])[0] for b in range(3)
    ]
    np.testing.assert_allclose(loss, np.mean(single), rtol=1e-15)


LAYERS = {
    "linear": (nn.Linear(6, 4), (2, 6)),
    "conv2d": (nn.Conv2d(2, 3, 3), (2, 5, 4, 2)),
    "max_pool2d": (nn.MaxPool2d(2), (2, 5, 4, 2)),
    "avg_pool2d": (nn.AvgPool2d(2), (2, 5, 4, 2)),
    "relu": (nn.Relu(), (2, 5)),
    "tanh": (nn.Tanh(), (2, 5)),
    "flatten": (nn.Flatten(), (2, 3, 2, 2)),
    "sequential": (nn.Sequential(fc=nn.Linear(6, 4), tanh=nn.Tanh()), (2, 6)),
}
EACH_LAYER = pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)


@EACH_LAYER
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_keep_the_dtype(
    layer: nn.Layer, shape: tuple[int, ...], dtype: type, rng: np.random.Generator
) -> None:
    params = layer.init(rng, dtype)
    Y, cache = layer.forward(rng.standard_normal(shape).astype(dtype), params)
    dX, dparams = layer.backward(Y, cache)
    assert all(array.dtype == dtype for array in (Y, dX, *params.values(), *dparams.values()))
    assert {k: v.shape for k, v in dparams.items()} == {k: v.shape for k, v in params.items()}


@EACH_LAYER
def test_a_layer_runs_three_times_before_one_backward(
    layer: nn.Layer, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    params = layer.init(rng, np.float64)
    inputs = [rng.standard_normal(shape) for _ in range(3)]
    caches = [layer.forward(X, params)[1] for X in inputs]
    for X, cache in zip(inputs, caches, strict=True):
        Y, fresh = layer.forward(X, params)
        dX, dparams = layer.backward(Y, cache)
        expected_dX, expected_dparams = layer.backward(Y, fresh)
        np.testing.assert_array_equal(dX, expected_dX)
        for name in params:
            np.testing.assert_array_equal(dparams[name], expected_dparams[name])


@EACH_LAYER
def test_needs_declines_what_is_not_wanted(
    layer: nn.Layer, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    Y, cache = layer.forward(rng.standard_normal(shape), layer.init(rng, np.float64))
    assert layer.backward(Y, cache, needs=("params",))[0] is None
    assert layer.backward(Y, cache, needs=("X",))[1] == {}


@EACH_LAYER
def test_backward_leaves_its_arguments_as_they_are(
    layer: nn.Layer, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    X, params = rng.standard_normal(shape), layer.init(rng, np.float64)
    for array in (X, *params.values()):
        array.flags.writeable = False
    Y, cache = layer.forward(X, params)
    Y.flags.writeable = False
    first, second = layer.backward(Y, cache), layer.backward(Y, cache)
    np.testing.assert_array_equal(first[0], second[0])


def test_the_same_seed_draws_the_same_parameters() -> None:
    net = nn.Sequential(conv=nn.Conv2d(2, 3, 3), fc=nn.Linear(6, 4))
    first, second = (net.init(np.random.default_rng(5)) for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert first["conv.W"].std() == pytest.approx(np.sqrt(2 / 18), rel=0.2)
