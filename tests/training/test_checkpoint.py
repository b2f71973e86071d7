"""Checkpoints hold everything, and a damaged one says so."""

from pathlib import Path

import numpy as np
import pytest

from stnref.training import Progress, load_checkpoint, save_checkpoint


@pytest.fixture
def progress() -> Progress:
    rng = np.random.default_rng(3)
    return Progress(
        params={"fc.W": rng.standard_normal((2, 3)).astype(np.float32)},
        optimizer={"steps": np.array(7), "mean.fc.W": rng.standard_normal((2, 3))},
        rng=rng,
        epoch=1,
        batch=4,
        order=rng.permutation(9),
        loss_sum=0.1 + 0.2,
        wrong=5,
        seconds=1.25,
        history=[{"epoch": 1, "loss": 1 / 3}],
    )


def test_everything_comes_back_bit_by_bit(progress: Progress, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.npz", progress)
    loaded = load_checkpoint(tmp_path / "checkpoint.npz")
    for name in ("epoch", "batch", "loss_sum", "wrong", "seconds", "history"):
        assert getattr(loaded, name) == getattr(progress, name)
    np.testing.assert_array_equal(loaded.order, progress.order)
    for there, here in ((loaded.params, progress.params), (loaded.optimizer, progress.optimizer)):
        assert list(there) == list(here)
        for name in here:
            assert there[name].dtype == here[name].dtype
            np.testing.assert_array_equal(there[name], here[name])


def test_the_generator_goes_on_where_it_was(progress: Progress, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.npz", progress)
    loaded = load_checkpoint(tmp_path / "checkpoint.npz")
    np.testing.assert_array_equal(loaded.rng.random(5), progress.rng.random(5))


def test_there_is_no_pickle_inside(progress: Progress, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.npz", progress)
    with np.load(tmp_path / "checkpoint.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "other npz", "flipped"])
def test_a_damaged_file_is_named(progress: Progress, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, progress)
    whole = path.read_bytes()
    if damage == "other npz":
        np.savez(path, a=np.zeros(3))
    else:
        middle = whole.index(progress.params["fc.W"].tobytes())
        path.write_bytes(
            {
                "truncated": whole[: len(whole) // 2],
                "text": b"not a checkpoint",
                "empty": b"",
                "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            }[damage]
        )
    with pytest.raises(ValueError, match=r"checkpoint\.npz: expected a checkpoint of format 2"):
        load_checkpoint(path)


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "checkpoint.npz")
