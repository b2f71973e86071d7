"""The fully connected layer: Y = X W + b.

Derivation: ``docs/derivations/layers.md``, equations L1 and L2.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from stnref.nn.layer import NEEDS, Params, expect_params, he_normal, parametric_backward
from stnref.validation import Array, expect_array, expect_cache, expect_needs, expect_sizes


class LinearCache(NamedTuple):
    """The inputs, by reference."""

    X: Array  # (B, N)
    W: Array  # (N, M)
    b: Array  # (M,)


def linear_forward(X: ArrayLike, W: ArrayLike, b: ArrayLike) -> tuple[Array, LinearCache]:
    """Y = X W + b (L1).

    Parameters
    ----------
    X : (B, N)
        A row for each sample.
    W : (N, M)
        A column for each output.
    b : (M,)
        Added to every row.

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
    return X @ W + b, LinearCache(X, W, b)  # L1


@overload
def linear_backward(dY: ArrayLike, cache: LinearCache) -> tuple[Array, Array, Array]: ...
@overload
def linear_backward(
    dY: ArrayLike, cache: LinearCache, *, needs: Collection[str]
) -> tuple[Any, Any, Any]: ...  # one that is declined is None
def linear_backward(
    dY: ArrayLike, cache: LinearCache, *, needs: Collection[str] = ("X", "W", "b")
) -> tuple[Array | None, Array | None, Array | None]:
    """dX = dY W^T, dW = X^T dY, db = sum_b dY_b (L2).

    dY : (B, M) -> dX : (B, N), dW : (N, M), db : (M,); None for what `needs` does not name.
    dtype: result_type of dY with W for dX, with X for dW.
    Raises ValueError if dY does not have the shape of Y or `needs` names no input, TypeError on
    the dtype.

    >>> Y, cache = linear_forward(np.array([[1.0, 2.0]]), np.eye(2), np.zeros(2))
    >>> dX, dW, db = linear_backward(np.array([[3.0, 4.0]]), cache, needs=("X", "W"))
    >>> dX.tolist(), dW.tolist(), db
    ([[3.0, 4.0]], [[3.0, 4.0], [6.0, 8.0]], None)
    """
    X, W, _ = expect_cache(cache, LinearCache, "linear_forward")
    dY = expect_array("dY", dY, (len(X), W.shape[1]))
    expect_needs(needs, cache._fields)
    dX = dY @ W.T if "X" in needs else None  # L2
    dW = X.T @ dY if "W" in needs else None  # L2
    db = dY.sum(axis=0) if "b" in needs else None  # L2
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
    ) -> tuple[Any, Params]:
        """Return dX (B, n_in), or None, and the gradients to W and b."""
        return parametric_backward(linear_backward, dY, cache, needs)
