"""Check a backward against its forward: explore, differentiate, judge, compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from stnref.gradcheck.behaviour import check_behaviour
from stnref.gradcheck.case import Case, compare_elements, reach
from stnref.gradcheck.causes import CAUSES
from stnref.gradcheck.explore import explore_all
from stnref.gradcheck.jacobians import Jacobians, jacobians, sample
from stnref.gradcheck.kinks import compare_jacobians, compare_on_kinks
from stnref.gradcheck.limits import DOT_TOLERANCES, UNEXPLAINED_CERTAINTY
from stnref.gradcheck.problem import Function, Problem, UseError, call
from stnref.gradcheck.report import Comparison, Finding, GradientReport
from stnref.validation import Array

Jvp: TypeAlias = Callable[..., Array] | None
Kinks: TypeAlias = Callable[..., Sequence[ArrayLike | None]] | None
Explain: TypeAlias = Callable[..., list[Finding]] | None

PRIVATE = 0x7067
"""Apart from the seed alone: inputs that were drawn with it would be the upstream gradient."""
HARMLESS = ("input-mutated", "stale-cache", "not-repeatable")
"""Behaviour that leaves a gradient to explain: with any other there is no Jacobian."""


def check_gradients(
    forward: Function,
    backward: Function,
    inputs: Sequence[ArrayLike],
    *,
    jvp: Jvp = None,
    names: Sequence[str] | None = None,
    kinks: Kinks = None,
    seed: int = 0,
    explain: Explain = None,
) -> GradientReport:
    """Check the gradients of a pair: measure, and say where they are wrong.

    `stnref.diagnosis.check_gradients` measures alike and names the mistake.

    Parameters
    ----------
    forward : callable
        ``out, cache = forward(*inputs)``. For other forms see `stnref.gradcheck.adapters`.
    backward : callable
        ``gradients = backward(dout, cache)``: one for each input, a single one bare; None is zero.
    inputs : sequence of array_like
        They become float64, unless all are float32: then the pair is held to that precision.
        Options and inputs without a gradient are to be bound beforehand.
    jvp : callable, optional
        ``out_dot = jvp(*input_dots, cache)``, for the dot test. Without it the complex step
        supplies J v where forward is analytic.
    names : sequence of str, optional
        Names of the inputs in the report.
    kinks : callable, optional
        A kink map: ``kinks(*inputs)`` gives for each input an array of its shape with the distance
        of each element to its nearest kink, or None. No step is then longer than that, and
        the report shows the distances. Kinks are found on the values in any case.
    seed : int
        Seed of the upstream gradients and the directions, which are normal.
    explain : callable, optional
        ``findings = explain(problem, which, jacobians, on_kink, rng)``, called for each input whose
        gradient is wrong, to say why: the `Problem`, the number of the input, the `Jacobians`,
        whether outputs lie on kinks along that input, and a random generator. Without it such a
        gradient is a finding "unexplained", or "kink" if only elements on kinks are wrong.

    Returns
    -------
    GradientReport
        A pair that cannot be checked (wrong shapes, values that are not finite, a random forward)
        gives a report too, with a finding that says so.

    Raises
    ------
    ValueError
        There are no inputs, an input is empty, not real or not finite, the names are not as many
        as the inputs and different, or the kink map has the wrong shape.

    Notes
    -----
    Whether forward takes complex numbers and is analytic in an input is found out; then the complex
    step differentiates by it, else differences with Richardson's extrapolation. An element on
    a kink is judged by its one-sided slopes, output by output; where several kinks meet, by the
    slopes of all the pieces that meet there.

    Examples
    --------
    >>> def tanh_forward(X):
    ...     return np.tanh(X), np.tanh(X)
    >>> X = np.array([0.5, -1.0])
    >>> check_gradients(tanh_forward, lambda dY, Y: dY * (1 - Y**2), [X]).ok
    True
    >>> report = check_gradients(tanh_forward, lambda dY, Y: dY * (1 + Y**2), [X])
    >>> [finding.cause for finding in report.findings]
    ['unexplained']
    """
    arrays = [np.asarray(value) for value in inputs]
    labels = list(names) if names is not None else [f"input {k}" for k in range(len(arrays))]
    _expect_inputs(arrays, labels)
    rng = np.random.default_rng([seed, PRIVATE])
    try:
        return _check(Problem(forward, backward, arrays, labels), jvp, kinks, explain, rng)
    except UseError as error:
        return GradientReport((error.finding,))


def assert_gradients(
    forward: Function, backward: Function, inputs: Sequence[ArrayLike], **options: Any
) -> None:
    """Raise AssertionError, with the report as its text, unless every gradient is right.

    Parameters
    ----------
    forward, backward, inputs, **options
        See `check_gradients`.

    Raises
    ------
    AssertionError
        There is a finding, or a comparison is beyond its tolerance.
    ValueError
        See `check_gradients`.
    """
    report = check_gradients(forward, backward, inputs, **options)
    if not report.ok:
        raise AssertionError(f"\n{report}")


def _expect_inputs(arrays: Sequence[Array], labels: Sequence[str]) -> None:
    if not arrays:
        raise ValueError("inputs: expected at least one array, got none")
    if len(labels) != len(arrays):
        raise ValueError(f"names: expected {len(arrays)}, got {len(labels)}")
    if len(set(labels)) != len(labels):
        raise ValueError(f"names: expected different ones, got {labels}")
    for name, array in zip(labels, arrays, strict=True):
        if array.dtype.kind not in "iuf" or not array.size:
            got = f"{array.dtype}, {array.shape}; bind what has no gradient beforehand"
            raise ValueError(f"{name}: expected at least one real number, got {got}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite values, got others")


def _check(
    problem: Problem, jvp: Jvp, kinks: Kinks, explain: Explain, rng: np.random.Generator
) -> GradientReport:
    dout = rng.standard_normal(problem.out.shape)
    findings = check_behaviour(problem, dout, rng)
    problem = problem.knowing(repeatable="not-repeatable" not in [f.cause for f in findings])
    both, cases = _measure(problem, dout, _distances(problem, kinks), rng)
    comparisons = []
    for case in cases:
        witnesses = (compare_elements(case), compare_on_kinks(case, rng), case.along)
        comparisons += [c for c in witnesses if c is not None]
    for case, A in zip(cases, both.A, strict=True):
        comparisons += [] if A is None else [compare_jacobians(case, A, rng)]
    dot, unusable = _dot_test(problem, cases, jvp, rng)

    findings += [finding for case in cases for finding in case.seen.findings]
    if all(f.cause in HARMLESS for f in findings):
        for case in cases:
            wrong = [c for c in comparisons if c.what == case.name and not c.ok]
            if wrong and explain is not None:
                seen = case.seen
                findings += explain(seen.problem, seen.which, both, seen.on_kink, rng)
            elif wrong:
                findings.append(_unexplained(case, wrong))
    findings += unusable
    if jvp is not None and not findings:
        text = "<dout, jvp(v)> = {:.6g}, <backward(dout), v> = {:.6g}"
        texts = [text.format(c.numeric, c.analytic) for c in dot if not c.ok]
        findings = [Finding(CAUSES["jvp"], "jvp", text) for text in texts]
    return _report(findings, comparisons + dot, cases)


def _distances(problem: Problem, kinks: Kinks) -> list[Array | None]:
    """Return the caller's kink map."""
    if kinks is None:
        return [None] * len(problem.point)
    maps = [None if m is None else np.asarray(m) for m in kinks(*problem.point)]
    shapes, expected = [m if m is None else m.shape for m in maps], [a.shape for a in problem.point]
    fits = (s in (None, e) for s, e in zip(shapes, expected, strict=False))
    if len(maps) != len(expected) or not all(fits):
        raise ValueError(f"kinks: expected shapes {expected}, got {shapes}")
    return maps


