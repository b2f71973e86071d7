"""A run that is killed and resumed ends as one that was not; its folder holds one run, whole."""

import csv
import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stnref.cli import main
from stnref.data import draw_digits
from stnref.experiments import run as run_module
from stnref.experiments.run import Config, train_run
from stnref.training import load_checkpoint, save_checkpoint

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
    expect_the_same_end(whole, broken)


def expect_the_same_end(whole: Path, broken: Path) -> None:
    """Compare two run folders: all but the seconds is the same, bit by bit."""
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
    assert sorted(path.name for path in broken.iterdir()) == sorted(run_module.FILES)
    rows = [
        list(csv.DictReader((run / "history.csv").read_text().splitlines()))
        for run in (whole, broken)
    ]
    for there, here in zip(*rows, strict=True):
        assert {**there, "seconds": 0} == {**here, "seconds": 0}


# ----------------------------------------------------------------------------- killed in a write

KILLED_IN_A_WRITE = """
import os, signal, sys
from pathlib import Path
from tests.experiments.test_run import CONFIG
from stnref.experiments.run import train_run

count = int(sys.argv[2])

def killing(function):
    def call(*arguments):
        global count
        count -= 1
        if count < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return call

for name in ("fsync", "replace", "link"):
    setattr(os, name, killing(getattr(os, name)))
train_run(CONFIG, Path(sys.argv[1]), resume=True, checkpoint_every=2)
"""


@pytest.mark.long
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system knows no kill -9")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_killed_at_any_write(tmp_path: Path, threads: str) -> None:
    """So often as KILLS says, at a random one of the fsyncs and renamings, and at any moment."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    rng = np.random.default_rng(int(threads))
    whole = tmp_path / "whole"
    calls = [sys.executable, "-c", KILLED_IN_A_WRITE]
    assert subprocess.run([*calls, str(whole), "10000"], env=environment).returncode == 0
    for kill in range(int(os.environ.get("KILLS", 2))):
        broken = tmp_path / f"broken{kill}"
        if kill % 3 == 2:
            victim = subprocess.Popen([*calls, str(broken), "10000"], env=environment)
            time.sleep(rng.uniform(0.5, 2.5))
            victim.kill()
            victim.wait()
        else:
            count = str(rng.integers(30))
            done = subprocess.run([*calls, str(broken), count], env=environment, check=False)
            assert done.returncode == -signal.SIGKILL
        done = subprocess.run([*calls, str(broken), "10000"], env=environment, check=False)
        assert done.returncode == 0
        expect_the_same_end(whole, broken)


# ------------------------------------------------------------------------------- the run folder

TINY = Config(model="fcn", hidden=4, epochs=2, batch=8, train_size=16, test_size=4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_run(TINY, folder)
    return folder


def _copy(folder: Path, to: Path, *without: str) -> Path:
    shutil.copytree(folder, to)
    for name in without:
        (to / name).unlink()
    return to


def test_a_run_without_its_configuration_is_not_taken_for_another(
    finished: Path, tmp_path: Path
) -> None:
    folder = _copy(finished, tmp_path / "run", "config.json")
    other = dataclasses.replace(TINY, seed=9)
    with pytest.raises(FileExistsError, match="expected no run there, got one"):
        train_run(other, folder)
    with pytest.raises(FileNotFoundError, match=r"expected config.json beside checkpoint.npz"):
        train_run(other, folder, resume=True)


@pytest.mark.parametrize("left", [None, "epoch\n1\n"])
def test_the_history_is_written_from_the_checkpoint(
    finished: Path, tmp_path: Path, left: str | None
) -> None:
    folder = _copy(finished, tmp_path / "run", "history.csv")
    if left is not None:
        (folder / "history.csv").write_text(left)
    train_run(TINY, folder, resume=True)
    assert (folder / "history.csv").read_text() == (finished / "history.csv").read_text()


def test_what_a_killed_write_left_is_removed(finished: Path, tmp_path: Path) -> None:
    folder = _copy(finished, tmp_path / "run")
    for name in run_module.FILES:
        (folder / f".{name}.x1y2").write_bytes(b"half")
    (folder / ".notes").write_text("mine")
    train_run(TINY, folder, resume=True)
    assert {p.name for p in folder.iterdir()} == {".notes", *(p.name for p in finished.iterdir())}


def test_two_that_start_at_once_do_not_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one begins while this one makes its data."""
    other = dataclasses.replace(TINY, seed=9)
    data = run_module._data

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(run_module, "_data", data)
        train_run(other, tmp_path / "run")
        return data(*arguments)

    monkeypatch.setattr(run_module, "_data", meanwhile)
    with pytest.raises(FileExistsError, match="expected no run there, got one"):
        train_run(TINY, tmp_path / "run")
    assert run_module.read_config(tmp_path / "run" / "config.json") == other
    with pytest.raises(ValueError, match="expected a run with seed 0, got 9"):
        train_run(TINY, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    "change", [{"epoch": 1, "history": [{"epoch": 1}], "batch": 3}, {"batch": 1}, {"epoch": 3}]
)
def test_a_checkpoint_of_other_data_or_more_epochs(
    finished: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = _copy(finished, tmp_path / "run")
    progress = load_checkpoint(folder / "checkpoint.npz")
    for name, value in change.items():
        setattr(progress, name, value)
    progress.history = [{"epoch": k + 1} for k in range(progress.epoch)]
    save_checkpoint(folder / "checkpoint.npz", progress)
    with pytest.raises(ValueError, match="expected 2 epochs of 2 batches of 16 pictures, got"):
        train_run(TINY, folder, resume=True)


def test_a_network_of_other_sizes_is_named(finished: Path, tmp_path: Path) -> None:
    folder = _copy(finished, tmp_path / "run")
    asked = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**asked, "hidden": 5}))
    with pytest.raises(ValueError, match=r"params .*: expected float32 .*5.*, got float32 .*4"):
        run_module.load_run(folder)


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*config\.json"):
        train_run(TINY, tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


# ------------------------------------------------------- every combination, after training too

COMBINATIONS = [
    (data, distortion, model, transform)
    for data in run_module.FILTERS
    for distortion in run_module.DISTORTIONS
    for model in run_module.MODELS
    for transform in (run_module.TRANSFORMS if model.startswith("st-") else ["affine"])
]
SOME = {COMBINATIONS[k] for k in np.random.default_rng(0).choice(len(COMBINATIONS), 6, False)}
SOME |= {("mnist", "none", "st-fcn", "affine"), ("digits", "R", "st-cnn", "affine")}


@pytest.mark.parametrize(
    "combination",
    [pytest.param(c, marks=[] if c in SOME else [pytest.mark.long]) for c in COMBINATIONS],
    ids="-".join,
)
def test_every_combination_ends_well(
    combination: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With so few test pictures that classes have one, or none."""

    def few(split: str, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
        digits = draw_digits(8, np.random.default_rng(len(split)))
        return digits.images, digits.labels

    monkeypatch.setattr(run_module, "load_mnist", few)
    named = zip(("data", "distortion", "model", "transform"), combination, strict=True)
    options = [f"--{name}={value}" for name, value in named]
    options += ["--epochs=1", "--batch=8", "--train-size=8", "--test-size=8"]
    options += ["--filters=2", "--hidden=4", f"--out={tmp_path / 'run'}"]
    assert main(["train", *options]) == 0
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert ("\N{EN DASH}" in out) == combination[2].startswith("st-")  # of a class of one
