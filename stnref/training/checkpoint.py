"""Checkpoints: everything that a run is made of, in one .npz file without pickle.

A run that is killed and resumed from its checkpoint ends, bit by bit, as one that was not.
The file is written under another name and renamed when it is whole.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnref.files import write_atomic
from stnref.nn.layer import Params
from stnref.nn.optimizers import State

FORMAT = 1


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
    arrays = {"order": progress.order, "state": np.array(json.dumps(state))}
    arrays.update({f"params/{name}": value for name, value in progress.params.items()})
    arrays.update({f"optimizer/{name}": value for name, value in progress.optimizer.items()})
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path) -> Progress:
    """Read what `save_checkpoint` wrote.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    Progress

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is no checkpoint, or damaged.
    """
    try:
        # Of bytes, since a file that np.load refuses may stay open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        state: dict[str, Any] = json.loads(arrays["state"].item())
        if state.get("format") != FORMAT:
            raise ValueError(f"format {state.get('format')}")
        generator = np.random.Generator(getattr(np.random, state["generator"]["bit_generator"])())
        generator.bit_generator.state = state["generator"]
        return Progress(
            params=_below("params/", arrays),
            optimizer=_below("optimizer/", arrays),
            rng=generator,
            order=arrays["order"],
            **{name: state[name] for name in _SCALARS},
        )
    except (ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path}: expected a checkpoint of format {FORMAT}, got a file that does not read as "
            f"one ({error}); delete it to start anew"
        ) from error


def _below(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}
