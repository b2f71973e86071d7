"""What a suspect returns, and words that several use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from stnref.gradcheck.evidence import Block, Evidence
from stnref.gradcheck.pair import Mask

AXES = "xyz"


class Match(NamedTuple):
    """A mistake that explains what was seen."""

    cause: str
    where: str
    evidence: str
    certainty: float = 1.0


Suspect = Callable[[Evidence], Iterator[Match]]


def tail(index: Sequence[int]) -> str:
    """Write an index without its first axis, the batch."""
    return "[" + ", ".join(["...", *map(str, index)]) + "]"


def diagonal(b: Block) -> Mask:
    """Where output and element have the same index."""
    return (b.o[:, None, :] == b.k[None, :, :]).all(axis=-1)
