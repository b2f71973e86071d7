"""Learning-rate schedules: the rate at each step of a run, as a factor of the peak rate.

A schedule is a function of the fraction of the run that is done, from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

from stnref.validation import expect_count, expect_number

Schedule = Callable[[float], float]


def constant(done: float) -> float:
    """Return 1: the rate stays.

    Parameters
    ----------
    done : float
        The fraction of the run that is done.

    Returns
    -------
    float
        Factor on the peak rate.

    Raises
    ------
    ValueError
        A number is not finite or out of range.

    Examples
    --------
    >>> constant(0.5)
    1.0
    """
    expect_number("done", done)
    return 1.0


def step_decay(done: float, *, stages: int = 3, factor: float = 0.1) -> float:
    """Multiply by `factor` at the start of every stage but the first: the paper's recipe.

    Parameters
    ----------
    done : float
        The fraction of the run that is done.
    stages : int
    factor : float

    Returns
    -------
    float
        Factor on the peak rate.

    Raises
    ------
    ValueError
        A number is not finite or out of range.

    Examples
    --------
    >>> [round(step_decay(t), 3) for t in (0, 0.3, 0.4, 0.9)]
    [1.0, 1.0, 0.1, 0.01]
    """
    done, factor = expect_number("done", done), expect_number("factor", factor, least=0)
    stages = expect_count("stages", stages)
    return float(factor ** min(int(done * stages), stages - 1))


def cosine(done: float) -> float:
    """Fall from 1 to 0 along half a cosine.

    Parameters
    ----------
    done : float
        The fraction of the run that is done.

    Returns
    -------
    float
        Factor on the peak rate.

    Raises
    ------
    ValueError
        A number is not finite or out of range.

    Examples
    --------
    >>> [round(cosine(t), 3) for t in (0, 0.5, 1)]
    [1.0, 0.5, 0.0]
    """
    return (1 + cos(pi * expect_number("done", done))) / 2


def one_cycle(
    done: float, *, warm_up: float = 0.3, start: float = 0.04, end: float = 4e-6
) -> float:
    """Rise from `start` to 1 in the part `warm_up` of the run, then fall to `end`; cosines both.

    Smith and Topin 2019; the constants are those of PyTorch's OneCycleLR.

    Parameters
    ----------
    done : float
        The fraction of the run that is done.
    warm_up : float
        The fraction of the run in which the rate rises.
    start, end : float
        First and last factor.

    Returns
    -------
    float
        Factor on the peak rate.

    Raises
    ------
    ValueError
        A number is not finite or out of range.

    Examples
    --------
    >>> [round(one_cycle(t), 3) for t in (0, 0.15, 0.3, 0.65, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    done, start, end = (
        expect_number(name, value)
        for name, value in (("done", done), ("start", start), ("end", end))
    )
    warm_up = expect_number("warm_up", warm_up, least=0, below=1)
    if done < warm_up:
        return start + (1 - start) * (1 - cosine(done / warm_up))
    return end + (1 - end) * cosine((done - warm_up) / (1 - warm_up))


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "step": step_decay,
    "cosine": cosine,
    "one-cycle": one_cycle,
}
"""Schedules by name."""
