"""Check a backward against its forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stnref.gradcheck.numeric import (
    COMPLEX_STEP,
    Branch,
    Forward,
    central_jacobian,
    complex_step_jacobian,
)
from stnref.gradcheck.report import Comparison, GradientReport, compare
from stnref.validation import Array

COMPLEX_TOLERANCE = 1e-10
LINEAR_TOLERANCE = 1e-10
CURVED_TOLERANCE = 1e-7
DOT_TOLERANCE = 1e-12

LINEAR_STEP = 0.25
CURVED_STEP = 6e-6  # eps^(1/3)

SMALL = 100_000
"""Entries up to which the full Jacobian of backward is compared too."""


def check_gradients(
    forward: Forward,
    backward: Callable[..., Any],
    inputs: Sequence[ArrayLike],
    *,
    jvp: Callable[..., Array] | None = None,
    names: Sequence[str] | None = None,
    analytic: bool = True,
    linear: bool = False,
    branch: Branch | None = None,
    seed: int = 0,
) -> GradientReport:
    """Check the gradients of a pair by numerical derivatives and by the dot test.

    Parameters
    ----------
    forward : callable
        ``out, cache = forward(*inputs)``.
    backward : callable
        ``gradients = backward(dout, cache)``: one for each input, a single one bare.
    inputs : sequence of array_like
        They become float64. Options and inputs without a gradient are to be bound beforehand.
    jvp : callable, optional
        ``out_dot = jvp(*input_dots, cache)``. Without it the complex step supplies J v.
    names : sequence of str, optional
        Names of the inputs in the report.
    analytic : bool
        Whether `forward` takes complex inputs and is analytic near these: then the complex
        step is a witness.
    linear : bool
        Whether `forward` is linear in each single element as long as it stays on its branch:
        then central differences take a large step and are held to a tight tolerance.
    branch : callable, optional
        Which branch a piecewise function took, see `central_jacobian`.
    seed : int
        Seed of the upstream gradient and the tangents, which are normal.

    Returns
    -------
    GradientReport

    Raises
    ------
    ValueError
        An input lies on a kink, or backward gives another number of gradients than there
        are inputs, or one of another shape.

    Examples
    --------
    >>> from stnref.nn import tanh_backward, tanh_forward
    >>> check_gradients(tanh_forward, tanh_backward, [np.array([0.5, -1.0])]).ok
    True
    """
    arrays = [np.array(value, dtype=float) for value in inputs]
    labels = list(names) if names else [f"input {k}" for k in range(len(arrays))]
    rng = np.random.default_rng(seed)
    out, cache = forward(*arrays)
    dout = rng.standard_normal(np.shape(out))
    gradients = _gradients(backward, dout, cache, arrays, labels)

    comparisons: list[Comparison] = []
    for which, (name, gradient) in enumerate(zip(labels, gradients, strict=True)):
        numeric = {}
        if analytic:
            numeric["complex step"] = complex_step_jacobian(forward, arrays, which)
        step = LINEAR_STEP if linear else CURVED_STEP
        numeric["central differences"] = central_jacobian(
            forward, arrays, which, step=step, branch=branch
        )
        for witness, J in numeric.items():
            expected = (dout.ravel() @ J).reshape(gradient.shape)
            comparisons.append(
                compare(name, witness, gradient, expected, _tolerance(witness, linear))
            )
        witness, J = next(iter(numeric.items()))
        if J.size <= SMALL:
            comparisons.append(
                compare(
                    name,
                    "Jacobian",
                    _jacobian_of(backward, cache, np.shape(out), arrays, which),
                    J.reshape(*np.shape(out), *gradient.shape),
                    _tolerance(witness, linear),
                )
            )
    if jvp is not None or analytic:
        comparisons.append(_dot_test(forward, jvp, arrays, cache, dout, gradients, rng))
    return GradientReport(tuple(comparisons))


def _tolerance(witness: str, linear: bool) -> float:
    if witness == "complex step":
        return COMPLEX_TOLERANCE
    return LINEAR_TOLERANCE if linear else CURVED_TOLERANCE


def _gradients(
    backward: Callable[..., Any],
    dout: Array,
    cache: Any,
    arrays: Sequence[Array],
    labels: Sequence[str],
) -> tuple[Array, ...]:
    """Run backward; one gradient for each input, each of its input's shape."""
    result = backward(dout, cache)
    gradients = result if isinstance(result, tuple) else (result,)
    if len(gradients) != len(arrays):
        raise ValueError(f"backward: expected {len(arrays)} gradients, got {len(gradients)}")
    for name, array, gradient in zip(labels, arrays, gradients, strict=True):
        if np.shape(gradient) != array.shape:
            raise ValueError(
                f"gradient of {name}: expected shape {array.shape}, got {np.shape(gradient)}"
            )
    return gradients


def _jacobian_of(
    backward: Callable[..., Any],
    cache: Any,
    out_shape: tuple[int, ...],
    arrays: Sequence[Array],
    which: int,
) -> Array:
    """Return the Jacobian that backward stands for, row by row from unit upstream gradients."""
    J = np.empty((*out_shape, *arrays[which].shape))
    for index in np.ndindex(out_shape):
        unit = np.zeros(out_shape)
        unit[index] = 1
        result = backward(unit, cache)
        J[index] = result[which] if isinstance(result, tuple) else result
    return J


def _dot_test(
    forward: Forward,
    jvp: Callable[..., Array] | None,
    arrays: Sequence[Array],
    cache: Any,
    dout: Array,
    gradients: Sequence[Array],
    rng: np.random.Generator,
) -> Comparison:
    """Compare <dout, J v> with <J^T dout, v>, measured by the product of the norms."""
    dots = [rng.standard_normal(array.shape) for array in arrays]
    if jvp is not None:
        out_dot = jvp(*dots, cache)
    else:
        h = COMPLEX_STEP
        shifted = [array + 1j * h * dot for array, dot in zip(arrays, dots, strict=True)]
        out_dot = np.imag(forward(*shifted)[0]) / h
    numeric = float(np.vdot(dout, out_dot))
    analytic = float(sum(np.vdot(g, dot) for g, dot in zip(gradients, dots, strict=True)))
    scale = np.linalg.norm(dout) * np.linalg.norm(out_dot)
    return Comparison(
        "all",
        "dot test",
        float(abs(analytic - numeric) / scale),
        DOT_TOLERANCE,
        (),
        analytic,
        numeric,
    )
