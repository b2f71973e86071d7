"""Checkpoints hold everything, and a damaged one says so."""

import hashlib
import io
import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stnref.training import Progress, load_checkpoint, save_checkpoint
from stnref.training.checkpoint import GENERATORS


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


# ---------------------------------------------------------- damage of every kind, and other content

ONE_ERROR = r"checkpoint\.npz: expected a checkpoint of format 2 and of this run, got .*; delete it"


def _expect_refused(path: Path, content: bytes, like: Progress) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=ONE_ERROR):
        load_checkpoint(path, like)


def _structure(content: bytes) -> list[int]:
    """Return where the archive's and the arrays' headers are, and the JSON."""
    places: list[int] = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            head = member.header_offset
            places += range(head, head + 30 + len(member.filename) + 128)
        places += range(archive.start_dir, len(content))
    return places


@pytest.mark.parametrize("aim", ["structure", "anywhere"])
def test_one_flipped_bit_is_noticed(progress: Progress, tmp_path: Path, aim: str) -> None:
    """So many as FLIPS says."""
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, progress)
    whole = path.read_bytes()
    places = np.array(_structure(whole) if aim == "structure" else range(len(whole)))
    rng = np.random.default_rng(0)
    for place in rng.choice(places, int(os.environ.get("FLIPS", 100))):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        _expect_refused(path, bytes(damaged), progress)


def _signed(arrays: dict[str, Any]) -> bytes:
    """Return the file of a forger, who knows how the checksum is made."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return _sign(buffer.getvalue())


def _sign(archive: bytes) -> bytes:
    content = archive[:-2] + struct.pack("<H", 64)
    return content + hashlib.sha256(content).hexdigest().encode()


def _arrays(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def test_the_forger_can_write_one(progress: Progress, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, progress)
    path.write_bytes(_signed(_arrays(path)))
    assert load_checkpoint(path, progress).epoch == 1


STATES: list[dict[str, Any]] = [
    {"epoch": 1.5},
    {"epoch": True},
    {"epoch": -1},
    {"epoch": 2},  # the history has one
    {"batch": "4"},
    {"loss_sum": float("nan")},
    {"seconds": None},
    {"history": []},
    {"history": [{"epoch": 1, "loss": "much"}]},
    {"history": 5},
    {"format": 1},
    {"generator": {"bit_generator": "test"}},
    {"generator": {"bit_generator": "PCG64", "state": {"state": -1, "inc": 2**200}}},
    {"generator": "PCG64"},
]


@pytest.mark.parametrize("change", STATES, ids=str)
def test_a_state_that_cannot_be(progress: Progress, tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, progress)
    arrays = _arrays(path)
    arrays["state"] = np.array(json.dumps(json.loads(arrays["state"].item()) | change))
    _expect_refused(path, _signed(arrays), progress)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("params/fc.W", None, "params fc.W: expected float32 (2, 3), got none"),
        ("params/fc.b", np.zeros(3), "params fc.b: expected none, got float64 (3,)"),
        ("params/fc.W", np.zeros((2, 4), np.float32), "got float32 (2, 4)"),
        ("params/fc.W", np.zeros((2, 3)), "got float64 (2, 3)"),
        ("optimizer/steps", np.array([7]), r"optimizer steps: expected int64 ()"),
        ("order", np.array([0, 2]), "order: expected each number up to its length once"),
        ("order", np.array([0, -1]), "order: expected each number up to its length once"),
        ("order", np.array([0.0, 1.0]), "order: expected each number up to its length once"),
        ("order", None, "'order'"),
        ("state", np.array("[" * 100_000), ""),
        ("state", np.array(5), ""),
        ("state", np.array("5"), ""),
    ],
)
def test_other_content_is_named(
    progress: Progress, tmp_path: Path, name: str, value: np.ndarray | None, message: str
) -> None:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, progress)
    arrays = {key: array for key, array in _arrays(path).items() if key != name}
    if value is not None:
        arrays[name] = value
    path.write_bytes(_signed(arrays))
    with pytest.raises(ValueError, match=ONE_ERROR) as refused:
        load_checkpoint(path, progress)
    assert message in str(refused.value)


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _npy(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """Return the bytes of an .npy file, if told with another shape in its header."""
    buffer = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape or array.shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + array.tobytes()


def test_a_small_file_does_not_grow(progress: Progress, tmp_path: Path) -> None:
    """Neither by compression nor by what a header claims."""
    path = tmp_path / "checkpoint.npz"
    zeros = {"params/fc.W.npy": _npy(np.zeros(10**6))}
    _expect_refused(path, _sign(_zip(zeros, zipfile.ZIP_DEFLATED)), progress)
    claims = {"params/fc.W.npy": _npy(np.zeros(10), (10**12,))}
    _expect_refused(path, _sign(_zip(claims)), progress)


@pytest.mark.parametrize("kind", list(GENERATORS))
def test_every_generator_goes_on(progress: Progress, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "checkpoint.npz"
    progress.rng = np.random.Generator(GENERATORS[kind](5))
    progress.rng.random(3)
    save_checkpoint(path, progress)
    loaded = load_checkpoint(path)
    np.testing.assert_array_equal(loaded.rng.random(5), progress.rng.random(5))
    assert loaded.rng.bit_generator.state["bit_generator"] == kind
