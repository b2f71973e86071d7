"""The suspects: each names one kind of mistake, and says what A would be if it was made.

A family is a module; every public function of it is a suspect, in the order of the file.
"""

from inspect import isfunction
from types import ModuleType

from stnref.diagnosis.suspects import border, corners, entries, factors, moved, sums
from stnref.diagnosis.suspects.candidate import Candidate as Candidate
from stnref.diagnosis.suspects.candidate import Suspect as Suspect


def _of(*families: ModuleType) -> list[Suspect]:
    everything = [(f.__name__, item) for f in families for item in vars(f).values()]
    own = [f for name, f in everything if isfunction(f) and f.__module__ == name]
    return [f for f in own if not f.__name__.startswith("_")]


SUSPECTS = _of(factors, entries, moved, sums, border)
"""In the order of preference: the simplest mistake that explains everything."""

COSTLY = _of(corners)
"""Those that run both functions again: not asked once another explains everything."""
