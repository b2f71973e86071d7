r"""Dense displacement: every target pixel has an offset of its own.

.. math::  grid_i = G_i + flow_i

Everything is in normalised coordinates; a flow in pixels is to be divided by the d / 2 of
`stnref.coordinates`. Derivation: ``docs/derivations/transforms.md``, equation T18.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from stnref.validation import Array, expect_array, expect_cache


class FlowGridCache(NamedTuple):
    """The shape of the flow: the derivative is the identity."""

    shape: tuple[int, ...]


def flow_grid_forward(flow: ArrayLike, G: ArrayLike) -> tuple[Array, FlowGridCache]:
    """grid = G + flow: each point of the target grid has a displacement of its own (T18).

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
        A dtype or a shape does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from stnref.coordinates import target_grid
    >>> flow = np.full((1, 2, 2, 2), 0.25)
    >>> flow_grid_forward(flow, target_grid((2, 2)))[0][0, 0].tolist()
    [[-0.75, -0.75], [1.25, -0.75]]
    """
    flow = expect_array("flow", flow, ("B", "H'", "W'", 2), ("B", "D'", "H'", "W'", 3))
    G = expect_array("G", G, flow.shape[1:], real=True).astype(flow.real.dtype)
    return G + flow, FlowGridCache(flow.shape)  # T18


def flow_grid_backward(dgrid: ArrayLike, cache: FlowGridCache) -> Array:
    """dflow = dgrid (T18).

    dgrid : shape of grid -> dflow : shape of flow. dtype: that of dgrid.
    Raises ValueError if dgrid does not have the shape of grid, TypeError on its dtype.

    >>> import numpy as np
    >>> grid, cache = flow_grid_forward(np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 2)))
    >>> flow_grid_backward(np.array([[[[1.0, 2.0]]]]), cache).tolist()
    [[[[1.0, 2.0]]]]
    """
    cache = expect_cache(cache, FlowGridCache, "flow_grid_forward")
    return expect_array("dgrid", dgrid, cache.shape).copy()  # T18


def flow_grid_jvp(flow_dot: ArrayLike, cache: FlowGridCache) -> Array:
    """grid_dot = flow_dot (T18).

    flow_dot : shape of flow -> grid_dot : shape of grid, normalised. dtype: that of flow_dot.
    Raises ValueError if flow_dot does not have the shape of flow, TypeError on its dtype.

    >>> import numpy as np
    >>> grid, cache = flow_grid_forward(np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 2)))
    >>> flow_grid_jvp(np.array([[[[1.0, 2.0]]]]), cache).tolist()
    [[[[1.0, 2.0]]]]
    """
    cache = expect_cache(cache, FlowGridCache, "flow_grid_forward")
    return expect_array("flow_dot", flow_dot, cache.shape).copy()  # T18
