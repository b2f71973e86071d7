"""A run that is killed in the middle of an epoch and resumed ends as one that was not."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stnref.experiments.run import Config, train_run
from stnref.training import load_checkpoint

CONFIG = Config(model="st-cnn", filters=4, epochs=2, batch=16, train_size=160, test_size=10, seed=3)
KILLED_AT = 14  # the second epoch's batches are 11 to 20

VICTIM = """
import os, signal, sys
from pathlib import Path
from stnref.experiments import run
from tests.experiments.test_run import CONFIG, KILLED_AT

def killed(steps, **options):
    for step in steps:
        if step.epoch * step.batches + step.batch + 1 == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        yield step

run.reported = killed
run.train_run(CONFIG, Path(sys.argv[1]), checkpoint_every=2)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system knows no kill -9")
def test_killed_and_resumed(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train_run(CONFIG, whole)
    victim = subprocess.run([sys.executable, "-c", VICTIM, str(broken)], check=False)
    assert victim.returncode == -signal.SIGKILL
    left = load_checkpoint(broken / "checkpoint.npz")
    assert (left.epoch, left.batch) == (1, 2)
    assert not (broken / "result.json").exists()

    train_run(CONFIG, broken, resume=True)
    expected, resumed = (load_checkpoint(run / "checkpoint.npz") for run in (whole, broken))
    for there, here in (
        (resumed.params, expected.params),
        (resumed.optimizer, expected.optimizer),
    ):
        assert list(there) == list(here)
        for name in here:
            np.testing.assert_array_equal(there[name], here[name], err_msg=name)
    assert resumed.rng.bit_generator.state == expected.rng.bit_generator.state
    for there, here in zip(resumed.history, expected.history, strict=True):
        assert {**there, "seconds": 0} == {**here, "seconds": 0}
