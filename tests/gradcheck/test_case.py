"""One input of a check: its bounds on kinks, and how far the check of a large one reaches."""

import numpy as np

from stnref import nn
from stnref.gradcheck import check_gradients
from stnref.gradcheck.case import contracted


def test_bounds_change_places_where_the_upstream_gradient_is_negative() -> None:
    below, above = np.array([[0.0, 1.0], [2.0, 2.0]]), np.array([[1.0, 1.0], [2.0, 5.0]])
    low, high = contracted(below, above, np.array([3.0, -1.0]))
    assert (low.tolist(), high.tolist()) == ([-2, -2], [1, 1])


def test_a_large_input_is_compared_along_random_directions() -> None:
    large = np.random.default_rng(0).standard_normal((50, 60))
    report = check_gradients(nn.tanh_forward, nn.tanh_backward, [large], names=["X"])
    assert report.ok
    assert (report.inputs[0].asked, report.inputs[0].directions) == (0, 3)
    assert any(note.startswith("X: ") and "random directions" in note for note in report.notes)

    def one_wrong(dY, cache):  # type: ignore[no-untyped-def]
        dX = nn.tanh_backward(dY, cache)
        dX[31, 17] *= -1
        return dX

    assert not check_gradients(nn.tanh_forward, one_wrong, [large]).ok
