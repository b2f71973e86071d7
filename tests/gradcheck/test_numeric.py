"""Slopes along a line: how exact, where they end, and what they say on a kink."""

from collections.abc import Callable

import numpy as np
import pytest

from stnref.gradcheck.limits import ENOUGH, LADDER
from stnref.gradcheck.numeric import Slopes, complex_step, slopes_along


def _recorded(line: Callable[[float], np.ndarray]) -> tuple[Callable[[float], np.ndarray], list]:
    steps: list[float] = []

    def recording(t: float) -> np.ndarray:
        steps.append(abs(t))
        return line(t)

    return recording, steps


# --------------------------------------------------------------------------------- smooth


@pytest.mark.parametrize("x", [-2.0, 0.0, 0.3, 5.0])
@pytest.mark.parametrize(
    ("f", "derivative"),
    [
        (np.exp, np.exp),
        (np.sin, np.cos),
        (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
        (lambda x: x**3, lambda x: 3 * x**2),
        (lambda x: 1 / (9 + x), lambda x: -1 / (9 + x) ** 2),
    ],
    ids=["exp", "sin", "tanh", "cube", "inverse"],
)
def test_a_smooth_function(f: Callable, derivative: Callable, x: float) -> None:
    s = slopes_along(lambda t: np.array([f(x + t)]), size=abs(x))
    assert not s.kinked[0]
    scale = max(abs(derivative(x)), 1e-3)
    assert abs(s.value[0] - derivative(x)) <= 1e-9 * scale
    assert s.below[0] == s.above[0] == s.value[0]


@pytest.mark.parametrize("f", [np.exp, np.sin, lambda x: x**2])
def test_the_estimated_error_is_no_less_than_the_error(f: Callable) -> None:
    exact = {np.exp: np.exp, np.sin: np.cos}.get(f, lambda x: 2 * x)
    for x in np.linspace(-3, 3, 25):
        s = slopes_along(lambda t, x=x: np.array([f(x + t)]), size=3)
        assert abs(s.value[0] - exact(x)) <= 3 * s.error[0]


def test_a_linear_function_and_a_constant_are_exact() -> None:
    s = slopes_along(lambda t: np.array([3 * t + 1, 7.0]))
    np.testing.assert_allclose(s.value, [3, 0], atol=1e-13)
    assert not s.kinked.any()


def test_the_outputs_have_any_shape_and_are_flattened() -> None:
    s = slopes_along(lambda t: np.sin(t) * np.arange(6.0).reshape(2, 3))
    np.testing.assert_allclose(s.value, np.arange(6), atol=1e-9)
    assert all(part.shape == (6,) for part in s)
    assert isinstance(s, Slopes)


def test_each_output_has_its_own_step() -> None:
    s = slopes_along(lambda t: np.array([np.sin(t), np.sin(1000 * t), abs(t - 1e-4)]))
    np.testing.assert_allclose(s.value, [1, 1000, -1], rtol=1e-7)


def test_one_output_of_many_is_as_exact_as_alone() -> None:
    """A kink of one output shall not spoil the slope of another."""
    alone = slopes_along(lambda t: np.array([np.exp(t)]))
    beside = slopes_along(lambda t: np.array([np.exp(t), abs(t), abs(t - 1e-3)]))
    assert abs(beside.value[0] - 1) < 1e-9
    assert abs(alone.value[0] - 1) < 1e-9


# ---------------------------------------------------------------------------------- kinks


def test_on_a_kink_the_slopes_to_both_sides() -> None:
    s = slopes_along(lambda t: np.array([abs(t)]))
    assert s.kinked[0]
    assert (s.below[0], s.value[0], s.above[0]) == (-1, 0, 1)


def test_on_a_kink_between_curves() -> None:
    s = slopes_along(lambda t: np.array([np.exp(t) if t > 0 else 1 + np.sin(3 * t)]))
    assert s.kinked[0]
    assert s.below[0] == pytest.approx(1, abs=1e-6)  # the lesser, which is that to the right
    assert s.above[0] == pytest.approx(3, abs=1e-6)


@pytest.mark.parametrize("at", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("side", [-1, 1])
def test_near_a_kink_the_slope_is_exact(at: float, side: int) -> None:
    s = slopes_along(lambda t: np.array([abs(t - side * at)]))
    assert not s.kinked[0]
    assert s.value[0] == pytest.approx(-side, abs=1e-9)


@pytest.mark.parametrize("at", [0.0, 1e-12, 1e-9])
def test_a_kink_nearer_than_the_last_step_counts_as_here(at: float) -> None:
    s = slopes_along(lambda t: np.array([abs(t - at)]))
    assert s.kinked[0]
    np.testing.assert_allclose([s.below[0], s.above[0]], [-1, 1], atol=0.02)


def test_a_small_kink_on_a_steep_slope() -> None:
    s = slopes_along(lambda t: np.array([5 * t + 1e-3 * abs(t)]))
    assert s.kinked[0]
    np.testing.assert_allclose([s.below[0], s.above[0]], [5 - 1e-3, 5 + 1e-3], atol=1e-8)


def test_curvature_is_no_kink() -> None:
    """The slopes to both sides of t² differ by twice the step, which shrinks; those of |t| stay."""
    s = slopes_along(lambda t: np.array([1e4 * t**2, np.cosh(20 * t), t * abs(t)]))
    assert not s.kinked.any()
    np.testing.assert_allclose(s.value, 0, atol=1e-5)


# ------------------------------------------------------------------------------ a kink map


@pytest.mark.parametrize("unit", [2.0**-20, 2.0**20])
def test_steps_are_in_units_of_the_input(unit: float) -> None:
    line, steps = _recorded(lambda t: np.array([np.sin(t / unit), abs(t)]))
    s = slopes_along(line, unit=unit, size=unit)
    assert max(steps) == unit / 8
    assert s.value[0] == pytest.approx(1 / unit, rel=1e-9)
    assert s.kinked.tolist() == [False, True]


def test_no_step_is_longer_than_the_longest() -> None:
    line, steps = _recorded(lambda t: np.array([np.exp(t)]))
    s = slopes_along(line, longest=1e-2)
    assert max(steps) <= 1e-2
    assert s.value[0] == pytest.approx(1, abs=1e-9)


def test_enough_steps_are_left_however_short_the_longest_is() -> None:
    line, steps = _recorded(lambda t: np.array([t]))
    slopes_along(line, longest=1e-12)
    assert len(set(steps) - {0.0}) == ENOUGH
    assert max(steps) == LADDER[-ENOUGH]


def test_a_known_distance_helps_across_a_narrow_step() -> None:
    """Flat to both sides of a narrow ramp, coarse steps agree on a wrong slope."""

    def ramp(t: float) -> np.ndarray:
        return np.array([np.clip(t, -1e-4, 1e-4)])

    assert slopes_along(ramp, longest=1e-4).value[0] == pytest.approx(1, abs=1e-9)
    assert slopes_along(ramp).value[0] == pytest.approx(1, abs=1e-9)


# --------------------------------------------------------------------- what has no derivative


@pytest.mark.parametrize("at", [0.0, 1e-9])
def test_a_jump_does_not_pass_for_a_slope(at: float) -> None:
    s = slopes_along(lambda t: np.array([np.sin(t) + (t > at)]))
    assert s.error[0] > 0.5 * np.abs([s.value[0], s.below[0], s.above[0]]).max()


def test_a_jump_further_away_is_stepped_around() -> None:
    s = slopes_along(lambda t: np.array([np.sin(t) + (t > 1e-3)]))
    assert s.value[0] == pytest.approx(1, abs=1e-8)


# ------------------------------------------------------------------------------ precision


@pytest.mark.parametrize("f", [np.exp, np.sin])
def test_float32(f: Callable) -> None:
    eps = float(np.finfo(np.float32).eps)
    exact = {np.exp: np.exp(0.7), np.sin: np.cos(0.7)}[f]

    def line(t: float) -> np.ndarray:
        return f(np.array([0.7 + t], dtype=np.float32))

    s = slopes_along(line, precision=eps, size=0.7)
    assert not s.kinked[0]
    assert abs(s.value[0] - exact) < 2e-4
    assert abs(s.value[0] - exact) <= 2 * s.error[0]


def test_float32_on_a_kink() -> None:
    eps = float(np.finfo(np.float32).eps)
    s = slopes_along(lambda t: np.abs(np.array([t], dtype=np.float32)), precision=eps)
    assert s.kinked[0]
    np.testing.assert_allclose([s.below[0], s.above[0]], [-1, 1], atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_round_off_is_no_kink(seed: int) -> None:
    """Large numbers that cancel leave noise, which the outputs' size announces."""
    rng = np.random.default_rng(seed)
    offset = 1e6 * rng.standard_normal(50)
    s = slopes_along(lambda t: offset + np.sin(t), size=1)
    assert not s.kinked.any()
    assert (np.abs(s.value - 1) <= 3 * s.error).all()


# --------------------------------------------------------------------------- complex step


def test_the_complex_step_is_exact() -> None:
    x = np.array([0.3, -2.0, 4.0])
    v = np.array([1.0, 0.5, -2.0])
    tangent = complex_step(lambda x: (np.exp(x) * x[::-1], None), [x], 0, v)
    np.testing.assert_allclose(tangent, np.exp(x) * v * x[::-1] + np.exp(x) * v[::-1], rtol=1e-14)


def test_the_complex_step_moves_one_input_alone() -> None:
    x, y = np.array([2.0]), np.array([3.0])
    tangents = [complex_step(lambda x, y: (x * y**2, None), [x, y], k, np.ones(1)) for k in (0, 1)]
    np.testing.assert_allclose(np.ravel(tangents), [9, 12], rtol=1e-14)
