"""Other forms of a function and its gradient, turned into our pair.

A pair is ``out, cache = forward(*inputs)`` and ``gradients = backward(dout, cache)``; each function
here returns the two.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from numpy.typing import ArrayLike

from stnref.validation import Array

Forward: TypeAlias = Callable[..., tuple[Any, Any]]
Backward: TypeAlias = Callable[[Array, Any], Any]


def from_vjp(f: Callable[..., ArrayLike], vjp: Callable[..., Any]) -> tuple[Forward, Backward]:
    """Return the pair of a function and a vector-Jacobian product that share no cache.

    Parameters
    ----------
    f : callable
        ``y = f(*inputs)``.
    vjp : callable
        ``gradients = vjp(dout, *inputs)``: J^T dout for each input.

    Returns
    -------
    forward, backward
        The cache are the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from stnref.gradcheck import check_gradients
    >>> pair = from_vjp(np.sin, lambda dout, x: dout * np.cos(x))
    >>> check_gradients(*pair, [np.array([0.5, 2.0])]).ok
    True
    """

    def forward(*inputs: Array) -> tuple[Any, Any]:
        return f(*inputs), inputs

    def backward(dout: Array, cache: Any) -> Any:
        return vjp(dout, *cache)

    return forward, backward


def from_pullback(
    f: Callable[..., tuple[ArrayLike, Callable[[Array], Any]]],
) -> tuple[Forward, Backward]:
    """Return the pair of a function that gives its value and its own backward.

    Parameters
    ----------
    f : callable
        ``y, pullback = f(*inputs)`` with ``gradients = pullback(dout)``. Of a JAX function g it is
        ``lambda *inputs: jax.vjp(g, *inputs)``; of one that gives a loss and its gradient see the
        example.

    Returns
    -------
    forward, backward
        The cache is the pullback.

    Examples
    --------
    >>> import numpy as np
    >>> from stnref.gradcheck import check_gradients
    >>> def loss_and_gradient(x):
    ...     return (x**2).sum(), 2 * x
    >>> def f(x):
    ...     loss, gradient = loss_and_gradient(x)
    ...     return loss, lambda dloss: dloss * gradient
    >>> check_gradients(*from_pullback(f), [np.array([0.5, 2.0])]).ok
    True
    """

    def backward(dout: Array, cache: Any) -> Any:
        return cache(dout)

    return f, backward


def from_dout_cache(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *constants: Any,
    names: Sequence[str] | None = None,
    **options: Any,
) -> tuple[Forward, Backward]:
    """Bind what has no gradient, and lay out the gradients as one for each input.

    Parameters
    ----------
    forward : callable
        ``out, cache = forward(*inputs, *constants, **options)``.
    backward : callable
        ``gradients = backward(dout, cache)``: arrays, lists, tuples and dictionaries, one in
        the other.
    *constants, **options
        What follows the inputs.
    names : sequence of str, optional
        The keys of each dictionary in the order of the inputs, if it has another.

    Returns
    -------
    forward, backward

    Examples
    --------
    >>> import numpy as np
    >>> from stnref.gradcheck import check_gradients
    >>> def scale_forward(X, w, b, mode):
    ...     return X * w + b, (X, w)
    >>> def scale_backward(dY, cache):
    ...     X, w = cache
    ...     return dY * w, {"b": dY.sum(axis=0), "w": (dY * X).sum(axis=0)}
    >>> pair = from_dout_cache(scale_forward, scale_backward, "train", names=["w", "b"])
    >>> check_gradients(*pair, [np.ones((3, 2)), np.array([0.5, 2.0]), np.zeros(2)]).ok
    True
    """

    def bound(*inputs: Array) -> Any:
        return forward(*inputs, *constants, **options)

    def flat(dout: Array, cache: Any) -> list[Any]:
        return _flat(backward(dout, cache), names)

    return bound, flat


def _flat(gradients: Any, names: Sequence[str] | None) -> list[Any]:
    if isinstance(gradients, Mapping):
        gradients = [gradients[name] for name in (gradients if names is None else names)]
    if isinstance(gradients, (tuple, list)):
        return [leaf for part in gradients for leaf in _flat(part, names)]
    return [gradients]


def from_layer(layer: Any, *params: str) -> tuple[Forward, Backward]:
    """Return the pair of a layer that keeps its cache, and perhaps its parameters, on itself.

    Parameters
    ----------
    layer : object
        With ``out = layer.forward(x)`` and ``layer.backward(dout)``. It is copied, never changed.
    *params : str
        Parameters to check too: forward takes them after x, in this order. Each is looked for in
        ``layer.params``, or is an attribute.

    Returns
    -------
    forward, backward
        The cache is a copy of the layer, so that two forwards do not share it. The gradients to
        the parameters are what ``layer.backward`` returns after dx; if it returns dx alone, they
        are looked for in ``layer.grads``, or as attributes by the name with a d before it. A
        second backward starts from the same copy: gradients that add up from call to call are no
        mistake of a layer.

    Raises
    ------
    ValueError
        The layer has no such parameter, or, in backward, no gradient to it.

    Examples
    --------
    >>> import numpy as np
    >>> from stnref.gradcheck import check_gradients
    >>> class Scale:
    ...     def __init__(self):
    ...         self.w = np.array([0.5, 2.0])
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x * self.w
    ...     def backward(self, dout):
    ...         self.dw = (dout * self.x).sum(axis=0)
    ...         return dout * self.w
    >>> layer = Scale()
    >>> check_gradients(*from_layer(layer, "w"), [np.ones((3, 2)), layer.w]).ok
    True
    """
    for name in params:
        _place(layer, name, "params", name)

    def forward(x: Array, *values: Array) -> tuple[Any, Any]:
        own = copy.deepcopy(layer)
        for name, value in zip(params, values, strict=True):
            place = _place(own, name, "params", name)
            place[name] = value
        return own.forward(x), own

    def backward(dout: Array, cache: Any) -> list[Any]:
        own = copy.deepcopy(cache)
        gradients = _flat(own.backward(dout), params)
        if len(gradients) == 1:
            gradients += [_gradient(own, name) for name in params]
        return gradients

    return forward, backward


def _gradient(layer: Any, name: str) -> Any:
    key = name if name in getattr(layer, "grads", ()) else f"d{name}"
    return _place(layer, name, "grads", f"d{name}")[key]


def _place(layer: Any, name: str, held: str, attribute: str) -> Any:
    """Return the dictionary that holds it: one of the layer's, or that of its attributes."""
    if name in getattr(layer, held, ()):
        return getattr(layer, held)
    if attribute in vars(layer):
        return vars(layer)
    raise ValueError(
        f"{name}: expected it in {type(layer).__name__}.{held} or as "
        f"{type(layer).__name__}.{attribute}, got neither"
    )


