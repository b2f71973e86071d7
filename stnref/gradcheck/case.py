"""Judge: what backward gives for one input, and what numbers allow there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stnref.gradcheck.explore import Exploration
from stnref.gradcheck.jacobians import Derivatives, is_whole
from stnref.gradcheck.limits import COMPLEX_TOLERANCE, DIFFERENCE_TOLERANCES, RELEVANT, ROUND_OFF
from stnref.gradcheck.problem import Mask, Problem
from stnref.gradcheck.report import Comparison, InputResult, compare
from stnref.validation import Array


@dataclass(frozen=True)
class Case:
    """All that is known of one input.

    Attributes
    ----------
    seen : Exploration
    dout : Array
        The upstream gradient of the check.
    gradient : Array
        What backward gives for it.
    smooth : Array
        What backward gives for the outputs that lie on no kink alone.
    derivatives : Derivatives
        By all elements, or by some.
    """

    seen: Exploration
    dout: Array
    gradient: Array
    smooth: Array
    derivatives: Derivatives

    @property
    def problem(self) -> Problem:
        """The pair, and what is known of it."""
        return self.seen.problem

    @property
    def name(self) -> str:
        """The input's name."""
        return self.problem.names[self.seen.which]

    @property
    def method(self) -> str:
        """How its elements are differentiated."""
        return "complex step" if self.seen.analytic else "differences"

    @property
    def whole(self) -> bool:
        """Whether all elements were differentiated one by one."""
        return is_whole(self.problem, self.seen.which)

    @property
    def floor(self) -> float:
        """Round-off of a gradient that is zero, as at a minimum."""
        size = max(1.0, self.problem.size(self.seen.which)) * np.abs(self.dout).max(initial=0)
        return float(ROUND_OFF * self.problem.precision * size)

    @cached_property
    def doubt(self) -> float:
        """Estimated relative error of the differences, in directions and in elements."""
        own = (np.abs(self.dout).reshape(-1, 1) * self.derivatives.error).sum(axis=0)
        return max(self.seen.doubt, 2 * float(own.max(initial=0)) / self.result.scale)

    def tolerance(self, witness: str) -> float:
        """Return how large an error this witness may see."""
        if witness == "complex step" and not self.problem.single:
            return COMPLEX_TOLERANCE
        return self.allowed(self.doubt)

    def allowed(self, doubt: float) -> float:
        """Return the tolerance of differences that doubt themselves by so much."""
        least, most = DIFFERENCE_TOLERANCES[self.problem.single]
        return min(max(least, doubt), most)

    @cached_property
    def along(self) -> Comparison | None:
        """The comparison along the random directions, all elements at once."""
        d = self.dout.ravel() * ~self.seen.kinked
        if not d.any():
            return None
        analytic = np.array([np.vdot(self.smooth, v) for v in self.seen.directions])
        numeric = np.array([d @ s.value for s in self.seen.slopes])
        error = max(float(np.linalg.norm(d * s.error)) for s in self.seen.slopes)
        small = np.abs(analytic - numeric) <= self.floor * np.sqrt(self.gradient.size)
        analytic = np.where(small, numeric, analytic)
        typical = float(np.sqrt((numeric**2).mean())) or 1.0
        worst = int(np.argmax(np.abs(analytic - numeric)))
        return Comparison(
            self.name,
            "differences" if self.seen.analytic else "random directions",
            float(abs(analytic[worst] - numeric[worst]) / typical),
            self.allowed(4 * error / typical),
            (),
            float(analytic[worst]),
            float(numeric[worst]),
        )

    @cached_property
    def result(self) -> InputResult:
        """The Jacobian contracted with the upstream gradient; on kinks, intervals."""
        N, d = self.derivatives, self.dout.ravel()

        def spread(values: Array, start: float | bool) -> Array:
            full = np.full(self.gradient.shape, start)
            full.flat[N.elements] = values
            return full

        below = above = value = N.value.T @ d
        kinked: Mask = np.asarray(N.kinked.any(axis=0))
        if kinked.any():
            low, high = contracted(N.below, N.above, d)
            below, above = np.where(kinked, low, value), np.where(kinked, high, value)
        mask, distance = spread(kinked, False), self.seen.distance
        if distance is None:
            distance = np.where(mask, 0, np.nan)
        return InputResult(
            self.name,
            self.gradient,
            spread(value, np.nan),
            spread(below, np.nan),
            spread(above, np.nan),
            mask | (distance == 0),
            distance,
            self.method,
            len(N.elements),
            len(self.seen.directions) if self.along else 0,
        )


def contracted(below: Array, above: Array, d: Array) -> tuple[Array, Array]:
    """Return the least and the greatest d @ J for J between two bounds."""
    up, down = np.maximum(d, 0), np.minimum(d, 0)
    return up @ below + down @ above, up @ above + down @ below


def compare_elements(case: Case) -> Comparison | None:
    """Compare the elements that lie on no kink, if there are any."""
    r = case.result
    smooth = np.where(r.kinked, np.nan, r.numeric)
    if np.isnan(smooth).all():
        return None
    tolerance = case.tolerance(case.method)
    return compare(case.name, case.method, r.gradient, smooth, tolerance, case.floor)


def reach(case: Case) -> list[str]:
    """Say what a passed check means: kinks, and the chance to have missed something."""
    r, notes = case.result, []
    if r.kinked.any():
        if not case.whole:
            outputs = f"{int(case.seen.kinked.sum())} of {case.dout.size} outputs lie on a kink"
            notes.append(f"{outputs}; the random directions leave them out")
        elements = f"{int(r.kinked.sum())} of {r.asked} elements lie on a kink"
        judged = "no derivative exists there, they are judged by the slopes to both sides"
        notes.append(f"{elements}; {judged}")
    if not case.whole and case.along is not None:
        # |<e, v>| <= t for a normal v happens with a chance of less than 0.8 t / |e|.
        error, chance = RELEVANT * case.along.tolerance, (0.8 / RELEVANT) ** r.directions
        notes.append(
            f"{r.directions} random directions through all {r.gradient.size} elements, {r.asked} "
            f"one by one; an error of {error:.0e} of the gradient's norm goes unseen with a chance "
            f"of {chance:.0e}"
        )
    return [f"{case.name}: {note}" for note in notes]
