"""Finding the few elements that matter among many, by halving."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stnref.gradcheck.problem import Indices


def find_by_halving(
    parts: Sequence[Indices],
    holds: Callable[[Indices], bool],
    *,
    budget: int,
    enough: int | None = None,
) -> tuple[Indices, bool]:
    """Find the single elements of which something holds, asking for many at once.

    Parameters
    ----------
    parts : sequence of int arrays
        Where to look; the last is looked at first.
    holds : callable
        ``holds(part)``: whether it holds of any element of a part.
    budget : int
        How often that may be asked.
    enough : int, optional
        How many elements are wanted; without it all.

    Returns
    -------
    found : (n,) int
    complete : bool
        Whether there are no others: neither the budget ran out nor were there enough.

    Examples
    --------
    >>> found, complete = find_by_halving([np.arange(1000)], lambda p: 7 in p, budget=30)
    >>> found.tolist(), complete
    ([7], True)
    """
    waiting = [part for part in parts if len(part)]
    found: list[int] = []
    while waiting and budget > 0 and (enough is None or len(found) < enough):
        part = waiting.pop()
        budget -= 1
        if not holds(part):
            continue
        if len(part) == 1:
            found.append(int(part[0]))
        else:
            waiting += np.array_split(part, 2)
    return np.array(found, dtype=np.intp), not waiting
