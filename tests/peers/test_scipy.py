"""The SciPy preset against SciPy, where it is installed."""

import numpy as np
import pytest

from stnref.presets import SCIPY_MODES, scipy_map_coordinates

ndimage = pytest.importorskip("scipy.ndimage", reason="the optional extra 'peers' is missing")


def _theirs(U: np.ndarray, points: np.ndarray, mode: str) -> np.ndarray:
    V = np.empty((*points.shape[:-1], U.shape[-1]))
    for b in range(len(U)):
        for c in range(U.shape[-1]):
            where = np.moveaxis(points[b, ..., ::-1], -1, 0)
            V[b, ..., c] = ndimage.map_coordinates(U[b, ..., c], where, order=1, mode=mode)
    return V


@pytest.mark.parametrize("mode", SCIPY_MODES)
@pytest.mark.parametrize("d", [2, 3], ids=["2-D", "3-D"])
def test_random_points(d: int, mode: str) -> None:
    rng = np.random.default_rng(d)
    for _ in range(50):
        in_shape, out_shape = (rng.integers(1, 7, d) for _ in range(2))
        U = rng.standard_normal((2, *in_shape, 2))
        points = rng.uniform(-9, 15, (2, *out_shape, d))
        V = scipy_map_coordinates(U, points, mode=mode)
        np.testing.assert_allclose(V, _theirs(U, points, mode), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", SCIPY_MODES)
def test_whole_and_half_pixels(mode: str) -> None:
    rng = np.random.default_rng(0)
    U = rng.standard_normal((2, 4, 5, 2))
    points = rng.integers(-8, 16, (2, 6, 7, 2)) / 2
    V = scipy_map_coordinates(U, points, mode=mode)
    np.testing.assert_allclose(V, _theirs(U, points, mode), rtol=1e-12, atol=1e-12)