def from_torch_function(function: Any, *constants: Any) -> tuple[Forward, Backward]:
    """Return the pair of a PyTorch function, its backward by autograd.

    Parameters
    ----------
    function : subclass of torch.autograd.Function, or callable
        From tensors, and then the constants, to one tensor. Of a subclass it is its ``apply``.
    *constants
        Arguments that follow the inputs, as they are.

    Returns
    -------
    forward, backward
        From arrays to arrays, on the processor; float32 and float64 are kept. The tensors share
        the arrays' memory. An input that the output does not depend on has the gradient None.

    Raises
    ------
    ImportError
        PyTorch is not installed.
    TypeError
        In forward: the function returns something else than a tensor.

    Examples
    --------
    >>> import numpy as np
    >>> from stnref.gradcheck import check_gradients
    >>> torch = importlib.import_module("torch")  # doctest: +SKIP
    >>> pair = from_torch_function(torch.tanh)  # doctest: +SKIP
    >>> check_gradients(*pair, [np.array([0.5, 2.0])]).ok  # doctest: +SKIP
    True
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(f"torch: expected PyTorch to be installed, got {error}") from error
    is_custom = isinstance(function, type) and issubclass(function, torch.autograd.Function)
    apply = function.apply if is_custom else function

    def forward(*inputs: Array) -> tuple[Any, Any]:
        tensors = [torch.from_numpy(array).requires_grad_() for array in inputs]
        out = apply(*tensors, *constants)
        if not isinstance(out, torch.Tensor):
            raise TypeError(f"function: expected it to return a tensor, got {type(out).__name__}")
        return out.numpy(force=True), (tensors, out)

    def backward(dout: Array, cache: Any) -> list[Any]:
        tensors, out = cache
        dtensor = torch.from_numpy(dout).to(out.dtype)
        gradients = torch.autograd.grad(out, tensors, dtensor, retain_graph=True, allow_unused=True)
        return [None if g is None else g.numpy(force=True) for g in gradients]

    return forward, backward
