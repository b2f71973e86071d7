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

from stnref.gradcheck.limits import (
    DONE,
    DONE_NOISE,
    ENOUGH,
    GROWS,
    JUMP,
    KINK,
    LADDER,
    LEAST_STEP,
    NOISE,
    STAYS,
)
from stnref.validation import Array

Forward = Callable[..., tuple[Array, Any]]
Line = Callable[[float], Array]

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
        The slopes to both sides, where `kinked`; elsewhere `value`.
    kinked : bool
        Whether there is a kink within the last rung of `LADDER`.
    broken : bool
        Whether the function itself jumps there: the slopes grow as the step shrinks.
    step : float
        The largest step that crossed no kink.
    straight : bool
        Whether all outputs were straight lines over the whole of the longest step, to round-off.
    """

    value: Array
    error: Array
    below: Array
    above: Array
    kinked: NDArray[np.bool_]
    broken: NDArray[np.bool_]
    step: Array
    straight: bool

    def in_units(self, unit: float) -> Slopes:
        """Return the slopes by x where the line was one of x / unit."""
        if unit == 1:
            return self
        return self._replace(
            value=self.value / unit,
            error=self.error / unit,
            below=self.below / unit,
            above=self.above / unit,
            step=self.step * unit,
        )

    @classmethod
    def nothing(cls, n_out: int) -> Slopes:
        """Return the slopes of outputs that do not change."""
        zero, no = np.zeros(n_out), np.zeros(n_out, dtype=bool)
        return cls(zero, zero, zero, zero, no, no, zero, True)

    def only(self, outputs: NDArray[Any]) -> Slopes:
        """Return the slopes of some outputs."""
        arrays = {name: getattr(self, name)[outputs] for name in Slopes._fields[:-1]}
        return Slopes(**arrays, straight=self.straight)

    def put(self, outputs: NDArray[np.intp], some: Slopes) -> Slopes:
        """Return the slopes with those of some outputs in their place."""
        arrays = {name: getattr(self, name).copy() for name in Slopes._fields[:-1]}
        for name, array in arrays.items():
            array[outputs] = getattr(some, name)
        return Slopes(**arrays, straight=some.straight)


def slopes_along(
    line: Line,
    *,
    longest: float = np.inf,
    shortest: float = 0.0,
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
        What is nearer than that counts as at x.
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
    above, below = [], []  # slopes to both sides, rung by rung
    ladder = _ladder(longest, max(shortest, LEAST_STEP * precision))
    for rung, h in enumerate(ladder):
        up, down = (np.ravel(line(t)).astype(float) for t in (h, -h))
        largest = np.maximum(largest, np.maximum(np.abs(up), np.abs(down)))
        above.append((up - middle) / h)
        below.append((middle - down) / h)
        noise = precision * (largest + size * np.abs(above[-1] + below[-1]) / 2)
        seen = _Rungs(np.array(above), np.array(below), ladder[: rung + 1], noise)
        if rung + 1 >= ENOUGH and not _undecided(seen):
            break
    return _choose(seen)


def _ladder(longest: float, shortest: float) -> tuple[float, ...]:
    """Return the steps up to a length and from one on, but at least `ENOUGH`."""
    end = max(ENOUGH, sum(h >= shortest for h in LADDER))
    start = min(sum(h > longest for h in LADDER), end - ENOUGH)
    return LADDER[start:end]


class _Rungs(NamedTuple):
    """Slopes to both sides, (rungs, n_out), by the steps (rungs,); round-off of the outputs."""

    above: Array
    below: Array
    steps: tuple[float, ...]
    noise: Array


def _undecided(r: _Rungs) -> bool:
    """Whether another rung may tell more: a suspected kink, or an estimate that has not settled."""
    if _jumps(r).any():
        return True
    _, error = _extrapolate((r.above + r.below) / 2, 16, r)
    scale = np.abs(r.above[-1] + r.below[-1]).max(initial=0) / 2
    floor = DONE * scale + DONE_NOISE * r.noise / r.steps[-1]
    return bool((error.min(axis=0) > floor).any())


def _jumps(r: _Rungs) -> NDArray[np.bool_]:
    """Whether the slopes to both sides differ, and do not draw together as the step shrinks."""
    before, last = np.abs(r.above - r.below)[-2:]  # d(h), d(h/4)
    scale = max(np.abs(r.above[-1]).max(initial=0), np.abs(r.below[-1]).max(initial=0))
    seen = np.maximum(KINK * scale, NOISE * r.noise / r.steps[-1])
    return (last > seen) & (last > STAYS * before)


def _extrapolate(rungs: Array, gain: int, r: _Rungs) -> tuple[Array, Array]:
    """Richardson: remove the leading error, which a rung divides by `gain`. Values and errors."""
    finer = (gain * rungs[1:] - rungs[:-1]) / (gain - 1)  # (rungs - 1, n_out)
    round_off = 4 * r.noise / np.array(r.steps[2:])[:, None]
    return finer[1:], np.abs(np.diff(finer, axis=0)) + round_off


def _contradiction(values: Array, errors: Array) -> Array:
    """By how much each rung is contradicted by finer ones, beyond their own errors.

    Far out a function may be flat to both sides, and several coarse rungs agree on zero.
    """
    worst = np.zeros_like(values)
    for rung in range(len(values) - 1):
        off = np.abs(values[rung] - values[rung + 1 :]) - 3 * errors[rung + 1 :]
        worst[rung] = off.max(axis=0)
    return worst


def _choose(r: _Rungs) -> Slopes:
    """Take for each output the rung with the least error."""
    above, below, kinked = r.above, r.below, _jumps(r)

    def best(rungs: Array, gain: int) -> tuple[Array, Array, Array]:
        values, errors = _extrapolate(rungs, gain, r)
        errors = np.maximum(errors, _contradiction(values, errors))
        rung = errors.argmin(axis=0)
        pick = (rung, np.arange(rungs.shape[1]))
        return values[pick], errors[pick], np.array(r.steps)[rung]

    value, error, step = best((above + below) / 2, 16)
    if not kinked.any():
        return Slopes(value, error, value, value, kinked, kinked, step, _is_straight(r))
    right, right_error, _ = best(above, 4)
    left, left_error, _ = best(below, 4)
    return Slopes(
        np.where(kinked, (left + right) / 2, value),
        np.where(kinked, left_error + right_error, error),
        np.where(kinked, left, value),
        np.where(kinked, right, value),
        kinked,
        _is_broken(r) & kinked,
        np.where(kinked, 0.0, step),
        False,
    )


def _is_broken(r: _Rungs) -> NDArray[np.bool_]:
    """Whether the slopes grow as the step shrinks, by more than round-off, of float32 even."""
    before, last = np.abs(r.above - r.below)[-2:]
    return (last > GROWS * before) & (last * r.steps[-1] > JUMP * r.noise)


def _is_straight(r: _Rungs) -> bool:
    return all(
        bool((np.abs(slope - r.above[0]) <= NOISE * r.noise / h).all())
        for side in (r.below, r.above)
        for slope, h in zip(side, r.steps, strict=True)
    )


def straight_slopes(line: Line, *, precision: float = 2.2e-16) -> Slopes | None:
    """Return the slopes of outputs that are straight lines near 0, or None if some are not.

    For functions that `slopes_along` found straight in a random direction: there one short step to
    both sides tells all.

    Examples
    --------
    >>> straight_slopes(lambda t: np.array([3 * t + 1])).value.tolist()
    [3.0]
    >>> straight_slopes(lambda t: np.array([abs(t)])) is None
    True
    """
    h = LADDER[2]
    up, middle, down = (np.ravel(line(t)).astype(float) for t in (h, 0.0, -h))
    noise = precision * np.maximum(np.abs(up), np.abs(down))
    if (np.abs(up - 2 * middle + down) > NOISE * noise).any():
        return None
    value = (up - down) / (2 * h)
    no = np.zeros(value.shape, dtype=bool)
    return Slopes(value, 4 * noise / h, value, value, no, no, np.full(value.shape, h), True)


def complex_step(forward: Forward, inputs: Sequence[Array], which: int, v: Array) -> Array:
    """Return J v with respect to input number `which`, for a forward that takes complex numbers.

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

    Examples
    --------
    >>> hessian_vector_product(lambda x: x**3, np.array([1.0, 2.0]), np.array([1.0, 10.0])).tolist()
    [3.0, 120.0]
    """
    x, v = np.asarray(x, dtype=float), np.asarray(v, dtype=float)
    return np.imag(gradient(x + 1j * COMPLEX_STEP * v)) / COMPLEX_STEP
