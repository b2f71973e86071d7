"""Layers one after the other."""

import numpy as np
import pytest

from stnref import nn


def test_the_same_seed_draws_the_same_parameters() -> None:
    net = nn.Sequential(conv=nn.Conv2d(2, 3, 3), fc=nn.Linear(6, 4))
    first, second = (net.init(np.random.default_rng(5)) for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert first["conv.W"].std() == pytest.approx(np.sqrt(2 / 18), rel=0.2)
