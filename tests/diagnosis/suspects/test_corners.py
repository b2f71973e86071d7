"""The taps of a window.

"+- ½0" are factors of its corners: upper left and right, lower left and right.
"""

from typing import Any

import numpy as np
import pytest

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects import corners
from tests.diagnosis import made_up
from tests.diagnosis.made_up import Array, Case, Mistake, U, Weights


def _factors(factors: str, weights: Weights) -> Weights:
    r = [[{"+": 1, "-": -1, "½": 0.5, "0": 0}[s] for s in row] for row in factors.split()]
    return lambda fx, fy: np.array(weights(fx, fy)) * np.reshape(r, (2, 2, 1, 1, 1))


def _map(factors: str, weights: Weights = made_up.bilinear) -> Mistake:
    return lambda e: made_up.by_map(_factors(factors, weights))


def _x(factors: str, slopes: Weights = made_up.slope_x) -> Mistake:
    return lambda e: made_up.by_points(x=_factors(factors, slopes))


def _upside_down(fx: Array, fy: Array) -> Any:
    return made_up.bilinear(fx, 1 - fy)


def _turned(fx: Array, fy: Array) -> Any:
    return made_up.bilinear(fy, fx)


def _by_fx(fx: Array, fy: Array) -> Any:
    return made_up.slope_x(fx, fx)


def _pushed_left(fx: Array, fy: Array) -> Any:
    return [[(1 - fy) * (1 - fx), (1 - fy) * fx], [fy, 0 * fy]]


def _exchanged(e: Evidence) -> Array:
    return made_up.by_points(read=made_up.exchanged(U))


by_its_own = corners.slope_weighed_by_its_own_fraction
CASES = [
    Case(corners.corner_missing, "sample U", _map("++ +0"), "corner-missing", "lower right"),
    Case(corners.corner_missing, "sample U", _map("++ 00"), "corner-missing", "lower left and"),
    Case(corners.corner_missing, "sample points", _x("0+ ++"), "corner-missing", "left of dx"),
    Case(corners.corner_missing, "splat image", lambda e: _map("0+ ++")(e).T, "corner-missing"),
    Case(corners.corner_missing, "sample U", _map("++ +-"), ""),
    Case(corners.corner_sign, "sample U", _map("+- ++"), "sign", "upper right"),
    Case(corners.corner_sign, "sample points", _x("+- -+"), "sign", "lower left of dx"),
    Case(corners.sides_exchanged, "sample U", _map("++ ++", _upside_down), "corners-swapped"),
    Case(corners.corners_permuted, "sample U", _map("++ ++", _turned), "corners-swapped"),
    Case(corners.corner_at_another, "sample U", _map("++ ++", _pushed_left), "off-by-one"),
    Case(corners.corner_factor, "sample U", _map("++ ½+"), "constant-factor", "lower left"),
    Case(by_its_own, "sample points", _x("++ ++", _by_fx), "xy-swapped", "by fx, not by fy"),
    Case(corners.slope_of_the_transposed_map, "sample points", _exchanged, "hw-swapped"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_mistake_is_named(case: Case) -> None:
    assert case.named == case.cause
