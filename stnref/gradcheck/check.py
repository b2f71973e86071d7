"""Check a backward against its forward: explore, differentiate, judge, compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from stnref.gradcheck.behaviour import check_behaviour
from stnref.gradcheck.case import Case, measure
from stnref.gradcheck.causes import CAUSES
from stnref.gradcheck.kinks import compare_jacobians, share_on_kinks
from stnref.gradcheck.limits import DOT_TOLERANCES, UNEXPLAINED_CERTAINTY
from stnref.gradcheck.problem import Function, Problem, UseError, call
from stnref.gradcheck.report import Comparison, Finding, GradientReport
from stnref.gradcheck.shrink import shrink
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
    arrays, labels = expect_inputs(inputs, names)
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


def expect_inputs(
    inputs: Sequence[ArrayLike], names: Sequence[str] | None = None
) -> tuple[list[Array], list[str]]:
    """Return the inputs of a check as arrays, with a name for each.

    Parameters
    ----------
    inputs, names
        As for `check_gradients`.

    Returns
    -------
    arrays : list of arrays
    names : list of str

    Raises
    ------
    ValueError
        See `check_gradients`.
    """
    arrays = [np.asarray(value) for value in inputs]
    labels = list(names) if names is not None else [f"input {k}" for k in range(len(arrays))]
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
    return arrays, labels


def _check(
    problem: Problem, jvp: Jvp, kinks: Kinks, explain: Explain, rng: np.random.Generator
) -> GradientReport:
    dout = rng.standard_normal(problem.out.shape)
    findings = check_behaviour(problem, dout, rng)
    repeatable = "not-repeatable" not in [f.cause for f in findings]
    problem = problem.knowing(repeatable=repeatable, distances=_distances(problem, kinks))
    cases = measure(problem, dout, rng)
    judgements = [_judge(case, rng) for case in cases]
    dot, unusable = _dot_test(cases, jvp, rng)
    findings += [finding for case in cases for finding in case.seen.findings]
    if all(f.cause in HARMLESS for f in findings):
        for judgement in judgements:
            findings += _explained(judgement, explain, rng)
    findings += unusable
    if not findings:
        findings = [_of_dot_test(c, jvp) for c in dot if not c.ok]
    # One mistake often shows in several gradients: of two as certain, the one that shows in more.
    causes = [finding.cause for finding in findings]
    findings.sort(key=lambda f: (-f.certainty, -causes.count(f.cause)))
    comparisons = [c for judgement in judgements for c in judgement.comparisons]
    notes = [note for judgement in judgements for note in judgement.notes]
    results = tuple(case.result for case in cases)
    return GradientReport(tuple(findings), tuple(comparisons + dot), results, tuple(notes))


def _distances(problem: Problem, kinks: Kinks) -> list[Array | None]:
    """Return the caller's kink map."""
    if kinks is None:
        return problem.distances
    maps = [None if m is None else np.asarray(m) for m in kinks(*problem.point)]
    shapes, expected = [m if m is None else m.shape for m in maps], [a.shape for a in problem.point]
    fits = (s in (None, e) for s, e in zip(shapes, expected, strict=False))
    if len(maps) != len(expected) or not all(fits):
        raise ValueError(f"kinks: expected shapes {expected}, got {shapes}")
    return maps


class _Judgement(NamedTuple):
    """What the comparisons say of one input; `case` is a smaller one if that was judged."""

    case: Case
    comparisons: list[Comparison]
    notes: list[str]


def _judge(case: Case, rng: np.random.Generator) -> _Judgement:
    """Compare by all witnesses; outputs on kinks, without a complete Jacobian, on a smaller input.

    That is done if all else is right.
    """
    found = _compare(case, rng)
    if not case.seen.on_kink or case.A is not None or not all(c.ok for c in found):
        return _Judgement(case, found, case.reach)
    note = f"{case.name}: {case.seen.kinked.sum()} of {case.dout.size} outputs lie on a kink"
    small = shrink(case.problem, share_on_kinks(case.seen.which, rng))
    if small is None:
        note += ": they are not judged, no smaller input was found that lies on kinks too"
        return _Judgement(case, found, [*case.reach, note])
    own = measure(small, rng.standard_normal(small.out.shape), rng)[case.seen.which]
    note += f": they are judged on a smaller input, shapes {[a.shape for a in small.inputs]}"
    return _Judgement(own, found + _compare(own, rng), [*case.reach, note, *own.reach])


def _compare(case: Case, rng: np.random.Generator) -> list[Comparison]:
    return [*case.elements, *case.along, *compare_jacobians(case, rng)]


def _explained(judgement: _Judgement, explain: Explain, rng: np.random.Generator) -> list[Finding]:
    """Say where a gradient is wrong, from the comparisons that say so; and why, if anyone can."""
    case, wrong = judgement.case, [c for c in judgement.comparisons if not c.ok]
    if not wrong:
        return []
    if explain is not None:
        which, on_kink = case.seen.which, case.seen.on_kink
        return explain(case.problem, which, case.jacobians, on_kink, rng)
    only_kinks = {c.witness for c in wrong} == {"one-sided slopes"} and case.along
    cause = CAUSES["kink" if only_kinks else "unexplained"]
    evidence = f"{wrong[0].witness}, error {wrong[0].error:.1e}, {wrong[0].values}"
    return [Finding(cause, f"gradient of {case.name}", evidence, UNEXPLAINED_CERTAINTY)]


def _of_dot_test(dot: Comparison, jvp: Jvp) -> Finding:
    """Say that it is wrong, where all else is right."""
    if jvp is None:
        return Finding(CAUSES["unexplained"], "all, dot test", str(dot), UNEXPLAINED_CERTAINTY)
    text = f"<dout, jvp(v)> = {dot.numeric:.6g}, <backward(dout), v> = {dot.analytic:.6g}"
    return Finding(CAUSES["jvp"], "jvp", text)


def _dot_test(
    cases: Sequence[Case], jvp: Jvp, rng: np.random.Generator
) -> tuple[list[Comparison], list[Finding]]:
    """Compare <dout, J v> with <J^T dout, v>, measured by the product of the norms.

    There is no comparison without anything to give J v; a finding, if jvp does not.
    """
    problem, dout = cases[0].problem, cases[0].dout
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
        out_dot = sum(problem.tangent(which, v) for which, v in enumerate(vs))
    else:
        return [], []
    numeric = float(np.vdot(dout, out_dot))
    analytic = float(sum(np.vdot(case.gradient, v) for case, v in zip(cases, vs, strict=True)))
    scale = float(np.linalg.norm(dout) * np.linalg.norm(out_dot)) or 1.0
    off, tolerance = abs(analytic - numeric) / scale, DOT_TOLERANCES[problem.single]
    return [Comparison("all", "dot test", off, tolerance, (), analytic, numeric)], []
