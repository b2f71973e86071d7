"""Pooling: what is left out, and who wins a tie."""

import numpy as np

from stnref import nn


def test_pooling_leaves_out_rows_that_fill_no_square() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2, 5, 7, 3))
    for forward, reduce in ((nn.max_pool2d_forward, np.max), (nn.avg_pool2d_forward, np.mean)):
        Y, _ = forward(X, 2)
        expected = reduce(X[:, :4, :6].reshape(2, 2, 2, 3, 2, 3), axis=(2, 4))
        np.testing.assert_allclose(Y, expected, atol=1e-15)


def test_of_equal_values_in_a_pool_the_first_gets_the_gradient() -> None:
    X = np.array([[1.0, 2.0], [2.0, 2.0]]).reshape(1, 2, 2, 1)
    _, cache = nn.max_pool2d_forward(X, 2)
    dX = nn.max_pool2d_backward(np.ones((1, 1, 1, 1)), cache)
    np.testing.assert_array_equal(dX[0, :, :, 0], [[0, 1], [0, 0]])
