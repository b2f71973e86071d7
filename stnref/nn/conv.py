r"""Convolution (cross-correlation, as the field has it) of channels-last maps.

.. math::  Y_{b,i,j,f} = b_f + \sum_{u,v,c} X_{b, s i + u, s j + v, c} W_{u,v,c,f}

with stride s and X padded by zeros. The windows of X are the rows of a matrix, "im2col":
with it the layer is a linear one, Y = cols W + b, and what comes back to the windows, dY W^T, is
added to the pixels that they see, "col2im". Some pictures are taken at a time; backward forms the
same windows again, which costs less than to keep them. Derivation:
``docs/derivations/layers.md``, equations L3 to L5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from stnref.fast.windows import col2im, im2col, pieces
from stnref.nn.layer import NEEDS, Params, expect_params, he_normal, parametric_backward
from stnref.validation import (
    Array,
    expect_array,
    expect_cache,
    expect_count,
    expect_needs,
    expect_sizes,
)


class Conv2dCache(NamedTuple):
    """The inputs, by reference, and the options."""

    X: Array  # (B, H, W, C)
    W: Array  # (k, k, C, F)
    b: Array  # (F,)
    stride: int
    padding: int

    @property
    def Y_shape(self) -> tuple[int, ...]:
        """Shape of the output: (B, H', W', F)."""
        k, sizes = len(self.W), self.X.shape[1:3]
        rows, columns = ((n + 2 * self.padding - k) // self.stride + 1 for n in sizes)
        return len(self.X), rows, columns, self.W.shape[3]

    @property
    def filters(self) -> Array:
        """The filters as the columns of a matrix: (k k C, F)."""
        return self.W.reshape(-1, self.W.shape[3])

    def pieces(self) -> Iterator[slice]:
        """Yield some pictures of the batch at a time."""
        _, rows, columns, _ = self.Y_shape
        return pieces(len(self.X), rows * columns * len(self.filters))


def conv2d_forward(
    X: ArrayLike, W: ArrayLike, b: ArrayLike, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Conv2dCache]:
    """Y = b + the windows of X times W: X is correlated with the filters (L3).

    Parameters
    ----------
    X : (B, H, W, C)
        Maps, channels last.
    W : (k, k, C, F)
        F filters of k x k pixels.
    b : (F,)
        One for each filter.
    stride : int
        Step between windows, in pixels.
    padding : int
        Rows and columns of zeros added on each side.

    Returns
    -------
    Y : (B, H', W', F)
        ``H' = (H + 2 padding - k) // stride + 1``.
    cache : Conv2dCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, or the filter is larger than the padded map.

    Examples
    --------
    >>> X = np.arange(12.0).reshape(1, 3, 4, 1)
    >>> conv2d_forward(X, np.ones((2, 2, 1, 1)), np.zeros(1))[0][0, :, :, 0].tolist()
    [[10.0, 14.0, 18.0], [26.0, 30.0, 34.0]]
    """
    X = expect_array("X", X, ("B", "H", "W", "C"))
    W = expect_array("W", W, ("k", "k", X.shape[3], "F"))
    b = expect_array("b", b, (W.shape[3],))
    k = W.shape[0]
    if W.shape[1] != k:
        raise ValueError(f"W: expected shape (k, k, C, F), got {W.shape}")
    stride, padding = expect_count("stride", stride), expect_count("padding", padding, least=0)
    padded = [n + 2 * padding for n in X.shape[1:3]]
    expect_sizes("X with its padding", padded, (2,))
    if min(padded) < k:
        raise ValueError(f"X: expected at least {k - 2 * padding} rows and columns, got {X.shape}")
    cache = Conv2dCache(X, W, b, stride, padding)
    Y = np.empty(cache.Y_shape, np.result_type(X, W, b))
    for piece in cache.pieces():
        cols = im2col(_padded(X[piece], padding), k, stride)  # (P, k k C)
        Y[piece] = (cols @ cache.filters + b).reshape(Y[piece].shape)  # L3
    return Y, cache


@overload
def conv2d_backward(dY: ArrayLike, cache: Conv2dCache) -> tuple[Array, Array, Array]: ...
@overload
def conv2d_backward(
    dY: ArrayLike, cache: Conv2dCache, *, needs: Collection[str]
) -> tuple[Any, Any, Any]: ...  # one that is declined is None
def conv2d_backward(
    dY: ArrayLike, cache: Conv2dCache, *, needs: Collection[str] = ("X", "W", "b")
) -> tuple[Array | None, Array | None, Array | None]:
    """dW = cols^T dY, db = sum dY (L4); dX = col2im(dY W^T) (L5).

    dY : (B, H', W', F) -> dX : shape of X, dW : shape of W, db : (F,); None for what `needs` does
    not name. dtype: result_type of dY with W for dX, with X for dW.
    Raises ValueError if dY does not have the shape of Y or `needs` names no input, TypeError on
    the dtype.

    >>> X = np.arange(12.0).reshape(1, 3, 4, 1)
    >>> Y, cache = conv2d_forward(X, np.ones((2, 2, 1, 1)), np.zeros(1))
    >>> dX, dW, db = conv2d_backward(np.ones_like(Y), cache)
    >>> dX[0, :, :, 0].tolist(), dW[0, 0].item(), db.tolist()
    ([[1.0, 2.0, 2.0, 1.0], [2.0, 4.0, 4.0, 2.0], [1.0, 2.0, 2.0, 1.0]], 18.0, [6.0])
    """
    cache = expect_cache(cache, Conv2dCache, "conv2d_forward")
    X, W, _, stride, padding = cache
    k, (_, H, width, C) = len(W), X.shape
    dY = expect_array("dY", dY, cache.Y_shape)
    expect_needs(needs, ("X", "W", "b"))
    dX = np.empty(X.shape, np.result_type(dY, W)) if "X" in needs else None
    dW = np.zeros((k * k * C, W.shape[3]), np.result_type(dY, X)) if "W" in needs else None
    for piece in cache.pieces():
        flat = dY[piece].reshape(-1, W.shape[3])  # (P, F)
        padded = _padded(X[piece], padding)
        if dX is not None:
            # The same product, (P, k k C), in the order in memory in which col2im reads it.
            dcols = (cache.filters @ flat.T).T if C == 1 else flat @ cache.filters.T
            whole = col2im(dcols, padded.shape, k, stride)  # L5
            dX[piece] = whole[:, padding : padding + H, padding : padding + width]
        if dW is not None:
            dW += im2col(padded, k, stride).T @ flat  # L4
    db = dY.sum(axis=(0, 1, 2)) if "b" in needs else None  # L4
    return dX, None if dW is None else dW.reshape(W.shape), db


def _padded(X: Array, padding: int) -> Array:
    return np.pad(X, ((0, 0), (padding, padding), (padding, padding), (0, 0))) if padding else X


class Conv2d:
    """`conv2d_forward` as a layer with parameters W (k, k, C, F) and b (F,)."""

    def __init__(self, n_in: int, n_out: int, k: int, *, stride: int = 1, padding: int = 0) -> None:
        n_in, n_out, k = expect_sizes("n_in, n_out, k", (n_in, n_out, k), (3,))
        self.shape = (k, k, n_in, n_out)
        self.stride = expect_count("stride", stride)
        self.padding = expect_count("padding", padding, least=0)

    def init(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Params:
        """Draw W by He's rule, a normal law of variance 2 / (k k C); b = 0."""
        k, _, C, F = self.shape
        return {"W": he_normal(rng, self.shape, k * k * C, dtype), "b": np.zeros(F, dtype)}

    def forward(self, X: ArrayLike, params: Params | None = None) -> tuple[Array, Conv2dCache]:
        """Return Y (B, H', W', F) and the cache."""
        W, b = expect_params(params, "W", "b")
        return conv2d_forward(X, W, b, stride=self.stride, padding=self.padding)

    def backward(
        self, dY: ArrayLike, cache: Conv2dCache, *, needs: Collection[str] = NEEDS
    ) -> tuple[Any, Params]:
        """Return dX, or None, and the gradients to W and b."""
        return parametric_backward(conv2d_backward, dY, cache, needs)
