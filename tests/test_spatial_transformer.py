"""The module: identity at the start, both terms of dU, deep in a network, shared."""

import importlib
from typing import Any

import numpy as np
import pytest

import stnref
from stnref import SpatialTransformer, check_gradients, get_transform, nn, target_grid
from stnref.kernels import bspline3
from stnref.padding import border
from stnref.sampler import grid_sample_backward
from stnref.transforms import TRANSFORMS
from tests.signatures import expect_names


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _module(
    transform: str = "affine", out_shape: tuple[int, int] = (3, 6), **options: Any
) -> SpatialTransformer:
    localisation = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(40, 3), tanh=nn.Tanh())
    return SpatialTransformer(localisation, 3, out_shape, transform=transform, **options)


def _moved(module: SpatialTransformer, rng: np.random.Generator) -> dict[str, np.ndarray]:
    start = module.init(rng, np.float64)
    return {k: v + 0.2 * rng.standard_normal(v.shape) for k, v in start.items()}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_it_starts_as_the_identity(transform: str, rng: np.random.Generator) -> None:
    module = _module(transform, out_shape=(4, 5))
    U = rng.standard_normal((2, 4, 5, 2)).astype(np.float32)
    params = module.init(rng)
    V, cache = module.forward(U, params)
    np.testing.assert_array_equal(V, U)
    np.testing.assert_array_equal(params["regression.W"], 0)
    identity = module.transform.identity.astype(np.float32)
    np.testing.assert_array_equal(cache.theta, np.tile(identity, (2, 1)))


def test_theta_is_predicted_for_each_picture(rng: np.random.Generator) -> None:
    module = _module()
    _, cache = module.forward(rng.standard_normal((2, 4, 5, 2)), _moved(module, rng))
    assert np.abs(cache.theta[0] - cache.theta[1]).min() > 1e-4


@pytest.mark.parametrize(
    ("transform", "options"),
    [
        *((name, {}) for name in TRANSFORMS),
        ("affine", {"align_corners": False}),
        ("affine", {"mode": "bicubic", "padding_mode": "wrap"}),
        ("rigid", {"mode": bspline3(), "padding_mode": ("wrap", border), "align_corners": False}),
    ],
)
def test_gradients_to_the_input_and_to_all_parameters(
    transform: str, options: dict[str, Any], rng: np.random.Generator
) -> None:
    module = _module(transform, **options)
    params = _moved(module, rng)
    names = list(params)

    def forward(U, *values):  # type: ignore[no-untyped-def]
        return module.forward(U, dict(zip(names, values, strict=True)))

    def backward(dV, cache):  # type: ignore[no-untyped-def]
        dU, dparams = module.backward(dV, cache)
        return dU, *(dparams[name] for name in names)

    report = check_gradients(
        forward,
        backward,
        [rng.standard_normal((2, 4, 5, 2)), *params.values()],
        names=["U", *names],
    )
    assert report.ok, str(report)


def test_dU_has_two_terms_and_neither_alone_is_right(rng: np.random.Generator) -> None:
    module = _module()
    params, U = _moved(module, rng), rng.standard_normal((2, 4, 5, 2))
    V, cache = module.forward(U, params)
    dV = rng.standard_normal(V.shape)
    dU, _ = module.backward(dV, cache)
    sampler_term, _ = grid_sample_backward(dV, cache.sample)
    U_dot = rng.standard_normal(U.shape)
    V_dot = module.forward(U + 1e-100j * U_dot, params)[0].imag / 1e-100
    expected = (dV * V_dot).sum()
    assert abs((dU * U_dot).sum() - expected) < 1e-12
    assert abs((sampler_term * U_dot).sum() - expected) > 1e-3


def test_needs(rng: np.random.Generator) -> None:
    module = _module()
    params, U = _moved(module, rng), rng.standard_normal((2, 4, 5, 2))
    V, cache = module.forward(U, params)
    dU, dparams = module.backward(V, cache)
    none, only_params = module.backward(V, cache, needs=("params",))
    only_dU, empty = module.backward(V, cache, needs=("X",))
    assert none is None
    assert empty == {}
    np.testing.assert_array_equal(only_dU, dU)
    for name in params:
        np.testing.assert_array_equal(only_params[name], dparams[name])


