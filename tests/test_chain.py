"""The whole chain, from theta to V: every transform with every kernel and padding."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stnref import (
    get_transform,
    sample_backward,
    sample_forward,
    sample_jvp,
    unnormalize_backward,
    unnormalize_forward,
    unnormalize_jvp,
)
from stnref.kernels import KERNELS
from stnref.padding import PADDINGS
from stnref.transforms import TRANSFORMS, TRANSFORMS_3D

EVERY_TRANSFORM = pytest.mark.parametrize("name", [*TRANSFORMS, *TRANSFORMS_3D])
EVERY_KERNEL = pytest.mark.parametrize("kernel", KERNELS)
EVERY_PADDING = pytest.mark.parametrize("padding", PADDINGS)
RULES = pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])

Chain = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]


def _chain(name: str, kernel: str, padding: str, align_corners: bool) -> tuple[Chain, Any, Any]:
    """Return forward, backward and jvp from (theta, U) to V, and a theta and a U."""
    rng = np.random.default_rng(11)
    volume = name in TRANSFORMS_3D
    in_shape, out_shape = ((4, 5), (3, 6)) if not volume else ((3, 4, 5), (2, 3, 4))
    transform = get_transform(name, out_shape, align_corners=align_corners)

    def forward(theta: np.ndarray, U: np.ndarray) -> tuple[np.ndarray, tuple]:
        grid, grid_cache = transform.forward(theta)
        points, unnormalize_cache = unnormalize_forward(grid, in_shape, align_corners=align_corners)
        V, sample_cache = sample_forward(U, points, kernel=kernel, padding=padding)
        return V, (grid_cache, unnormalize_cache, sample_cache)

    def backward(dV: np.ndarray, cache: tuple) -> tuple[np.ndarray, np.ndarray]:
        dU, dpoints = sample_backward(dV, cache[2])
        return transform.backward(unnormalize_backward(dpoints, cache[1]), cache[0]), dU

    def jvp(theta_dot: np.ndarray, U_dot: np.ndarray, cache: tuple) -> np.ndarray:
        points_dot = unnormalize_jvp(transform.jvp(theta_dot, cache[0]), cache[1])
        return sample_jvp(U_dot, points_dot, cache[2])

    theta = transform.identity + rng.normal(scale=0.15, size=(2, transform.n_params))
    return (forward, backward, jvp), theta, rng.standard_normal((2, *in_shape, 2))


@RULES
@EVERY_PADDING
@EVERY_KERNEL
@EVERY_TRANSFORM
def test_dot_test_and_complex_step(
    name: str, kernel: str, padding: str, align_corners: bool
) -> None:
    """Both to 1e-12, of the product of the norms and of the largest value."""
    (forward, backward, jvp), theta, U = _chain(name, kernel, padding, align_corners)
    rng = np.random.default_rng(12)
    V, cache = forward(theta, U)
    dV, theta_dot, U_dot = (rng.standard_normal(a.shape) for a in (V, theta, U))
    dtheta, dU = backward(dV, cache)
    V_dot = jvp(theta_dot, U_dot, cache)
    left, right = (dV * V_dot).sum(), (dtheta * theta_dot).sum() + (dU * U_dot).sum()
    assert abs(left - right) <= 1e-12 * np.linalg.norm(dV) * np.linalg.norm(V_dot)
    h = 1e-100
    stepped = forward(theta + 1j * h * theta_dot, U + 1j * h * U_dot)[0].imag / h
    np.testing.assert_allclose(V_dot, stepped, rtol=0, atol=1e-12 * np.abs(stepped).max())


@EVERY_PADDING
@EVERY_KERNEL
@pytest.mark.parametrize("name", ["affine", "affine3d", "tps"])
def test_single_precision_stays_and_is_near(name: str, kernel: str, padding: str) -> None:
    (forward, backward, _), theta, U = _chain(name, kernel, padding, True)
    V, _ = forward(theta, U)
    V32, cache32 = forward(theta.astype(np.float32), U.astype(np.float32))
    assert V32.dtype == np.float32
    np.testing.assert_allclose(V32, V, atol=1e-4)
    for gradient in backward(V32, cache32):
        assert gradient.dtype == np.float32
