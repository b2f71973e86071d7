"""Compose, invert, integrate: against loops, against the flows of linear maps, by hand."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from stnref import check_gradients, fields, flow_grid_forward, grid_sample, target_grid, transforms
from stnref.fields import (
    compose_flows_backward,
    compose_flows_forward,
    compose_flows_jvp,
    integrate_velocity_forward,
    invert_flow_backward,
    invert_flow_forward,
)
from stnref.pairs import pair_of

CORNERS = pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])
SHAPE = pytest.mark.parametrize("shape", [(4, 6), (3, 4, 5)], ids=["2-D", "3-D"])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _flow(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> np.ndarray:
    return size * rng.uniform(-1, 1, (2, *shape, len(shape)))


def _smooth(rng: np.random.Generator, shape: tuple[int, int], size: float) -> np.ndarray:
    """A sum of waves, about three half periods across."""
    G, flow = target_grid(shape), np.zeros((1, *shape, 2))
    for _ in range(5):
        frequency, phase, direction = rng.normal(0, 3, 2), rng.uniform(0, 6), rng.normal(size=2)
        flow += size * direction * np.sin(G @ frequency + phase)[..., None]
    return flow


def _linear(A: np.ndarray, shape: tuple[int, ...], align_corners: bool = True) -> np.ndarray:
    """The field A x, which linear interpolation has exactly between its pixels."""
    return (target_grid(shape, align_corners=align_corners) @ A.T)[None]


def _expm(A: np.ndarray) -> np.ndarray:
    """The exponential of a small matrix, by its series."""
    total = term = np.eye(len(A))
    for k in range(1, 40):
        term = term @ A / k
        total = total + term
    return total


# ---------------------------------------------------------------------------------- compose


def _displaced(flow: np.ndarray, place: np.ndarray, align_corners: bool) -> np.ndarray:
    """u at a normalised place, written out: clamp, then the corners of the cell."""
    sizes = flow.shape[-2::-1]  # order (x, y)
    d = [n - 1 if align_corners else n for n in sizes]
    pixel = [(g * e + n - 1) / 2 for g, e, n in zip(place, d, sizes, strict=True)]
    pixel = [min(max(p, 0), n - 1) for p, n in zip(pixel, sizes, strict=True)]
    low = [min(int(p), n - 2) for p, n in zip(pixel, sizes, strict=True)]
    total = np.zeros(len(sizes))
    for corner in product((0, 1), repeat=len(sizes)):
        weights = [1 - abs(p - i - c) for p, i, c in zip(pixel, low, corner, strict=True)]
        index = tuple(i + c for i, c in zip(low, corner, strict=True))[::-1]
        total += np.prod(weights) * flow[index]
    return total


@CORNERS
@SHAPE
def test_composition_is_the_loop(
    shape: tuple[int, ...], align_corners: bool, rng: np.random.Generator
) -> None:
    """w(x) = v(x) + u(x + v(x)), pixel by pixel; a third of the points lie beyond the border."""
    outer, inner = _flow(rng, shape, 1), _flow(rng, tuple(n + 1 for n in shape), 0.8)
    flow, _ = compose_flows_forward(outer, inner, align_corners=align_corners)
    G = target_grid(inner.shape[1:-1], align_corners=align_corners)
    assert flow.shape == inner.shape
    for b, *pixel in np.ndindex(inner.shape[:-1]):
        v = inner[(b, *pixel)]
        expected = v + _displaced(outer[b], G[tuple(pixel)] + v, align_corners)
        np.testing.assert_allclose(flow[(b, *pixel)], expected, atol=1e-13)


@CORNERS
def test_the_order_is_that_of_matrices(align_corners: bool) -> None:
    """Affine maps are flows (A - 1) x + t, exact as long as nothing leaves the picture."""
    G = target_grid((5, 7), align_corners=align_corners)
    A = np.array([[[0.6, 0.1, 0.1], [-0.2, 0.5, 0.0]]])
    B = np.array([[[0.8, -0.1, 0.0], [0.0, 0.7, -0.1]]])
    u, v, w = (transforms.affine_grid(M, G) - G for M in (A, B, transforms.compose(A, B)))
    flow, _ = compose_flows_forward(u, v, align_corners=align_corners)
    np.testing.assert_allclose(flow, w, atol=1e-15)
    other, _ = compose_flows_forward(v, u, align_corners=align_corners)
    assert np.abs(other - w).max() > 0.05


def test_pictures_come_in_the_other_order() -> None:
    """By whole pixels, so that nothing is interpolated: to sample with w is u first, then v."""
    rng = np.random.default_rng(0)
    U, step = rng.standard_normal((1, 5, 9, 2)), np.array([2 / 8, 2 / 4])
    u, v = (step * rng.integers(-1, 2, (1, 5, 9, 2)) for _ in range(2))
    G = target_grid((5, 9))

    def warp(U: np.ndarray, flow: np.ndarray) -> np.ndarray:
        return grid_sample(U, flow_grid_forward(flow, G)[0], padding_mode="border")

    w, _ = compose_flows_forward(u, v)
    inside = (np.abs(G + v) <= 1).all(axis=-1)
    np.testing.assert_allclose(warp(U, w)[inside], warp(warp(U, u), v)[inside], atol=1e-14)
    assert np.abs(warp(U, w) - warp(warp(U, v), u)).max() > 0.1


def test_no_displacement_is_neutral(rng: np.random.Generator) -> None:
    flow = _flow(rng, (4, 6), 0.3)
    none = np.zeros_like(flow)
    np.testing.assert_array_equal(compose_flows_forward(flow, none)[0], flow)
    np.testing.assert_array_equal(compose_flows_forward(none, flow)[0], flow)


def test_beyond_the_border_the_nearest_displacement_goes_on() -> None:
    outer = np.array([0.25, 0.0, 0.5, 0.0]).reshape(1, 1, 2, 2)
    inner = np.full((1, 1, 2, 2), [-7.0, 0.0])
    assert compose_flows_forward(outer, inner)[0][0, 0, :, 0].tolist() == [-6.75, -6.75]


def test_a_tangent_of_none_is_zero(rng: np.random.Generator) -> None:
    u, v, dot = (_flow(rng, (4, 6), 0.3) for _ in range(3))
    cache = compose_flows_forward(u, v)[1]
    zero = np.zeros_like(u)
    for one, other in (((dot, None), (dot, zero)), ((None, dot), (zero, dot))):
        left, right = (compose_flows_jvp(*tangents, cache) for tangents in (one, other))
        np.testing.assert_array_equal(left, right)


# ----------------------------------------------------------------------------------- invert


@CORNERS
@SHAPE
def test_the_flow_undoes_its_inverse_at_every_pixel(
    shape: tuple[int, ...], align_corners: bool, rng: np.random.Generator
) -> None:
    flow = _flow(rng, shape, 0.15)
    inverse, cache = invert_flow_forward(flow, align_corners=align_corners)
    composed, _ = compose_flows_forward(flow, inverse, align_corners=align_corners)
    np.testing.assert_array_equal(composed, cache.residual)
    assert np.abs(composed).max() < 1e-14
    assert np.abs(inverse).max() > 0.1


@CORNERS
@pytest.mark.parametrize("matrix", [[[1.25, 0.2], [-0.1, 1.5]], [[2.5, 0.0], [0.25, 2.0]]])
def test_the_inverse_of_an_affine_map(matrix: list[list[float]], align_corners: bool) -> None:
    """Where the slope of the flow is 1.5 the fixed point's step alone would run away."""
    A = np.array(matrix)
    flow = _linear(A - np.eye(2), (5, 8), align_corners)
    inverse, _ = invert_flow_forward(flow, align_corners=align_corners)
    expected = _linear(np.linalg.inv(A) - np.eye(2), (5, 8), align_corners)
    np.testing.assert_allclose(inverse, expected, atol=1e-14)


