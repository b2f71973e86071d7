"""The checker itself: it finds planted mistakes, stays off kinks, and refuses bad use."""

import numpy as np
import pytest

from stnref import check_gradients, nn, sample_backward, sample_forward
from stnref.gradcheck import central_jacobian
from stnref.gradcheck.operations import all_operations

X = np.random.default_rng(0).standard_normal((3, 4))


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
        result = operation.backward(dout, cache)
        gradients = result if isinstance(result, tuple) else (result,)
        last = gradients[-1]
        change = {
            "sign": -last,
            "scale": last * (1 + 1e-5),
            "transposed": np.flip(last),
            "nan": last * np.nan,
        }
        return (*gradients[:-1], change[wrong])

    report = check_gradients(
        operation.forward,
        spoilt,
        list(operation.inputs.values()),
        jvp=operation.jvp,
        linear=operation.linear,
        branch=operation.branch,
    )
    last = f"input {len(operation.inputs) - 1}"
    failed = {(c.what, c.witness) for c in report.comparisons if not c.ok}
    witnesses = ("complex step", "central differences", "Jacobian")
    assert failed == {("all", "dot test"), *((last, witness) for witness in witnesses)}


def test_a_wrong_jvp_is_found_by_the_dot_test() -> None:
    operation = all_operations()["rigid_matrix"]
    report = check_gradients(
        operation.forward,
        operation.backward,
        list(operation.inputs.values()),
        jvp=lambda params_dot, cache: 2 * operation.jvp(params_dot, cache),
    )
    assert [c.witness for c in report.comparisons if not c.ok] == ["dot test"]


def test_a_sample_on_the_lattice_is_refused_by_name() -> None:
    U = np.random.default_rng(1).standard_normal((1, 3, 4, 1))
    points = np.array([0.5, 2.0]).reshape(1, 1, 1, 2)
    with pytest.raises(ValueError, match=r"input 1: expected a point off the kinks, got a kink"):
        check_gradients(
            sample_forward,
            sample_backward,
            [U, points],
            branch=lambda cache: np.stack(cache.indices),
        )


def test_the_step_shrinks_until_it_crosses_no_kink() -> None:
    def relu(x):  # type: ignore[no-untyped-def]
        return np.where(x > 0, x, 0), x > 0

    x = np.array([1e-3, -1e-3, 5.0])
    crossing = central_jacobian(relu, [x], 0, step=0.25)
    staying = central_jacobian(relu, [x], 0, step=0.25, branch=lambda cache: cache)
    assert abs(crossing[0, 0] - 1) > 0.1
    np.testing.assert_allclose(staying, np.diag([1.0, 0, 1]), atol=1e-12)


def test_a_missing_gradient_is_refused() -> None:
    with pytest.raises(ValueError, match="backward: expected 3 gradients, got 2"):
        check_gradients(
            nn.linear_forward,
            lambda dY, cache: nn.linear_backward(dY, cache)[:2],
            [X, np.ones((4, 2)), np.ones(2)],
        )


def test_a_gradient_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gradient of X: expected shape \(3, 4\), got \(4, 3\)"):
        check_gradients(
            nn.tanh_forward, lambda dY, cache: nn.tanh_backward(dY, cache).T, [X], names=["X"]
        )


def test_a_function_without_complex_path_has_central_differences_alone() -> None:
    def absolute(x):  # type: ignore[no-untyped-def]
        return np.abs(x), np.sign(x)

    report = check_gradients(
        absolute,
        lambda dY, sign: dY * sign,
        [X],
        analytic=False,
        linear=True,
        branch=lambda sign: sign,
    )
    assert report.ok
    assert {c.witness for c in report.comparisons} == {"central differences", "Jacobian"}


def test_the_inputs_are_left_as_they_are() -> None:
    frozen = X.copy()
    frozen.flags.writeable = False
    assert check_gradients(nn.tanh_forward, nn.tanh_backward, [frozen]).ok
    np.testing.assert_array_equal(frozen, X)
