"""Pieces of work on several threads: the same pieces in the same order, so the same bits.

NumPy and SciPy let other threads run while they compute. How work is divided into pieces does not
depend on how many threads there are, and what comes of them is taken in the order of the pieces.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np

from stnref.validation import expect_count

T = TypeVar("T")
R = TypeVar("R")

LEAST = 16
"""Fewer pieces are not worth the hand-over from thread to thread."""

VARIABLE = "STNREF_NUM_THREADS"
"""The variable of the environment that says how many threads there are to be."""

_chosen: list[int] = []  # by set_num_threads; else the environment says, or the machine


def set_num_threads(n: int) -> None:
    """Choose on how many threads large samplings run. The results do not depend on it.

    Unless this is called they run on as many as the environment's variable STNREF_NUM_THREADS
    says, and without it on as many as there are processors for this process. The products of
    matrices in a network run on the threads of NumPy's BLAS, which has settings of its own.

    Parameters
    ----------
    n : int

    Raises
    ------
    ValueError
        It is not positive.

    Examples
    --------
    >>> set_num_threads(1)
    """
    _chosen[:] = [expect_count("n", n)]


def get_num_threads() -> int:
    """Return on how many threads large samplings run.

    Returns
    -------
    n : int

    Raises
    ------
    ValueError
        The environment's variable STNREF_NUM_THREADS is no positive whole number.

    Examples
    --------
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    """
    return _chosen[0] if _chosen else _by_default()


@cache
def _by_default() -> int:
    said = os.environ.get(VARIABLE, "")
    if not said:
        known = hasattr(os, "sched_getaffinity")
        return len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    if not said.isdecimal() or int(said) < 1:
        raise ValueError(f"{VARIABLE}: expected a positive whole number, got {said!r}")
    return int(said)


@cache
def _pool(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, thread_name_prefix="stnref")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of the threads


def in_turn(function: Callable[[T], R], pieces: Sequence[T]) -> Iterator[R]:
    """Yield what the function makes of each piece, in their order.

    Parameters
    ----------
    function : callable
        Of a piece; it is called on several threads at a time.
    pieces : sequence

    Yields
    ------
    results
        At most two for each thread are held.

    Notes
    -----
    Nothing is checked here.

    Examples
    --------
    >>> list(in_turn(lambda n: n * n, [1, 2, 3]))
    [1, 4, 9]
    """
    n = get_num_threads()
    if n == 1 or len(pieces) < LEAST:
        yield from map(function, pieces)
        return
    state = np.geterr()  # which each thread has for itself

    def run(piece: T) -> R:
        with np.errstate(**state):
            return function(piece)

    waiting: deque[Future[R]] = deque()
    try:
        for piece in pieces:
            waiting.append(_pool(n).submit(run, piece))
            if len(waiting) == 2 * n:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # after an error nothing goes on behind the caller's back
        for future in waiting:
            future.cancel() or future.exception()


def for_each(function: Callable[[T], None], pieces: Sequence[T]) -> None:
    """Call the function with each piece, on several threads at a time.

    Parameters
    ----------
    function : callable
        Of a piece.
    pieces : sequence

    Notes
    -----
    Nothing is checked here.

    Examples
    --------
    >>> for_each(print, [1])
    1
    """
    for _ in in_turn(function, pieces):
        pass
