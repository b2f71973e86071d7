"""The suspects: each makes one kind of mistake in the numerical Jacobian, and compares."""

from stnref.gradcheck.suspects.border import beyond_the_border, spurious
from stnref.gradcheck.suspects.corners import slopes, weights
from stnref.gradcheck.suspects.entries import one_hot, signs, single_precision
from stnref.gradcheck.suspects.factors import factors
from stnref.gradcheck.suspects.match import Match, Suspect
from stnref.gradcheck.suspects.permuted import displaced, exchanged
from stnref.gradcheck.suspects.sums import lost, path, unsummed

__all__ = ["COSTLY", "SUSPECTS", "Match", "Suspect"]

SUSPECTS: tuple[Suspect, ...] = (
    single_precision,
    factors,
    exchanged,
    one_hot,
    unsummed,
    weights,
    beyond_the_border,
    spurious,
    lost,
    displaced,
    signs,
    path,
    slopes,
)
"""In the order of preference: the simplest mistake that explains everything."""

COSTLY: tuple[Suspect, ...] = (slopes,)
"""Those that run both functions again: not asked once another explains everything."""
