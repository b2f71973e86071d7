"""The training loop, whole: forward, loss, backward, step.

`stnref.training.trainer` is this loop too. Around the same lines stands there what a long run
needs: other optimizers, schedules, reports, checkpoints, and a word where numbers cease to be
finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnref.nn import (
    Params,
    Sequential,
    clip_gradient_norm,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from stnref.validation import Array


class Epoch(NamedTuple):
    """The parameters after an epoch, the mean loss and the share of wrong answers in it."""

    params: Params
    loss: float
    error: float


def train(
    network: Sequential,
    params: Params,
    images: Array,
    labels: NDArray[np.intp],
    rng: np.random.Generator,
    *,
    rate: float,
    batch: int = 32,
    clip: float = 1.0,
) -> Iterator[Epoch]:
    """Train by stochastic gradient descent for as long as it is asked for epochs.

    Parameters
    ----------
    network : Sequential
    params : mapping of str to array
        Where to begin, from ``network.init(rng)``.
    images : (N, H, W, C)
    labels : (N,)
    rng : numpy.random.Generator
    rate : float
        A step is as long as the rate times the gradient.
    batch : int
        Pictures in a step.
    clip : float
        A gradient of a larger norm is shortened to it.

    Returns
    -------
    iterator of Epoch

    Examples
    --------
    >>> from stnref.nn import Flatten, Linear
    >>> rng = np.random.default_rng(0)
    >>> network = Sequential(flatten=Flatten(), classifier=Linear(4, 2))
    >>> images, labels = rng.standard_normal((64, 2, 2, 1)), rng.integers(0, 2, 64)
    >>> images[:, 0, 0, 0] += 4 * labels  # what there is to be found
    >>> epochs = train(network, network.init(rng), images, labels, rng, rate=0.5)
    >>> [round(next(epochs).error, 2) for _ in range(3)]
    [0.23, 0.14, 0.11]
    """
    while True:
        order, losses, wrong = rng.permutation(len(images)), [], 0
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            logits, cache = network.forward(images[chosen], params)
            loss, loss_cache = softmax_cross_entropy_forward(logits, labels[chosen])
            dlogits = softmax_cross_entropy_backward(np.ones_like(loss), loss_cache)
            _, grads = network.backward(dlogits, cache, needs=("params",))
            grads, _ = clip_gradient_norm(grads, clip)
            params = {name: p - rate * grads[name] for name, p in params.items()}
            losses.append(loss * len(chosen))
            wrong += (logits.argmax(axis=1) != labels[chosen]).sum()
        yield Epoch(params, float(sum(losses) / len(order)), float(wrong / len(order)))
