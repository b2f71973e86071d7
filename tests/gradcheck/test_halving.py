"""Halving: few questions find few elements."""

import numpy as np
import pytest

from stnref.gradcheck import find_by_halving


@pytest.mark.parametrize(
    ("budget", "enough", "count", "complete"),
    [(100, None, 3, True), (100, 1, 1, False), (5, None, 0, False)],
)
def test_single_elements(budget: int, enough: int | None, count: int, complete: bool) -> None:
    wanted, parts = [3, 400, 401], [np.arange(1000)]
    found, all_of_them = find_by_halving(
        parts, lambda part: bool(np.isin(part, wanted).any()), budget=budget, enough=enough
    )
    assert (len(found), all_of_them) == (count, complete)
    assert set(found) <= set(wanted)
