"""Judge: what backward gives for one input, and what numbers allow there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stnref.gradcheck import limits
from stnref.gradcheck.explore import Exploration
from stnref.gradcheck.jacobians import Jacobians, jacobians
from stnref.gradcheck.numeric import Slopes
from stnref.gradcheck.problem import Mask, Problem
from stnref.gradcheck.report import Comparison, InputResult, compare
from stnref.validation import Array


@dataclass(frozen=True)
class Case:
    """All that is known of one input.

    Attributes
    ----------
    seen : Exploration
    jacobians : Jacobians
        Of all inputs.
    dout : Array
        The upstream gradient of the check.
    gradient : Array
        What backward gives for it.
    """

    seen: Exploration
    jacobians: Jacobians
    dout: Array
    gradient: Array

    @property
    def problem(self) -> Problem:
        """The pair, and what is known of it."""
        return self.seen.problem

    @property
    def name(self) -> str:
        """The input's name."""
        return self.problem.names[self.seen.which]

    @property
    def A(self) -> Array | None:
        """The Jacobian that backward stands for, if there is one."""
        return self.jacobians.A[self.seen.which]

    @property
    def N(self) -> Slopes | None:
        """The numerical Jacobian, if there is one."""
        return self.jacobians.N[self.seen.which]

    @property
    def method(self) -> str:
        """How its elements are differentiated."""
        return "complex step" if self.seen.analytic else "differences"

    @property
    def floor(self) -> float:
        """Round-off of a gradient that is zero, as at a minimum."""
        size = max(1.0, self.problem.size(self.seen.which)) * np.abs(self.dout).max(initial=0)
        return float(limits.ROUND_OFF * self.problem.precision * size)

    def tolerance(self, witness: str) -> float:
        """Return how large an error this witness may see."""
        if witness == "complex step" and not self.problem.single:
            return limits.COMPLEX_TOLERANCE
        own = 0.0 if self.N is None else np.abs(self.dout).ravel() @ self.N.error
        return self.allowed(max(self.seen.doubt, 2 * float(np.max(own)) / self.result.scale))

    def allowed(self, doubt: float) -> float:
        """Return the tolerance of differences that doubt themselves by so much."""
        least, most = limits.DIFFERENCE_TOLERANCES[self.problem.single]
        return min(max(least, doubt), most)

    @cached_property
    def along(self) -> list[Comparison]:
        """The comparison along the random directions, of the outputs that lie on no kink."""
        seen, d = self.seen, self.dout.ravel() * ~self.seen.kinked
        if not d.any():
            return []
        gradient = self.gradient
        if seen.on_kink:
            gradient = self.problem.gradients(d.reshape(self.dout.shape))[seen.which]
        analytic = np.array([np.vdot(gradient, v) for v in seen.directions])
        numeric = np.array([d @ s.value for s in seen.slopes])
        error = max(float(np.linalg.norm(d * s.error)) for s in seen.slopes)
        small = np.abs(analytic - numeric) <= self.floor * np.sqrt(gradient.size)
        analytic = np.where(small, numeric, analytic)
        typical = float(np.sqrt((numeric**2).mean())) or 1.0
        worst = int(np.argmax(np.abs(analytic - numeric)))
        witness = "differences" if seen.analytic else "random directions"
        off = float(abs(analytic[worst] - numeric[worst]) / typical)
        values = float(analytic[worst]), float(numeric[worst])
        return [Comparison(self.name, witness, off, self.allowed(4 * error / typical), (), *values)]

    @cached_property
    def elements(self) -> list[Comparison]:
        """The comparison of the elements that lie on no kink."""
        r, tolerance = self.result, self.tolerance(self.method)
        smooth = np.where(r.kinked, np.nan, r.numeric)
        return compare(self.name, self.method, r.gradient, smooth, tolerance, self.floor)

    @cached_property
    def result(self) -> InputResult:
        """The Jacobian contracted with the upstream gradient; on kinks, intervals."""
        shape, d, N = self.gradient.shape, self.dout.ravel(), self.N
        value = below = above = np.full(shape, np.nan)
        kinked: Mask = np.zeros(shape, dtype=bool)
        if N is not None:
            kinked = np.asarray(N.kinked.any(axis=0)).reshape(shape)
            value = (d @ N.value).reshape(shape)
            bounds = contracted(N.below, N.above, d)
            below, above = (np.where(kinked, b.reshape(shape), value) for b in bounds)
        distance = self.problem.distances[self.seen.which]
        if distance is None:
            distance = np.where(kinked, 0, np.nan)
        asked = 0 if N is None else value.size
        directions = len(self.seen.directions) if self.along else 0
        own = value, below, above, kinked | (distance == 0), distance
        return InputResult(self.name, self.gradient, *own, self.method, asked, directions)

    @property
    def reach(self) -> list[str]:
        """What a passed check means: kinks, and the chance to have missed something."""
        r, notes = self.result, []
        if self.N is not None and r.kinked.any():
            text = "no derivative exists there, they are judged by the slopes to both sides"
            notes.append(f"{r.kinked.sum()} of {r.asked} elements lie on a kink; {text}")
        if self.N is None and self.along:
            # |<e, v>| <= t for a normal v happens with a chance of less than 0.8 t / |e|.
            error = limits.RELEVANT * self.along[0].tolerance
            chance = (0.8 / limits.RELEVANT) ** r.directions
            notes.append(
                f"{r.directions} random directions through all {r.gradient.size} elements; an "
                f"error of {error:.0e} of the gradient's norm goes unseen with a chance of "
                f"{chance:.0e}"
            )
        return [f"{self.name}: {note}" for note in notes]


def measure(problem: Problem, dout: Array, rng: np.random.Generator) -> list[Case]:
    """Differentiate, and run backward.

    Parameters
    ----------
    problem : Problem
    dout : Array
        The upstream gradient.
    rng : Generator

    Returns
    -------
    list of Case
        One for each input.
    """
    both = jacobians(problem, rng)
    pairs = zip(both.seen, problem.gradients(dout), strict=True)
    return [Case(seen, both, dout, gradient) for seen, gradient in pairs]


def contracted(below: Array, above: Array, d: Array) -> tuple[Array, Array]:
    """Return the least and the greatest d @ J for J between two bounds.

    Parameters
    ----------
    below, above : (n_out, n)
    d : (n_out,)

    Returns
    -------
    least, greatest : (n,)
    """
    up, down = np.maximum(d, 0), np.minimum(d, 0)
    return up @ below + down @ above, up @ above + down @ below
