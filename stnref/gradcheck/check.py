"""Check a backward against its forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stnref.gradcheck.diagnosis import diagnose
from stnref.gradcheck.pair import Pair, UseError, call
from stnref.gradcheck.protocol import check_behaviour
from stnref.gradcheck.report import Comparison, Finding, GradientReport, compare
from stnref.gradcheck.study import Study
from stnref.validation import Array

DOT_TOLERANCES = {False: 1e-12, True: 2e-4}

PRIVATE = 0x7067
"""Apart from the seed alone: inputs that were drawn with it would be the upstream gradient."""
MOST_PIECES = 64
"""Elements on kinks whose pieces are asked."""
MOST_ROWS = 400
"""Outputs up to which backward's whole Jacobian is compared too."""


def check_gradients(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[ArrayLike],
    *,
    jvp: Callable[..., Array] | None = None,
    names: Sequence[str] | None = None,
    kinks: Callable[..., Sequence[ArrayLike | None]] | None = None,
    seed: int = 0,
) -> GradientReport:
    """Check the gradients of a pair, and name what is wrong.

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
    ['sign']
    """
    arrays = [np.asarray(value) for value in inputs]
    labels = list(names) if names is not None else [f"input {k}" for k in range(len(arrays))]
    _expect_inputs(arrays, labels)
    try:
        return _check(Pair(forward, backward, arrays, labels), jvp, kinks, seed)
    except UseError as error:
        return GradientReport((Finding(error.cause, error.where, error.evidence),))


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
    pair: Pair,
    jvp: Callable[..., Array] | None,
    kinks: Callable[..., Sequence[ArrayLike | None]] | None,
    seed: int,
) -> GradientReport:
    rng = np.random.default_rng([seed, PRIVATE])
    dout = rng.standard_normal(pair.out.shape)
    findings = check_behaviour(pair, dout, rng)
    maps = _kink_maps(pair, kinks)
    studies = [Study(pair, which, dout, maps[which], rng) for which in range(len(pair.given))]
    comparisons = [c for study in studies for c in study.comparisons]
    for study in studies:
        findings += study.findings
    comparisons += _jacobians(pair, studies)
    if all(f.cause in ("input-mutated", "stale-cache", "not-repeatable") for f in findings):
        for which, study in enumerate(studies):
            own = [c for c in comparisons if c.what == pair.names[which] and not c.ok]
            if own:
                findings += diagnose(
                    pair, which, study.suspects().tolist(), study.kinked_input, rng
                )
    try:
        dot = _dot_test(pair, jvp, dout, studies, rng)
    except UseError as error:  # what was found of the gradients stands
        dot = None
        findings.append(Finding(error.cause, error.where, error.evidence))
    if dot is not None:
        comparisons.append(dot)
        if not dot.ok and jvp is not None and not findings:
            evidence = (
                f"<dout, jvp(v)> = {dot.numeric:.6g}, <backward(dout), v> = {dot.analytic:.6g}"
            )
            findings.append(Finding("jvp", "jvp", evidence))
    causes = [finding.cause for finding in findings]
    # One mistake often shows in several gradients: of two as certain, the one that shows in more.
    worst = next((c for c in comparisons if not c.ok), None)
    if worst is not None and not findings:
        findings.append(Finding("unexplained", f"{worst.what}, {worst.witness}", str(worst), 0.3))
    findings.sort(key=lambda finding: (-finding.confidence, -causes.count(finding.cause)))
    notes = tuple(note for study in studies for note in study.notes)
    return GradientReport(
        tuple(findings), tuple(comparisons), tuple(study.result for study in studies), notes
    )


def _kink_maps(
    pair: Pair, kinks: Callable[..., Sequence[ArrayLike | None]] | None
) -> list[Array | None]:
    if kinks is None:
        return [None] * len(pair.inputs)
    maps = [None if m is None else np.asarray(m) for m in kinks(*pair.inputs)]
    shapes = [None if m is None else m.shape for m in maps]
    expected = [a.shape for a in pair.inputs]
    if len(maps) != len(expected) or any(
        s is not None and s != e for s, e in zip(shapes, expected, strict=True)
    ):
        raise ValueError(f"kinks: expected shapes {expected}, got {shapes}")
    return maps


def _jacobians(pair: Pair, studies: Sequence[Study]) -> list[Comparison]:
    """Compare the Jacobian that backward stands for, row by row from unit upstream gradients."""
    wanted = [study for study in studies if study.whole]
    if not wanted or pair.out.size > MOST_ROWS:
        return []
    rows: list[list[Array]] = [[] for _ in wanted]
    for output in range(pair.out.size):
        unit = np.zeros(pair.out.shape)
        unit.flat[output] = 1
        gradients = pair.gradients(unit)
        for study, own in zip(wanted, rows, strict=True):
            own.append(gradients[study.which].ravel())
    comparisons = []
    for study, own in zip(wanted, rows, strict=True):
        J, c = np.array(own), study.columns
        below, above = c.below.copy(), c.above.copy()
        margin = study.tolerance("differences") * np.abs(c.value).max(initial=0)
        for column in np.flatnonzero(c.kinked.any(axis=0))[:MOST_PIECES]:
            # Where several kinks meet an output may change with others alone: ask all pieces.
            low, high = below[:, column] - margin, above[:, column] + margin
            if ((J[:, column] < low) | (J[:, column] > high)).any():
                below[:, column], above[:, column] = study.pieces(int(c.elements[column]))
        kinked = below < above
        nearest = np.clip(J, below, above)  # of what is allowed: the value, but on kinks
        shape = (*pair.out.shape, *study.array.shape)
        tolerance = study.tolerance(study.method if not c.kinked.any() else "differences")
        numeric = np.where(kinked, nearest, c.value).reshape(shape)
        J = J.reshape(shape)
        floor = study.floor
        comparisons.append(compare(study.name, "Jacobian", J, numeric, tolerance, floor=floor))
    return comparisons


def _dot_test(
    pair: Pair,
    jvp: Callable[..., Array] | None,
    dout: Array,
    studies: Sequence[Study],
    rng: np.random.Generator,
) -> Comparison | None:
    """Compare <dout, J v> with <J^T dout, v>, measured by the product of the norms."""
    dots = [rng.standard_normal(array.shape) for array in pair.inputs]
    if jvp is not None:
        _, cache = pair.run(pair.given)
        own = [dot.astype(pair.given[0].dtype) for dot in dots]
        out_dot = np.asarray(call("jvp", jvp, *own, cache))
        if out_dot.shape != dout.shape:
            raise UseError("shape", "jvp", f"expected shape {dout.shape}, got {out_dot.shape}")
    elif all(pair.analytic) and not any(study.kinked_input for study in studies):
        tangents = [pair.tangent(which, dot) for which, dot in enumerate(dots)]
        out_dot = np.sum(tangents, axis=0).reshape(dout.shape)
    else:
        return None
    numeric = float(np.vdot(dout, out_dot))
    pairs = zip(studies, dots, strict=True)
    analytic = float(sum(np.vdot(study.gradient, dot) for study, dot in pairs))
    scale = float(np.linalg.norm(dout) * np.linalg.norm(out_dot)) or 1.0
    return Comparison(
        "all",
        "dot test",
        abs(analytic - numeric) / scale,
        DOT_TOLERANCES[pair.single],
        (),
        analytic,
        numeric,
    )
