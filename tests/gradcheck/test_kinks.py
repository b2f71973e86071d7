"""On kinks: what lies between the slopes to both sides is right, and nothing else."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from stnref import (
    grid_sample_backward,
    grid_sample_forward,
    kink_report,
    nn,
    sample_backward,
    sample_forward,
    target_grid,
)
from stnref.gradcheck import check_gradients


def _with_slope_at_zero(slope: float) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return nn.relu_forward, lambda dY, cache: dY * np.where(cache.X == 0, slope, cache.X > 0)


@pytest.mark.parametrize(
    ("slope", "right"), [(0, True), (0.5, True), (1, True), (-0.5, False), (1.5, False)]
)
def test_on_a_kink_any_slope_between_both_sides_is_right(slope: float, right: bool) -> None:
    x = np.array([[0.0, 0.3], [-0.4, 0.0]])
    report = check_gradients(*_with_slope_at_zero(slope), [x], names=["X"])
    assert report.ok == right, report
    assert [f.cause for f in report.findings] == ([] if right else ["kink"])
    assert "one-sided slopes" in [c.witness for c in report.comparisons]
    np.testing.assert_array_equal(report.inputs[0].kinked, x == 0)
    assert report.notes[0].startswith("X: 2 of 4 elements lie on a kink")


@pytest.mark.parametrize("slope", [0, 0.5, 1])
def test_on_a_kink_in_a_function_of_float32(slope: float) -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = x.astype(np.float32)  # whatever comes
        return np.maximum(x, 0), x

    def backward(dY: np.ndarray, x: np.ndarray) -> np.ndarray:
        return (dY * np.where(x == 0, slope, x > 0)).astype(np.float32)

    report = check_gradients(forward, backward, [np.array([0.0, 1.0, -2.0], np.float32)])
    assert report.ok, report
    np.testing.assert_array_equal(report.inputs[0].kinked, [True, False, False])


def test_the_relu_of_this_project_is_right_at_zero() -> None:
    report = check_gradients(nn.relu_forward, nn.relu_backward, [np.array([0.0, 1.0, -2.0])])
    assert report.ok, report


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("shape", [(4, 5), (7, 6)])
def test_the_identity_of_a_sampler_is_judged_by_its_one_sided_slopes(
    shape: tuple[int, int], align_corners: bool
) -> None:
    U = np.random.default_rng(1).standard_normal((2, *shape, 2))
    grid = np.stack([target_grid(shape, align_corners=align_corners)] * 2)
    forward = partial(grid_sample_forward, align_corners=align_corners)
    report = check_gradients(forward, grid_sample_backward, [U, grid], names=["U", "grid"])
    assert report.ok, report
    assert report.inputs[1].kinked.all()
    assert not report.inputs[0].kinked.any()


def test_a_wrong_rule_on_the_lattice_is_a_kink_and_off_it_is_right() -> None:
    U = np.random.default_rng(1).standard_normal((1, 3, 4, 1))
    points = np.array([[0.5, 1.4], [2.0, 0.3]]).reshape(1, 1, 2, 2)

    def forward(U: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, Any]:
        V, cache = sample_forward(U, points)
        return V, (cache, points)

    def five_times(dV: np.ndarray, both: Any) -> tuple[np.ndarray, np.ndarray]:
        cache, points = both
        dU, dpoints = sample_backward(dV, cache)
        return dU, np.where(points == points.round(), 5 * dpoints, dpoints)

    report = check_gradients(forward, five_times, [U, points], names=["U", "points"])
    assert [finding.cause for finding in report.findings] == ["kink"]
    assert "points" in report.findings[0].where


@pytest.mark.parametrize("copies", [1, 400])
def test_ties_of_a_maximum_may_be_given_to_either_but_not_to_both(copies: int) -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x.max(axis=1), x

    def backward(dY: np.ndarray, x: np.ndarray, *, share: Callable[..., Any]) -> np.ndarray:
        return dY[:, None] * share(x == x.max(axis=1, keepdims=True))

    x = np.tile([[1.0, 1.0, 0.0], [0.2, 0.5, -1.0]], (copies, 1))
    shares = {
        "first": lambda m: m & (m.cumsum(axis=1) == 1),
        "equal": lambda m: m / m.sum(axis=1, keepdims=True),
        "all of it to both": lambda m: m,
        "none": lambda m: m * (m.sum(axis=1, keepdims=True) == 1),
    }
    verdicts = {
        name: check_gradients(forward, partial(backward, share=share), [x]).ok
        for name, share in shares.items()
    }
    expected = {"first": True, "equal": True, "all of it to both": False, "none": False}
    assert verdicts == expected


@pytest.mark.parametrize("distance", [1e-2, 1e-3, 1e-5])
def test_close_to_a_kink_the_derivative_is_as_sharp_as_elsewhere(distance: float) -> None:
    def absolute(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.abs(x), np.sign(x)

    x = np.array([distance, -distance, 5.0])
    report = check_gradients(absolute, lambda dY, sign: dY * sign, [x])
    assert report.ok, report
    assert not report.inputs[0].kinked.any()
    wrong = check_gradients(absolute, lambda dY, sign: dY * sign * (1 + 1e-4), [x])
    assert not wrong.ok


def test_the_callers_kink_map_is_shown() -> None:
    U = np.random.default_rng(1).standard_normal((1, 3, 4, 1))
    points = np.array([[0.5, 1.4], [2.0, 0.3]]).reshape(1, 1, 2, 2)

    def kinks(U: np.ndarray, points: np.ndarray) -> list[np.ndarray | None]:
        return [None, kink_report(points, U.shape[1:3]).distance]

    report = check_gradients(sample_forward, sample_backward, [U, points], kinks=kinks)
    assert report.ok, report
    np.testing.assert_allclose(report.inputs[1].distance.ravel(), [0.5, 0.4, 0, 0.3], atol=1e-12)
    np.testing.assert_array_equal(report.inputs[1].kinked.ravel(), [False, False, True, False])


def test_a_kink_map_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="kink"):
        check_gradients(nn.relu_forward, nn.relu_backward, [np.eye(2)], kinks=lambda X: [X[0]])
