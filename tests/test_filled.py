"""A fill value: against SciPy's, by hand, and its derivatives."""

import importlib
from typing import Any

import numpy as np
import pytest
import sympy

from stnref import check_gradients, grid_sample, grid_sample_forward, loops, unnormalize_forward
from stnref.filled import (
    filled_grid_sample_backward,
    filled_grid_sample_forward,
    filled_grid_sample_jvp,
)
from tests.signatures import expect_names

FILL = np.array([7.0, -2.0, 0.5])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _case(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((2, 4, 5, 3)), rng.uniform(-2, 2, (2, 3, 6, 2))


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("align_corners", [True, False])
def test_it_is_the_map_in_a_frame_of_that_colour(
    mode: str, align_corners: bool, rng: np.random.Generator
) -> None:
    """Paste U into a large canvas of the fill value, and sample that."""
    U, grid = _case(rng)
    canvas = np.tile(FILL, (2, 44, 45, 1))
    canvas[:, 20:24, 20:25] = U
    points, _ = unnormalize_forward(grid, (4, 5), align_corners=align_corners)
    g = (2 * (points + 20) - (44, 43)) / (44, 43)  # of the canvas, aligned
    options: dict[str, Any] = {"mode": mode}
    V, _ = filled_grid_sample_forward(U, grid, FILL, align_corners=align_corners, **options)
    np.testing.assert_allclose(V, grid_sample(canvas, g, **options), atol=1e-12)


def test_inside_and_far_outside(rng: np.random.Generator) -> None:
    U, grid = rng.standard_normal((2, 4, 5, 3)), rng.uniform(-1, 1, (2, 3, 6, 2))
    V, _ = filled_grid_sample_forward(U, grid, FILL)
    np.testing.assert_allclose(V, grid_sample(U, grid), atol=1e-14)
    V, cache = filled_grid_sample_forward(U, grid + 5, FILL)
    np.testing.assert_array_equal(V, np.broadcast_to(FILL, V.shape))
    dU, dgrid, dfill = filled_grid_sample_backward(np.ones_like(V), cache)
    assert not dU.any()
    assert not dgrid.any()
    assert dfill.tolist() == [36, 36, 36]
    V, _ = filled_grid_sample_forward(U, grid * np.nan, FILL, nonfinite="outside")
    np.testing.assert_array_equal(V, np.broadcast_to(FILL, V.shape))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"align_corners": False, "mode": "bicubic"},
        {"padding_mode": ("wrap", "zeros")},
        {"padding_mode": "border"},
    ],
    ids=str,
)
def test_gradients(options: dict[str, Any], rng: np.random.Generator) -> None:
    U, grid = _case(rng)
    report = check_gradients(
        lambda U, grid, fill: filled_grid_sample_forward(U, grid, fill, **options),
        filled_grid_sample_backward,
        [U, grid, FILL],
        jvp=filled_grid_sample_jvp,
        names=["U", "grid", "fill"],
    )
    assert report.ok, str(report)


def test_under_another_padding_there_is_nothing_to_fill(rng: np.random.Generator) -> None:
    U, grid = _case(rng)
    V, cache = filled_grid_sample_forward(U, grid, FILL, padding_mode="border")
    np.testing.assert_allclose(V, grid_sample(U, grid, padding_mode="border"), atol=1e-14)
    np.testing.assert_allclose(filled_grid_sample_backward(V, cache)[2], 0, atol=1e-13)


def test_the_gradient_to_the_fill_is_the_symbolic_one() -> None:
    """A row of two pixels, of which a sample at x = 4/3 reads a part, and one at x = 9 nothing."""
    u0, u1, f, x = sympy.symbols("u0 u1 f x")
    U, at = np.array([u0, u1]).reshape(1, 1, 2, 1), {x: sympy.Rational(4, 3)}
    points = np.array([[x, 0], [9, 0]]).reshape(1, 1, 2, 2)
    V = loops.sample(U - f, points, shadow=lambda v: sympy.sympify(v).subs(at)) + f
    dV = [3, 5]
    L = sum(d * v for d, v in zip(dV, V.ravel(), strict=True))
    expected = sympy.diff(L, f).subs(at)  # 3 (1 - 2/3) + 5
    grid = np.array([[5 / 3, 0], [17, 0]]).reshape(1, 1, 2, 2)
    _, cache = filled_grid_sample_forward(np.zeros((1, 1, 2, 1)), grid, np.ones(1))
    upstream = np.array(dV, float).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(
        filled_grid_sample_backward(upstream, cache)[2], [float(expected)], rtol=1e-14
    )


def test_needs(rng: np.random.Generator) -> None:
    U, grid = _case(rng)
    V, cache = filled_grid_sample_forward(U, grid, FILL)
    full = dict(zip(("U", "grid", "fill"), filled_grid_sample_backward(V, cache), strict=True))
    for wanted in (("U",), ("grid",), ("fill",), ("grid", "fill"), ()):
        some = filled_grid_sample_backward(V, cache, needs=wanted)
        for (name, gradient), got in zip(full.items(), some, strict=True):
            if name in wanted:
                np.testing.assert_array_equal(got, gradient)
            else:
                assert got is None


def test_dtypes_and_a_tangent_of_none(rng: np.random.Generator) -> None:
    U, grid = (array.astype(np.float32) for array in _case(rng))
    f = FILL.astype(np.float32)
    V, cache = filled_grid_sample_forward(U, grid, f)
    assert V.dtype == np.float32
    assert {g.dtype for g in filled_grid_sample_backward(V, cache)} == {np.dtype(np.float32)}
    _, difference = grid_sample_forward(U - f, grid)
    np.testing.assert_array_equal(
        filled_grid_sample_jvp(U, grid, None, cache),
        filled_grid_sample_jvp(U, grid, 0 * f, difference),
    )


def test_bad_input(rng: np.random.Generator) -> None:
    U, grid = _case(rng)
    with pytest.raises(ValueError, match=r"fill: expected shape \(3,\), got \(\)"):
        filled_grid_sample_forward(U, grid, 0.5)
    V, cache = filled_grid_sample_forward(U, grid, FILL)
    with pytest.raises(ValueError, match="needs: expected one of 'U', 'grid', 'fill', got 'f'"):
        filled_grid_sample_backward(V, cache, needs=["f"])


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.filled"))
