"""A mistake from a page that many learn from, and its name.

"Deep learning on MNIST" of the NumPy tutorials (numpy.org/numpy-tutorials) asks of its hidden layer
*after* the rectifier whether it is >= 0. So it is everywhere, and units that are off learn too.
Here is a network of that kind as a pair: one hidden layer, no biases, no dropout; the output are
the scores of the classes.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from stnref import GradientReport, check_gradients

Cache = tuple[np.ndarray, ...]
Mask = Callable[[np.ndarray], np.ndarray]


def forward(X: np.ndarray, W1: np.ndarray, W2: np.ndarray) -> tuple[np.ndarray, Cache]:
    Z = X @ W1  # (B, hidden)
    Y = np.maximum(Z, 0)
    return Y @ W2, (X, W1, W2, Z, Y)


def backward(dscores: np.ndarray, cache: Cache, *, mask: Mask) -> Cache:
    X, W1, W2, Z, Y = cache
    dZ = dscores @ W2.T * mask(Z)
    return dZ @ W1.T, X.T @ dZ, Y.T @ dscores


def of_the_tutorial(Z: np.ndarray) -> np.ndarray:
    return np.maximum(Z, 0) >= 0


def corrected(Z: np.ndarray) -> np.ndarray:
    return Z > 0


def _check(mask: Mask, images: int) -> GradientReport:
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (images, 12))  # pixels
    W1, W2 = rng.uniform(-0.1, 0.1, (12, 7)), rng.uniform(-0.1, 0.1, (7, 3))
    inputs, names = [X, W1, W2], ["X", "W1", "W2"]
    return check_gradients(forward, partial(backward, mask=mask), inputs, names=names)


@pytest.mark.parametrize("images", [1, 4])
def test_the_mask_that_is_true_everywhere_is_named(images: int) -> None:
    report = _check(of_the_tutorial, images)
    assert not report.ok
    assert report.findings[0].cause == "relu-mask"
    wrong = {comparison.what for comparison in report.comparisons if not comparison.ok}
    assert {"X", "W1"} <= wrong
    assert "W2" not in wrong  # its gradient does not pass the rectifier


@pytest.mark.parametrize("images", [1, 4])
def test_the_corrected_one_passes(images: int) -> None:
    report = _check(corrected, images)
    assert report.ok, report
