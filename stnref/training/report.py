"""Progress of a run on the terminal: a bar where there is one to draw on, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from stnref.training.trainer import Step

LINES = 4
"""Plain lines for each epoch."""


def reported(steps: Iterable[Step], *, epochs: int, stream: TextIO | None = None) -> Iterator[Step]:
    """Pass the steps of one epoch on and report them: loss and error so far, and the rate.

    With tqdm installed and a terminal to write to it is a progress bar, else four lines an
    epoch.

    Parameters
    ----------
    steps : iterable of Step
    epochs : int
        Epochs of the run.
    stream : text file, optional
        Where to report, stderr unless told.

    Returns
    -------
    iterator of Step
        The same steps.
    """
    stream = stream or sys.stderr
    try:
        from tqdm import tqdm
    except ImportError:
        tqdm = None
    if tqdm is None or not stream.isatty():
        yield from _lines(steps, epochs, stream)
        return
    with tqdm(file=stream, unit="batch", leave=False) as bar:
        for step in steps:
            bar.total, bar.n = step.batches, step.batch + 1
            bar.set_description(f"epoch {step.epoch + 1}/{epochs}", refresh=False)
            bar.set_postfix_str(_figures(step))
            yield step


def _lines(steps: Iterable[Step], epochs: int, stream: TextIO) -> Iterator[Step]:
    for step in steps:
        done = step.batch + 1
        if done * LINES // step.batches > step.batch * LINES // step.batches:
            print(
                f"epoch {step.epoch + 1}/{epochs}  batch {done}/{step.batches}  {_figures(step)}",
                file=stream,
                flush=True,
            )
        yield step


def _figures(step: Step) -> str:
    return f"loss {step.loss:.4f}  error {step.error:.2%}  rate {step.rate:.2e}"
