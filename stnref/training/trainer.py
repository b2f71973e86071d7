"""The training loop for long runs: one step after another until it is done, killed or diverged.

It is the loop of `stnref.training.tiny`: forward, loss, backward, step. Around these lines stands
what a long run needs: fresh distortions, any optimizer and schedule, progress that a checkpoint
holds, and an error with a name where numbers cease to be finite.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnref.data.distortions import Distorted
from stnref.nn import (
    Optimizer,
    Params,
    Sequential,
    clip_gradient_norm,
    group_rates,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from stnref.nn.schedules import Schedule
from stnref.nn.sequential import under
from stnref.training.checkpoint import Progress
from stnref.validation import Array, NonFiniteError

Distort = Callable[[Array, np.random.Generator], Distorted]


class DivergenceError(ArithmeticError):
    """The loss, a gradient or a parameter is not finite any more."""


class DataSet(NamedTuple):
    """Pictures (N, H, W, C), their labels (N,), and the angle (N,) of each as it was drawn."""

    images: Array
    labels: NDArray[np.intp]
    angle: NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    epochs, batch : int
        Passes over the training set, and pictures in a batch.
    optimizer : Optimizer
    rate : float
        Peak learning rate.
    schedule : callable
        Factor on the rate, see `stnref.nn.schedules`.
    multipliers : mapping of str to float
        Factor on the rate of the parameters whose name has that prefix.
    clip : float
        Largest norm of the gradient.
    """

    epochs: int
    batch: int
    optimizer: Optimizer
    rate: float
    schedule: Schedule
    multipliers: Mapping[str, float]
    clip: float


class Step(NamedTuple):
    """One step of training as it is reported: the loss and the error so far in the epoch."""

    epoch: int
    batch: int
    batches: int
    loss: float
    error: float
    rate: float


def train_epoch(
    network: Sequential, data: DataSet, distort: Distort, recipe: Recipe, progress: Progress
) -> Iterator[Step]:
    """Train to the end of the epoch that is under way, or through the next; yield each step.

    Parameters
    ----------
    network : Sequential
    data : DataSet
    distort : callable
        ``images, rng -> Distorted``; it is asked anew for each batch.
    recipe : Recipe
    progress : Progress
        It is brought up to date before each step is yielded, so it can be saved there.

    Returns
    -------
    iterator of Step

    Raises
    ------
    DivergenceError
        The loss, a gradient or a parameter of the step is not finite. `progress` still is as
        it was before the step.
    """
    batches = -(-len(data.labels) // recipe.batch)
    if progress.batch == 0:
        progress.order = progress.rng.permutation(len(data.labels))
    while progress.batch < batches:
        start = time.perf_counter()
        epoch, batch = progress.epoch, progress.batch
        chosen = progress.order[batch * recipe.batch : (batch + 1) * recipe.batch]
        done = (epoch * batches + batch) / (recipe.epochs * batches)
        rate = recipe.rate * recipe.schedule(done)
        images = distort(data.images[chosen], progress.rng).images
        loss, wrong = _step(network, images, data.labels[chosen], recipe, rate, progress)
        progress.batch += 1
        progress.loss_sum += loss * len(chosen)
        progress.wrong += wrong
        progress.seconds += time.perf_counter() - start
        seen = min(progress.batch * recipe.batch, len(data.labels))
        yield Step(epoch, batch, batches, progress.loss_sum / seen, progress.wrong / seen, rate)


def _step(
    network: Sequential,
    images: Array,
    labels: NDArray[np.intp],
    recipe: Recipe,
    rate: float,
    progress: Progress,
) -> tuple[float, int]:
    """Take one step on one batch; return its loss and number of errors."""
    params = progress.params
    where = f"epoch {progress.epoch + 1}, batch {progress.batch + 1}, rate {rate:.2g}"
    with np.errstate(all="ignore"):  # what comes out is checked
        logits, cache, loss, loss_cache = _loss(network, images, labels, params, "the loss", where)
        dlogits = softmax_cross_entropy_backward(np.ones_like(loss), loss_cache)
        _, grads = network.backward(dlogits, cache, needs=("params",))
        grads, norm = clip_gradient_norm(grads, recipe.clip)
        if not np.isfinite(norm):
            raise _divergence("a gradient", where, _first_non_finite(grads))
        new_params, optimizer = recipe.optimizer.step(
            params, grads, progress.optimizer, group_rates(params, rate, recipe.multipliers)
        )
    broken = _first_non_finite(new_params)
    if broken:
        raise _divergence("a parameter", where, broken)
    progress.params, progress.optimizer = new_params, optimizer
    return float(loss), int((logits.argmax(axis=1) != labels).sum())


def _loss(
    network: Sequential,
    images: Array,
    labels: NDArray[np.intp],
    params: Params,
    what: str,
    where: str,
) -> tuple[Array, Any, Array, Any]:
    """Return logits and loss, each with its cache, if the loss is finite."""
    try:
        logits, cache = network.forward(images, params)
        loss, loss_cache = softmax_cross_entropy_forward(logits, labels)
    except NonFiniteError:
        loss = np.array(np.nan)
    if not np.isfinite(loss):
        raise _divergence(what, where, find_suspect(network, images, params))
    return logits, cache, loss, loss_cache


def _divergence(what: str, where: str, suspect: str) -> DivergenceError:
    return DivergenceError(
        f"{what}: expected finite values, got others at {where}; suspect: {suspect}. A smaller "
        "rate or a smaller clip may help."
    )


def _first_non_finite(arrays: Mapping[str, Array]) -> str:
    return next((name for name, value in arrays.items() if not np.isfinite(value).all()), "")


def find_suspect(network: Sequential, images: Array, params: Params) -> str:
    """Name the first layer whose output is not finite, or that refuses its input for that.

    Parameters
    ----------
    network : Sequential
    images : (B, H, W, C)
    params : mapping of str to array

    Returns
    -------
    str
        "layer", its name and what is wrong with it.
    """
    X: Any = images
    for name, layer in network.layers.items():
        try:
            X, _ = layer.forward(X, under(name, params))
        except NonFiniteError as error:
            return f"layer {name}, its sampling grid ({error})"
        if not np.isfinite(X).all():
            return f"layer {name}, its output"
    return f"the logits, the largest of them {np.abs(X).max():.3g}"


class Evaluation(NamedTuple):
    """The network's answers on a data set."""

    error: float
    loss: float
    wrong: NDArray[np.bool_]


def evaluate(network: Sequential, params: Params, data: DataSet, *, batch: int = 250) -> Evaluation:
    """Return the fraction of wrong answers and the mean loss on pictures taken as they are.

    Parameters
    ----------
    network : Sequential
    params : mapping of str to array
    data : DataSet
    batch : int
        Pictures that are looked at together.

    Returns
    -------
    Evaluation

    Raises
    ------
    DivergenceError
        The loss is not finite.
    """
    wrong, losses = [], []
    for start in range(0, len(data.labels), batch):
        images, labels = (values[start : start + batch] for values in data[:2])
        where = f"picture {start} on"
        with np.errstate(all="ignore"):  # what comes out is checked
            logits, _, loss, _ = _loss(network, images, labels, params, "the test loss", where)
        losses.append(float(loss) * len(labels))
        wrong.append(logits.argmax(axis=1) != labels)
    answers = np.concatenate(wrong)
    return Evaluation(float(answers.mean()), sum(losses) / len(answers), answers)
