"""On a kink: no derivative exists there, only slopes to both sides, and pieces that meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from stnref.gradcheck.case import Case, contracted
from stnref.gradcheck.limits import AROUND, MOST_PIECES, NEAR, PIECES, ROUNDS
from stnref.gradcheck.problem import direction
from stnref.gradcheck.report import Comparison, compare
from stnref.validation import Array


def compare_on_kinks(case: Case, rng: np.random.Generator) -> Comparison | None:
    """Return how far the elements on kinks, if any, are from what the slopes there allow."""
    if not case.result.kinked.any():
        return None
    r, d, tolerance = case.result, case.dout.ravel(), case.tolerance("differences")
    error = np.where(r.kinked & ~np.isnan(r.numeric), np.nan_to_num(r.error), -1)
    for element in np.flatnonzero(error.ravel() > tolerance)[:MOST_PIECES].tolist():
        column = int(np.searchsorted(case.derivatives.elements, element))
        low, high = contracted(*pieces(case, column, rng), d)
        error.flat[element] = _outside(r.gradient.flat[element], low, high) / r.scale
    index = np.unravel_index(np.argmax(error), error.shape)
    return Comparison(
        case.name,
        "one-sided slopes",
        max(float(error[index]), _one_output_each(case, rng), _together(case, rng)),
        tolerance,
        tuple(int(i) for i in index),
        float(r.gradient[index]),
        float(r.numeric[index]),
    )


def compare_jacobians(case: Case, A: Array, rng: np.random.Generator) -> Comparison:
    """Compare the Jacobian that backward stands for, output by output."""
    N = case.derivatives
    below, above = N.below.copy(), N.above.copy()
    margin = case.tolerance("differences") * np.abs(N.value).max(initial=0)
    for column in np.flatnonzero(N.kinked.any(axis=0))[:MOST_PIECES]:
        # Where several kinks meet an output may change with others alone: ask all pieces.
        low, high = below[:, column] - margin, above[:, column] + margin
        if ((A[:, column] < low) | (A[:, column] > high)).any():
            below[:, column], above[:, column] = pieces(case, int(column), rng)
    nearest = np.clip(A, below, above)  # of what is allowed: the value, but on kinks
    shape = (*case.problem.out.shape, *case.gradient.shape)
    numeric = np.where(below < above, nearest, N.value).reshape(shape)
    tolerance = case.tolerance("differences" if N.kinked.any() else case.method)
    return compare(case.name, "Jacobian", A.reshape(shape), numeric, tolerance, case.floor)


def pieces(case: Case, column: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the least and greatest slope by an element of the pieces that meet at x (n_out,).

    `column` is its place in ``case.derivatives``.
    """
    N = case.derivatives
    v = case.seen.unit(int(N.elements[column]))
    return _widened(case, v, N.below[:, column], N.above[:, column], rng)


def _widened(
    case: Case, v: Array, below: Array, above: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Widen the bounds of the slopes along v by those at points around x, off the kinks."""
    x, which = case.seen.x, case.seen.which
    for _ in range(PIECES):
        nearby = case.problem.at(which, x + AROUND * direction(rng, x.shape))
        slope = nearby.slopes(which, v).value
        below, above = np.minimum(below, slope), np.maximum(above, slope)
    return below, above


def _outside(value: float, below: Any, above: Any) -> float:
    return float(max(below - value, value - above, 0.0))


def _one_output_each(case: Case, rng: np.random.Generator) -> float:
    """Judge elements on kinks by one output each, which bounds them more tightly than a sum.

    The outputs are chosen such that none depends on two of the elements: then one
    backward, for the sum of their unit gradients, answers for all.
    """
    N, worst = case.derivatives, 0.0
    if case.whole:  # the Jacobian will say it of all outputs
        return worst
    reads = (N.value != 0) | N.kinked  # (n_out, n)
    for _ in range(ROUNDS):
        taken = np.zeros(reads.shape[1], dtype=bool)  # elements that a chosen output reads
        dout, chosen = np.zeros(case.dout.size), []
        for column in rng.permutation(np.flatnonzero(N.kinked.any(axis=0))).tolist():
            output = int(rng.choice(np.flatnonzero(N.kinked[:, column])))
            if not (reads[output] & taken).any() and dout[output] == 0:
                taken |= reads[output]
                dout[output] = 1
                chosen.append((output, column))
        gradient = case.problem.gradients(dout.reshape(case.dout.shape))[case.seen.which].ravel()
        for output, column in chosen:
            found = gradient[N.elements[column]]
            low, high = N.below[output, column], N.above[output, column]
            scale = max(abs(low), abs(high), 1e-300)
            outside = _outside(found, low, high) / scale
            if outside > case.tolerance("differences"):
                below, above = pieces(case, column, rng)
                outside = _outside(found, below[output], above[output]) / scale
            worst = max(worst, outside)
    return worst


def _together(case: Case, rng: np.random.Generator) -> float:
    """Move all elements upwards together, which single ones do not tell of.

    A maximum of two equal numbers has slopes from 0 to 1 by each of them, but 1 by both: a
    gradient of 1 to each is right for either alone. All signs are positive, so that
    what several outputs have too much adds up.
    """
    problem, which = case.problem, case.seen.which
    v = rng.uniform(0.5, 1, case.gradient.shape)
    d = rng.uniform(0.5, 1, case.dout.size)
    slopes = problem.slopes(which, v, *NEAR)
    below, above = (np.minimum(slopes.below, slopes.above), np.maximum(slopes.below, slopes.above))
    found = float(np.vdot(problem.gradients(d.reshape(case.dout.shape))[which], v))
    scale = float(d @ np.maximum(np.abs(below), np.abs(above))) or 1.0
    outside = _outside(found, d @ below, d @ above) / scale
    if outside > case.tolerance("differences"):
        below, above = _widened(case, v, below, above, rng)
        outside = _outside(found, d @ below, d @ above) / scale
    return outside if outside > case.tolerance("differences") else 0.0
