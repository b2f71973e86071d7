r"""A fill value in place of the zeros outside: sample the difference to it, and add it again.

Derivation: ``docs/derivations/sampler.md``, equations S20 and S21.

    V = S (U - f) + f

With zeros padding a sample outside reads f, and between the outer pixels and one pixel beyond them
V passes from U to f. The sampler is the one of `stnref.sampler`; f may be learnt.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from stnref.kernels import Kernel
from stnref.padding import PaddingLike
from stnref.sampler import (
    GridSampleCache,
    expect_map_and_points,
    grid_sample_backward,
    grid_sample_forward,
    grid_sample_jvp,
)
from stnref.validation import Array, expect_array, expect_cache, expect_needs


def filled_grid_sample_forward(
    U: ArrayLike,
    grid: ArrayLike,
    fill: ArrayLike,
    *,
    mode: str | Kernel = "bilinear",
    padding_mode: PaddingLike = "zeros",
    align_corners: bool = True,
    nonfinite: str = "raise",
) -> tuple[Array, GridSampleCache]:
    """V = S (U - f) + f (S20): `grid_sample_forward` with a colour outside in place of zero.

    Parameters
    ----------
    U : (B, H, W, C) or (B, D, H, W, C)
        Input map, channels last.
    grid : (B, H', W', 2) or (B, D', H', W', 3)
        Normalised coordinates, last axis (x, y) or (x, y, z).
    fill : (C,)
        The value of each channel outside.
    mode, padding_mode, align_corners, nonfinite
        See `grid_sample_forward`. Under a padding other than zeros there is nothing to fill, but
        along axes that have zeros.

    Returns
    -------
    V : (B, H', W', C) or (B, D', H', W', C)
    cache : GridSampleCache
        Of the sampled difference.

    Raises
    ------
    TypeError, ValueError
        As `grid_sample_forward`.

    Examples
    --------
    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> grid = np.array([[0.5, 0.0], [9.0, 0.0]]).reshape(1, 1, 2, 2)
    >>> filled_grid_sample_forward(U, grid, np.array([7.0]))[0].ravel().tolist()
    [5.25, 7.0]
    """
    U, grid = expect_map_and_points(U, "grid", grid)
    f = expect_array("fill", fill, U.shape[-1:])
    V, cache = grid_sample_forward(
        U - f,
        grid,
        mode=mode,
        padding_mode=padding_mode,
        align_corners=align_corners,
        nonfinite=nonfinite,
    )
    return V + f, cache  # S20


@overload
def filled_grid_sample_backward(
    dV: ArrayLike, cache: GridSampleCache
) -> tuple[Array, Array, Array]: ...
@overload
def filled_grid_sample_backward(
    dV: ArrayLike, cache: GridSampleCache, *, needs: Collection[str]
) -> tuple[Any, Any, Any]: ...  # one that is declined is None
def filled_grid_sample_backward(
    dV: ArrayLike,
    cache: GridSampleCache,
    *,
    needs: Collection[str] = ("U", "grid", "fill"),
) -> tuple[Array | None, Array | None, Array | None]:
    """dU and dgrid of the sampler, and df = sum dV - sum dU, channel by channel (S21).

    dV : shape of V -> dU : shape of U, dgrid : shape of grid, dfill : (C,). `needs` names the
    gradients to compute, a subset of {"U", "grid", "fill"}; the others come as None.
    Raises ValueError if dV does not have the shape of V or `needs` names something else, TypeError
    on the dtype of dV.

    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> grid = np.array([[0.5, 0.0], [9.0, 0.0]]).reshape(1, 1, 2, 2)
    >>> V, cache = filled_grid_sample_forward(U, grid, np.array([7.0]))
    >>> dU, dgrid, dfill = filled_grid_sample_backward(np.ones_like(V), cache)
    >>> dU.ravel().tolist(), dfill.tolist()  # the second sample sees the fill alone
    ([0.0, 0.0, 0.75, 0.25], [1.0])
    """
    cache = expect_cache(cache, GridSampleCache, "filled_grid_sample_forward")
    dV = expect_array("dV", dV, cache.sample.V_shape)
    expect_needs(needs, ("U", "grid", "fill"))
    inputs = [*(["U"] if "U" in needs or "fill" in needs else []), *({"grid"} & set(needs))]
    dU, dgrid = grid_sample_backward(dV, cache, needs=inputs)
    dfill = _per_channel(dV) - _per_channel(dU) if "fill" in needs else None  # S21
    return dU if "U" in needs else None, dgrid, dfill


def filled_grid_sample_jvp(
    U_dot: ArrayLike | None,
    grid_dot: ArrayLike | None,
    fill_dot: ArrayLike | None,
    cache: GridSampleCache,
) -> Array:
    """V_dot of the sampler, of U_dot - f_dot and grid_dot, plus f_dot (S20); None is zero.

    U_dot : shape of U, grid_dot : shape of grid, fill_dot : (C,) -> V_dot : shape of V. dtype:
    result_type of all.
    Raises ValueError if a tangent does not have the shape of its input, TypeError on its dtype.

    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> grid = np.array([[0.5, 0.0], [9.0, 0.0]]).reshape(1, 1, 2, 2)
    >>> V, cache = filled_grid_sample_forward(U, grid, np.array([7.0]))
    >>> filled_grid_sample_jvp(None, None, np.array([2.0]), cache).ravel().tolist()
    [0.0, 2.0]
    """
    cache = expect_cache(cache, GridSampleCache, "filled_grid_sample_forward")
    if fill_dot is None:
        return grid_sample_jvp(U_dot, grid_dot, cache)
    U = cache.sample.U
    f_dot = expect_array("fill_dot", fill_dot, U.shape[-1:])
    U_dot = np.zeros_like(U) if U_dot is None else expect_array("U_dot", U_dot, U.shape)
    return grid_sample_jvp(U_dot - f_dot, grid_dot, cache) + f_dot  # S20


def _per_channel(array: Array) -> Array:
    """Sum over everything but the channels: (C,)."""
    return array.reshape(-1, array.shape[-1]).sum(axis=0)
