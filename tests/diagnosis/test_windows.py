"""Windows: which elements each row of a Jacobian reads."""

import numpy as np
import pytest

from stnref.diagnosis.windows import moving_axes, pools_of, windows_of
from tests.diagnosis.made_up import right

ROWS = {
    "windows of two": ("12.. .34. ..56", [0]),
    "cut at the border": ("1... 23.. ..45 ...6", [0]),
    "cut inside": ("123. .4.. .567", []),
    "one element each": ("1... .1.. ..1.", []),
    "nothing": (".... ....", []),
    "all of it": ("1234 5678 9876", []),
}


@pytest.mark.parametrize(("rows", "axes"), ROWS.values(), ids=ROWS)
def test_windows_move_and_are_cut_at_the_border(rows: str, axes: list[int]) -> None:
    J = np.array([[float(c.replace(".", "0")) for c in row] for row in rows.split()])
    assert moving_axes(J, (4,)) == axes


@pytest.mark.parametrize("base", ["sample U", "strided X"])
def test_taps_make_up_the_jacobian(base: str) -> None:
    e = right(base)
    w, U = windows_of(e.N, e.shape), e.problem.inputs[e.which]
    taps = w.of(e.N)
    np.testing.assert_array_equal(w.jacobian(taps, len(e.k)), e.N)
    V = np.nansum(taps.reshape(len(e.o), -1) * w.read(U), axis=1)
    np.testing.assert_allclose(V, e.N @ U.ravel(), atol=1e-12)


def test_a_pool_reads_one_element_of_its_window() -> None:
    w = pools_of(np.eye(6)[[1, 2, 5]], (6,), (3,))
    assert (w.axes, w.columns.tolist()) == ([0], [[0, 1], [2, 3], [4, 5]])
