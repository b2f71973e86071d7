r"""The contract of every operation: a forward and its derivatives, one under the other.

.. code-block:: text

    out, cache          = f_forward(input1, input2, …, **options)
    d_input1, d_input2  = f_backward(d_out, cache)
    out_dot             = f_jvp(input1_dot, input2_dot, …, cache)

With J the Jacobian of forward, jvp is J times a tangent and backward J^T times a gradient (G1).

- There is one gradient for each differentiable input, in the order of the inputs, in its shape; a
  single one is returned bare.
- A tangent or a gradient None is zero. Where backward has an option ``needs``, it names the inputs
  whose gradients are wanted; the others come as None.
- The cache is a small NamedTuple: references to the inputs and what locates the samples. Nobody
  writes into inputs or caches, so one cache serves any number of backwards and jvps.
- float32 stays float32, float64 stays float64, mixed inputs follow `numpy.result_type`. Complex
  numbers pass through whatever is analytic, so that a complex step can check it. Nothing is
  conjugated: of complex data a backward gives the complex derivative, not the gradient of a real
  loss, for which real and imaginary part are two channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from stnref.validation import Array


class Pair(NamedTuple):
    """A forward with its derivatives.

    Attributes
    ----------
    forward : callable
        ``out, cache = forward(*inputs)``, with options bound.
    backward : callable
        ``gradients = backward(d_out, cache)``.
    jvp : callable, optional
        ``out_dot = jvp(*input_dots, cache)``.
    """

    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[..., Any]
    jvp: Callable[..., Array] | None = None


def pair_of(namespace: Mapping[str, Any], name: str, **options: Any) -> Pair:
    """Return the functions ``<name>_forward``, ``<name>_backward``, ``<name>_jvp`` of a namespace.

    Parameters
    ----------
    namespace : mapping
        From names to functions, as ``vars(module)``.
    name : str
        What their names begin with.
    **options
        To be bound to forward.

    Returns
    -------
    Pair
        Its jvp is None if there is none of that name.

    Raises
    ------
    TypeError
        `namespace` is no mapping.
    KeyError
        There is no forward or no backward.

    Examples
    --------
    >>> import numpy as np
    >>> from stnref import nn
    >>> pool = pair_of(vars(nn), "avg_pool2d", size=2)
    >>> pool.forward(np.ones((1, 4, 6, 2)))[0].shape, pool.jvp
    ((1, 2, 3, 2), None)
    """
    if not isinstance(namespace, Mapping):
        got = type(namespace).__name__
        raise TypeError(f"namespace: expected a mapping such as vars(module), got {got}")
    for needed in (f"{name}_forward", f"{name}_backward"):
        if needed not in namespace:
            raise KeyError(f"namespace: expected {needed}, got none")
    forward, backward = namespace[f"{name}_forward"], namespace[f"{name}_backward"]
    if options:
        forward = partial(forward, **options)
    return Pair(forward, backward, namespace.get(f"{name}_jvp"))
