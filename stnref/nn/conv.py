r"""Convolution (cross-correlation, as the field has it) of channels-last maps.

.. math::  Y_{b,i,j,f} = b_f + \sum_{u,v,c} X_{b, s i + u, s j + v, c} W_{u,v,c,f}

with stride s and X padded by zeros. The windows of X are the rows of a matrix, "im2col":
with it the layer is a linear one, Y = cols W + b. Backward forms the same windows again, which
costs less than to keep them. Derivation: ``docs/derivations/layers.md``, equations L3 to L5.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, DTypeLike

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
    cols = _windows(cache)  # (B, H', W', k k C)
    return cols @ W.reshape(-1, W.shape[3]) + b, cache  # L3


@overload
def conv2d_backward(dY: ArrayLike, cache: Conv2dCache) -> tuple[Array, Array, Array]: ...
@overload
def conv2d_backward(
    dY: ArrayLike, cache: Conv2dCache, *, needs: Collection[str]
) -> tuple[Any, Any, Any]: ...  # one that is declined is None
def conv2d_backward(
    dY: ArrayLike, cache: Conv2dCache, *, needs: Collection[str] = ("X", "W", "b")
) -> tuple[Array | None, Array | None, Array | None]:
    """dW = cols^T dY, db = sum dY (L4); dX += dY W_uv^T at the pixels that tap (u, v) saw (L5).

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
    X, W, _, stride, padding = expect_cache(cache, Conv2dCache, "conv2d_forward")
    k, _, C, F = W.shape
    rows, columns = ((n + 2 * padding - k) // stride + 1 for n in X.shape[1:3])
    dY = expect_array("dY", dY, (len(X), rows, columns, F))
    expect_needs(needs, ("X", "W", "b"))
    flat = dY.reshape(-1, F)  # (P, F)
    dX = dW = db = None
    if "X" in needs:
        dX = np.zeros_like(_padded(X, padding), dtype=np.result_type(dY, W))
        for u in range(k):
            for v in range(k):
                under_tap = dX[:, u:, v:][:, : rows * stride : stride, : columns * stride : stride]
                under_tap += (flat @ W[u, v].T).reshape(*dY.shape[:3], C)  # L5
        dX = dX[:, padding : padding + X.shape[1], padding : padding + X.shape[2]]
    if "W" in needs:
        dW = (_windows(cache).reshape(-1, k * k * C).T @ flat).reshape(W.shape)  # L4
    if "b" in needs:
        db = flat.sum(axis=0)  # L4
    return dX, dW, db


def _padded(X: Array, padding: int) -> Array:
    return np.pad(X, ((0, 0), (padding, padding), (padding, padding), (0, 0))) if padding else X


def _windows(cache: Conv2dCache) -> Array:
    """Return the windows of X as rows, "im2col": (B, H', W', k k C)."""
    X, W, _, stride, padding = cache
    k = W.shape[0]
    windows = sliding_window_view(_padded(X, padding), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)  # (B, H', W', k, k, C)
    return windows.reshape(*windows.shape[:3], k * k * X.shape[3])


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
