"""Pointwise functions where they are not smooth."""

import numpy as np

from stnref import nn


def test_relu_at_zero_has_slope_zero() -> None:
    _, cache = nn.relu_forward(np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(nn.relu_backward(np.ones(3), cache), [0, 0, 1])


def test_relu_lets_nan_through() -> None:
    assert np.isnan(nn.relu_forward(np.array([np.nan]))[0]).all()
