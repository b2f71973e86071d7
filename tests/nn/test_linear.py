"""The fully connected layer against its sum, written out."""

import numpy as np
import pytest

from stnref import nn


def test_each_output_is_its_column_times_the_row() -> None:
    rng = np.random.default_rng(0)
    X, W, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 2)), np.array([0.5, -1])
    Y, _ = nn.linear_forward(X, W, b)
    assert Y.shape == (3, 2)
    for i, j in np.ndindex(Y.shape):
        assert Y[i, j] == pytest.approx(b[j] + sum(X[i, k] * W[k, j] for k in range(4)))
