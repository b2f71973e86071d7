"""One input by itself: what numbers say about its gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stnref.gradcheck.numeric import LADDER, Slopes, slopes_along
from stnref.gradcheck.pair import Indices, Mask, Pair, UseError, direction
from stnref.gradcheck.report import Comparison, Finding, InputResult, compare
from stnref.validation import Array

COMPLEX_TOLERANCE = 1e-10
DIFFERENCE_TOLERANCES = {False: (1e-9, 1e-7), True: (2e-4, 5e-3)}
"""Differences are held to the first, or to their own estimate of error up to the second; True:
where the pair computes in float32."""

MOST_ELEMENTS = 1000
"""Inputs with more elements are compared along random directions."""
MOST_ENTRIES = 2_000_000
"""So are those whose Jacobian would have more entries."""
DIRECTIONS = 3
SAMPLED, MOST_ON_KINKS = 8, 64
"""Elements that are asked one by one where random directions do the rest; on kinks, where they
cannot, as many as there is time for, up to the second."""
NEAR = LADDER[5], LADDER[7]
"""Steps that look for kinks at x alone: they are a few, so that a large input is done in time."""
CLOSER = LADDER[6], LADDER[-1]
"""Steps for the few outputs that those leave in doubt."""
MANY_OUTPUTS = 20_000
"""So many outputs are few: the shortest steps can be afforded for all."""
MOST_HALVINGS = 200
"""Steps of the search for elements on kinks where these are rare."""
ROUNDS = 4
"""How often every sampled element on a kink is judged by one output."""
RELEVANT = 1000
"""The size of error, in tolerances, whose chance to be missed is stated."""


class Columns(NamedTuple):
    """Derivatives of all outputs (rows) by some elements (columns) of an input."""

    elements: Array
    value: Array  # (n_out, n)
    below: Array
    above: Array
    kinked: Mask
    error: Array  # of value, an estimate


class Study:
    """Everything that numbers say about the gradient to one input."""

    def __init__(
        self, pair: Pair, which: int, dout: Array, distance: Array | None, rng: np.random.Generator
    ) -> None:
        self.pair, self.which, self.dout, self.distance = pair, which, dout, distance
        self.name, self.array = pair.names[which], pair.inputs[which]
        self.gradient = pair.gradients(dout)[which]
        # Round-off of a gradient that is zero, as at a minimum.
        precision = 8 * pair.precision * max(1.0, pair.size_of(which))
        self.floor = float(precision * np.abs(dout).max(initial=0))
        self.doubt = 0.0  # estimated relative error of the differences
        self.comparisons: list[Comparison] = []
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self._explore(rng)
        n = self.array.size
        self.whole = n <= MOST_ELEMENTS and n * pair.out.size <= MOST_ENTRIES
        some = min(n, self._sampled())
        few = np.arange(n) if n == some else np.sort(rng.choice(n, some, replace=False))
        self.columns = self._ask(np.arange(n) if self.whole else few)
        if not self.whole and self.kinked_input and not self.columns.kinked.any():
            self.columns = self._ask(np.union1d(few, self._kinked_elements(vs_rng=rng)))
        self.result = self._judge()
        # What the differences say of their own error, in units of the largest value.
        own = (np.abs(self.dout).reshape(-1, 1) * self.columns.error).sum(axis=0).max(initial=0)
        self.doubt = max(self.doubt, 2 * float(own) / self.result.scale)
        self._compare()
        self._reach()

    def _sampled(self) -> int:
        """Return how many elements are asked one by one if not all are."""
        if not self.kinked_input:
            return SAMPLED
        return int(np.clip(MOST_ENTRIES // self.dout.size, SAMPLED, MOST_ON_KINKS))

    # Along random directions, all elements at once.

    def _explore(self, rng: np.random.Generator) -> None:
        """Find out, along random directions, about kinks, complex numbers and trust."""
        pair, which = self.pair, self.which
        v = direction(rng, self.array.shape)
        slopes = self._slopes_in_direction(v)
        pair.analytic[which] = pair.is_analytic(which, v, slopes)
        pair.straight[which] = slopes.straight and not slopes.kinked.any()
        self.method = "complex step" if pair.analytic[which] else "differences"
        vs, several = [v], [slopes]
        for _ in range(DIRECTIONS - 1):
            vs.append(direction(rng, self.array.shape))
            several.append(self._again(vs[-1], slopes))
        self.kinked_outputs = np.logical_or.reduce([s.kinked for s in several])  # (n_out,)
        self.kinked_input = bool(self.kinked_outputs.any())
        self.doubt = self._trust(slopes)
        if self.doubt > DIFFERENCE_TOLERANCES[pair.single][1]:
            several[0] = self._again(v, slopes)  # only the complex step can tell
        smooth = self.dout * ~self.kinked_outputs.reshape(self.dout.shape)
        gradient = self.gradient
        if self.kinked_input:
            gradient = pair.gradients(smooth)[which]
        self.along: list[tuple[float, float, float]] = []  # analytic, numeric, error of the latter
        d = smooth.ravel()
        if d.any():
            for v, s in zip(vs, several, strict=True):
                error = float(np.linalg.norm(d * s.error))
                self.along.append((float(np.vdot(gradient, v)), float(d @ s.value), error))

    def _again(self, v: Array, first: Slopes) -> Slopes:
        """Along a further direction the complex step is enough; kinks are where they were."""
        if not self.pair.analytic[self.which]:
            return self._slopes_in_direction(v)
        return first._replace(value=self.pair.tangent(self.which, v))

    def _slopes_in_direction(self, v: Array) -> Slopes:
        """Differentiate all outputs along v; where few are in doubt, ask these more closely.

        Where many seem kinked, as with the identity, they are, and shorter steps add nothing.
        """
        slopes = self.pair.slopes(self.which, v, shortest=NEAR[1])
        unsettled = slopes.error > 1e-10 * np.abs(slopes.value).max(initial=0)
        doubtful = np.flatnonzero(slopes.kinked | unsettled)
        few = len(doubtful) < max(MANY_OUTPUTS, 0.1 * slopes.kinked.size)
        if not len(doubtful) or not few:
            return slopes
        try:
            closer = self._with_outputs(slopes, doubtful, v, *CLOSER)
        except UseError:  # so close to the end of where forward is defined
            return slopes
        # A jump's slope of 1/h is most of the noise there: it stays one if it stays kinked.
        closer = closer._replace(broken=closer.broken | (slopes.broken & closer.kinked))
        better = slopes.kinked | closer.kinked | (closer.error < slopes.error)
        arrays = {
            name: np.where(better, getattr(closer, name), getattr(slopes, name))
            for name in Slopes._fields[:-1]
        }
        return Slopes(**arrays, straight=False)

    def _trust(self, slopes: Slopes) -> float:
        """Return the estimated relative error of the differences; say so if it is too large."""
        smooth = ~slopes.kinked
        size = float(np.linalg.norm(slopes.value[smooth]))
        doubt = 2 * float(np.linalg.norm(slopes.error[smooth])) / (size or 1.0)
        if self.pair.analytic[self.which] or self.pair.single:
            return doubt
        where = f"forward, along {self.name}"
        noise = _roughness(self.pair, self.which, slopes)
        if 1e-11 < noise < 1e-5:
            evidence = f"its outputs scatter by {noise:.0e} of their size, float64's is 1e-16"
            self.findings.append(Finding("float32", where, evidence, 0.95))
        elif slopes.broken.any():
            n = int(slopes.broken.sum())
            evidence = f"{n} of {slopes.value.size} outputs jump here: their slopes have no limit"
            self.findings.append(Finding("untrusted", where, evidence))
        elif doubt > 1e-5:
            evidence = f"the best estimate of the slopes is off by {doubt:.0e} of their size"
            self.findings.append(Finding("untrusted", where, evidence, 0.9))
        return doubt

    # Element by element.

    def _ask(self, elements: Array) -> Columns:
        """Differentiate by single elements."""
        pair, which = self.pair, self.which
        if pair.analytic[which] and not self.kinked_input:
            value = np.stack([pair.column(which, int(k)) for k in elements]).T
            nothing = np.broadcast_to(0.0, value.shape)
            return Columns(elements, value, value, value, nothing.astype(bool), nothing)
        several = []
        for element in elements.tolist():
            s = self._slopes(element)
            if pair.analytic[which]:  # off its kinks an output has a derivative: known better
                exact = pair.column(which, element)
                s = s._replace(value=np.where(s.kinked, s.value, exact), error=s.error * s.kinked)
            several.append(s)
        value, error, below, above, kinked = (
            np.stack([getattr(s, name) for s in several]).T
            for name in ("value", "error", "below", "above", "kinked")
        )
        below, above = (np.where(kinked, slope, value) for slope in (below, above))
        return Columns(
            elements, value, np.minimum(below, above), np.maximum(below, above), kinked, error
        )

    def _kinked_elements(self, vs_rng: np.random.Generator) -> Indices:
        """Find a few elements on kinks, where they are rare, by halving the input."""
        outputs = np.flatnonzero(self.kinked_outputs)
        v = direction(vs_rng, self.array.shape)
        parts, budget = [np.arange(self.array.size)], MOST_HALVINGS
        found: list[int] = []
        while parts and budget and len(found) < SAMPLED // 2:
            part, budget = parts.pop(), budget - 1
            masked = np.zeros(v.shape)
            masked.flat[part] = np.sign(v.flat[part])
            nothing = self._nothing()
            if self._with_outputs(nothing, outputs, masked, *NEAR).kinked.any():
                if len(part) == 1:
                    found.append(int(part[0]))
                else:
                    parts += np.array_split(part, 2)
        return np.array(found, dtype=np.intp)

    def _slopes(self, element: int) -> Slopes:
        """Differentiate by one element; a step crosses no kink of the caller's map."""
        unit = self.pair.unit(self.which, element)
        if not self.whole and self.kinked_input:
            return self._slopes_at_x(unit)
        distance = np.inf if self.distance is None else float(self.distance.flat[element])
        return self.pair.slopes(self.which, unit, distance or np.inf)

    def _slopes_at_x(self, v: Array) -> Slopes:
        """Differentiate with short steps only, and only the outputs that change at all."""
        line = self.pair.line(self.which, v)
        middle = np.ravel(line(0.0))
        there = [np.ravel(line(h)) != middle for h in (NEAR[0], -NEAR[0])]
        changing = np.flatnonzero(there[0] | there[1])
        return self._with_outputs(self._nothing(), changing, v, *NEAR)

    def _nothing(self) -> Slopes:
        """Return slopes of zero."""
        zero = np.zeros(self.dout.size)
        no = zero.astype(bool)
        return Slopes(zero, zero, zero, zero, no, no, zero, True)

    def _with_outputs(
        self, slopes: Slopes, outputs: Indices, v: Array, longest: float, shortest: float
    ) -> Slopes:
        """Differentiate some outputs along v, and put them in place of those in `slopes`."""
        line = self.pair.line(self.which, v)
        some = slopes_along(
            lambda t: np.ravel(line(t))[outputs],
            longest=longest,
            shortest=shortest,
            precision=self.pair.precision,
            size=float(np.abs(self.array).max()),
        )
        arrays = {}
        for name in Slopes._fields[:-1]:
            arrays[name] = getattr(slopes, name).copy()
            arrays[name][outputs] = getattr(some, name)
        return Slopes(**arrays, straight=some.straight)

    def _judge(self) -> InputResult:
        """Contract the columns with the upstream gradient; on kinks, intervals."""
        c, d = self.columns, self.dout.ravel()
        shape, elements = self.array.shape, self.columns.elements

        def spread(values: Array, start: float | bool) -> Array:
            full = np.full(shape, start)
            full.flat[elements] = values
            return full

        below = above = value = c.value.T @ d
        kinked: Mask = np.asarray(c.kinked.any(axis=0))
        if kinked.any():
            low = np.maximum(d, 0) @ c.below + np.minimum(d, 0) @ c.above
            high = np.maximum(d, 0) @ c.above + np.minimum(d, 0) @ c.below
            below, above = np.where(kinked, low, value), np.where(kinked, high, value)
        mask = spread(kinked, False)
        distance = self.distance
        if distance is None:
            distance = np.where(mask, 0, np.nan)
        return InputResult(
            self.name,
            self.gradient,
            spread(value, np.nan),
            spread(below, np.nan),
            spread(above, np.nan),
            mask | (self.distance == 0 if self.distance is not None else False),
            distance,
            self.method,
            len(elements),
            len(self.along),
        )

    def _compare(self) -> None:
        r, name = self.result, self.name
        tolerance = self.tolerance(self.method)
        smooth = np.where(r.kinked, np.nan, r.numeric)
        if not np.isnan(smooth).all():
            self.comparisons.append(
                compare(name, self.method, r.gradient, smooth, tolerance, floor=self.floor)
            )
        if r.kinked.any():
            self.comparisons.append(self._on_kinks())
        if self.along:
            self.comparisons.append(self._along_directions())

    def _on_kinks(self) -> Comparison:
        """How far the elements on a kink are from what the slopes that meet there allow."""
        r = self.result
        error = np.where(r.kinked & ~np.isnan(r.numeric), np.nan_to_num(r.error), -1)
        tolerance = self.tolerance("differences")
        for element in np.flatnonzero(error.ravel() > tolerance)[:64]:
            below, above = self.pieces(int(element))
            d = self.dout.ravel()
            low = np.where(d > 0, d * below, d * above).sum()
            high = np.where(d > 0, d * above, d * below).sum()
            outside = max(low - r.gradient.flat[element], r.gradient.flat[element] - high, 0)
            error.flat[element] = outside / r.scale
        index = np.unravel_index(np.argmax(error), error.shape)
        return Comparison(
            self.name,
            "one-sided slopes",
            max(float(error[index]), self._one_output_each(), self._together()),
            tolerance,
            tuple(int(i) for i in index),
            float(r.gradient[index]),
            float(r.numeric[index]),
        )

    def _one_output_each(self) -> float:
        """Judge elements on kinks by one output each, which bounds them more tightly than a sum.

        The outputs are chosen such that none depends on two of the elements: then one
        backward, for the sum of their unit gradients, answers for all.
        """
        c, rng = self.columns, np.random.default_rng(2)
        worst = 0.0
        if self.whole:  # the Jacobian will say it of all outputs
            return worst
        reads = (c.value != 0) | c.kinked  # (n_out, n)
        for _ in range(ROUNDS):
            taken = np.zeros(reads.shape[1], dtype=bool)  # elements that a chosen output reads
            dout, chosen = np.zeros(self.dout.size), []
            for column in rng.permutation(np.flatnonzero(c.kinked.any(axis=0))).tolist():
                output = int(rng.choice(np.flatnonzero(c.kinked[:, column])))
                if not (reads[output] & taken).any() and dout[output] == 0:
                    taken |= reads[output]
                    dout[output] = 1
                    chosen.append((output, column))
            g = self.pair.gradients(dout.reshape(self.dout.shape))[self.which].ravel()
            for output, column in chosen:
                found = g[c.elements[column]]
                scale = max(abs(c.below[output, column]), abs(c.above[output, column]), 1e-300)

                def off(below: float, above: float, g: float = found, s: float = scale) -> float:
                    return max(below - g, g - above, 0.0) / s

                outside = off(c.below[output, column], c.above[output, column])
                if outside > self.tolerance("differences"):
                    below, above = self.pieces(int(c.elements[column]))
                    outside = off(below[output], above[output])
                worst = max(worst, outside)
        return worst

    def pieces(self, element: int) -> tuple[Array, Array]:
        """Return the least and greatest slope of the pieces that meet at x, output by output."""
        column = int(np.flatnonzero(self.columns.elements == element)[0])
        below, above = self.columns.below[:, column], self.columns.above[:, column]
        return self._nearby(self.pair.unit(self.which, element), below, above)

    def _nearby(self, v: Array, below: Array, above: Array) -> tuple[Array, Array]:
        """Widen the bounds of the slopes along v by those at points around x, off the kinks."""
        rng = np.random.default_rng(0)
        for _ in range(8):
            nearby = self.array + LADDER[-1] * 2**6 * direction(rng, self.array.shape)
            slope = self.pair.at(self.which, nearby).slopes(self.which, v).value
            below, above = np.minimum(below, slope), np.maximum(above, slope)
        return below, above

    def _together(self) -> float:
        """Move all elements upwards together, which single ones do not tell of.

        A maximum of two equal numbers has slopes from 0 to 1 by each of them, but 1 by both: a
        gradient of 1 to each is right for either alone. All signs are positive, so that
        what several outputs have too much adds up.
        """
        rng = np.random.default_rng(1)
        v = rng.uniform(0.5, 1, self.array.shape)
        d = rng.uniform(0.5, 1, self.dout.size)
        slopes = self.pair.slopes(self.which, v, *NEAR)
        below = np.minimum(slopes.below, slopes.above)
        above = np.maximum(slopes.below, slopes.above)
        found = float(np.vdot(self.pair.gradients(d.reshape(self.dout.shape))[self.which], v))
        scale = float(d @ np.maximum(np.abs(below), np.abs(above))) or 1.0
        outside = 0.0
        for widen in (False, True):
            if widen:
                below, above = self._nearby(v, below, above)
            outside = max(float(d @ below) - found, found - float(d @ above), 0.0) / scale
            if outside <= self.tolerance("differences"):
                return 0.0
        return outside

    def _along_directions(self) -> Comparison:
        analytic, numeric, error = np.array(self.along).T
        small = np.abs(analytic - numeric) <= self.floor * np.sqrt(self.array.size)
        analytic = np.where(small, numeric, analytic)
        typical = float(np.sqrt((numeric**2).mean())) or 1.0
        self.direction_tolerance = self.allowed(4 * float(error.max()) / typical)
        worst = int(np.argmax(np.abs(analytic - numeric)))
        return Comparison(
            self.name,
            "differences" if self.method == "complex step" else "random directions",
            float(abs(analytic[worst] - numeric[worst]) / typical),
            self.direction_tolerance,
            (),
            float(analytic[worst]),
            float(numeric[worst]),
        )

    def tolerance(self, witness: str) -> float:
        """Return how large an error this witness may see."""
        if witness == "complex step" and not self.pair.single:
            return COMPLEX_TOLERANCE
        return self.allowed(self.doubt)

    def allowed(self, doubt: float) -> float:
        """Return the tolerance of differences that doubt themselves by so much."""
        least, most = DIFFERENCE_TOLERANCES[self.pair.single]
        return min(max(least, doubt), most)

    def _reach(self) -> None:
        """Say what a passed check means: kinks, and the chance to have missed something."""
        r = self.result
        if r.kinked.any():
            n = int(r.kinked.sum())
            asked = r.asked if not self.whole else r.gradient.size
            if not self.whole:
                outputs = int(self.kinked_outputs.sum())
                self.notes.append(
                    f"{self.name}: {outputs} of {self.kinked_outputs.size} outputs lie on a kink; "
                    "the random directions leave them out"
                )
            self.notes.append(
                f"{self.name}: {n} of {asked} elements lie on a kink; no derivative exists there, "
                "they are judged by the slopes to both sides"
            )
        if not self.whole and self.along:
            # |<e, v>| <= t for a normal v happens with a chance of less than 0.8 t / |e|.
            chance = (0.8 / RELEVANT) ** len(self.along)
            error = RELEVANT * self.direction_tolerance
            self.notes.append(
                f"{self.name}: {len(self.along)} random directions through all {r.gradient.size} "
                f"elements, {r.asked} one by one; an error of {error:.0e} of the gradient's norm "
                f"goes unseen with a chance of {chance:.0e}"
            )

    def suspects(self) -> Array:
        """Return the elements that are known to be wrong, the worst first."""
        error = np.nan_to_num(self.result.error).ravel()
        order = np.argsort(-error, kind="stable")
        return order[error[order] > self.tolerance(self.method)]


def _roughness(pair: Pair, which: int, slopes: Slopes) -> float:
    """How much the outputs scatter from point to point, relative to their size: the median."""
    v = direction(np.random.default_rng(0), pair.inputs[which].shape)
    line, h = pair.line(which, v), 1e-6 * pair.unit_of(which)
    # To one side of x, at which there may be a kink.
    points = np.array([np.ravel(line(k * h)) for k in range(1, 13)])
    sixth = np.abs(np.diff(points, n=6, axis=0)).max(axis=0)  # of what is smooth, of order h^6
    alive = slopes.value != 0
    if not alive.any():
        return 0.0
    return float(np.median(sixth[alive]) / 30 / np.abs(points).max())  # binomials add up to 30
