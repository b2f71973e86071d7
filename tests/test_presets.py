"""The presets' own rules, in numbers; against PyTorch, ONNX and SciPy themselves see peers/."""

import numpy as np
import pytest

from stnref.presets import (
    onnx_grid_sample,
    pytorch_grid_sample,
    pytorch_grid_sample_backward,
    pytorch_grid_sample_forward,
    scipy_map_coordinates,
)

ROW = np.array([3.0, 5, 4, 9, 7]).reshape(1, 1, 5, 1)


def _grid(*x: float) -> np.ndarray:
    """The pixel coordinates x along ROW, normalised with aligned corners."""
    return np.array([(value / 2 - 1, 0) for value in x]).reshape(1, 1, -1, 2)


def test_pytorchs_nearest_rounds_half_to_even() -> None:
    V = pytorch_grid_sample(ROW, _grid(0.5, 1.5, 2.5), mode="nearest", align_corners=True)
    assert V.ravel().tolist() == [3, 4, 4]


@pytest.mark.parametrize(
    ("padding_mode", "slopes"),
    [("zeros", [2, -7, 3]), ("border", [0, 0, 0]), ("reflection", [0, 0, 1])],
)
def test_pytorchs_slopes_on_the_outer_pixels_and_beyond(
    padding_mode: str, slopes: list[float]
) -> None:
    options = {"padding_mode": padding_mode, "align_corners": True}
    V, cache = pytorch_grid_sample_forward(ROW, _grid(0, 4, -1), **options)
    _, dgrid = pytorch_grid_sample_backward(np.ones_like(V), cache)
    assert (dgrid[0, 0, :, 0] / 2).tolist() == slopes


def test_the_number_in_the_conventions() -> None:
    """Cubic with border at x = -0.2: ONNX clamps the coordinate first, PyTorch pads the taps."""
    U = np.array([1.0, 2, 4, 8, 16]).reshape(1, 1, 5, 1)
    grid = np.array([-0.2 / 2 - 1, 0]).reshape(1, 1, 1, 2)
    V = onnx_grid_sample(U, grid, mode="cubic", padding_mode="border", align_corners=True)
    assert V.item() == pytest.approx(1.0, abs=1e-12)


def test_bad_input() -> None:
    U, points = np.zeros((1, 3, 3, 1)), np.zeros((1, 2, 2, 2))
    with pytest.raises(ValueError, match=r"mode: expected one of 'grid-constant', .* got 'wrap'"):
        scipy_map_coordinates(U, points, mode="wrap")