def test_deep_in_a_network_on_feature_maps(rng: np.random.Generator) -> None:
    """Gradients reach the layer before the transformer, through both branches."""
    localisation = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(5 * 4 * 3, 4), tanh=nn.Tanh())
    network = nn.Sequential(
        conv=nn.Conv2d(2, 3, 3),
        st=SpatialTransformer(localisation, 4, (2, 3), transform="similarity"),
        flatten=nn.Flatten(),
        fc=nn.Linear(18, 2),
    )
    params = {
        k: v + 0.2 * rng.standard_normal(v.shape) for k, v in network.init(rng, np.float64).items()
    }
    X = rng.standard_normal((2, 7, 6, 2))

    def forward(W):  # type: ignore[no-untyped-def]
        return network.forward(X, {**params, "conv.W": W})

    def backward(dY, cache):  # type: ignore[no-untyped-def]
        return network.backward(dY, cache)[1]["conv.W"]

    report = check_gradients(forward, backward, [params["conv.W"]], names=["W"])
    assert report.ok, str(report)


def test_the_sampler_has_the_modules_options(rng: np.random.Generator) -> None:
    options = {"mode": "nearest", "padding_mode": ("wrap", "border"), "align_corners": False}
    module = _module("translation", **options)
    U = rng.standard_normal((2, 4, 5, 2))
    V, cache = module.forward(U, _moved(module, rng))
    np.testing.assert_array_equal(V, stnref.grid_sample(U, cache.grid, **options))
    assert (V != stnref.grid_sample(U, cache.grid)).any()
    with pytest.raises(ValueError, match="padding_mode: expected one of"):
        _module(padding_mode="mirror")


def test_the_output_size_is_free_of_the_inputs(rng: np.random.Generator) -> None:
    module = _module(out_shape=(7, 2))
    V, _ = module.forward(rng.standard_normal((2, 4, 5, 2)), module.init(rng))
    assert V.shape == (2, 7, 2, 2)


def test_it_takes_a_transform_of_your_own(rng: np.random.Generator) -> None:
    own = get_transform("rigid", (3, 6))
    module = SpatialTransformer(nn.Flatten(), 40, (3, 6), transform=own)
    assert module.init(rng)["regression.b"].shape == (3,)


def test_float32_stays_float32(rng: np.random.Generator) -> None:
    module = _module()
    V, cache = module.forward(
        rng.standard_normal((2, 4, 5, 2)).astype(np.float32), module.init(rng)
    )
    dU, dparams = module.backward(V, cache)
    assert {V.dtype, dU.dtype, *(d.dtype for d in dparams.values())} == {np.dtype(np.float32)}


def test_volumes(rng: np.random.Generator) -> None:
    """The same module on volumes: identity start, and the gradient along a random direction."""
    st = SpatialTransformer(nn.Flatten(), 2 * 3 * 4 * 2, (3, 2, 5), transform="affine3d")
    U = rng.standard_normal((2, 2, 3, 4, 2))
    params = {k: v.astype(float) for k, v in st.init(rng).items()}
    V, cache = st.forward(U, params)
    G = target_grid((3, 2, 5))
    np.testing.assert_allclose(cache.grid, np.stack([G, G]), atol=1e-12)
    moved = {k: v + rng.normal(scale=0.02, size=v.shape) for k, v in params.items()}
    V, cache = st.forward(U, moved)
    assert V.shape == (2, 3, 2, 5, 2)
    dV, U_dot = rng.standard_normal(V.shape), rng.standard_normal(U.shape)
    dots = {k: rng.standard_normal(v.shape) for k, v in moved.items()}
    dU, dparams = st.backward(dV, cache)
    h = 1e-100
    stepped, _ = st.forward(U + 1j * h * U_dot, {k: v + 1j * h * dots[k] for k, v in moved.items()})
    along = (dU * U_dot).sum() + sum((dparams[k] * dots[k]).sum() for k in dots)
    np.testing.assert_allclose(along, (dV * stepped.imag).sum() / h, rtol=1e-10)


def test_a_picture_where_a_volume_is_wanted(rng: np.random.Generator) -> None:
    st = SpatialTransformer(nn.Flatten(), 8, (3, 2, 5), transform="affine3d")
    with pytest.raises(ValueError, match=r"U: expected shape \(B, D, H, W, C\), got \(1, 2, 2, 2"):
        st.forward(np.zeros((1, 2, 2, 2)), st.init(rng))


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.spatial_transformer"))
