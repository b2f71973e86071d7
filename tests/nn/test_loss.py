"""The loss against its formula, and where exponentials overflow."""

import numpy as np

from stnref import nn


def test_softmax_cross_entropy_does_not_overflow() -> None:
    loss, cache = nn.softmax_cross_entropy_forward(np.array([[1e4, 0.0], [0.0, -1e4]]), [0, 1])
    assert loss == 5000
    dlogits = nn.softmax_cross_entropy_backward(1.0, cache)
    np.testing.assert_array_equal(dlogits, [[0, 0], [0.5, -0.5]])


def test_the_loss_is_the_mean_over_the_batch() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((3, 4)), [0, 3, 1]
    loss, _ = nn.softmax_cross_entropy_forward(logits, labels)
    single = [
        nn.softmax_cross_entropy_forward(logits[b : b + 1], labels[b : b + 1])[0] for b in range(3)
    ]
    np.testing.assert_allclose(loss, np.mean(single), rtol=1e-15)
