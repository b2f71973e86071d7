"""The training loop of forty lines: what a step is, and that it learns."""

import ast
import inspect

import numpy as np

from stnref import nn
from stnref.data import draw_digits
from stnref.data.distortions import rotate
from stnref.experiments.networks import build_network
from stnref.training import DataSet, evaluate, tiny, train


def test_it_has_at_most_forty_lines() -> None:
    """Of the function: what is neither docstring nor blank."""
    (function,) = ast.parse(inspect.getsource(train)).body
    assert isinstance(function, ast.FunctionDef)
    function.body = function.body[1:]
    assert len(ast.unparse(function).splitlines()) <= 40
    assert train is tiny.train


def test_a_step_is_the_rate_times_the_clipped_gradient() -> None:
    rng = np.random.default_rng(0)
    network = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(4, 3))
    params = network.init(rng, dtype=np.float64)
    images, labels = rng.standard_normal((5, 2, 2, 1)), rng.integers(0, 3, 5)
    X = images.reshape(5, 4)
    logits = X @ params["fc.W"] + params["fc.b"]
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    dlogits = (probability - np.eye(3)[labels]) / 5
    dW, db = X.T @ dlogits, dlogits.sum(axis=0)
    norm = np.sqrt((dW**2).sum() + (db**2).sum())
    done = next(train(network, params, images, labels, rng, rate=0.3, batch=5, clip=0.1))
    np.testing.assert_allclose(done.params["fc.W"], params["fc.W"] - 0.3 * dW * 0.1 / norm)
    np.testing.assert_allclose(done.params["fc.b"], params["fc.b"] - 0.3 * db * 0.1 / norm)
    expected = -np.log(probability[np.arange(5), labels]).mean()
    np.testing.assert_allclose(done.loss, expected)
    assert done.error == (logits.argmax(axis=1) != labels).mean()


def test_it_trains_a_transformer_on_rotated_digits() -> None:
    """A share of what the notebook shows: after eight epochs far better than guessing."""
    digits = draw_digits(800, np.random.default_rng(0))
    images = rotate(digits.images, np.random.default_rng(1)).images
    network = build_network("st-fcn", (28, 28, 1), transform="rigid", hidden=64)
    rng = np.random.default_rng(2)
    params = network.init(rng)
    epochs = train(network, params, images[:600], digits.labels[:600], rng, rate=0.1)
    for _ in range(8):
        done = next(epochs)
    test = DataSet(images[600:], digits.labels[600:], digits.angle[600:])
    assert evaluate(network, done.params, test).error < 0.5
    moved = done.params["st.regression.b"] - params["st.regression.b"]
    assert np.abs(moved).max() > 0.01