def test_the_other_order_is_the_identity_up_to_interpolation() -> None:
    """Its error falls with the square of the pixel."""
    errors = []
    for n in (20, 40, 80):
        flow = _smooth(np.random.default_rng(0), (n, n), 0.03)
        inverse, _ = invert_flow_forward(flow)
        middle = np.s_[:, n // 4 : -n // 4, n // 4 : -n // 4]
        errors.append(np.abs(compose_flows_forward(inverse, flow)[0][middle]).max())
    assert errors[2] < 1e-4
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 3


def test_a_swirl_where_the_fixed_point_alone_does_not_arrive() -> None:
    """A turn by 1.6 in the middle: |J| = 2 sin 0.8 = 1.4. The inverse turns the other way."""
    G = target_grid((60, 70))
    angle = 1.6 * np.exp(-(G**2).sum(axis=-1) / 0.15)

    def swirl(a: np.ndarray) -> np.ndarray:
        x, y = G[..., 0], G[..., 1]
        turned = np.stack([np.cos(a) * x - np.sin(a) * y, np.sin(a) * x + np.cos(a) * y], axis=-1)
        return (turned - G)[None]

    flow = swirl(angle)
    inverse, cache = invert_flow_forward(flow)
    assert np.abs(cache.residual).max() < 1e-13
    np.testing.assert_allclose(inverse, swirl(-angle), atol=5e-3)
    v = np.zeros_like(flow)
    for _ in range(200):
        v = v - compose_flows_forward(flow, v)[0]
    assert np.abs(compose_flows_forward(flow, v)[0]).max() > 0.1


FOLD = np.array([-2.0, 0, 2, 0, 0, 0]).reshape(1, 1, 3, 2)
"""x + u(x) is -3, 2, 1: between the last two columns it runs backwards."""


def test_a_fold_is_named() -> None:
    expected = (
        r"flow: expected one that is inverted in 50 iterations, got the residual 2.0e\+00 "
        r"at pixel \(0, 1\) of sample 1"
    )
    with pytest.raises(ValueError, match=expected):
        invert_flow_forward(np.concatenate([0 * FOLD, FOLD]))


def test_the_residual_is_reported_where_every_one_is_accepted() -> None:
    flow = np.concatenate([0 * FOLD, FOLD])
    inverse, cache = invert_flow_forward(flow, tol=np.inf)
    found = np.abs(cache.residual).max(axis=-1) < 1e-14
    assert found[:, 0].tolist() == [[True, True, True], [True, False, True]]
    np.testing.assert_array_equal(inverse[0], 0)
    assert np.isfinite(invert_flow_backward(np.ones_like(flow), cache)).all()


def test_one_iteration_is_not_enough(rng: np.random.Generator) -> None:
    flow = _flow(rng, (4, 6), 0.15)
    with pytest.raises(ValueError, match="in 1 iterations"):
        invert_flow_forward(flow, iterations=1)
    assert np.abs(invert_flow_forward(flow, iterations=1, tol=1)[1].residual).max() > 1e-5


def test_the_derivative_of_a_translation_is_by_hand() -> None:
    """v = -u(x - u): of a constant field the slope is none, so dv = -S du."""
    flow = np.full((1, 1, 3, 2), [0.5, 0.0])
    _, cache = invert_flow_forward(flow)
    dinverse = np.array([0, 0, 1.0, 0, 0, 0]).reshape(1, 1, 3, 2)  # read at -0.5
    assert invert_flow_backward(dinverse, cache)[0, 0, :, 0].tolist() == [-0.5, -0.5, 0]


# -------------------------------------------------------------------------------- integrate

SHRINK = np.array([[-0.9, 0.4], [-0.3, -0.7]])
"""x' = A x runs into the middle, so that no point leaves the picture."""


@CORNERS
@pytest.mark.parametrize("steps", [0, 1, 4, 7])
def test_a_linear_velocity_gives_the_power_of_its_euler_step(
    steps: int, align_corners: bool
) -> None:
    """Exactly (1 + A / 2^n)^(2^n)."""
    flow, _ = integrate_velocity_forward(
        _linear(SHRINK, (5, 8), align_corners), steps=steps, align_corners=align_corners
    )
    power = np.linalg.matrix_power(np.eye(2) + SHRINK / 2**steps, 2**steps)
    expected = _linear(power - np.eye(2), (5, 8), align_corners)
    np.testing.assert_allclose(flow, expected, rtol=0, atol=1e-14)


def test_a_linear_velocity_gives_the_exponential() -> None:
    """The error halves with every step: Euler's is a method of the first order."""
    expected = _linear(_expm(SHRINK) - np.eye(2), (5, 8))

    def error(steps: int) -> float:
        flow = integrate_velocity_forward(_linear(SHRINK, (5, 8)), steps=steps)[0]
        return float(np.abs(flow - expected).max())

    assert error(7) < 3e-3
    for steps in (5, 8, 12):
        assert 1.9 < error(steps) / error(steps + 1) < 2.1
    assert error(24) < 1e-7


def test_a_volume() -> None:
    A = -np.diag([0.3, 0.6, 0.9])
    flow, _ = integrate_velocity_forward(_linear(A, (3, 4, 5)), steps=20)
    expected = _linear(np.diag(np.exp([-0.3, -0.6, -0.9]) - 1), (3, 4, 5))
    np.testing.assert_allclose(flow, expected, atol=1e-6)


def test_a_velocity_that_is_not_linear_against_small_steps() -> None:
    """x' = v(x), the interpolated field, by 1024 steps of the midpoint rule along each path."""
    velocity, G = _smooth(np.random.default_rng(2), (33, 41), 0.05), target_grid((33, 41))
    x, n = np.array(G[None]), 1024
    for _ in range(n):
        middle = x + grid_sample(velocity, x, padding_mode="border") / (2 * n)
        x = x + grid_sample(velocity, middle, padding_mode="border") / n
    flow, _ = integrate_velocity_forward(velocity, steps=10)
    assert np.abs(flow).max() > 0.15
    np.testing.assert_allclose(flow, x - G, atol=2e-3)


def test_the_flow_of_minus_v_is_the_inverse_at_the_limit() -> None:
    """Up to the step of time and up to interpolation, which both are halved here."""
    errors = []
    for n, steps in ((33, 8), (65, 9), (129, 10)):
        velocity = _smooth(np.random.default_rng(3), (n, n), 0.05)
        there, back = (integrate_velocity_forward(s * velocity, steps=steps)[0] for s in (1, -1))
        middle = np.s_[:, n // 4 : -n // 4, n // 4 : -n // 4]
        assert np.abs(there[middle]).max() > 0.1
        errors.append(np.abs(compose_flows_forward(there, back)[0][middle]).max())
    assert errors[0] / errors[1] > 1.8
    assert errors[1] / errors[2] > 1.8
    assert errors[2] < 1e-3


def test_no_step_is_the_velocity(rng: np.random.Generator) -> None:
    velocity = _flow(rng, (4, 6), 0.3)
    np.testing.assert_array_equal(integrate_velocity_forward(velocity, steps=0)[0], velocity)


# ---------------------------------------------------------------------------------- all pairs

PAIRS: dict[str, dict[str, Any]] = {
    "compose_flows": {},
    "invert_flow": {},
    "integrate_velocity": {"steps": 3},
}
PAIR = pytest.mark.parametrize("name", PAIRS)


def _inputs(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    return [_flow(rng, shape, 0.12) for _ in range(2 if name == "compose_flows" else 1)]


@CORNERS
@SHAPE
@PAIR
def test_gradients(
    name: str, shape: tuple[int, ...], align_corners: bool, rng: np.random.Generator
) -> None:
    pair = pair_of(vars(fields), name, align_corners=align_corners, **PAIRS[name])
    report = check_gradients(pair.forward, pair.backward, _inputs(name, shape, rng), jvp=pair.jvp)
    assert report.ok, str(report)


@PAIR
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays_and_is_near(
    name: str, dtype: type, rng: np.random.Generator
) -> None:
    forward, backward, jvp = pair_of(vars(fields), name, **PAIRS[name])
    assert jvp is not None
    inputs = _inputs(name, (4, 6), rng)
    single = [array.astype(dtype) for array in inputs]
    out, cache = forward(*single)
    np.testing.assert_allclose(out, forward(*inputs)[0], atol=1e-6)
    gradients = backward(out, cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    assert {out.dtype, jvp(*single, cache).dtype, *(g.dtype for g in gradients)} == {
        np.dtype(dtype)
    }


@PAIR
def test_inputs_are_not_changed(name: str, rng: np.random.Generator) -> None:
    forward, backward, jvp = pair_of(vars(fields), name, **PAIRS[name])
    assert jvp is not None
    inputs = _inputs(name, (4, 6), rng)
    before = [array.copy() for array in inputs]
    out, cache = forward(*inputs)
    first = backward(out, cache)
    jvp(*inputs, cache)
    np.testing.assert_array_equal(backward(out, cache), first)
    np.testing.assert_array_equal(inputs, before)


ONE = np.zeros((1, 3, 4, 2))
BAD = {
    "outer": (
        lambda: compose_flows_forward(ONE[0], ONE),
        r"outer: expected shape \(B, H, W, 2\) or \(B, D, H, W, 3\), got \(3, 4, 2\)",
    ),
    "a volume and a picture": (
        lambda: compose_flows_forward(ONE, np.zeros((1, 2, 3, 4, 3))),
        r"inner: expected shape \(1, H, W, 2\), got \(1, 2, 3, 4, 3\)",
    ),
    "not finite": (
        lambda: compose_flows_forward(ONE, ONE + np.nan),
        r"inner: expected finite values, got nan at index \(0, 0, 0, 0\)",
    ),
    "gradient": (
        lambda: compose_flows_backward(ONE[0], compose_flows_forward(ONE, ONE)[1]),
        r"dflow: expected shape \(1, 3, 4, 2\), got \(3, 4, 2\)",
    ),
    "iterations": (
        lambda: invert_flow_forward(ONE, iterations=0),
        "iterations: expected an integer from 1 to 10000, got 0",
    ),
    "not finite, to invert": (
        lambda: invert_flow_forward(ONE + np.inf),
        r"flow: expected finite values, got inf at index \(0, 0, 0, 0\)",
    ),
    "steps": (
        lambda: integrate_velocity_forward(ONE, steps=-1),
        "steps: expected an integer from 0 to 50, got -1",
    ),
    "velocity": (
        lambda: integrate_velocity_forward(ONE[..., :1]),
        r"velocity: expected shape \(B, H, W, 2\) or \(B, D, H, W, 3\), got \(1, 3, 4, 1\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, expected = BAD[case]
    with pytest.raises(ValueError, match=expected):
        call()
