r"""Numerical derivatives that know how far to trust themselves.

Everything is asked along a line, t -> f(x + t v), of all outputs at once; v is a unit vector for
one element, or a random direction.

*Complex step:* for a function that is analytic near x, Im f(x + ih v) / h = J v + O(h^2), and
nothing is subtracted, so h can be so small that the result is exact to round-off.

*Differences:* with the slopes to both sides, s+ = (f(h) - f(0)) / h and s- = (f(0) - f(-h)) / h,
their mean c(h) is J v + O(h^2), and their difference d(h) is h f'' + O(h^3). Each step of the
ladder is a quarter of the one before, so Richardson's (16 c(h/4) - c(h)) / 15 is wrong by O(h^4),
and by how much two neighbours of it tell. Every output takes the rung that it trusts most, which
is one below its nearest kink.

*Kinks:* on a smooth piece d(h) shrinks with h; where there is a kink at x it stays. There c(h)
agrees at every step and is a confident wrong number, so it is d that has to be looked at. What
exists at a kink are the slopes to both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.gradcheck import limits
from stnref.gradcheck.limits import ENOUGH, LADDER
from stnref.validation import Array, expect_array

COMPLEX_STEP = 1e-100


class Slopes(NamedTuple):
    """Derivatives of all outputs along a line, each (n_out,).

    Attributes
    ----------
    value : float
        The derivative; where `kinked`, the mean of the slopes to both sides.
    error : float
        Estimate of its error.
    below, above : float
        The lesser and the greater of the slopes to both sides, where `kinked`; elsewhere `value`.
    kinked : bool
        Whether there is a kink within the last rung of `LADDER`.
    broken : bool
        Whether the function itself jumps there: the slopes grow as the step shrinks.
    """

    value: Array
    error: Array
    below: Array
    above: Array
    kinked: NDArray[np.bool_]
    broken: NDArray[np.bool_]

    @property
    def doubt(self) -> float:
        """Estimated error of the smooth outputs together, relative."""
        value, error = self.value[~self.kinked], self.error[~self.kinked]
        return 2 * float(np.linalg.norm(error)) / (float(np.linalg.norm(value)) or 1.0)


def slopes_along(
    line: Callable[[float], Array],
    *,
    longest: float = np.inf,
    shortest: float = 0.0,
    unit: float = 1.0,
    precision: float = 2.2e-16,
    size: float = 1.0,
) -> Slopes:
    """Differentiate t -> line(t) at 0, output by output.

    Parameters
    ----------
    line : callable
        ``line(t)`` are the outputs at x + t v, of any shape.
    longest : float
        The distance to the nearest kink, if it is known: no step is longer, unless too few would
        be left.
    shortest : float
        What is nearer than that, in units, counts as at x.
    unit : float
        The order of x; steps are in units of it.
    precision : float
        Relative round-off, of the outputs and of x + t v.
    size : float
        The largest element of x.

    Returns
    -------
    Slopes

    Examples
    --------
    >>> s = slopes_along(lambda t: np.array([np.exp(t), abs(t), abs(t + 0.01)]))
    >>> s.kinked.tolist(), s.value.round(9).tolist(), s.below[1].item(), s.above[1].item()
    ([False, True, False], [1.0, 0.0, 1.0], -1.0, 1.0)
    """
    middle = np.ravel(line(0.0)).astype(float)
    largest = np.abs(middle)
    steps = _steps(longest / unit, max(shortest, limits.LEAST_STEP * precision)) * unit
    above, below = np.empty((2, len(steps), len(middle)))  # slopes to both sides, rung by rung
    for rung, h in enumerate(steps.tolist()):
        up, down = (np.ravel(line(t)).astype(float) for t in (h, -h))
        largest = np.maximum(largest, np.maximum(np.abs(up), np.abs(down)))
        above[rung], below[rung] = (up - middle) / h, (middle - down) / h
        slope = np.minimum(np.abs(above[rung]), np.abs(below[rung]))  # the greater may be a jump's
        noise = precision * (largest + size * slope)
        rungs = _Rungs(above[: rung + 1], below[: rung + 1], steps[: rung + 1], noise)
        if rung + 1 >= ENOUGH and not _undecided(rungs):
            break
    return _choose(rungs)


def _steps(longest: float, shortest: float) -> Array:
    """Return the steps up to a length and from one on, but at least `ENOUGH`."""
    ladder = np.array(LADDER)
    end = max(ENOUGH, int((ladder >= shortest).sum()))
    start = min(int((ladder > longest).sum()), end - ENOUGH)
    return ladder[start:end]


class _Rungs(NamedTuple):
    """Slopes to both sides, (rungs, n_out), by the steps (rungs,); round-off of the outputs."""

    above: Array
    below: Array
    steps: Array
    noise: Array


def _undecided(r: _Rungs) -> bool:
    """Whether another rung may tell more: a suspected kink, or an estimate that has not settled."""
    if _jumps(r).any():
        return True
    _, error = _extrapolate((r.above + r.below) / 2, 16, r)
    scale = np.abs(r.above[-1] + r.below[-1]).max(initial=0) / 2
    floor = limits.DONE * scale + limits.DONE_NOISE * r.noise / r.steps[-1]
    return bool((error.min(axis=0) > floor).any())


def _jumps(r: _Rungs) -> NDArray[np.bool_]:
    """Whether the slopes to both sides differ, and do not draw together as the step shrinks."""
    before, last = np.abs(r.above[-2:] - r.below[-2:])  # d(h), d(h/4)
    scale = max(np.abs(r.above[-1]).max(initial=0), np.abs(r.below[-1]).max(initial=0))
    seen = np.maximum(limits.KINK * scale, limits.NOISE * r.noise / r.steps[-1])
    return (last > seen) & (last > limits.STAYS * before)


def _extrapolate(rungs: Array, gain: int, r: _Rungs) -> tuple[Array, Array]:
    """Richardson: remove the leading error, which a rung divides by `gain`. Values and errors."""
    finer = (gain * rungs[1:] - rungs[:-1]) / (gain - 1)  # (rungs - 1, n_out)
    return finer[1:], np.abs(np.diff(finer, axis=0)) + 4 * r.noise / r.steps[2:, None]


def _best(rungs: Array, gain: int, r: _Rungs) -> tuple[Array, Array]:
    """Take for each output the rung with the least error: values and errors.

    Far out a function may be flat to both sides, and several coarse rungs agree on zero: what finer
    rungs contradict, beyond their own errors, is that wrong.
    """
    values, errors = _extrapolate(rungs, gain, r)
    most = np.minimum.accumulate((values + 3 * errors)[:0:-1])[::-1]  # what finer rungs allow
    least = np.maximum.accumulate((values - 3 * errors)[:0:-1])[::-1]
    off = np.maximum(values[:-1] - most, least - values[:-1])
    errors[:-1] = np.maximum(errors[:-1], off)
    pick = (errors.argmin(axis=0), np.arange(rungs.shape[1]))
    return values[pick], errors[pick]


def _choose(r: _Rungs) -> Slopes:
    kinked = _jumps(r)
    value, error = _best((r.above + r.below) / 2, 16, r)
    if not kinked.any():
        return Slopes(value, error, value, value, kinked, kinked)
    right, right_error = _best(r.above, 4, r)
    left, left_error = _best(r.below, 4, r)
    before, last = np.abs(r.above[-2:] - r.below[-2:])
    broken = (last > limits.GROWS * before) & (last * r.steps[-1] > limits.JUMP * r.noise)
    return Slopes(
        np.where(kinked, (left + right) / 2, value),
        np.where(kinked, left_error + right_error, error),
        np.where(kinked, np.minimum(left, right), value),
        np.where(kinked, np.maximum(left, right), value),
        kinked,
        broken & kinked,
    )


def complex_step(
    forward: Callable[..., tuple[Array, Any]], inputs: Sequence[Array], which: int, v: Array
) -> Array:
    """Return J v with respect to input number `which`, for a forward that takes complex numbers.

    Parameters
    ----------
    forward : callable
        ``out, cache = forward(*inputs)``.
    inputs : sequence of arrays
    which : int
    v : array
        In that input's shape.

    Returns
    -------
    J v : shape of out

    Examples
    --------
    >>> def square(x):
    ...     return x**2, None
    >>> complex_step(square, [np.array([3.0, 4.0])], 0, np.array([1.0, 10.0])).tolist()
    [6.0, 80.0]
    """
    shifted: list[Array] = [*inputs]
    shifted[which] = inputs[which] + 1j * COMPLEX_STEP * v
    return np.imag(forward(*shifted)[0]) / COMPLEX_STEP


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

    Raises
    ------
    ValueError
        v, or what `gradient` returns, has another shape than x.

    Examples
    --------
    >>> hessian_vector_product(lambda x: x**3, np.array([1.0, 2.0]), np.array([1.0, 10.0])).tolist()
    [3.0, 120.0]
    """
    x = np.asarray(x, dtype=float)
    v = expect_array("v", np.asarray(v, dtype=float), x.shape)
    dx = expect_array("gradient(x)", gradient(x + 1j * COMPLEX_STEP * v), x.shape)
    return np.imag(dx) / COMPLEX_STEP
