r"""Dense displacement: every target pixel has an offset of its own.

.. math::  grid_i = G_i + flow_i

Everything is in normalised coordinates; a flow in pixels is to be divided by the d / 2 of
`stnref.coordinates`.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from stnref.validation import Array, expect_array


class FlowGridCache(NamedTuple):
    """The shape of the flow: the derivative is the identity."""

    shape: tuple[int, ...]


def flow_grid_forward(flow: ArrayLike, G: ArrayLike) -> tuple[Array, FlowGridCache]:
    """Move each point of the target grid by its own displacement.

    Parameters
    ----------
    flow : (B, H', W', 2) or (B, D', H', W', 3)
        Normalised displacements (x, y) or (x, y, z).
    G : (H', W', 2) or (D', H', W', 3)
        Target grid, normalised; see `target_grid`. It is cast to the flow's precision.

    Returns
    -------
    grid : as `flow`
        Sampling grid, normalised, in the flow's dtype.
    cache : FlowGridCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, or an axis is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from stnref.coordinates import target_grid
    >>> flow = np.full((1, 2, 2, 2), 0.25)
    >>> flow_grid_forward(flow, target_grid((2, 2)))[0][0, 0].tolist()
    [[-0.75, -0.75], [1.25, -0.75]]
    """
    flow = expect_array("flow", flow, ("B", "H", "W", 2), ("B", "D", "H", "W", 3))
    G = expect_array("G", G, flow.shape[1:]).astype(flow.real.dtype)
    return G + flow, FlowGridCache(flow.shape)


def flow_grid_backward(dgrid: ArrayLike, cache: FlowGridCache) -> Array:
    """Return dflow = dgrid."""
    return expect_array("dgrid", dgrid, cache.shape)


def flow_grid_jvp(flow_dot: ArrayLike, cache: FlowGridCache) -> Array:
    """Return grid_dot = flow_dot."""
    return expect_array("flow_dot", flow_dot, cache.shape)
