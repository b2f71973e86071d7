"""Optimizers against their formulas, written out for a scalar."""

from collections.abc import Callable

import numpy as np
import pytest

from stnref import nn

GRADS = [2.0, -1.0, 0.5]


def _run(optimizer: nn.SGD | nn.Adam, rate: float = 0.1) -> list[float]:
    params = {"w": np.array([1.0])}
    state = optimizer.init(params)
    path = []
    for g in GRADS:
        params, state = optimizer.step(params, {"w": np.array([g])}, state, rate)
        path.append(params["w"].item())
    return path


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_sgd(nesterov: bool, decay: float) -> None:
    w, v, expected = 1.0, 0.0, []
    for g in GRADS:
        g = g + decay * w
        v = 0.9 * v + g
        w = w - 0.1 * (g + 0.9 * v if nesterov else v)
        expected.append(w)
    assert _run(nn.SGD(0.9, nesterov, decay)) == pytest.approx(expected, rel=1e-14)


def test_adam() -> None:
    w, m, s, expected = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADS, start=1):
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
        w = w - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)
        expected.append(w)
    assert _run(nn.Adam()) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("optimizer", [nn.SGD(0.9, True, 0.1), nn.Adam(weight_decay=0.1)])
def test_a_step_overwrites_nothing_and_keeps_float32(optimizer: nn.SGD | nn.Adam) -> None:
    params = {"w": np.ones(3, dtype=np.float32)}
    state, grads = optimizer.init(params), {"w": np.full(3, 2, dtype=np.float32)}
    for arrays in (params, state, grads):
        for array in arrays.values():
            array.flags.writeable = False
    new_params, new_state = optimizer.step(params, grads, state, 0.1)
    assert new_params["w"].dtype == np.float32
    assert all(new_state[name].dtype == state[name].dtype for name in state)


def test_every_parameter_has_the_rate_of_its_group() -> None:
    params = {"st.a.W": np.ones(1), "st.b.W": np.ones(1), "fc.W": np.ones(1)}
    rates = nn.group_rates(params, 0.5, {"st.": 0.1, "st.b.": 0.0})
    stepped, _ = nn.SGD().step(params, params, nn.SGD().init(params), rates)
    assert [stepped[name].item() for name in params] == [0.95, 1.0, 0.5]


def test_clipping_keeps_the_direction_and_leaves_small_gradients() -> None:
    grads = {"a": np.array([3.0, 0]), "b": np.array([[4.0]])}
    clipped, norm = nn.clip_gradient_norm(grads, 2.5)
    assert norm == 5
    np.testing.assert_allclose(clipped["a"], [1.5, 0])
    np.testing.assert_allclose(clipped["b"], [[2.0]])
    np.testing.assert_array_equal(nn.clip_gradient_norm(grads, 6.0)[0]["a"], grads["a"])


def test_gradients_of_other_parameters_are_refused() -> None:
    params = {"w": np.ones(1)}
    with pytest.raises(ValueError, match=r"grads: expected the keys \['w'\], got \['v'\]"):
        nn.SGD().step(params, {"v": np.ones(1)}, nn.SGD().init(params), 0.1)


def test_gradients_of_another_shape_are_refused() -> None:
    """They would broadcast, and the parameter would grow."""
    params = {"w": np.ones(3)}
    for optimizer in (nn.SGD(), nn.Adam()):
        message = r"grads\['w'\]: expected shape \(3,\), got \(2, 3\)"
        with pytest.raises(ValueError, match=message):
            optimizer.step(params, {"w": np.ones((2, 3))}, optimizer.init(params), 0.1)


@pytest.mark.parametrize("limit", [-1.0, 0.0, np.nan, -np.inf, "1"])
def test_a_limit_that_would_turn_the_gradient_round_or_never_clip(limit: float) -> None:
    with pytest.raises(ValueError, match="limit: expected a finite number above 0, got"):
        nn.clip_gradient_norm({"w": np.ones(1)}, limit)


def test_an_infinite_limit_clips_nothing() -> None:
    assert nn.clip_gradient_norm({"w": np.full(1, 1e30)}, np.inf)[0]["w"].item() == 1e30


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.SGD("x"),  # type: ignore[arg-type]
        lambda: nn.SGD(momentum=np.nan),
        lambda: nn.SGD(momentum=1.0),
        lambda: nn.SGD(weight_decay=-1.0),
        lambda: nn.Adam(beta1=-0.5),
        lambda: nn.Adam(epsilon=0),
    ],
)
def test_constants_out_of_bounds_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="expected a finite number"):
        make()


def test_a_group_that_is_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="multipliers: expected prefixes of"):
        nn.group_rates({"w": np.ones(1)}, 0.1, {"st.": 0.1})
