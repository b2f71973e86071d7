"""Right values in the wrong places."""

from collections.abc import Callable

import numpy as np
import pytest

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects import moved
from tests.diagnosis.made_up import Array, Case, each, exchanged, in_windows, right


def _rolled(step: int, *axes: int) -> Callable[[Array], Array]:
    return lambda d: np.roll(d, step, axes)


def _flipped(taps: Array) -> Array:
    return np.flip(taps, (2, 3))


def _into_first(dU: Array) -> Array:
    return np.stack([dU.sum(axis=0), 0 * dU[0]])


def _by_columns(dW: Array) -> Array:
    return dW.reshape(-1, 2, 3).swapaxes(1, 2)


def _not_transposed(e: Evidence) -> Array:
    return e.N.reshape(5, 5, 5, 5).swapaxes(1, 3)


def _next_output(e: Evidence) -> Array:
    return np.roll(e.N.reshape(*e.out_shape, -1), 1, axis=2)


def _without_stride(e: Evidence) -> Array:
    unstrided = right(f"convolution {e.problem.names[e.which]}")
    return unstrided.N.reshape(2, 5, 7, 4, -1)[:, :3, :4]


turned = each(lambda d: d[::-1, ::-1])
yx = each(lambda d: d[..., ::-1])
CASES = [
    Case(moved.gradient_of_another_input, "square X", lambda e: e.J[1], "wrong-place", "of W"),
    Case(moved.coordinates_exchanged, "sample points", yx, "xy-swapped", "x holds 1 times dy"),
    Case(moved.axes_transposed, "square W", each(np.transpose), "transpose", "(1, 0)"),
    Case(moved.axes_transposed, "sample U", each(lambda d: d.swapaxes(1, 2)), "hw-swapped"),
    Case(moved.rows_and_columns_exchanged, "sample U", each(exchanged), "hw-swapped", "(m, n)"),
    Case(moved.two_components_exchanged, "sample points", yx, "xy-swapped", "along axis 3"),
    Case(moved.two_components_exchanged, "dense W", each(_rolled(3, 1)), "xy-swapped", "halves"),
    Case(moved.axis_reversed, "strided W", turned, "wrong-place", "half a turn"),
    Case(moved.axis_reversed, "dense X", each(_rolled(1, 0)), "wrong-place", "by one sample"),
    Case(moved.all_into_one_sample, "sample U", each(_into_first), "wrong-place", "sample 0"),
    Case(moved.matrix_flattened_by_columns, "dense W", each(_by_columns), "transpose"),
    Case(moved.matrix_not_transposed, "square X", _not_transposed, "transpose"),
    Case(moved.elements_a_step_away, "strided X", each(_rolled(1, 1)), "off-by-one", "-1 along"),
    Case(moved.elements_a_step_away, "strided X", each(_rolled(2, 1, 2)), "off-by-one", "[1, 2]"),
    Case(moved.outputs_a_step_away, "strided W", _next_output, "off-by-one", "axis 2"),
    Case(moved.stride_ignored, "strided X", _without_stride, "off-by-one", "of 2 i, 2 j"),
    Case(moved.stride_ignored, "strided W", _without_stride, "off-by-one", "i/2, j/2"),
    Case(moved.moved_within_the_window, "strided X", in_windows(_flipped), "wrong-place"),
    Case(moved.moved_within_the_window, "strided X", in_windows(_rolled(1, 3)), "off-by-one"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_mistake_is_named(case: Case) -> None:
    assert case.named == case.cause
