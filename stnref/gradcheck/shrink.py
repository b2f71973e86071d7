"""Shrink: a smaller input of the same kind that shows the same.

As property-based testing does with a failing example: axes are cut, one length after the other, and
a cut is kept if both functions still run and what is looked for is still there. What the axes mean
is not asked. Axes of one length are cut together, as axes of several arrays that belong to one
another have the same; axes whose length is a multiple of it go along where that is needed, as
those of a flattened map do. If forward has the length bound, as that of a target grid, only some of
its outputs are looked at, and of the inputs that have it some elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from stnref.gradcheck import limits
from stnref.gradcheck.problem import Problem, UseError, direction
from stnref.validation import Array

Shape: TypeAlias = tuple[int, ...]
Shows: TypeAlias = Callable[[Problem], float]


def is_small(problem: Problem) -> bool:
    """Say whether both Jacobians of the problem are complete.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    bool
    """
    return not _large(problem)


def _large(problem: Problem) -> list[Shape]:
    """Return the shapes that are too large."""
    large = [a.shape for a in problem.inputs if a.size > limits.MOST_ELEMENTS]
    return large + ([problem.out.shape] if problem.out.size > limits.MOST_ROWS else [])


def shrink(problem: Problem, shows: Shows) -> Problem | None:
    """Return a small problem that shows the same, None if none is found.

    Parameters
    ----------
    problem : Problem
    shows : callable
        The share of a problem's outputs that show what is looked for, 0 if none does. It may raise
        UseError.

    Returns
    -------
    Problem or None
        Itself if it is small.
    """
    share = 1.0 if is_small(problem) else shows(problem)
    if share == 0:
        return None
    for lively in (limits.LIVELY, 0.0):  # at last anything will do
        while not is_small(problem):
            attempts = (_attempt(problem, cut, shows, lively * share) for cut in _cuts(problem))
            found = next((attempt for attempt in attempts if attempt), None)
            if found is None:
                break
            problem, share = found
    return problem if is_small(problem) else None


class _Cut(NamedTuple):
    """Axes of length n, or q n, are cut to m, or q m: `places` are numbers of arrays and axes.

    The last array is the output. `part`: forward has the length bound, and the rest is constant.
    """

    part: bool
    places: Sequence[tuple[int, int]]
    n: int
    m: int


def _cuts(problem: Problem) -> list[_Cut]:
    """Return what may be tried, in order: axes apart in length first, cuts before parts."""
    shapes, cuts = _shapes(problem), []
    lengths = {n for shape in _large(problem) for n in shape}
    for n in sorted(lengths, key=lambda n: (-sum(n in shape for shape in shapes), n)):
        for part, places in _places(shapes, n):
            sizes = [m for m in (*limits.SIZES, n // 2) if 2 <= m < n]
            cuts += [_Cut(part, places, n, m) for m in sizes if places]

    def order(cut: _Cut) -> tuple[bool, int, bool]:
        return cut.part and cut.n <= limits.SHORT, _awkward(shapes, cut), cut.part

    return sorted(cuts, key=order)


def _shapes(problem: Problem) -> list[Shape]:
    return [*(a.shape for a in problem.inputs), problem.out.shape]


def _places(shapes: list[Shape], n: int) -> Iterator[tuple[bool, list[tuple[int, int]]]]:
    """Yield axes that may belong together, and whether only a part of them is looked at."""
    out = len(shapes) - 1
    length = {(i, k): n for i, shape in enumerate(shapes) for k, n in enumerate(shape)}
    alike = [at for at in length if length[at] == n]
    inputs = [at for at in alike if at[0] < out]
    for k in range(max(map(len, shapes))):
        yield False, [at for at in inputs if at[1] == k]
    yield False, inputs
    yield False, [at for at in length if at[0] < out and length[at] % n == 0]
    yield True, alike
    yield True, [at for at in alike if at[0] == out]
    yield True, inputs


def _awkward(shapes: list[Shape], cut: _Cut) -> int:
    """Return how much harder to tell apart a cut makes the axes of an array, at most."""
    worst, out = 0, len(shapes) - 1
    for i, shape in enumerate(shapes):
        whole = i == out and not cut.part  # the output becomes smaller with the inputs
        cuts = (n == cut.n if whole else (i, k) in cut.places for k, n in enumerate(shape))
        after = tuple(cut.m if own else n for own, n in zip(cuts, shape, strict=True))
        worst = max(worst, _confused(after) - _confused(shape))
    return worst + cut.part


def _confused(shape: Shape) -> int:
    """Count the axes that are as long as others, or of a size to do without."""
    return len(shape) - len(set(shape)) + sum(limits.AMBIGUOUS.get(length, 0) for length in shape)


def _attempt(
    problem: Problem, cut: _Cut, shows: Shows, least: float
) -> tuple[Problem, float] | None:
    """Return the smaller problem and its share, if it shows enough."""
    n, m = cut.n, cut.m
    for start, fold in product(((n - m) // 2, n - m, 0), (False, True)):
        try:
            smaller = _smaller(problem, cut, start, fold)
            share = shows(smaller)
        except UseError:  # the two functions do not take it
            return None
        if share > 0 and share >= least:
            return smaller, share
    return None


def _smaller(problem: Problem, cut: _Cut, start: int, fold: bool) -> Problem:
    """Apply a cut; `fold`: all values, which may be positions, are brought into its range."""
    inputs = [np.fmod(a, cut.m) if fold else a for a in problem.inputs]
    if cut.part:
        return _part(problem.with_inputs(inputs), cut, start)
    for i, k in cut.places:
        q = inputs[i].shape[k] // cut.n
        inputs[i] = inputs[i].take(range(q * start, q * (start + cut.m)), axis=k)
    return problem.with_inputs(inputs)


def _part(problem: Problem, cut: _Cut, start: int) -> Problem:
    """Return the problem of some outputs and some elements of some inputs, the others constant."""
    *here, out = (
        tuple(slice(start, start + cut.m) if (i, k) in cut.places else slice(None) for k in axes)
        for i, axes in enumerate(map(range, map(len, _shapes(problem))))
    )

    def forward(*parts: Array) -> tuple[Array, Any]:
        whole = [a.astype(np.result_type(a, p)) for a, p in zip(problem.inputs, parts, strict=True)]
        for array, at, part in zip(whole, here, parts, strict=True):
            array[at] = part
        value, cache = problem.forward(*whole)
        return value[out], cache

    def backward(dout: Array, cache: Any) -> Any:
        whole = np.zeros_like(problem.out)
        whole[out] = dout
        gradients = problem.pull(whole, cache)
        return [gradient[at] for gradient, at in zip(gradients, here, strict=True)]

    parts = [a[at] for a, at in zip(problem.inputs, here, strict=True)]
    part = Problem(forward, backward, parts, problem.names)
    return part.knowing(analytic=problem.analytic, repeatable=problem.repeatable)


def share_wrong(problem: Problem, which: int, rng: np.random.Generator) -> Shows:
    """Return a function of a problem like this one that says whether its gradient is wrong, too.

    Parameters
    ----------
    problem : Problem
        One whose gradient is wrong, off the kinks.
    which : int
        The input.
    rng : Generator

    Returns
    -------
    callable
        As `shrink` wants it: if the problem fails a dot test, the share of outputs that depend on
        the input. A gradient that is zero everywhere where this one is not shows another mistake.
    """
    dot = limits.DOT_TOLERANCES[problem.single]
    differences = limits.DIFFERENCE_TOLERANCES[problem.single][1]
    tolerance = dot if problem.analytic[which] else differences
    given = problem.gradients(rng.standard_normal(problem.out.shape))[which].any()

    def share(problem: Problem) -> float:
        v = direction(rng, problem.inputs[which].shape)
        dout = rng.standard_normal(problem.out.shape)
        out_dot, gradient = problem.tangent(which, v), problem.gradients(dout)[which]
        off = abs(float(np.vdot(gradient, v)) - float(dout.ravel() @ out_dot))
        scale = max(np.linalg.norm(dout) * np.linalg.norm(out_dot), np.linalg.norm(gradient))
        wrong = off > tolerance * scale and gradient.any() == given
        return float((out_dot != 0).mean()) or 1.0 if wrong else 0.0

    return share
