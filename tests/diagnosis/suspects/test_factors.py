"""Factors: of all of the gradient, or of its components."""

import pytest

from stnref.diagnosis.suspects import factors
from tests.diagnosis.made_up import Case, H, W, times

X, Y = (W - 1) / 2, (H - 1) / 2
CASES = [
    Case(factors.nothing_comes_back, "dense W", times(0), "no-gradient", "18 of 18 outputs"),
    Case(factors.component_forgotten, "sample points", times(1, 0), "path-missing", "y gets zero"),
    Case(factors.component_forgotten, "dense W", times(1, 1, 0), "path-missing", "[..., 2]"),
    Case(factors.component_forgotten, "sample points", times(0), ""),
    Case(factors.sign_flipped, "dense W", times(-1), "sign", "for all of it"),
    Case(factors.sign_flipped, "sample points", times(1, -1), "sign", "for y, else 1"),
    Case(factors.sign_flipped, "sample points", times(-2, 1), "sign", "a sign, and a factor"),
    Case(factors.factor_of_an_axis, "sample points", times(1 / X, 1 / Y), "pixel-factor"),
    Case(factors.factor_of_an_axis, "splat points", times(1 / X, 1 / Y), "pixel-factor"),
    Case(factors.factor_of_an_axis, "sample points", times(1, Y), "pixel-factor", "for y"),
    Case(factors.factor_of_an_axis, "sample points", times(1 - 1 / W, 1 - 1 / H), "corner-factor"),
    Case(factors.factor_of_an_axis, "sample points", times(Y / X, X / Y), "hw-swapped"),
    Case(factors.factor_of_an_axis, "sample points", times(1.7, 2.7), ""),
    Case(factors.factors_of_two_sizes, "dense W", times(0.4, 2.5), "hw-swapped"),
    Case(factors.factors_of_two_sizes, "dense W", times(5 / 4, 4 / 3), "corner-factor"),
    Case(factors.factors_of_two_sizes, "dense W", times(3.5, 2.5), "pixel-factor"),
    Case(factors.factors_of_two_sizes, "dense W", times(1.7, 2.3), ""),
    Case(factors.mean_over_batch, "dense b", times(1 / 3), "batch-mean", "1 / 3, the batch size"),
    Case(factors.mean_over_batch, "strided W", times(24), "batch-mean", "outputs, [2, 3, 4]"),
    Case(factors.mean_over_batch, "dense b", times(3.5), ""),
    Case(factors.mean_over_channels, "sample points", times(1 / 3), "channel-sum"),
    Case(factors.constant_factor, "dense b", times(2.5), "constant-factor", "2.5 for all of it"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_mistake_is_named(case: Case) -> None:
    assert case.named == case.cause
