"""What every layer keeps to; the gradients see tests/checks."""

import numpy as np
import pytest

from stnref import nn


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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
