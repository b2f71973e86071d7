"""Learning-rate schedules."""

import numpy as np
import pytest

from stnref import nn


def test_schedules_stay_between_zero_and_one() -> None:
    for schedule in nn.SCHEDULES.values():
        factors = [schedule(done) for done in np.linspace(0, 1, 101)]
        assert 0 <= min(factors)
        assert max(factors) == pytest.approx(1, abs=1e-12)
