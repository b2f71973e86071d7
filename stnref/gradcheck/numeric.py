r"""Numerical Jacobians: by the complex step, and by central differences that cross no kink.

Complex step: for a function that is analytic near x, Im f(x + ih) / h = f'(x) + O(h^2), and
nothing is subtracted, so h can be so small that the result is exact to round-off.

Central differences: (f(x + h) - f(x - h)) / 2h, wrong by O(h^2) on a curve and by O(eps / h)
through round-off; on a piece where f is linear the first of the two is zero and h may be large.
A kink between x - h and x + h would make it a confident wrong number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stnref.validation import Array

Forward = Callable[..., tuple[Array, Any]]
Branch = Callable[[Any], Array]

COMPLEX_STEP = 1e-100
SMALLEST_STEP = 1e-9


def complex_step_jacobian(forward: Forward, inputs: Sequence[Array], which: int) -> Array:
    """Return the Jacobian of the output with respect to input number `which`.

    Parameters
    ----------
    forward : callable
        ``out, cache = forward(*inputs)``, analytic near the inputs.
    inputs : sequence of float64 arrays
    which : int

    Returns
    -------
    J : (out.size, inputs[which].size)

    Examples
    --------
    >>> def square(x):
    ...     return x**2, None
    >>> complex_step_jacobian(square, [np.array([3.0, 4.0])], 0).tolist()
    [[6.0, 0.0], [0.0, 8.0]]
    """
    columns = []
    for index in np.ndindex(inputs[which].shape):
        shifted = [*inputs]
        shifted[which] = inputs[which].astype(complex)
        shifted[which][index] += 1j * COMPLEX_STEP
        columns.append(np.imag(forward(*shifted)[0]).ravel() / COMPLEX_STEP)
    return np.stack(columns, axis=1)


def hessian_vector_product(gradient: Callable[[Array], Array], x: ArrayLike, v: ArrayLike) -> Array:
    """Return H v, the derivative of a hand-written gradient along v: one complex step.

    Parameters
    ----------
    gradient : callable
        ``dx = gradient(x)`` for a loss L(x), analytic near x: every forward and backward here
        passes complex numbers.
    x, v : arrays of the same shape

    Returns
    -------
    H v : shape of x

    Examples
    --------
    >>> hessian_vector_product(lambda x: x**3, np.array([1.0, 2.0]), np.array([1.0, 10.0])).tolist()
    [3.0, 120.0]
    """
    x, v = np.asarray(x, dtype=float), np.asarray(v, dtype=float)
    return np.imag(gradient(x + 1j * COMPLEX_STEP * v)) / COMPLEX_STEP


def central_jacobian(
    forward: Forward,
    inputs: Sequence[Array],
    which: int,
    *,
    step: float = 6e-6,
    branch: Branch | None = None,
) -> Array:
    """Return the Jacobian by central differences.

    Parameters
    ----------
    forward : callable
        ``out, cache = forward(*inputs)``.
    inputs : sequence of float64 arrays
    which : int
    step : float
        Largest step; the default is eps^(1/3), which suits curved functions of size one.
    branch : callable, optional
        ``branch(cache)`` is an array that tells which branch a piecewise function took: the
        cell of each sample, the winner of each pool, the sign of each unit. The step is halved,
        element by element, until both sides take the branch of the middle.

    Returns
    -------
    J : (out.size, inputs[which].size)

    Raises
    ------
    ValueError
        An element lies on a kink: no step is small enough.

    Examples
    --------
    >>> def absolute(x):
    ...     return np.abs(x), x > 0
    >>> central_jacobian(absolute, [np.array([0.01])], 0, step=1.0, branch=lambda cache: cache)
    array([[1.]])
    """
    cache = forward(*inputs)[1]
    middle = branch(cache) if branch is not None else None
    columns = []
    for index in np.ndindex(inputs[which].shape):
        h = step
        while True:
            (above, cache_above), (below, cache_below), width = _both_sides(
                forward, inputs, which, index, h
            )
            if branch is None or middle is None:
                break
            if all(np.array_equal(branch(side), middle) for side in (cache_above, cache_below)):
                break
            h /= 2
            if h < SMALLEST_STEP:
                raise ValueError(
                    f"input {which}: expected a point off the kinks, got a kink within "
                    f"{SMALLEST_STEP} of element {index}"
                )
        columns.append((above - below).ravel() / width)
    return np.stack(columns, axis=1)


def _both_sides(
    forward: Forward, inputs: Sequence[Array], which: int, index: tuple[int, ...], h: float
) -> tuple[tuple[Array, Any], tuple[Array, Any], float]:
    """Evaluate at x + h and x - h for one element; their distance as it came out in floats."""
    sides, positions = [], []
    for sign in (1, -1):
        shifted = [*inputs]
        shifted[which] = inputs[which].copy()
        shifted[which][index] += sign * h
        positions.append(float(shifted[which][index]))
        sides.append(forward(*shifted))
    return sides[0], sides[1], positions[0] - positions[1]
