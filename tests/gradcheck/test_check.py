"""The checker itself: its witnesses find planted mistakes, and it says when it cannot check."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stnref import nn
from stnref.gradcheck import Cause, Finding, GradientReport, assert_gradients, check_gradients

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
    assert worst.analytic == pytest.approx(2 * worst.numeric)
    assert "FAIL" in str(report)
    assert "[1, 2]" in str(report)


@pytest.mark.parametrize(
    "wrong", [lambda g: -g, lambda g: g * (1 + 1e-5), np.flip, lambda g: g * np.nan]
)
def test_each_witness_finds_a_wrong_gradient(wrong: Callable[..., Any]) -> None:
    def backward(dY: np.ndarray, cache: Any) -> list[np.ndarray]:
        dX, dW, db = nn.linear_backward(dY, cache)
        return [dX, wrong(dW), db]

    inputs = [X, X.T, np.ones(3)]
    report = check_gradients(nn.linear_forward, backward, inputs, names=["X", "W", "b"])
    failed = {(c.what, c.witness) for c in report.comparisons if not c.ok}
    own = {("W", witness) for witness in ("complex step", "differences", "Jacobian")}
    assert failed == {("all", "dot test")} | own
    assert [finding.where for finding in report.findings] == ["gradient of W"]


def test_a_wrong_gradient_is_explained_by_the_caller() -> None:
    asked = []

    def explain(problem, which, jacobians, on_kink, rng):  # type: ignore[no-untyped-def]
        asked.append((problem.names[which], on_kink, jacobians.A[which], jacobians.N[which]))
        return [
            Finding(Cause("mine", "my mistake", "Look.", "wrong gradient"), "here", "seen", 0.7)
        ]

    pair = nn.linear_forward, lambda dY, cache: (*nn.linear_backward(dY, cache)[:2], dY.sum(0) * 2)
    inputs = [X, np.ones((4, 2)), np.ones(2)]
    report = check_gradients(*pair, inputs, names=["X", "W", "b"], explain=explain)
    ((name, on_kink, A, N),) = asked
    assert (name, on_kink, report.findings[0].cause) == ("b", False, "mine")
    np.testing.assert_allclose(A, 2 * N.value, atol=1e-12)
    assert "error[mine]: my mistake  (70%)" in str(report)


def test_a_wrong_jvp_is_found_by_the_dot_test() -> None:
    report = check_gradients(
        nn.tanh_forward, nn.tanh_backward, [X], jvp=lambda dot, cache: 2 * dot * (1 - cache.Y**2)
    )
    assert [c.witness for c in report.comparisons if not c.ok] == ["dot test"]
    assert _causes(report) == ["jvp"]


@pytest.mark.parametrize(("jvp", "cause"), [(lambda dot, cache: dot[:1], "shape"), (len, "error")])
def test_a_jvp_that_cannot_be_used(jvp: Callable[..., Any], cause: str) -> None:
    assert _causes(check_gradients(nn.tanh_forward, nn.tanh_backward, [X], jvp=jvp)) == [cause]


def test_assert_gradients_raises_with_the_report() -> None:
    assert_gradients(nn.tanh_forward, nn.tanh_backward, [X])
    with pytest.raises(AssertionError, match=r"error\[unexplained\]: a wrong gradient"):
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float32_is_held_to_its_own_precision(dtype: type) -> None:
    x = X.astype(dtype)
    assert check_gradients(nn.tanh_forward, nn.tanh_backward, [x]).ok
    report = check_gradients(
        nn.tanh_forward, lambda dY, cache: 1.01 * nn.tanh_backward(dY, cache), [x]
    )
    assert not report.ok


def test_the_same_seed_gives_the_same_report_and_another_another() -> None:
    reports = [check_gradients(nn.tanh_forward, nn.tanh_backward, [X], seed=s) for s in (3, 3, 4)]
    first, second, third = (report.inputs[0].numeric for report in reports)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


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


def _raise(*arguments: Any) -> Any:
    raise KeyError("W")


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_code_that_raises(way: str) -> None:
    pair = {"forward": nn.tanh_forward, "backward": nn.tanh_backward, way: _raise}
    report = check_gradients(pair["forward"], pair["backward"], [X])
    said = _only(report, "error")
    assert said.startswith(f"{way}: raised KeyError: 'W' (test_check.py, line ")


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
