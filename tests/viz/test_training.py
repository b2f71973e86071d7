"""Curves of training."""

import numpy as np
import pytest

from stnref import viz


def test_learning_curves_in_percent() -> None:
    rows = [{"epoch": k, "train_error": 0.2 / k, "test_error": 0.1 / k} for k in (1, 2)]
    test, training = viz.plot_learning_curves({"st-cnn": rows})
    np.testing.assert_allclose(test.get_xydata(), [[1, 10], [2, 5]])
    np.testing.assert_allclose(training.get_xydata(), [[1, 20], [2, 10]])
    assert test.get_label() == "st-cnn, test"


def test_theta_has_a_line_for_each_parameter() -> None:
    theta = np.random.default_rng(0).random((5, 3))
    drawn = viz.plot_theta(theta, names=["angle", "tx", "ty"])
    np.testing.assert_array_equal([line.get_ydata() for line in drawn], theta.T)
    assert [line.get_label() for line in drawn] == ["angle", "tx", "ty"]
    assert len({line.get_linestyle() for line in drawn}) == 3
    assert viz.plot_theta(theta)[2].get_label() == "theta 2"
    with pytest.raises(ValueError, match="names: expected 3, got 1"):
        viz.plot_theta(theta, names=["angle"])
