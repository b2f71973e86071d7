"""Checkpoints: everything that a run is made of, in one .npz file without pickle.

A run that is killed and resumed from its checkpoint ends, bit by bit, as one that was not.
The file is written under another name and renamed when it is whole. Its last 64 bytes, the
comment of the .npz, are the sha256 of all the others: what is damaged anywhere is refused. What
is whole is compared with the network that it is for, name by name, shape by shape.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnref.files import write_atomic
from stnref.nn.layer import Params
from stnref.nn.optimizers import State
from stnref.validation import Array

FORMAT = 2


@dataclass
class Progress:
    """Where a run stands.

    Attributes
    ----------
    params, optimizer : mapping of str to array
        Parameters, and the optimizer's state.
    rng : numpy.random.Generator
        Source of all further randomness of the run.
    epoch, batch : int
        Epochs done, and batches done in the one that is under way.
    order : (N,)
        This epoch's order of the training set; empty between two epochs.
    loss_sum, wrong : float, int
        Sum of the losses and number of errors over the pictures of this epoch so far.
    seconds : float
        Time spent in training so far.
    history : list of dict
        One row for each epoch done.
    """

    params: Params
    optimizer: State
    rng: np.random.Generator
    epoch: int = 0
    batch: int = 0
    order: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    loss_sum: float = 0.0
    wrong: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


_SCALARS = ("epoch", "batch", "loss_sum", "wrong", "seconds", "history")


GENERATORS: dict[str, Callable[[], Any]] = {
    kind.__name__: kind
    for kind in (
        np.random.PCG64,
        np.random.PCG64DXSM,
        np.random.MT19937,
        np.random.Philox,
        np.random.SFC64,
    )
}
"""The bit generators of NumPy: what the generator of a run may be made of."""


def save_checkpoint(path: Path, progress: Progress) -> None:
    """Write `progress` to `path`, atomically.

    Parameters
    ----------
    path : pathlib.Path
        Its folder has to exist.
    progress : Progress
    """
    state = {name: getattr(progress, name) for name in _SCALARS}
    state["generator"] = progress.rng.bit_generator.state
    state["format"] = FORMAT
    arrays = {"order": progress.order, "state": np.array(json.dumps(state, default=_listed))}
    arrays.update({f"params/{name}": value for name, value in progress.params.items()})
    arrays.update({f"optimizer/{name}": value for name, value in progress.optimizer.items()})
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    content = buffer.getvalue()[:-2] + struct.pack("<H", 64)  # an archive ends on its comment
    write_atomic(path, content + _digest(content))


def _listed(value: Any) -> Any:
    """Return what JSON can hold: some generators' states are arrays."""
    return value.tolist()


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def load_checkpoint(path: Path, like: Progress | None = None) -> Progress:
    """Read what `save_checkpoint` wrote.

    Parameters
    ----------
    path : pathlib.Path
    like : Progress, optional
        A run's progress at its start: parameters and optimizer must have the same names, shapes
        and dtypes.

    Returns
    -------
    Progress

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is no checkpoint, damaged, or one of another network or optimizer.
    """
    content = path.read_bytes()
    try:
        if content[-64:] != _digest(content[:-64]):
            raise ValueError("its checksum is another")
        arrays = _read_arrays(content)
        progress = _progress(arrays, json.loads(arrays["state"].item()))
        if like is not None:
            _expect_like("params", progress.params, like.params)
            _expect_like("optimizer", progress.optimizer, like.optimizer)
        return progress
    except Exception as error:  # whatever is in the file, the answer is one, of one line
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{path}: expected a checkpoint of format {FORMAT} and of this run, got a file that "
            f"does not read as one ({why}); delete it to start anew"
        ) from error


def _read_arrays(content: bytes) -> dict[str, Any]:
    """Return the arrays of an .npz, each as large as its member, which is not compressed."""
    arrays: dict[str, Any] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > len(content):
            raise ValueError("its members claim more than there is")
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if member.compress_type != zipfile.ZIP_STORED or name in arrays:
                raise ValueError(f"{name}: expected to find it once and not compressed")
            file = io.BytesIO(archive.read(member))
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError(f"{name}: expected version 1.0 of the format of arrays")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype.hasobject or member.file_size != file.tell() + dtype.itemsize * prod(shape):
                raise ValueError(f"{name}: expected an array of the size that its header says")
            file.seek(0)
            arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


def _progress(arrays: dict[str, Any], state: dict[str, Any]) -> Progress:
    """Return the progress that they stand for, each part of its own kind."""
    if state["format"] != FORMAT:
        raise ValueError(f"format {state['format']}")
    for name in ("epoch", "batch", "wrong"):
        _expect(name, "an integer from 0 on", state[name], _is_count(state[name]))
    for name in ("loss_sum", "seconds"):
        _expect(name, "a finite number", state[name], isfinite(state[name]))
    history = state["history"]
    epochs = [row["epoch"] for row in history]
    _expect("history", "a row for each epoch", epochs, epochs == [*range(1, state["epoch"] + 1)])
    for row in history:
        _expect("history", "rows of finite numbers", row, all(map(isfinite, row.values())))
    order = arrays["order"]
    numbers = order.dtype == np.intp and np.array_equal(np.sort(order), np.arange(len(order)))
    _expect("order", "each number up to its length once", order, numbers)
    rng = np.random.Generator(GENERATORS[state["generator"]["bit_generator"]]())
    rng.bit_generator.state = state["generator"]
    taken = json.loads(json.dumps(rng.bit_generator.state, default=_listed))
    _expect(
        "generator", "a state that it can have", state["generator"], taken == state["generator"]
    )
    return Progress(
        params=_below("params/", arrays),
        optimizer=_below("optimizer/", arrays),
        rng=rng,
        order=order,
        **{name: state[name] for name in _SCALARS},
    )


def _expect(name: str, expected: str, got: Any, fits: bool) -> None:
    if not fits:
        raise ValueError(f"{name}: expected {expected}, got {got!r:.80}")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _expect_like(name: str, there: Params, here: Params) -> None:
    """Raise ValueError unless there are the same names, each with the same shape and dtype."""
    for key in sorted({*there, *here}):
        got, expected = _form(there.get(key)), _form(here.get(key))
        if got != expected:
            raise ValueError(f"{name} {key}: expected {expected}, got {got}")


def _form(value: Array | None) -> str:
    return "none" if value is None else f"{value.dtype} {value.shape}"


def _below(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}
