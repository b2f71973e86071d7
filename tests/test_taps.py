"""Taps: the matrix S entry by entry, its derivatives, its transpose, what it must not read."""

import importlib

import numpy as np
import pytest

from stnref import sample_backward, sample_forward
from stnref.kernels import KERNELS, get_kernel
from stnref.padding import PADDINGS
from stnref.taps import SamplingMatrix, locate
from tests.signatures import expect_names

ROW = np.array([3.0, 5, 4, 9]).reshape(1, 1, 4, 1)


def _points(*xy: tuple[float, float]) -> np.ndarray:
    return np.array(xy, dtype=float).reshape(1, 1, -1, 2)


def _case(kernel: str, padding: str, d: int) -> SamplingMatrix:
    rng = np.random.default_rng(d)
    in_shape, out_shape = ((3, 4), (2, 5)) if d == 2 else ((2, 3, 4), (1, 2, 3))
    points = rng.uniform(-2, 5, (2, *out_shape, d))
    return locate((2, *in_shape), points, get_kernel(kernel), [PADDINGS[padding]] * d)


def _dense(S: SamplingMatrix) -> np.ndarray:
    """S as an array (P, B H W): each channel of U is 1 on one pixel and 0 elsewhere."""
    n = np.prod(S.in_shape)
    return (S @ np.eye(n).reshape(*S.in_shape, n)).reshape(-1, n)


def test_its_entries_are_the_weights_on_each_pictures_own_pixels() -> None:
    """S, S_x and S_xy of the linear kernel, by their definition."""
    points = np.random.default_rng(0).uniform(-1, 4, (2, 2, 5, 2))
    S = locate((2, 3, 4), points, get_kernel("linear"), [PADDINGS["zeros"]] * 2)
    expected = np.zeros((3, 2, 2, 5, 2, 3, 4))
    for b, i, j, n, m in np.ndindex(2, 2, 5, 3, 4):
        (k_x, dk_x), (k_y, dk_y) = (
            (max(0, 1 - abs(t)), -np.sign(t) * (abs(t) < 1)) for t in points[b, i, j] - (m, n)
        )
        expected[:, b, i, j, b, n, m] = k_x * k_y, dk_x * k_y, dk_x * dk_y
    for matrix, A in zip((S, S.slopes[0], S.slopes[0].slopes[1]), expected, strict=True):
        np.testing.assert_allclose(_dense(matrix), A.reshape(20, 24), atol=1e-15)


@pytest.mark.parametrize("d", [2, 3], ids=["2-D", "3-D"])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_transpose(kernel: str, padding: str, d: int) -> None:
    S = _case(kernel, padding, d)
    P = np.prod(S.out_shape)
    transposed = (S.T @ np.eye(P).reshape(*S.out_shape, P)).reshape(-1, P)
    np.testing.assert_array_equal(transposed, _dense(S).T)


def test_samples_of_one_pixel_add_up() -> None:
    V, cache = sample_forward(ROW, _points((1, 0), (1, 0), (1.5, 0)))
    dU, _ = sample_backward(np.array([1.0, 10, 100]).reshape(V.shape), cache)
    np.testing.assert_array_equal(dU.ravel(), [0, 61, 50, 0])


def test_a_nan_in_the_map_stays_where_it_is() -> None:
    U = ROW.copy()
    U[0, 0, 3] = np.nan
    V, _ = sample_forward(U, _points((-0.5, 0), (1.5, 0), (2.5, 0)))
    np.testing.assert_array_equal(np.isnan(V.ravel()), [False, False, True])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_hair_below_pixel_0_a_sample_has_the_left_slope(
    kernel: str, padding: str, dtype: type[np.floating]
) -> None:
    """There x - floor(x) is less than 1 but rounds to it; linear with border has 0, not -6."""
    eps = np.finfo(dtype).eps
    points = _points((-eps, 0), (-eps / 4, 0), (-eps / 1e9, 0)).astype(dtype)
    V, cache = sample_forward(ROW.astype(dtype), points, kernel=kernel, padding=padding)
    dx = sample_backward(np.ones_like(V), cache)[1][..., 0].ravel()
    np.testing.assert_allclose(dx[1:], dx[0], rtol=0, atol=100 * eps)
    np.testing.assert_allclose(V.ravel()[1:], V.ravel()[0], rtol=0, atol=100 * eps)


def test_an_odd_number_of_taps_is_about_the_nearest_pixel() -> None:
    """Halves go up, as equation 4 says."""
    x = [0.25, 0.5, 1.5, 2.49, 2.75]
    S = locate(
        (1, 1, 4), _points(*((v, 0) for v in x)), get_kernel("nearest"), [PADDINGS["zeros"]] * 2
    )
    assert S.cell[0].tolist() == [0, 1, 2, 2, 3]
    np.testing.assert_allclose(S.fraction[0], [0.25, -0.5, -0.5, 0.49, -0.25])


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.taps"))
