"""The Taylor test: how fast the remainder vanishes, in one direction, of all inputs together."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.gradcheck.check import PRIVATE, expect_inputs
from stnref.gradcheck.limits import TAYLOR_NOISE, TAYLOR_RATE, TAYLOR_STEPS
from stnref.gradcheck.problem import Function, Problem, direction
from stnref.validation import Array


class TaylorTest(NamedTuple):
    """Remainders against the step h, for f = <dout, forward(x)> and one direction v.

    Attributes
    ----------
    steps : (n,)
        h, from the longest to the shortest, each half of the one before.
    change : (n,)
        abs(f(x + h v) - f(x)), which vanishes like h whatever backward says.
    remainder : (n,)
        abs(f(x + h v) - f(x) - h <backward(dout), v>), like h² if the gradient is right.
    noise : float
        What round-off may make of a remainder; one below it says nothing.
    """

    steps: Array
    change: Array
    remainder: Array
    noise: float

    @property
    def rate(self) -> float:
        """The slope of the remainder on log-log axes, by the shortest steps above the noise.

        2 for a right gradient, 1 for a wrong one; infinite where no remainder is above the noise,
        as of a function that is linear along v.
        """
        seen = self.remainder > self.noise
        if seen.sum() < 2:
            return inf
        slopes = np.diff(np.log(self.remainder[seen])) / np.diff(np.log(self.steps[seen]))
        return float(np.median(slopes[-4:]))

    @property
    def ok(self) -> bool:
        """Whether the remainder vanishes like h² or faster."""
        return self.rate > TAYLOR_RATE

    def __str__(self) -> str:
        ends = f"h = {self.steps[0]:.0e} to {self.steps[-1]:.0e}"
        return f"Taylor test: {'passed' if self.ok else 'failed'}, rate {self.rate:.2f}, {ends}"


def taylor_test(
    forward: Function, backward: Function, inputs: Sequence[ArrayLike], *, seed: int = 0
) -> TaylorTest:
    """Measure the remainder of Taylor's formula, as is done for adjoints of simulations.

    f(x + h v) = f(x) + h <gradient, v> + O(h²): with the right gradient the remainder falls by
    four when h is halved, with a wrong one only by two, and there is no tolerance to choose.
    It costs one backward and 20 forwards, whatever the size of the inputs, and says of one
    direction only that the gradient is right along it; it finds no place and no cause.

    Parameters
    ----------
    forward, backward, inputs
        As for `check_gradients`.
    seed : int
        Of the upstream gradient and of the direction.

    Returns
    -------
    TaylorTest

    Raises
    ------
    ValueError
        The inputs are none, not real or not finite.
    UseError
        The pair cannot be run: an error, a wrong shape, a value that is not finite.

    Notes
    -----
    Steps that cross a kink have rate 1; shorter ones do not cross it, unless x lies on it.

    Examples
    --------
    >>> def tanh_forward(X):
    ...     return np.tanh(X), np.tanh(X)
    >>> X = np.array([0.5, -1.0])
    >>> right = taylor_test(tanh_forward, lambda dY, Y: dY * (1 - Y**2), [X])
    >>> wrong = taylor_test(tanh_forward, lambda dY, Y: dY * (1 - Y), [X])
    >>> round(right.rate, 1), round(wrong.rate, 1)
    (2.0, 1.0)
    """
    arrays, names = expect_inputs(inputs)
    problem = Problem(forward, backward, arrays, names)
    rng = np.random.default_rng([seed, PRIVATE])
    dout = rng.standard_normal(problem.out.shape)
    units = [problem.step_unit(k) for k in range(len(arrays))]
    v = [unit * direction(rng, a.shape) for unit, a in zip(units, arrays, strict=True)]
    slope = sum(np.vdot(g, w) for g, w in zip(problem.gradients(dout), v, strict=True))

    def change_of(h: float) -> float:
        moved = [(x + h * w).astype(x.dtype) for x, w in zip(problem.point, v, strict=True)]
        return float(np.vdot(dout, problem.run(moved)[0] - problem.out_at_point))

    steps = np.array(TAYLOR_STEPS)
    change = np.array([change_of(h) for h in steps])
    size = float(np.abs(dout * problem.out_at_point).sum())
    noise = TAYLOR_NOISE * problem.precision * max(size, abs(float(slope)))
    return TaylorTest(steps, np.abs(change), np.abs(change - steps * slope), noise)
