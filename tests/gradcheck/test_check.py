"""The checker itself: it finds planted mistakes, judges kinks, and says when it cannot check."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from stnref import (
    check_gradients,
    grid_sample_backward,
    grid_sample_forward,
    kink_report,
    nn,
    sample_backward,
    sample_forward,
    target_grid,
)
from stnref.checks.catalogue import all_operations
from stnref.gradcheck import GradientReport, assert_gradients

X = np.random.default_rng(0).standard_normal((3, 4))


def _causes(report: GradientReport) -> list[str]:
    return [finding.cause for finding in report.findings]


def _witnesses(report: GradientReport) -> set[str]:
    return {comparison.witness for comparison in report.comparisons}


def _absolute(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|x|, which is not analytic."""
    return np.abs(x), np.sign(x)


# ------------------------------------------------------------------------ planted mistakes


def test_a_factor_is_found_and_the_report_names_the_worst_element() -> None:
    def doubled_somewhere(dY, cache):  # type: ignore[no-untyped-def]
        dX = nn.tanh_backward(dY, cache)
        dX[1, 2] *= 2
        return dX

    report = check_gradients(nn.tanh_forward, doubled_somewhere, [X], names=["X"])
    assert not report.ok
    worst = report.comparisons[0]
    assert worst.index == (1, 2)
    assert worst.ratio == pytest.approx(2)
    assert "FAIL" in str(report)
    assert "[1, 2]" in str(report)


@pytest.mark.parametrize("name", ["sample, 2-D", "conv2d", "rigid_matrix", "softmax_cross_entropy"])
@pytest.mark.parametrize("wrong", ["sign", "scale", "transposed", "nan"])
def test_each_witness_finds_a_wrong_gradient(name: str, wrong: str) -> None:
    operation = all_operations()[name]

    def spoilt(dout, cache):  # type: ignore[no-untyped-def]
        result = operation.pair.backward(dout, cache)
        gradients = result if isinstance(result, tuple) else (result,)
        last = gradients[-1]
        change = {
            "sign": -last,
            "scale": last * (1 + 1e-5),
            "transposed": np.flip(last),
            "nan": last * np.nan,
        }
        return (*gradients[:-1], change[wrong])

    report = replace(operation, pair=operation.pair._replace(backward=spoilt)).check()
    last = list(operation.inputs)[-1]
    failed = {(c.what, c.witness) for c in report.comparisons if not c.ok}
    witnesses = ("complex step", "differences", "Jacobian")
    assert failed == {("all", "dot test"), *((last, witness) for witness in witnesses)}
    assert report.findings
    assert all(last in finding.where for finding in report.findings)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda g: -g, "sign"),
        (lambda g: 2.5 * g, "constant-factor"),
        (lambda g: g**2, "not-linear"),
    ],
)
def test_the_kind_of_mistake_is_named(change: Callable[[Any], Any], cause: str) -> None:
    report = check_gradients(
        nn.tanh_forward, lambda dY, cache: change(nn.tanh_backward(dY, cache)), [X], names=["X"]
    )
    assert _causes(report)[0] == cause
    assert "X" in report.findings[0].where
    assert f"error[{cause}]" in str(report)


def test_a_wrong_jvp_is_found_by_the_dot_test() -> None:
    operation = all_operations()["rigid_matrix"]
    report = check_gradients(
        operation.pair.forward,
        operation.pair.backward,
        list(operation.inputs.values()),
        jvp=lambda params_dot, cache: 2 * operation.pair.jvp(params_dot, cache),
    )
    assert [c.witness for c in report.comparisons if not c.ok] == ["dot test"]
    assert _causes(report) == ["jvp"]


def test_assert_gradients_raises_with_the_report() -> None:
    assert_gradients(nn.tanh_forward, nn.tanh_backward, [X])
    with pytest.raises(AssertionError, match=r"error\[sign\]: a sign is flipped"):
        assert_gradients(nn.tanh_forward, lambda dY, c: -nn.tanh_backward(dY, c), [X])


# ------------------------------------------------------------------------------ witnesses


def test_a_function_of_complex_numbers_has_all_witnesses_without_a_jvp() -> None:
    report = check_gradients(nn.tanh_forward, nn.tanh_backward, [X])
    assert report.ok
    assert _witnesses(report) == {"complex step", "differences", "Jacobian", "dot test"}
    assert report.inputs[0].method == "complex step"


def test_a_function_without_complex_path_has_differences_alone() -> None:
    report = check_gradients(_absolute, lambda dY, sign: dY * sign, [X])
    assert report.ok
    assert _witnesses(report) == {"differences", "random directions", "Jacobian"}
    assert report.inputs[0].method == "differences"


