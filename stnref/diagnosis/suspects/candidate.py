"""What a suspect yields: a mistake, and the Jacobian that it would give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stnref.diagnosis.evidence import Evidence, Indices
from stnref.validation import Array

CERTAIN = 1.0
"""The mistake, made in N, says what every entry of A is."""
LIKELY = 0.95
"""It says which entries are wrong, and all others are right; how wrong they are is not said."""
POSSIBLE = 0.8
"""It says what most of the wrong entries have in common."""


class Candidate(NamedTuple):
    """A mistake that may have been made.

    Attributes
    ----------
    cause : str
        A key of `stnref.diagnosis.CAUSES`.
    evidence : str
        What is seen if it was.
    P : (n_out, n)
        What A would then be; NaN where it may be anything.
    where : str
        Which part of the gradient is wrong, "" for all of it.
    certainty : float
        How sure it is if P is A, before the entries are counted that say so.
    rounding : float
        By how much A may differ from P, in units of the largest entry.
    """

    cause: str
    evidence: str
    P: Array
    where: str = ""
    certainty: float = CERTAIN
    rounding: float = 0.0


Suspect = Callable[[Evidence], Iterator[Candidate]]

AXES = "xyz"
MOST = 3
"""Indices that an evidence names."""


def as_text(index: Sequence[int]) -> str:
    """Write an index as Python does.

    Parameters
    ----------
    index : sequence of int

    Returns
    -------
    str
    """
    return str([int(i) for i in index])


def places(at: Indices) -> str:
    """Write a few of some indices, with ... for a first axis along which they repeat.

    Parameters
    ----------
    at : (n, ndim)

    Returns
    -------
    str

    Examples
    --------
    >>> places(np.array([[0, 3], [1, 3]])), places(np.array([[5], [7]]))
    ('[..., 3]', '[5], [7]')
    """
    tails = np.unique(at[:, 1:], axis=0)
    if at.shape[1] > 1 and len(tails) < len(at):
        return ", ".join("[..., " + as_text(t)[1:] for t in tails[:MOST])
    return ", ".join(as_text(index) for index in at[:MOST])
