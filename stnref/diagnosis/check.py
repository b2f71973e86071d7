"""Measure, then name: the gradient check with the diagnosis at its end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from numpy.typing import ArrayLike

from stnref import gradcheck
from stnref.diagnosis.explain import explain
from stnref.gradcheck import GradientReport
from stnref.gradcheck.problem import Function


def check_gradients(
    forward: Function, backward: Function, inputs: Sequence[ArrayLike], **options: Any
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
    **options
        ``jvp``, ``names``, ``kinks``, ``seed``: see `stnref.gradcheck.check_gradients`, which
        measures.

    Returns
    -------
    GradientReport
        A finding names the mistake by its cause, one of `stnref.diagnosis.CAUSES`.

    Raises
    ------
    ValueError
        As `stnref.gradcheck.check_gradients`.

    Examples
    --------
    >>> import numpy as np
    >>> from stnref.nn import tanh_backward, tanh_forward
    >>> X = np.array([[0.5, -1.0], [0.25, 2.0]])
    >>> check_gradients(tanh_forward, tanh_backward, [X]).ok
    True
    >>> report = check_gradients(tanh_forward, lambda dY, cache: -tanh_backward(dY, cache), [X])
    >>> [finding.cause for finding in report.findings]
    ['sign']
    """
    return gradcheck.check_gradients(
        forward, backward, inputs, explain=partial(explain, shrunk=[]), **options
    )


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
        There is a finding, or a comparison is beyond its tolerance; the text names the mistake.
    ValueError
        See `check_gradients`.

    Examples
    --------
    >>> import numpy as np
    >>> assert_gradients(lambda x: (x**2, x), lambda dy, x: 2 * x * dy, [np.array([3.0])])
    """
    gradcheck.assert_gradients(
        forward, backward, inputs, explain=partial(explain, shrunk=[]), **options
    )
