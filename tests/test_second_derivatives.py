"""Second derivatives: the backward of the backward, against a complex step through it."""

import numpy as np
import pytest

from stnref import (
    affine_grid_backward,
    affine_grid_forward,
    grid_sample_backward,
    grid_sample_double_backward,
    grid_sample_forward,
    hessian_vector_product,
    sample_backward,
    sample_double_backward,
    sample_forward,
    target_grid,
)
from stnref.kernels import Kernel
from stnref.padding import PADDINGS

H = 1e-100
KERNELS = ["nearest", "linear", "cubic", "bspline3"]
ALL = pytest.mark.parametrize("d", [2, 3], ids=["2-D", "3-D"])
W = np.pi / 2
COS2 = Kernel(
    1,
    lambda t: np.cos(W * t) ** 2,
    lambda t: -W * np.sin(2 * W * t),
    lambda t: -2 * W**2 * np.cos(2 * W * t),
)


def _case(d: int) -> tuple[np.ndarray, ...]:
    """A map, points off all kinks, an upstream gradient, and two gradients of the gradients."""
    rng = np.random.default_rng(d)
    in_shape, out_shape = ((4, 5), (3, 2)) if d == 2 else ((2, 3, 4), (1, 3, 2))
    U = rng.standard_normal((2, *in_shape, 2))
    points = rng.integers(-2, 6, (2, *out_shape, d)) + rng.choice([0.2, 0.7], (2, *out_shape, d))
    dV = rng.standard_normal((2, *out_shape, 2))
    return U, points, dV, rng.standard_normal(U.shape), rng.standard_normal(points.shape)


def _gradient_of(
    name: str, arrays: dict[str, np.ndarray], ddU: np.ndarray, ddpoints: np.ndarray, options: dict
) -> np.ndarray:
    """Differentiate <ddU, dU> + <ddpoints, dpoints> by one of U, points, dV: complex steps."""
    gradient = np.empty(arrays[name].shape)
    for index in np.ndindex(gradient.shape):
        shifted = {k: v.astype(complex) if k == name else v for k, v in arrays.items()}
        shifted[name][index] += 1j * H
        _, cache = sample_forward(shifted["U"], shifted["points"], **options)
        dU, dpoints = sample_backward(shifted["dV"], cache)
        gradient[index] = ((ddU * dU).sum() + (ddpoints * dpoints).sum()).imag / H
    return gradient


def _close(actual: np.ndarray, expected: np.ndarray) -> None:
    scale = max(np.abs(expected).max(), 1e-3)
    assert np.abs(actual - expected).max() <= 1e-10 * scale


@ALL
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("kernel", [*KERNELS, COS2], ids=[*KERNELS, "own"])
def test_double_backward_is_the_complex_step_of_backward(
    kernel: str | Kernel, padding: str, d: int
) -> None:
    U, points, dV, ddU, ddpoints = _case(d)
    options = {"kernel": kernel, "padding": padding}
    _, cache = sample_forward(U, points, **options)
    result = sample_double_backward(ddU, ddpoints, dV, cache)
    arrays = {"dV": dV, "U": U, "points": points}
    for name, actual in zip(arrays, result, strict=True):
        _close(actual, _gradient_of(name, arrays, ddU, ddpoints, options))


@ALL
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_hessian_is_symmetric(kernel: str, d: int) -> None:
    """<H v, w> = <v, H w> for the Hessian of <dV, V> in (U, points)."""
    U, points, dV, *v = _case(d)
    w = [np.random.default_rng(9).standard_normal(a.shape) for a in v]
    _, cache = sample_forward(U, points, kernel=kernel, padding="reflection_edges")
    H_v = sample_double_backward(*v, dV, cache)[1:]
    H_w = sample_double_backward(*w, dV, cache)[1:]
    left = sum((a * b).sum() for a, b in zip(H_v, w, strict=True))
    right = sum((a * b).sum() for a, b in zip(H_w, v, strict=True))
    norm = sum((a**2).sum() for a in H_v) ** 0.5 * sum((a**2).sum() for a in w) ** 0.5
    assert abs(left - right) <= 1e-12 * max(norm, 1)


