"""The fully connected layer: Y = X W + b."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from stnref.nn.layer import NEEDS, Params, expect_params, he_normal, parametric_backward
from stnref.validation import Array, expect_array, expect_needs, expect_sizes


class LinearCache(NamedTuple):
    """The inputs, by reference."""

    X: Array  # (B, N)
    W: Array  # (N, M)
    b: Array  # (M,)


def linear_forward(X: ArrayLike, W: ArrayLike, b: ArrayLike) -> tuple[Array, LinearCache]:
    """Y = X W + b.

    Parameters
    ----------
    X : (B, N)
    W : (N, M)
    b : (M,)

    Returns
    -------
    Y : (B, M)
    cache : LinearCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.

    Examples
    --------
    >>> linear_forward(np.array([[1.0, 2.0]]), np.eye(2), np.array([0.5, 0.0]))[0].tolist()
    [[1.5, 2.0]]
    """
    X = expect_array("X", X, ("B", "N"))
    W = expect_array("W", W, (X.shape[1], "M"))
    b = expect_array("b", b, (W.shape[1],))
    return X @ W + b, LinearCache(X, W, b)


def linear_backward(
    dY: ArrayLike, cache: LinearCache, *, needs: Collection[str] = ("X", "W", "b")
) -> tuple[Array | None, Array | None, Array | None]:
    """Return dX = dY W^T, dW = X^T dY, db = the sum of dY over the batch."""
    X, W, _ = cache
    dY = expect_array("dY", dY, (len(X), W.shape[1]))
    expect_needs(needs, cache._fields)
    dX = dY @ W.T if "X" in needs else None
    dW = X.T @ dY if "W" in needs else None
    db = dY.sum(axis=0) if "b" in needs else None
    return dX, dW, db


class Linear:
    """`linear_forward` as a layer with parameters W (n_in, n_out) and b (n_out,)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        self.shape = expect_sizes("n_in, n_out", (n_in, n_out), (2,))

    def init(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Params:
        """Draw W by He's rule, a normal law of variance 2 / n_in; b = 0."""
        n_in, n_out = self.shape
        return {"W": he_normal(rng, self.shape, n_in, dtype), "b": np.zeros(n_out, dtype)}

    def forward(self, X: ArrayLike, params: Params | None = None) -> tuple[Array, LinearCache]:
        """Return Y (B, n_out) and the cache."""
        return linear_forward(X, *expect_params(params, "W", "b"))

    def backward(
        self, dY: ArrayLike, cache: LinearCache, *, needs: Collection[str] = NEEDS
    ) -> tuple[Array | None, Params]:
        """Return dX (B, n_in), or None, and the gradients to W and b."""
        return parametric_backward(linear_backward, dY, cache, needs)
