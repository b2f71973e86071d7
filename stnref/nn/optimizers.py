"""SGD and Adam as functions: parameters and state in, new ones out, nothing overwritten.

An optimizer is a frozen record of its constants. ``state = optimizer.init(params)``, then
``params, state = optimizer.step(params, grads, state, rate)``. The state is a dict of
arrays, so a checkpoint can hold it. `rate` is a number, or one for each parameter, see
`group_rates`. Weight decay adds ``weight_decay * param`` to the gradient (the derivative of
an L2 penalty).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stnref.nn.layer import Params
from stnref.validation import Array, expect_array, expect_arrays, expect_flag, expect_number

Rate = float | Mapping[str, float]
State = Mapping[str, Array]


class Optimizer(Protocol):
    """The form of `SGD` and `Adam`; one of your own will do for `stnref.training.Recipe`.

    Examples
    --------
    >>> optimizer: Optimizer = SGD()
    >>> params = {"w": np.array([1.0])}
    >>> params, state = optimizer.step(params, params, optimizer.init(params), 0.25)
    >>> params["w"].tolist()
    [0.75]
    """

    def init(self, params: Params) -> State:
        """Return the state before the first step.

        Parameters
        ----------
        params : mapping of str to array

        Returns
        -------
        state : dict of str to array
        """

    def step(self, params: Params, grads: Params, state: State, rate: Rate) -> tuple[Params, State]:
        """Return the parameters and the state after one step, in new arrays.

        Parameters
        ----------
        params : mapping of str to array
        grads : mapping of str to array
            Gradients with the keys and the shapes of `params`.
        state : mapping of str to array
            From `init` or the step before.
        rate : float or mapping of str to float
            The rate, or that of each parameter by name.

        Returns
        -------
        params : dict of str to array
            In the dtypes that came.
        state : dict of str to array

        Raises
        ------
        ValueError
            The gradients have other keys or shapes than the parameters.
        """


def _rate_of(rate: Rate, name: str) -> float:
    return rate[name] if isinstance(rate, Mapping) else rate


def _decayed(params: Params, grads: Params, weight_decay: float) -> dict[str, Array]:
    params, grads = expect_arrays("params", params), expect_arrays("grads", grads)
    if set(params) != set(grads):
        raise ValueError(f"grads: expected the keys {sorted(params)}, got {sorted(grads)}")
    for name in params:
        expect_array(f"grads[{name!r}]", grads[name], params[name].shape)
    return {name: grads[name] + weight_decay * params[name] for name in params}


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: v <- momentum v + g, param <- param - rate v.

    With Nesterov's momentum the step is ``g + momentum v`` instead of v.

    Examples
    --------
    >>> sgd = SGD(momentum=0.9)
    >>> params = {"w": np.array([1.0])}
    >>> params, state = sgd.step(params, {"w": np.array([2.0])}, sgd.init(params), 0.25)
    >>> params["w"].tolist(), state["velocity.w"].tolist()
    ([0.5], [2.0])
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        expect_number("momentum", self.momentum, least=0, below=1)
        expect_flag("nesterov", self.nesterov)
        expect_number("weight_decay", self.weight_decay, least=0)

    def init(self, params: Params) -> State:
        """Return velocities of zero."""
        return {f"velocity.{name}": np.zeros_like(p) for name, p in params.items()}

    def step(
        self, params: Params, grads: Params, state: State, rate: Rate
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the parameters and the state after one step."""
        new_params, new_state = {}, {}
        for name, g in _decayed(params, grads, self.weight_decay).items():
            v = self.momentum * state[f"velocity.{name}"] + g
            step = g + self.momentum * v if self.nesterov else v
            new_params[name] = params[name] - _rate_of(rate, name) * step
            new_state[f"velocity.{name}"] = v
        return new_params, new_state


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015): the step is the mean of g over the root of its mean square.

    Both means are exponential with `beta1`, `beta2`, and corrected for their start at zero.

    Examples
    --------
    >>> adam = Adam()
    >>> params = {"w": np.array([1.0])}
    >>> params, state = adam.step(params, {"w": np.array([2.0])}, adam.init(params), 0.25)
    >>> params["w"].round(6).tolist(), state["steps"].item()
    ([0.75], 1)
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        expect_number("beta1", self.beta1, least=0, below=1)
        expect_number("beta2", self.beta2, least=0, below=1)
        expect_number("epsilon", self.epsilon, above=0)
        expect_number("weight_decay", self.weight_decay, least=0)

    def init(self, params: Params) -> State:
        """Return means of zero."""
        state: dict[str, Array] = {"steps": np.zeros((), dtype=np.int64)}
        for name, p in params.items():
            state[f"mean.{name}"] = np.zeros_like(p)
            state[f"square.{name}"] = np.zeros_like(p)
        return state

    def step(
        self, params: Params, grads: Params, state: State, rate: Rate
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the parameters and the state after one step."""
        steps = state["steps"] + 1
        correction1, correction2 = (1 - beta ** int(steps) for beta in (self.beta1, self.beta2))
        new_params: dict[str, Array] = {}
        new_state: dict[str, Array] = {"steps": np.asarray(steps)}
        for name, g in _decayed(params, grads, self.weight_decay).items():
            mean = self.beta1 * state[f"mean.{name}"] + (1 - self.beta1) * g
            square = self.beta2 * state[f"square.{name}"] + (1 - self.beta2) * g**2
            step = (mean / correction1) / (np.sqrt(square / correction2) + self.epsilon)
            new_params[name] = params[name] - _rate_of(rate, name) * step
            new_state[f"mean.{name}"], new_state[f"square.{name}"] = mean, square
        return new_params, new_state


def group_rates(params: Params, rate: float, multipliers: Mapping[str, float]) -> dict[str, float]:
    """Return the rate of each parameter: `rate` times that of its group.

    Parameters
    ----------
    params : mapping of str to array
    rate : float
    multipliers : mapping of str to float
        Prefix of parameter names -> factor; the longest prefix that fits counts, and 1
        where none does.

    Returns
    -------
    dict of str to float

    Raises
    ------
    TypeError, ValueError
        A prefix fits no parameter, a factor is no number, or there is no mapping.

    Examples
    --------
    >>> group_rates({"st.fc.W": 0, "conv.W": 0}, 0.5, {"st.": 0.1})
    {'st.fc.W': 0.05, 'conv.W': 0.5}
    """
    rate = expect_number("rate", rate)
    for name, value in (("params", params), ("multipliers", multipliers)):
        if not isinstance(value, Mapping):
            raise TypeError(f"{name}: expected a mapping from names, got {type(value).__name__}")
    for prefix in multipliers:
        expect_number(f"multipliers[{prefix!r}]", multipliers[prefix])
        if not any(name.startswith(prefix) for name in params):
            raise ValueError(f"multipliers: expected prefixes of {list(params)}, got {prefix!r}")
    rates = {}
    for name in params:
        fitting = [prefix for prefix in multipliers if name.startswith(prefix)]
        rates[name] = rate * (multipliers[max(fitting, key=len)] if fitting else 1)
    return rates


def gradient_norm(grads: Params) -> float:
    """Return the Euclidean norm of all gradients together.

    Parameters
    ----------
    grads : mapping of str to array

    Returns
    -------
    float

    Raises
    ------
    TypeError
        It is no mapping of arrays.

    Examples
    --------
    >>> gradient_norm({"a": np.array([3.0]), "b": np.array([4.0])})
    5.0
    """
    grads = expect_arrays("grads", grads)
    return float(np.sqrt(sum(float(np.vdot(g, g).real) for g in grads.values())))


def clip_gradient_norm(grads: Params, limit: float) -> tuple[dict[str, Array], float]:
    """Scale all gradients by one factor so that their common norm is at most `limit`.

    Parameters
    ----------
    grads : mapping of str to array
    limit : float
        Above 0; infinity clips nothing.

    Returns
    -------
    grads : dict of str to array
    norm : float
        The norm before.

    Raises
    ------
    TypeError, ValueError
        The limit is not above 0, or the gradients are no mapping of arrays.

    Examples
    --------
    >>> clip_gradient_norm({"a": np.array([3.0]), "b": np.array([4.0])}, 1.0)
    ({'a': array([0.6]), 'b': array([0.8])}, 5.0)
    """
    if limit != np.inf:
        expect_number("limit", limit, above=0)
    grads = expect_arrays("grads", grads)
    norm = gradient_norm(grads)
    factor = limit / norm if norm > limit else 1.0
    return {name: g * factor for name, g in grads.items()}, norm
