"""The loss: softmax and cross-entropy in one, the mean over the batch.

Derivation: ``docs/derivations/layers.md``, equations L10 and L11.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.validation import Array, expect_array, expect_cache, expect_labels


class SoftmaxCrossEntropyCache(NamedTuple):
    """The class probabilities, and the labels."""

    probabilities: Array  # (B, K)
    labels: NDArray[np.intp]  # (B,)


def softmax_cross_entropy_forward(
    logits: ArrayLike, labels: ArrayLike
) -> tuple[Array, SoftmaxCrossEntropyCache]:
    """L = the mean over the batch of -log softmax(logits)[label] (L10).

    Parameters
    ----------
    logits : (B, K)
        A row for each sample.
    labels : (B,)
        Integers from 0 to K - 1.

    Returns
    -------
    loss : ()
    cache : SoftmaxCrossEntropyCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, or a label is out of range.

    Notes
    -----
    The largest logit of each row is subtracted first, which changes nothing but lets no
    exponential overflow.

    Examples
    --------
    >>> loss, _ = softmax_cross_entropy_forward(np.array([[0.0, 0.0]]), [1])
    >>> round(loss.item(), 4)
    0.6931
    """
    logits = expect_array("logits", logits, ("N", "K"))  # of no pictures there is no mean
    labels = expect_labels("labels", labels, *logits.shape)
    shifted = logits - logits.real.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)  # (B, K)
    total = exponentials.sum(axis=1, keepdims=True)
    log_likelihood = shifted[np.arange(len(labels)), labels] - np.log(total[:, 0])  # (B,), L10
    return -log_likelihood.mean(), SoftmaxCrossEntropyCache(exponentials / total, labels)  # L10


def softmax_cross_entropy_backward(dloss: ArrayLike, cache: SoftmaxCrossEntropyCache) -> Array:
    """dlogits = dloss (probabilities - one-hot labels) / B (L11).

    dloss : () -> dlogits : (B, K). dtype: result_type of dloss and logits.
    Raises ValueError if dloss has an axis, TypeError on its dtype.

    >>> loss, cache = softmax_cross_entropy_forward(np.array([[0.0, 0.0]]), [1])
    >>> softmax_cross_entropy_backward(np.array(1.0), cache).tolist()
    [[0.5, -0.5]]
    """
    forward = "softmax_cross_entropy_forward"
    probabilities, labels = expect_cache(cache, SoftmaxCrossEntropyCache, forward)
    dloss = expect_array("dloss", dloss, ())
    residual = probabilities.copy()
    residual[np.arange(len(labels)), labels] -= 1
    return dloss * residual / len(labels)  # L11
