"""Convolution against literal loops."""

import numpy as np
import pytest

from stnref import nn


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (1, 2), (3, 1)])
def test_conv2d_equals_the_loops(stride: int, padding: int) -> None:
    rng = np.random.default_rng(0)
    X, W, b = rng.standard_normal((2, 7, 5, 2)), rng.standard_normal((3, 3, 2, 4)), np.arange(4.0)
    Y, _ = nn.conv2d_forward(X, W, b, stride=stride, padding=padding)
    padded = np.zeros((2, 7 + 2 * padding, 5 + 2 * padding, 2))
    padded[:, padding : padding + 7, padding : padding + 5] = X
    assert Y.shape == (2, *((n + 2 * padding - 3) // stride + 1 for n in (7, 5)), 4)
    for batch, i, j, f in np.ndindex(Y.shape):
        window = padded[batch, stride * i : stride * i + 3, stride * j : stride * j + 3]
        expected = b[f] + (window * W[..., f]).sum()
        np.testing.assert_allclose(Y[batch, i, j, f], expected, atol=1e-13)
