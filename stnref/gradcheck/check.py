"""Check a backward against its forward: explore, differentiate, judge, compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from stnref.gradcheck.behaviour import check_behaviour
from stnref.gradcheck.case import Case
from stnref.gradcheck.causes import CAUSES
from stnref.gradcheck.compare import compare_input, compare_jacobians, reach
from stnref.gradcheck.explore import explore
from stnref.gradcheck.jacobians import Jacobians, informed, jacobians, sample
from stnref.gradcheck.limits import DOT_TOLERANCES, UNEXPLAINED_CERTAINTY
from stnref.gradcheck.problem import Problem, UseError, call
from stnref.gradcheck.report import Comparison, Finding, GradientReport
from stnref.validation import Array

Kinks: TypeAlias = Callable[..., Sequence[ArrayLike | None]]
Explain: TypeAlias = Callable[[Problem, int, Jacobians, bool, np.random.Generator], list[Finding]]

PRIVATE = 0x7067
"""Apart from the seed alone: inputs that were drawn with it would be the upstream gradient."""
HARMLESS = ("input-mutated", "stale-cache", "not-repeatable")
"""Behaviour that leaves a gradient to explain: with any other there is no Jacobian."""


def check_gradients(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[ArrayLike],
    *,
    jvp: Callable[..., Array] | None = None,
    names: Sequence[str] | None = None,
    kinks: Kinks | None = None,
    seed: int = 0,
    explain: Explain | None = None,
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
    >>> from stnref.nn import tanh_backward, tanh_forward
    >>> X = np.array([0.5, -1.0])
    >>> check_gradients(tanh_forward, tanh_backward, [X]).ok
    True
    >>> report = check_gradients(tanh_forward, lambda dY, cache: -tanh_backward(dY, cache), [X])
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
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[ArrayLike],
    **options: Any,
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
            raise ValueError(
                f"{name}: expected at least one real number, got {array.dtype}, {array.shape}; "
                "bind what has no gradient beforehand"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite values, got others")


def _check(
    problem: Problem,
    jvp: Callable[..., Array] | None,
    kinks: Kinks | None,
    explain: Explain | None,
    rng: np.random.Generator,
) -> GradientReport:
    dout = rng.standard_normal(problem.out.shape)
    findings = check_behaviour(problem, dout, rng)
    problem = problem.knowing(repeatable=all(f.cause != "not-repeatable" for f in findings))
    cases, both = _measure(problem, dout, _distances(problem, kinks), rng)
    findings += [finding for case in cases for finding in case.seen.findings]
    comparisons = [c for case in cases for c in compare_input(case, rng)]
    for case, A in zip(cases, both.A, strict=True):
        comparisons += [] if A is None else [compare_jacobians(case, A, rng)]
    dot = _dot_test(cases, jvp, rng)
    if all(f.cause in HARMLESS for f in findings):
        for case in cases:
            wrong = [c for c in comparisons if c.what == case.name and not c.ok]
            if wrong and explain is not None:
                findings += explain(case.problem, case.which, both, case.seen.on_kink, rng)
            elif wrong:
                findings.append(_unexplained(case, wrong))
    if isinstance(dot, Comparison):
        comparisons.append(dot)
        if not dot.ok and jvp is not None and not findings:
            evidence = (
                f"<dout, jvp(v)> = {dot.numeric:.6g}, <backward(dout), v> = {dot.analytic:.6g}"
            )
            findings.append(Finding(CAUSES["jvp"], "jvp", evidence))
    elif dot is not None:  # what was found of the gradients stands
        findings.append(dot)
    return _report(findings, comparisons, cases)


def _distances(problem: Problem, kinks: Kinks | None) -> list[Array | None]:
    """Return the caller's kink map."""
    if kinks is None:
        return [None] * len(problem.point)
    maps = [None if m is None else np.asarray(m) for m in kinks(*problem.point)]
    shapes = [None if m is None else m.shape for m in maps]
    expected = [a.shape for a in problem.point]
    if len(maps) != len(expected) or any(
        s is not None and s != e for s, e in zip(shapes, expected, strict=True)
    ):
        raise ValueError(f"kinks: expected shapes {expected}, got {shapes}")
    return maps


def _measure(
    problem: Problem, dout: Array, distances: list[Array | None], rng: np.random.Generator
) -> tuple[list[Case], Jacobians]:
    """Explore and differentiate: what there is to judge of each input, and the Jacobians."""
    explorations = [explore(problem, which, rng) for which in range(len(problem.names))]
    problem = informed(problem, explorations)
    both = jacobians(problem, rng, explorations, distances)
    gradients, cases = problem.gradients(dout), []
    for which, (seen, distance) in enumerate(zip(explorations, distances, strict=True)):
        smooth = gradients[which]
        if seen.on_kink:
            smooth = problem.gradients(dout * ~seen.kinked.reshape(dout.shape))[which]
        N = both.N[which]
        if N is None:
            N = sample(problem, which, seen, distance, rng)
        cases.append(Case(problem, which, dout, gradients[which], smooth, seen, N, distance))
    return cases, both


def _dot_test(
    cases: Sequence[Case], jvp: Callable[..., Array] | None, rng: np.random.Generator
) -> Comparison | Finding | None:
    """Compare <dout, J v> with <J^T dout, v>, measured by the product of the norms.

    A finding says that jvp cannot be used; None, that there is nothing to give J v.
    """
    problem, dout = cases[0].problem, cases[0].dout
    dots = [rng.standard_normal(array.shape) for array in problem.point]
    if jvp is not None:
        _, cache = problem.run(problem.inputs)
        own = [dot.astype(problem.inputs[0].dtype) for dot in dots]
        try:
            out_dot = np.asarray(call("jvp", jvp, *own, cache))
        except UseError as error:
            return error.finding
        if out_dot.shape != dout.shape:
            got = f"expected shape {dout.shape}, got {out_dot.shape}"
            return UseError("shape", "jvp", got).finding
    elif all(problem.analytic) and not any(case.seen.on_kink for case in cases):
        tangents = [problem.tangent(which, dot) for which, dot in enumerate(dots)]
        out_dot = np.sum(tangents, axis=0).reshape(dout.shape)
    else:
        return None
    numeric = float(np.vdot(dout, out_dot))
    both = zip(cases, dots, strict=True)
    analytic = float(sum(np.vdot(case.gradient, dot) for case, dot in both))
    scale = float(np.linalg.norm(dout) * np.linalg.norm(out_dot)) or 1.0
    off, tolerance = abs(analytic - numeric) / scale, DOT_TOLERANCES[problem.single]
    return Comparison("all", "dot test", off, tolerance, (), analytic, numeric)


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
    causes = [finding.cause for finding in findings]
    worst = next((c for c in comparisons if not c.ok), None)
    if worst is not None and not findings:
        where = f"{worst.what}, {worst.witness}"
        unexplained = CAUSES["unexplained"]
        findings = [Finding(unexplained, where, str(worst), UNEXPLAINED_CERTAINTY)]
    # One mistake often shows in several gradients: of two as certain, the one that shows in more.
    ordered = sorted(findings, key=lambda f: (-f.certainty, -causes.count(f.cause)))
    notes = tuple(note for case in cases for note in reach(case))
    results = tuple(case.result for case in cases)
    return GradientReport(tuple(ordered), tuple(comparisons), results, notes)
