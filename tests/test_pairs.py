"""Pairs, found by their name."""

import numpy as np
import pytest

from stnref import nn, transforms
from stnref.pairs import pair_of


def test_the_three_functions_of_a_name() -> None:
    assert pair_of(vars(transforms), "compose") == (
        transforms.compose_forward,
        transforms.compose_backward,
        transforms.compose_jvp,
    )
    assert pair_of(vars(nn), "relu") == (nn.relu_forward, nn.relu_backward, None)


def test_options_are_bound_to_forward() -> None:
    X = np.ones((1, 4, 6, 2))
    np.testing.assert_array_equal(pair_of(vars(nn), "max_pool2d", size=2).forward(X)[0], 1)


def test_half_a_pair_is_none() -> None:
    with pytest.raises(KeyError, match="tanh_backward"):
        pair_of({"tanh_forward": nn.tanh_forward}, "tanh")
