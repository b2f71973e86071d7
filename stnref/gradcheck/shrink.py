"""Shrink: a smaller input of the same kind that shows the same.

As property-based testing does with a failing example: axes are cut, one length after the other, and
a cut is kept if both functions still run and what is looked for is still there. What the axes mean
is not asked. Axes of one length are cut together, as axes of several arrays that belong to one
another have the same; axes whose length is a multiple of it go along where that is needed, as
those of a flattened map do. If forward has the length bound, as that of a target grid, only some of
its outputs are looked at, and of the inputs that have it some elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from stnref.gradcheck import limits
from stnref.gradcheck.problem import Problem, UseError, direction
from stnref.validation import Array

Shape: TypeAlias = tuple[int, ...]
Shows: TypeAlias = Callable[[Problem], float]

SIZES = (3, 5, 7, 6, 9, 8, 4, 2)
"""What an axis is cut to, or else to half of it."""
AMBIGUOUS = {2: 2, 4: 1}
"""Sizes to do without, if possible, and how much: a factor of 2 or 4 has many origins."""
LIVELY = 0.5
"""The share of the outputs that show what is looked for may fall to this by one cut."""


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
    for lively in (LIVELY, 0.0):  # at last anything will do
        while not is_small(problem):
            attempts = (_attempt(problem, cut, shows, lively * share) for cut in _cuts(problem))
            found = next((attempt for attempt in attempts if attempt), None)
            if found is None:
                break
            problem, share = found
    return problem if is_small(problem) else None


class _Cut(NamedTuple):
    """Axes of length n, or q n, are cut to m, or q m.

    `axes` are those of each array, by its number; the output is the last. `part`: forward has the
    length bound, only a part of its arrays is looked at.
    """

    part: bool
    axes: Mapping[int, tuple[int, ...]]
    n: int
    m: int


def _cuts(problem: Problem) -> list[_Cut]:
    """Return what may be tried, in order: axes apart in length first, cuts before parts."""
    shapes = _shapes(problem)
    lengths = {n for shape in _large(problem) for n in shape}
    cuts = [
        _Cut(part, axes, n, m)
        for n in sorted(lengths, key=lambda n: (-sum(n in shape for shape in shapes), n))
        for part, axes in _axes(shapes, n)
        for m in (*SIZES, n // 2)
        if 2 <= m < n
    ]
    return sorted(cuts, key=lambda cut: (_awkward(shapes, cut), cut.part))


def _shapes(problem: Problem) -> list[Shape]:
    return [*(a.shape for a in problem.inputs), problem.out.shape]


def _axes(shapes: list[Shape], n: int) -> Iterator[tuple[bool, dict[int, Shape]]]:
    """Yield axes that may belong together, and whether only a part of them may be looked at."""
    out, alike = len(shapes) - 1, {}
    for i, shape in enumerate(shapes):
        alike[i] = tuple(k for k, length in enumerate(shape) if length == n)
    inputs = {i: axes for i, axes in alike.items() if i < out and axes}
    for k in range(max(map(len, shapes))):  # the same axis of all
        yield False, {i: (k,) for i, axes in inputs.items() if k in axes}
    yield False, inputs
    for i, axes in inputs.items():
        yield False, {i: axes}
    multiples = {
        i: tuple(k for k, length in enumerate(shape) if length % n == 0)
        for i, shape in enumerate(shapes[:out])
    }
    yield False, multiples
    first = {i: axes[:1] for i, axes in alike.items() if axes}
    yield True, first
    yield True, {i: axes for i, axes in first.items() if i == out}
    yield True, {i: axes for i, axes in first.items() if i < out}


def _awkward(shapes: list[Shape], cut: _Cut) -> int:
    """Return how much harder to tell apart a cut makes the axes of an array, at most."""
    worst, out = 0, len(shapes) - 1
    for i, shape in enumerate(shapes):
        axes = cut.axes.get(i, ())
        if i == out and not cut.part:
            axes = tuple(k for k, length in enumerate(shape) if length == cut.n)
        after = tuple(cut.m if k in axes else length for k, length in enumerate(shape))
        worst = max(worst, _confused(after) - _confused(shape))
    return worst + cut.part


def _confused(shape: Shape) -> int:
    """Count the axes that are as long as others, or of a size to do without."""
    return len(shape) - len(set(shape)) + sum(AMBIGUOUS.get(length, 0) for length in shape)


def _attempt(
    problem: Problem, cut: _Cut, shows: Shows, least: float
) -> tuple[Problem, float] | None:
    """Return the smaller problem and its share, if it shows enough."""
    if not any(cut.axes.values()):
        return None
    n, m = cut.n, cut.m
    for start in dict.fromkeys(((n - m) // 2, n - m, 0)):
        for fold in (False, True):
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
    for i, axes in cut.axes.items():
        for k in axes:
            q = inputs[i].shape[k] // cut.n
            inputs[i] = inputs[i].take(range(q * start, q * (start + cut.m)), axis=k)
    return problem.with_inputs(inputs)


def _part(problem: Problem, cut: _Cut, start: int) -> Problem:
    """Return the problem of some outputs and some elements of some inputs, the others constant."""
    out = len(problem.inputs)

    def here(i: int) -> tuple[slice, ...]:
        kept = slice(start, start + cut.m)
        return tuple(slice(None) for _ in range(cut.axes[i][0])) + (kept,) if i in cut.axes else ()

    def forward(*parts: Array) -> tuple[Array, Any]:
        whole = [a.astype(np.result_type(a, p)) for a, p in zip(problem.inputs, parts, strict=True)]
        for i, part in enumerate(parts):
            whole[i][here(i)] = part
        value, cache = problem.forward(*whole)
        return value[here(out)], (cache, value.shape)

    def backward(dout: Array, cache: Any) -> Any:
        inner, shape = cache
        whole = np.zeros(shape, dtype=dout.dtype)
        whole[here(out)] = dout
        return [g[here(i)] for i, g in enumerate(problem.pull(whole, inner))]

    parts = [a[here(i)] for i, a in enumerate(problem.inputs)]
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