@pytest.mark.parametrize("way", ["real", "conjugate", "float"])
def test_a_complex_path_that_is_not_analytic_is_found_out(way: str) -> None:
    """It answers to complex numbers, with something else than a derivative."""

    def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y = {"real": np.real, "conjugate": np.conj, "float": lambda x: x.astype(float)}[way](x)
        return y**2, x

    report = check_gradients(forward, lambda dY, x: 2 * dY * x, [X])
    assert report.ok, report
    assert report.inputs[0].method == "differences"


def test_each_input_has_its_own_method() -> None:
    def forward(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, Any]:
        return x**2 * np.abs(y), (x, y)

    def backward(dout: np.ndarray, cache: Any) -> tuple[np.ndarray, np.ndarray]:
        x, y = cache
        return dout * 2 * x * np.abs(y), dout * x**2 * np.sign(y)

    report = check_gradients(forward, backward, [X, X[::-1]])
    assert report.ok, report
    assert [r.method for r in report.inputs] == ["complex step", "differences"]
    assert "dot test" not in _witnesses(report)


def test_the_jvp_is_compared_where_there_is_no_complex_path() -> None:
    report = check_gradients(
        _absolute, lambda dY, sign: dY * sign, [X], jvp=lambda x_dot, sign: x_dot * sign
    )
    assert report.ok
    assert "dot test" in _witnesses(report)


def test_a_large_input_is_compared_along_random_directions() -> None:
    large = np.random.default_rng(0).standard_normal((50, 60))
    report = check_gradients(nn.tanh_forward, nn.tanh_backward, [large], names=["X"])
    assert report.ok
    assert report.inputs[0].asked < large.size
    assert any(note.startswith("X: ") and "random directions" in note for note in report.notes)

    def one_wrong(dY, cache):  # type: ignore[no-untyped-def]
        dX = nn.tanh_backward(dY, cache)
        dX[31, 17] *= -1
        return dX

    assert not check_gradients(nn.tanh_forward, one_wrong, [large]).ok


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float32_is_held_to_its_own_precision(dtype: type) -> None:
    x = X.astype(dtype)
    assert check_gradients(nn.tanh_forward, nn.tanh_backward, [x]).ok
    report = check_gradients(
        nn.tanh_forward, lambda dY, cache: 1.01 * nn.tanh_backward(dY, cache), [x]
    )
    assert not report.ok


def test_float32_inside_a_function_of_float64_is_named() -> None:
    report = check_gradients(
        nn.tanh_forward, lambda dY, c: nn.tanh_backward(dY, c).astype(np.float32), [X]
    )
    assert "float32" in _causes(report)


def test_the_same_seed_gives_the_same_report_and_another_another() -> None:
    reports = [check_gradients(nn.tanh_forward, nn.tanh_backward, [X], seed=s) for s in (3, 3, 4)]
    first, second, third = (report.inputs[0].numeric for report in reports)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


# ---------------------------------------------------------------------------------- kinks


def _with_slope_at_zero(slope: float) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return nn.relu_forward, lambda dY, cache: dY * np.where(cache.X == 0, slope, cache.X > 0)


@pytest.mark.parametrize(
    ("slope", "right"), [(0, True), (0.5, True), (1, True), (-0.5, False), (1.5, False)]
)
def test_on_a_kink_any_slope_between_both_sides_is_right(slope: float, right: bool) -> None:
    x = np.array([[0.0, 0.3], [-0.4, 0.0]])
    report = check_gradients(*_with_slope_at_zero(slope), [x], names=["X"])
    assert report.ok == right, report
    assert _causes(report) == ([] if right else ["kink"])
    assert "one-sided slopes" in _witnesses(report)
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
    assert _causes(report) == ["kink"]
    assert "points" in report.findings[0].where


def test_ties_of_a_maximum_may_be_given_to_either_but_not_to_both() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x.max(axis=1), x

    def backward(dY: np.ndarray, x: np.ndarray, *, share: Callable[..., Any]) -> np.ndarray:
        return dY[:, None] * share(x == x.max(axis=1, keepdims=True))

    x = np.array([[1.0, 1.0, 0.0], [0.2, 0.5, -1.0]])
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
    x = np.array([distance, -distance, 5.0])
    report = check_gradients(_absolute, lambda dY, sign: dY * sign, [x])
    assert report.ok, report
    assert not report.inputs[0].kinked.any()
    wrong = check_gradients(_absolute, lambda dY, sign: dY * sign * (1 + 1e-4), [x])
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
        check_gradients(nn.relu_forward, nn.relu_backward, [X], kinks=lambda X: [X[0]])


# --------------------------------------------------------------------- no check is possible