def _measure(
    problem: Problem, dout: Array, distances: Sequence[Array | None], rng: np.random.Generator
) -> tuple[Jacobians, list[Case]]:
    """Explore and differentiate: the Jacobians, and what there is to judge of each input."""
    seen = explore_all(problem, rng, distances)
    both, gradients, cases = jacobians(problem, rng, seen), problem.gradients(dout), []
    for gradient, own, N in zip(gradients, seen, both.N, strict=True):
        smooth = gradient
        if own.on_kink:
            smooth = problem.gradients(dout * ~own.kinked.reshape(dout.shape))[own.which]
        cases.append(Case(own, dout, gradient, smooth, N or sample(own, rng)))
    return both, cases


def _dot_test(
    problem: Problem, cases: Sequence[Case], jvp: Jvp, rng: np.random.Generator
) -> tuple[list[Comparison], list[Finding]]:
    """Compare <dout, J v> with <J^T dout, v>, measured by the product of the norms.

    There is no comparison without anything to give J v; a finding, if jvp does not.
    """
    dout = cases[0].dout
    vs = [rng.standard_normal(array.shape) for array in problem.point]
    if jvp is not None:
        _, cache = problem.run(problem.inputs)
        try:
            out_dot = call("jvp", jvp, *(v.astype(problem.inputs[0].dtype) for v in vs), cache)
        except UseError as error:
            return [], [error.finding]
        if np.shape(out_dot) != dout.shape:
            got = f"expected shape {dout.shape}, got {np.shape(out_dot)}"
            return [], [Finding(CAUSES["shape"], "jvp", got)]
    elif all(case.seen.analytic and not case.seen.on_kink for case in cases):
        out_dot = sum(case.seen.tangent(v) for case, v in zip(cases, vs, strict=True))
    else:
        return [], []
    numeric = float(np.vdot(dout, out_dot))
    analytic = float(sum(np.vdot(case.gradient, v) for case, v in zip(cases, vs, strict=True)))
    scale = float(np.linalg.norm(dout) * np.linalg.norm(out_dot)) or 1.0
    off, tolerance = abs(analytic - numeric) / scale, DOT_TOLERANCES[problem.single]
    return [Comparison("all", "dot test", off, tolerance, (), analytic, numeric)], []


