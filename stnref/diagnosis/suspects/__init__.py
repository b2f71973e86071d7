"""The suspects: each names one kind of mistake, and says what A would be if it was made."""

from stnref.diagnosis.suspects import border, corners, entries, factors, moved, sums
from stnref.diagnosis.suspects.candidate import Candidate, Suspect

__all__ = ["COSTLY", "SUSPECTS", "Candidate", "Suspect"]

SUSPECTS: tuple[Suspect, ...] = (
    *factors.SUSPECTS,
    *entries.SUSPECTS,
    *moved.SUSPECTS,
    *sums.SUSPECTS,
    *border.SUSPECTS,
)
"""In the order of preference: the simplest mistake that explains everything."""

COSTLY: tuple[Suspect, ...] = corners.SUSPECTS
"""Those that run both functions again: not asked once another explains everything."""
