"""The Taylor test: rate 2 for right gradients, 1 for wrong ones, whatever their size."""

import numpy as np
import pytest

from stnref import sample_backward, sample_forward, target_grid, unnormalize_forward
from stnref.gradcheck import TaylorTest, UseError, taylor_test
from stnref.validation import Array

_rng = np.random.default_rng(0)
U = _rng.normal(size=(2, 5, 6, 3))
POINTS = _rng.integers(0, 4, size=(2, 3, 4, 2)) + _rng.uniform(0.2, 0.8, size=(2, 3, 4, 2))


def _factors(size: float) -> tuple[Array, Array]:
    """Return X and W, whose product is of order one."""
    rng = np.random.default_rng(1)
    return size * rng.normal(size=(3, 4)), rng.normal(size=(4, 2)) / size


def _linear(X: Array, W: Array) -> tuple[Array, tuple[Array, Array]]:
    return X @ W, (X, W)


def _linear_backward(dY: Array, cache: tuple[Array, Array]) -> tuple[Array, Array]:
    X, W = cache
    return dY @ W.T, X.T @ dY


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_a_right_gradient_has_rate_2_at_any_size(dtype: str, size: float) -> None:
    X, W = _factors(size)
    test = taylor_test(_linear, _linear_backward, [X.astype(dtype), W.astype(dtype)])
    assert test.ok
    assert abs(test.rate - 2) < 0.1


@pytest.mark.parametrize("share", [1e-3, 0.5, 2])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_a_wrong_one_has_rate_1(share: float, size: float) -> None:
    def wrong(dY: Array, cache: tuple[Array, Array]) -> tuple[Array, Array]:
        dX, dW = _linear_backward(dY, cache)
        return dX, dW * (1 + share)

    test = taylor_test(_linear, wrong, _factors(size))
    assert not test.ok
    if share < 0.1:  # on its way: the term in h² is seen for long
        assert test.rate < 1.5
    else:
        assert abs(test.rate - 1) < 0.1


def test_a_remainder_that_passes_through_zero_ends_nothing() -> None:
    """With a wrong gradient the terms in h and in h² may cancel at one step."""
    steps = 2.0 ** -np.arange(2, 22)
    remainder = np.abs(steps - 64 * steps**2)  # zero at the fifth
    test = TaylorTest(steps, steps, remainder, 1e-13)
    assert remainder[4] == 0
    assert abs(test.rate - 1) < 0.01
    assert not test.ok


def test_of_the_sampler_it_passes_inside_cells_and_fails_on_kinks() -> None:
    assert taylor_test(sample_forward, sample_backward, [U, POINTS]).ok
    lattice, _ = unnormalize_forward(np.stack([target_grid((5, 6))] * 2), (5, 6))
    on_kinks = taylor_test(sample_forward, sample_backward, [U, lattice])
    assert abs(on_kinks.rate - 1) < 0.1


def test_linear_in_what_moves_there_is_no_remainder() -> None:
    def forward(X: Array) -> tuple[Array, None]:
        return 3 * X, None

    test = taylor_test(forward, lambda dY, cache: 3 * dY, [U])
    assert test.ok
    assert test.rate == np.inf
    assert (test.remainder < test.noise).all()
    assert not taylor_test(forward, lambda dY, cache: 3.001 * dY, [U]).ok


def test_the_change_is_of_first_order_and_the_text_says_the_verdict() -> None:
    test = taylor_test(sample_forward, sample_backward, [U, POINTS])
    change = test.change[10:15]
    np.testing.assert_allclose(change[:-1] / change[1:], 2, rtol=1e-2)
    assert str(test).startswith("Taylor test: passed, rate 2.0")
    wrong = taylor_test(
        sample_forward, lambda dV, c: [0.5 * g for g in sample_backward(dV, c)], [U, POINTS]
    )
    assert str(wrong).startswith("Taylor test: failed, rate 1.0")


def test_the_same_seed_draws_the_same() -> None:
    tests = [
        taylor_test(_linear, _linear_backward, [U[0, 0], U[0, 0].T], seed=s) for s in (1, 1, 2)
    ]
    np.testing.assert_array_equal(tests[0].remainder, tests[1].remainder)
    assert (tests[0].remainder != tests[2].remainder).any()


def test_what_cannot_be_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected at least one array"):
        taylor_test(_linear, _linear_backward, [])
    with pytest.raises(UseError, match="expected 2 gradients, got 1"):
        taylor_test(_linear, lambda dY, cache: dY, [U[0, 0], U[0, 0].T])
