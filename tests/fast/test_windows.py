"""Windows as rows, and their transpose: against one window after the other, in any pieces."""

import importlib

import numpy as np
import pytest

from stnref import nn
from stnref.fast import windows
from stnref.fast.windows import col2im, im2col, pieces
from tests.signatures import expect_names


@pytest.mark.parametrize("C", [1, 2, 5])
@pytest.mark.parametrize(("k", "stride"), [(1, 1), (2, 1), (3, 2), (2, 3), (5, 1)])
def test_they_are_the_windows_and_their_transpose(k: int, stride: int, C: int) -> None:
    rng = np.random.default_rng(k)
    X = rng.standard_normal((3, 5, 8, C))
    h, w = ((n - k) // stride + 1 for n in X.shape[1:3])
    cols = im2col(X, k, stride)
    assert cols.shape == (3 * h * w, k * k * C)
    for row, (b, i, j) in zip(cols, np.ndindex(3, h, w), strict=True):
        window = X[b, i * stride : i * stride + k, j * stride : j * stride + k]
        np.testing.assert_array_equal(row, window.ravel())
    dcols = rng.standard_normal(cols.shape)
    for given in (dcols, np.asfortranarray(dcols)):
        dX = col2im(given, X.shape, k, stride)
        np.testing.assert_allclose((dX * X).sum(), (dcols * cols).sum(), rtol=1e-12)


def test_a_map_that_does_not_lie_in_one_piece() -> None:
    X = np.random.default_rng(0).standard_normal((2, 3, 7, 6)).transpose(0, 3, 2, 1)
    np.testing.assert_array_equal(im2col(X, 3, 1), im2col(X.copy(), 3, 1))


@pytest.mark.parametrize("C", [1, 3])
def test_a_convolution_in_pieces_is_the_whole(C: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    X, W, b = (rng.standard_normal(s) for s in ((5, 8, 7, C), (3, 3, C, 4), (4,)))

    def both() -> list[np.ndarray]:
        Y, cache = nn.conv2d_forward(X, W, b, stride=2, padding=1)
        return [Y, *nn.conv2d_backward(np.cos(Y), cache)]

    expected = both()
    monkeypatch.setattr(windows, "NUMBERS", 2 * 16 * 9 * C)  # of two pictures
    for actual, whole in zip(both(), expected, strict=True):
        np.testing.assert_allclose(actual, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("B", "numbers"), [(0, 5), (1, 2**30), (7, 2**17), (3, 0)])
def test_pieces_hold_each_picture_once(B: int, numbers: int) -> None:
    assert [i for piece in pieces(B, numbers) for i in range(B)[piece]] == list(range(B))


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.fast.windows"))