def test_none_is_zero() -> None:
    U, points, dV, ddU, ddpoints = _case(2)
    _, cache = sample_forward(U, points, kernel="cubic")
    both = sample_double_backward(ddU, ddpoints, dV, cache)
    parts = (
        sample_double_backward(ddU, None, dV, cache),
        sample_double_backward(None, ddpoints, dV, cache),
    )
    for whole, first, second in zip(both, *parts, strict=True):
        np.testing.assert_allclose(whole, first + second, rtol=1e-12, atol=1e-12)
    assert not any(np.any(r) for r in sample_double_backward(None, None, dV, cache))


@pytest.mark.parametrize("align_corners", [True, False])
def test_in_normalised_coordinates(align_corners: bool) -> None:
    rng = np.random.default_rng(1)
    U, grid = rng.standard_normal((2, 4, 5, 2)), rng.uniform(-1.2, 1.2, (2, 3, 2, 2))
    options = {"mode": "bicubic", "padding_mode": "border", "align_corners": align_corners}
    V, cache = grid_sample_forward(U, grid, **options)
    dV, ddU, ddgrid = (rng.standard_normal(a.shape) for a in (V, U, grid))
    d_dV, dU, dgrid = grid_sample_double_backward(ddU, ddgrid, dV, cache)

    def scalar(U: np.ndarray, grid: np.ndarray, dV: np.ndarray) -> complex:
        dU, dgrid = grid_sample_backward(dV, grid_sample_forward(U, grid, **options)[1])
        return (ddU * dU).sum() + (ddgrid * dgrid).sum()

    v = [rng.standard_normal(a.shape) for a in (U, grid, dV)]
    moved = [a + 1j * H * b for a, b in zip((U, grid, dV), v, strict=True)]
    along = sum((a * b).sum() for a, b in zip((dU, dgrid, d_dV), v, strict=True))
    np.testing.assert_allclose(along, scalar(*moved).imag / H, rtol=1e-10)


def test_a_hessian_vector_product_through_the_whole_chain() -> None:
    """The gradient by theta, differentiated once more: by complex step, and by hand."""
    rng = np.random.default_rng(2)
    U, theta = rng.standard_normal((2, 5, 6, 2)), rng.standard_normal((2, 2, 3)) / 2
    G, v = target_grid((4, 3)), rng.standard_normal((2, 2, 3))

    def chain(theta: np.ndarray) -> tuple[np.ndarray, tuple]:
        grid, grid_cache = affine_grid_forward(theta, G)
        V, cache = grid_sample_forward(U, grid, mode="bicubic")
        return V, (grid_cache, cache)

    def gradient(theta: np.ndarray) -> np.ndarray:  # of the loss sum V^2 / 2
        V, (grid_cache, cache) = chain(theta)
        _, dgrid = grid_sample_backward(V, cache, needs=["grid"])
        return affine_grid_backward(dgrid, grid_cache)

    by_step = gradient(theta + 1j * H * v).imag / H
    V, (grid_cache, cache) = chain(theta)
    grid_dot, _ = affine_grid_forward(v, G)  # linear in theta
    d_dV, _, dgrid = grid_sample_double_backward(None, grid_dot, V, cache)
    _, through_V = grid_sample_backward(d_dV, cache, needs=["grid"])
    np.testing.assert_allclose(
        affine_grid_backward(dgrid + through_V, grid_cache), by_step, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dV": np.zeros((1, 1))}, r"dV: expected shape \(2, 3, 2, 2\), got \(1, 1\)"),
        ({"ddU": np.zeros((2, 5, 4, 2))}, r"ddU: expected shape \(2, 4, 5, 2\)"),
        ({"ddpoints": np.zeros((2, 3, 2, 3))}, r"ddpoints: expected shape \(2, 3, 2, 2\)"),
    ],
)
def test_bad_input(change: dict[str, np.ndarray], message: str) -> None:
    U, points, dV, ddU, ddpoints = _case(2)
    _, cache = sample_forward(U, points)
    arguments = {"ddU": ddU, "ddpoints": ddpoints, "dV": dV, **change}
    with pytest.raises(ValueError, match=message):
        sample_double_backward(**arguments, cache=cache)


@pytest.mark.parametrize("v", [np.ones(3), np.ones((1, 2)), np.float64(1)])
def test_a_hessian_vector_product_of_another_shape_is_refused(v: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"v: expected shape \(2,\), got "):
        hessian_vector_product(lambda x: x**3, np.ones(2), v)
    with pytest.raises(ValueError, match=r"gradient\(x\): expected shape \(2,\), got \(1,\)"):
        hessian_vector_product(lambda x: x[:1], np.ones(2), np.ones(2))
