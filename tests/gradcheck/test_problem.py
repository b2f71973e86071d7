"""A problem: its dtypes, its copies, and other problems made of it."""

import numpy as np
import pytest

from stnref.gradcheck import Problem, UseError

X = np.array([[1.0, 2.0, 3.0]])


def test_float32_is_differentiated_in_float64_if_forward_takes_that() -> None:
    for forward, dtype in ((np.sin, np.float64), (lambda x: np.sin(np.float32(x)), np.float32)):
        problem = Problem(lambda x, f=forward: (f(x), x), None, [np.float32(X)], ["x"])
        assert (problem.single, problem.inputs[0].dtype) == (True, np.float32)
        assert problem.point[0].dtype == problem.out_at_point.dtype == dtype
        assert problem.precision == np.finfo(dtype).eps


def test_other_inputs_of_another_shape() -> None:
    problem = Problem(lambda x: (x**2, x), lambda d, x: 2 * d * x, [X], ["x"])
    problem = problem.knowing(analytic=[True])
    other = problem.with_inputs([X[:, :2]])
    assert (other.out.tolist(), other.analytic) == ([[1, 4]], [True])
    assert problem.at(0, 2 * X).out.tolist() == [[4, 16, 36]]
    assert problem.out.tolist() == [[1, 4, 9]]
    np.testing.assert_allclose(other.tangent(0, other.unit(0, 1)), [0, 4])


@pytest.mark.parametrize(("repeatable", "runs"), [(True, 1), (False, 4)])
def test_one_cache_serves_all_if_backward_is_repeatable(repeatable: bool, runs: int) -> None:
    calls = []
    problem = Problem(lambda x: (calls.append(0) or x, x), lambda d, x: d, [X], ["x"])
    calls.clear()
    rows = list(problem.knowing(repeatable=repeatable).all_gradients(np.eye(3)[:, None]))
    assert len(calls) == runs
    np.testing.assert_array_equal(np.ravel(rows), np.eye(3).ravel())


def test_near_the_end_of_the_domain_steps_are_short() -> None:
    problem = Problem(lambda x: (np.log(x), x), None, [np.array([1e-4])], ["x"])
    assert problem.slopes(0, np.ones(1)).value[0] == pytest.approx(1e4, rel=1e-6)
    end = Problem(lambda x: (np.sqrt(x), x), None, [np.zeros(1)], ["x"])
    with pytest.raises(UseError, match="near the end of where it is defined"):
        end.slopes(0, np.ones(1))
