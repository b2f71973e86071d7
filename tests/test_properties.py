"""What holds for every input: precision, purity, memory order, linearity, far coordinates."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from stnref import (
    grid_sample_backward,
    grid_sample_double_backward,
    grid_sample_forward,
    grid_sample_jvp,
    splat_backward,
    splat_forward,
)

hypothesis = pytest.importorskip("hypothesis", reason="the optional extra 'test' is not installed")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

Arrays = dict[str, np.ndarray]
options = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["nearest", "bilinear", "bicubic"]),
        "padding_mode": st.sampled_from(["zeros", "border", "reflection"]),
        "align_corners": st.booleans(),
    }
)


@st.composite
def inputs(draw: st.DrawFn) -> Arrays:
    """Draw a map and a grid of any size, in 2-D or 3-D, with some coordinates far outside."""
    d = draw(st.integers(2, 3))
    sizes = st.lists(st.integers(1, 5), min_size=d, max_size=d)
    B, C, in_shape, out_shape = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        *draw(st.tuples(sizes, sizes)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    reach = draw(st.sampled_from([0.9, 1.5, 20.0]))
    return {
        "U": rng.standard_normal((B, *in_shape, C)),
        "grid": rng.uniform(-reach, reach, (B, *out_shape, d)),
        "dV": rng.standard_normal((B, *out_shape, C)),
        "U_dot": rng.standard_normal((B, *in_shape, C)),
        "grid_dot": rng.standard_normal((B, *out_shape, d)),
    }


def _run(a: Arrays, options: dict[str, Any]) -> list[np.ndarray]:
    """Run forward, backward, jvp, double backward and splat; return all that comes out."""
    V, cache = grid_sample_forward(a["U"], a["grid"], **options)
    canvas, splat_cache = splat_forward(a["dV"], a["grid"], a["U"].shape[1:-1], normalize=True)
    return [
        V,
        *grid_sample_backward(a["dV"], cache),
        grid_sample_jvp(a["U_dot"], a["grid_dot"], cache),
        *grid_sample_double_backward(a["U_dot"], a["grid_dot"], a["dV"], cache),
        canvas,
        *splat_backward(a["U"], splat_cache),
    ]


@given(inputs(), options)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_inputs_are_not_mutated_and_the_same_comes_again(a: Arrays, options: dict) -> None:
    before = {name: array.copy() for name, array in a.items()}
    for array in a.values():
        array.flags.writeable = False
    first, second = _run(a, options), _run(a, options)
    for name, array in a.items():
        np.testing.assert_array_equal(array, before[name])
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@given(inputs(), options)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_memory_order_and_views_do_not_matter(a: Arrays, options: dict) -> None:
    expected = _run(a, options)
    fortran = {name: np.asfortranarray(array) for name, array in a.items()}
    views = {name: np.repeat(array, 2, axis=1)[:, ::2] for name, array in a.items()}
    backwards = {name: array[:, ::-1].copy()[:, ::-1] for name, array in a.items()}
    for other in (fortran, views, backwards):
        for actual, wanted in zip(_run(other, options), expected, strict=True):
            np.testing.assert_array_equal(actual, wanted)


@given(inputs(), options, st.sampled_from([np.float32, np.complex64, np.complex128]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_precision_is_kept(a: Arrays, options: dict, dtype: type) -> None:
    cast = {name: array.astype(dtype) for name, array in a.items()}
    for result in _run(cast, options):
        assert result.dtype == dtype


@given(inputs(), options)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_dot_test(a: Arrays, options: dict) -> None:
    _, cache = grid_sample_forward(a["U"], a["grid"], **options)
    V_dot = grid_sample_jvp(a["U_dot"], a["grid_dot"], cache)
    dU, dgrid = grid_sample_backward(a["dV"], cache)
    left, right = (a["dV"] * V_dot).sum(), (dU * a["U_dot"]).sum() + (dgrid * a["grid_dot"]).sum()
    scale = np.linalg.norm(a["dV"]) * np.linalg.norm(V_dot)
    assert abs(left - right) <= 1e-12 * max(scale, 1e-300)


@given(inputs(), options)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_complex_step_is_the_tangent(a: Arrays, options: dict) -> None:
    h = 1e-100
    U, grid = a["U"] + 1j * h * a["U_dot"], a["grid"] + 1j * h * a["grid_dot"]
    V, _ = grid_sample_forward(U, grid, **options)
    _, cache = grid_sample_forward(a["U"], a["grid"], **options)
    V_dot = grid_sample_jvp(a["U_dot"], a["grid_dot"], cache)
    scale = max(np.abs(V_dot).max(), 1)
    np.testing.assert_allclose(V.imag / h, V_dot, rtol=0, atol=1e-12 * scale)


@given(inputs(), options)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_backward_is_linear_in_the_upstream_gradient(a: Arrays, options: dict) -> None:
    _, cache = grid_sample_forward(a["U"], a["grid"], **options)
    other = a["dV"][::-1].copy()
    whole = grid_sample_backward(2 * a["dV"] - 3 * other, cache)
    parts = (grid_sample_backward(dV, cache) for dV in (a["dV"], other))
    for total, (first, second) in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_allclose(total, 2 * first - 3 * second, rtol=1e-10, atol=1e-10)


@given(inputs(), options, st.floats(1e6, 1e30))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_huge_coordinates_do_no_harm(a: Arrays, options: dict, size: float) -> None:
    far = {**a, "grid": a["grid"] * size}
    for result in _run(far, options):
        assert np.isfinite(result).all()


def test_float32_takes_half_the_memory() -> None:
    """Neither the cache nor what is passed on the way is float64."""
    rng = np.random.default_rng(0)
    U, grid = rng.random((4, 32, 32, 8)), rng.uniform(-1, 1, (4, 40, 40, 2))
    peaks = []
    for dtype in (np.float32, np.float64):
        arrays = [array.astype(dtype) for array in (U, grid)]
        tracemalloc.start()
        V, cache = grid_sample_forward(*arrays)
        grid_sample_backward(V, cache)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 0.7 * peaks[1]
