"""What a gradient check found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stnref.validation import Array


@dataclass(frozen=True)
class Comparison:
    """Analytic against numeric values, by one witness.

    Attributes
    ----------
    what : str
        Name of the input, or of the output tangent.
    witness : str
        "complex step", "central differences", "Jacobian" or "dot test".
    error : float
        max |analytic - numeric| / max |numeric|; of a dot test |difference| over the
        product of the norms.
    tolerance : float
    index : tuple of int
        The element that differs most: of the input; in a Jacobian, of the output and then
        of the input.
    analytic, numeric : float
        Its two values.
    """

    what: str
    witness: str
    error: float
    tolerance: float
    index: tuple[int, ...]
    analytic: float
    numeric: float

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance; NaN is not."""
        return self.error <= self.tolerance

    @property
    def ratio(self) -> float:
        """analytic / numeric of the worst element."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.divide(self.analytic, self.numeric))

    def __str__(self) -> str:
        worst = (
            f"worst {list(self.index)}: analytic {self.analytic:.6g}, numeric {self.numeric:.6g}, "
            f"ratio {self.ratio:.6g}"
        )
        return (
            f"{'ok  ' if self.ok else 'FAIL'}  {self.what:12s} {self.witness:20s} "
            f"error {self.error:.1e} (tolerance {self.tolerance:.0e})  {worst}"
        )


def compare(
    what: str, witness: str, analytic: Array, numeric: Array, tolerance: float
) -> Comparison:
    """Compare element by element."""
    difference = np.abs(analytic - numeric)
    scale = np.abs(numeric).max()
    largest = difference.max()
    error = largest / scale if scale > 0 else largest  # where all is zero, the plain difference
    index = np.unravel_index(np.argmax(difference), numeric.shape)
    return Comparison(
        what,
        witness,
        float(error),
        tolerance,
        tuple(int(i) for i in index),
        float(analytic[index]),
        float(numeric[index]),
    )


@dataclass(frozen=True)
class GradientReport:
    """The comparisons of one check; prints as one line each."""

    comparisons: tuple[Comparison, ...]

    @property
    def ok(self) -> bool:
        """Whether every comparison is within its tolerance."""
        return all(comparison.ok for comparison in self.comparisons)

    @property
    def worst(self) -> Comparison:
        """The comparison with the largest error in units of its tolerance."""
        return max(
            self.comparisons, key=lambda c: np.inf if np.isnan(c.error) else c.error / c.tolerance
        )

    def error(self, witness: str) -> float | None:
        """Return the largest error that this witness found, None if it was not asked."""
        errors = [c.error for c in self.comparisons if c.witness == witness]
        return max(errors) if errors else None

    def __str__(self) -> str:
        return "\n".join(str(comparison) for comparison in self.comparisons)