def _only(report: GradientReport, cause: str) -> str:
    """Return the evidence of the only finding, which says that no check was possible."""
    (finding,) = report.findings
    assert (finding.cause, finding.is_use, report.ok) == (cause, True, False)
    assert str(report).startswith("FAIL\n\ncannot check[")
    return f"{finding.where}: {finding.evidence}"


def test_a_missing_gradient() -> None:
    report = check_gradients(
        nn.linear_forward,
        lambda dY, cache: nn.linear_backward(dY, cache)[:2],
        [X, np.ones((4, 2)), np.ones(2)],
    )
    assert _only(report, "shape") == "backward: expected 3 gradients, got 2"


def test_a_gradient_of_another_shape() -> None:
    report = check_gradients(
        nn.tanh_forward, lambda dY, cache: nn.tanh_backward(dY, cache).T, [X], names=["X"]
    )
    assert _only(report, "shape") == "gradient of X: expected shape (3, 4), got (4, 3)"


def test_a_forward_without_a_cache() -> None:
    report = check_gradients(np.tanh, lambda dY, cache: dY, [X])
    assert "expected a pair (out, cache), got ndarray" in _only(report, "shape")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_forward_that_is_not_finite(value: float) -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        y = 2 * x
        y[1, 2] = value
        return y, None

    report = check_gradients(forward, lambda dY, cache: 2 * dY, [X])
    assert f"out is {value} at index (1, 2)" in _only(report, "non-finite")


def test_a_random_forward() -> None:
    rng = np.random.default_rng(0)

    def dropout(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mask = rng.random(x.shape) < 0.5
        return x * mask, mask

    report = check_gradients(dropout, lambda dY, mask: dY * mask, [X])
    assert "calls with the same inputs differ" in _only(report, "random-forward")


def _raise(*arguments: Any) -> Any:
    raise KeyError("W")


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_code_that_raises(way: str) -> None:
    pair = {"forward": nn.tanh_forward, "backward": nn.tanh_backward, way: _raise}
    report = check_gradients(pair["forward"], pair["backward"], [X])
    said = _only(report, "error")
    assert said.startswith(f"{way}: raised KeyError: 'W' (test_check.py, line ")


# ------------------------------------------------------------------- how the two functions behave


def test_inputs_that_are_changed_are_named() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x *= 2
        return x + 0, x

    report = check_gradients(forward, lambda dY, cache: 2 * dY, [X], names=["X"])
    assert _causes(report)[0] == "input-mutated"
    assert report.findings[0].where == "forward changes X"


def test_an_upstream_gradient_that_is_changed_is_named() -> None:
    def backward(dY: np.ndarray, cache: Any) -> np.ndarray:
        dY *= 1 - cache.Y**2
        return dY

    report = check_gradients(nn.tanh_forward, backward, [X])
    assert _causes(report) == ["input-mutated"]
    assert report.findings[0].where == "backward changes dout"


def test_state_between_the_calls_is_named() -> None:
    last: dict[str, np.ndarray] = {}

    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        last["Y"] = np.tanh(x)
        return last["Y"], None

    report = check_gradients(forward, lambda dY, cache: dY * (1 - last["Y"] ** 2), [X])
    assert _causes(report) == ["stale-cache"]


def test_a_buffer_that_fills_is_named() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, Any]:
        return 2 * x, np.zeros_like(x)

    def backward(dY: np.ndarray, total: np.ndarray) -> np.ndarray:
        total += 2 * dY
        return total

    assert "not-repeatable" in _causes(check_gradients(forward, backward, [X]))


def test_an_upstream_gradient_that_is_ignored_is_named() -> None:
    report = check_gradients(nn.tanh_forward, lambda dY, cache: 1 - cache.Y**2, [X])
    assert "upstream-ignored" in _causes(report)


# -------------------------------------------------------------------------------- bad use


@pytest.mark.parametrize(
    ("inputs", "names", "message"),
    [
        ([], None, "inputs: expected at least one array, got none"),
        ([X], ["X", "W"], "names: expected 1, got 2"),
        ([np.full((2, 3), np.nan)], ["X"], "X: expected finite values"),
        ([X + 0j], ["X"], "X: expected at least one real number, got complex128"),
        ([np.zeros((0, 2))], ["X"], "X: expected at least one real number"),
    ],
)
def test_bad_use_is_refused(inputs: list[Any], names: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_gradients(nn.tanh_forward, nn.tanh_backward, inputs, names=names)


def test_the_inputs_are_left_as_they_are() -> None:
    frozen = X.copy()
    frozen.flags.writeable = False
    assert check_gradients(nn.tanh_forward, nn.tanh_backward, [frozen]).ok
    np.testing.assert_array_equal(frozen, X)