def _unexplained(case: Case, wrong: Sequence[Comparison]) -> Finding:
    """Say where a gradient is wrong, from the comparisons that say so."""
    witnesses = {c.witness for c in wrong}
    only_kinks = "one-sided slopes" in witnesses <= {"one-sided slopes", "Jacobian"}
    worst = wrong[0]
    evidence = f"{worst.witness}, error {worst.error:.1e}, {worst.values}"
    cause = CAUSES["kink" if only_kinks and case.along is not None else "unexplained"]
    return Finding(cause, f"gradient of {case.name}", evidence, UNEXPLAINED_CERTAINTY)


def _report(
    findings: list[Finding], comparisons: Sequence[Comparison], cases: Sequence[Case]
) -> GradientReport:
    """Put the likeliest finding first; there is one wherever a comparison failed."""
    wrong = [c for c in comparisons if not c.ok]
    if wrong and not findings:
        where, text = f"{wrong[0].what}, {wrong[0].witness}", str(wrong[0])
        findings = [Finding(CAUSES["unexplained"], where, text, UNEXPLAINED_CERTAINTY)]
    # One mistake often shows in several gradients: of two as certain, the one that shows in more.
    causes = [finding.cause for finding in findings]
    ordered = sorted(findings, key=lambda f: (-f.certainty, -causes.count(f.cause)))
    notes = tuple(note for case in cases for note in reach(case))
    results = tuple(case.result for case in cases)
    return GradientReport(tuple(ordered), tuple(comparisons), results, notes)
