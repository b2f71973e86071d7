"""No pictures, or no points: results of the right shape and dtype, forwards and backwards."""

import re
from typing import Any

import numpy as np
import pytest

import stnref
from stnref import nn
from stnref.checks.catalogue import all_operations
from stnref.splat import splat_backward, splat_forward, splat_jvp

OPERATIONS = all_operations()
LOSS = "softmax_cross_entropy"


def _has_a_batch(name: str, inputs: dict[str, np.ndarray]) -> bool:
    """Parameters of a layer serve all pictures."""
    if name.startswith(("localisation", "regression")):
        return False
    return name != "fill" and (name not in ("W", "b") or "W" not in inputs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != LOSS])
def test_of_no_pictures(name: str, dtype: type) -> None:
    (forward, backward, jvp), inputs, _ = vars(OPERATIONS[name]).values()
    full = {key: value.astype(dtype) for key, value in inputs.items()}
    none = {key: value[:0] if _has_a_batch(key, full) else value for key, value in full.items()}
    expected = forward(*full.values())[0]
    out, cache = forward(*none.values())
    assert out.shape == (0, *expected.shape[1:])
    assert out.dtype == expected.dtype
    gradients = backward(out, cache)
    for gradient, value in zip(
        gradients if isinstance(gradients, tuple) else (gradients,), none.values(), strict=True
    ):
        np.testing.assert_array_equal(gradient, np.zeros_like(value), strict=True)
    if jvp is not None:
        np.testing.assert_array_equal(jvp(*none.values(), cache), out, strict=True)


def test_the_mean_loss_of_no_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("expected shape (N, K), got (0, 4), which has")):
        nn.softmax_cross_entropy_forward(np.zeros((0, 4)), np.zeros(0, int))


NO_POINTS = [(0, 3), (2, 0), (0, 0), (4, 0, 2)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", NO_POINTS)
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_of_no_points(target: tuple[int, ...], dtype: Any, mode: str) -> None:
    d = len(target)
    U = np.ones((2, 3, 4, 5, 3)[: 1 + d] + (3,), dtype)
    grid = np.zeros((2, *target, d), dtype)
    V, cache = stnref.grid_sample_forward(U, grid, mode=mode)
    np.testing.assert_array_equal(V, np.zeros((2, *target, 3), dtype), strict=True)
    dU, dgrid = stnref.grid_sample_backward(V, cache)
    np.testing.assert_array_equal(dU, np.zeros_like(U), strict=True)
    np.testing.assert_array_equal(dgrid, grid, strict=True)
    assert stnref.grid_sample_jvp(U, grid, cache).shape == V.shape
    assert [x.shape for x in stnref.grid_sample_double_backward(U, grid, V, cache)] == [
        V.shape,
        U.shape,
        grid.shape,
    ]
    canvas, splat = splat_forward(V, grid, U.shape[1:-1])
    np.testing.assert_array_equal(canvas, np.zeros_like(U), strict=True)
    dimage, dpoints = splat_backward(canvas, splat)
    assert (dimage.shape, dpoints.shape) == (V.shape, grid.shape)
    assert splat_jvp(V, grid, splat).shape == canvas.shape
    assert stnref.kink_report(grid, U.shape[1:-1]).n_kinks == 0


@pytest.mark.parametrize("target", NO_POINTS)
def test_grids_of_no_points(target: tuple[int, ...]) -> None:
    d = len(target)
    G = np.zeros((*target, d))
    grid, cache = stnref.affine_grid_forward(np.ones((2, d, d + 1)), G)
    assert grid.shape == (2, *target, d)
    assert not stnref.affine_grid_backward(grid, cache).any()
    flow, flow_cache = stnref.flow_grid_forward(grid, G)
    assert stnref.flow_grid_backward(flow, flow_cache).shape == grid.shape
    if d == 2:
        grid, projective = stnref.projective_grid_forward(np.ones((2, 3, 3)), G)
        assert grid.shape == (2, *target, d)
        assert not stnref.projective_grid_backward(grid, projective).any()
        assert stnref.thin_plate_basis(stnref.transforms.regular_points((2, 2)), G).shape == (
            *target,
            4,
        )


@pytest.mark.parametrize("shape", [(2, 0, 5, 3), (2, 4, 0, 3), (2, 4, 5, 0), (2, 4, 0, 5, 1)])
def test_maps_without_pixels_or_channels_are_refused(shape: tuple[int, ...]) -> None:
    d = len(shape) - 2
    message = re.escape(f"got {shape}, which has an empty axis")
    with pytest.raises(ValueError, match=message):
        stnref.grid_sample(np.zeros(shape), np.zeros((2, *(3,) * d, d)))
    if d == 2:
        with pytest.raises(ValueError, match=message):
            nn.max_pool2d_forward(np.zeros(shape), 1)
