"""What holds for every transform and matrix operation, on random sizes and parameters."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stnref
from stnref import transforms
from stnref.pairs import Pair, pair_of
from stnref.transforms import TRANSFORMS, TRANSFORMS_3D

MATRIX = ("compose", "invert", "to_pixel_matrix", "from_pixel_matrix")
EVERY = pytest.mark.parametrize("name", [*TRANSFORMS, *TRANSFORMS_3D, "flow", "basis", *MATRIX])


@st.composite
def sizes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a batch size, two sizes of maps, a corner rule, and a seed."""
    return {
        "batch": draw(st.integers(1, 3)),
        "shapes": draw(st.lists(st.tuples(*[st.integers(2, 5)] * 3), min_size=2, max_size=2)),
        "align_corners": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


def _operation(name: str, drawn: dict[str, Any]) -> tuple[Pair, list[np.ndarray]]:
    """Return the pair and its inputs."""
    rng = np.random.default_rng(drawn["seed"])
    batch, aligned = drawn["batch"], drawn["align_corners"]
    in_shape, out_shape = (tuple(shape[:2]) for shape in drawn["shapes"])
    near_identity = np.eye(2, 3) + 0.2 * rng.standard_normal((2, batch, 2, 3))
    if name in MATRIX:
        options: dict[str, Any] = {}
        if "pixel" in name:
            options = {"in_shape": in_shape, "out_shape": out_shape, "align_corners": aligned}
        inputs = list(near_identity if name == "compose" else near_identity[:1])
        return pair_of(vars(transforms), name, **options), inputs
    if name == "flow":
        G = stnref.target_grid(out_shape, align_corners=aligned)
        flow = rng.standard_normal((batch, *out_shape, 2))
        return pair_of(vars(transforms), "flow_grid", G=G), [flow]
    if name == "basis":
        B = rng.standard_normal((*out_shape, 4))
        theta = rng.standard_normal((batch, 4, 2))
        return pair_of(vars(transforms), "basis_grid", B=B), [theta]
    shape = drawn["shapes"][1] if name in TRANSFORMS_3D else out_shape
    transform = stnref.get_transform(name, shape, align_corners=aligned)
    scatter = 0.2 * rng.standard_normal((batch, transform.n_params))
    return Pair(*transform[2:]), [transform.identity + scatter]


def _run(operation: Pair, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Run forward, backward with the output, and jvp with the inputs; return what comes out."""
    out, cache = operation.forward(*inputs)
    gradients = operation.backward(out, cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    assert operation.jvp is not None
    return [out, *gradients, operation.jvp(*inputs, cache)]


@EVERY
@given(drawn=sizes())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_pure_and_blind_to_memory_order(name: str, drawn: dict[str, Any]) -> None:
    operation, inputs = _operation(name, drawn)
    before = [array.copy() for array in inputs]
    for array in inputs:
        array.flags.writeable = False
    expected = _run(operation, inputs)
    for array, untouched in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(array, untouched)
    fortran = [np.asfortranarray(array) for array in inputs]
    views = [np.repeat(array, 2, axis=-1)[..., ::2] for array in inputs]
    for other in (inputs, fortran, views):
        for actual, wanted in zip(_run(operation, other), expected, strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=1e-14, atol=1e-14)


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
@given(drawn=sizes())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_the_precision_is_kept(name: str, dtype: type, drawn: dict[str, Any]) -> None:
    operation, inputs = _operation(name, drawn)
    for result in _run(operation, [array.astype(dtype) for array in inputs]):
        assert result.dtype == dtype


@EVERY
@given(drawn=sizes())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_dot_test_and_complex_step(name: str, drawn: dict[str, Any]) -> None:
    operation, inputs = _operation(name, drawn)
    rng = np.random.default_rng(drawn["seed"] + 1)
    dots = [rng.standard_normal(array.shape) for array in inputs]
    out, cache = operation.forward(*inputs)
    dout = rng.standard_normal(out.shape)
    gradients = operation.backward(dout, cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    assert operation.jvp is not None
    out_dot = operation.jvp(*dots, cache)
    left = (dout * out_dot).sum()
    right = sum((g * dot).sum() for g, dot in zip(gradients, dots, strict=True))
    assert abs(left - right) <= 1e-12 * np.linalg.norm(dout) * np.linalg.norm(out_dot)
    h = 1e-100
    shifted = [array + 1j * h * dot for array, dot in zip(inputs, dots, strict=True)]
    stepped = operation.forward(*shifted)[0].imag / h
    np.testing.assert_allclose(out_dot, stepped, rtol=0, atol=1e-12 * np.abs(stepped).max())
