"""Layers one after the other, by name: backward is the chain rule, layer by layer (G1).

Derivation: ``docs/derivations/grid_generator.md``, equation G1.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from stnref.nn.layer import NEEDS, Layer, Params
from stnref.validation import Array, expect_arrays, expect_needs


def prefixed(prefix: str, params: Params) -> dict[str, Array]:
    """Put ``prefix.`` before every name.

    Parameters
    ----------
    prefix : str
    params : mapping of str to array

    Returns
    -------
    dict of str to array

    Raises
    ------
    TypeError
        `params` is no mapping to arrays.

    Examples
    --------
    >>> prefixed("fc", {"b": np.zeros(1)})
    {'fc.b': array([0.])}
    """
    return {f"{prefix}.{name}": value for name, value in expect_arrays("params", params).items()}


def under(prefix: str, params: Params | None) -> dict[str, Array]:
    """Return the parameters below ``prefix.``, without it.

    Parameters
    ----------
    prefix : str
    params : mapping of str to array, or None

    Returns
    -------
    dict of str to array

    Raises
    ------
    TypeError
        `params` is no mapping to arrays.

    Examples
    --------
    >>> under("fc", {"fc.b": np.zeros(1), "conv.b": np.ones(1)})
    {'b': array([0.])}
    """
    start = f"{prefix}."
    arrays = {} if params is None else expect_arrays("params", params)
    return {k[len(start) :]: v for k, v in arrays.items() if k.startswith(start)}


class Sequential:
    """Layers in the order of the keyword arguments.

    The parameters are those of the layers, with the layer's name before them.

    Examples
    --------
    >>> from stnref.nn import Linear, Relu
    >>> net = Sequential(fc1=Linear(3, 4), relu1=Relu(), fc2=Linear(4, 2))
    >>> params = net.init(np.random.default_rng(0))
    >>> list(params)
    ['fc1.W', 'fc1.b', 'fc2.W', 'fc2.b']
    >>> Y, cache = net.forward(np.ones((5, 3), dtype=np.float32), params)
    >>> dX, dparams = net.backward(np.ones_like(Y), cache)
    >>> Y.shape, dX.shape, dparams["fc1.W"].shape
    ((5, 2), (5, 3), (3, 4))
    """

    def __init__(self, **layers: Layer) -> None:
        for name, layer in layers.items():
            if not hasattr(layer, "forward"):
                raise TypeError(f"{name}: expected a layer, got {type(layer).__name__}")
        self.layers = layers

    def init(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Params:
        """Return the initial parameters of all layers."""
        params: dict[str, Array] = {}
        for name, layer in self.layers.items():
            params.update(prefixed(name, layer.init(rng, dtype)))
        return params

    def forward(self, X: ArrayLike, params: Params | None = None) -> tuple[Array, dict[str, Any]]:
        """Return the last layer's output, and the caches by the layers' names."""
        caches = {}
        Y: Any = X
        for name, layer in self.layers.items():
            Y, caches[name] = layer.forward(Y, under(name, params))
        return Y, caches

    def backward(
        self, dY: ArrayLike, cache: dict[str, Any], *, needs: Collection[str] = NEEDS
    ) -> tuple[Any, Params]:
        """Return dX, or None, and the gradients to all parameters."""
        expect_needs(needs, NEEDS)
        first = next(iter(self.layers), None)
        dparams: dict[str, Array] = {}
        dX: Any = dY
        for name, layer in reversed(self.layers.items()):
            inner = needs if name == first else {"X", *needs}
            dX, own = layer.backward(dX, cache[name], needs=inner)  # G1
            dparams.update(prefixed(name, own))
        return dX, dparams
