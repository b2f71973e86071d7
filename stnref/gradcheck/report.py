"""What a gradient check found: for a terminal, for a notebook, and as an object for tests."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stnref.gradcheck.causes import Cause
from stnref.gradcheck.limits import OUTSIDE_KINK
from stnref.validation import Array


@dataclass(frozen=True)
class Comparison:
    """Analytic against numeric values, by one witness.

    Attributes
    ----------
    what : str
        Name of the input, or "all".
    witness : str
        "complex step", "differences", "random directions", "Jacobian", "one-sided slopes" or
        "dot test".
    error : float
        max |analytic - numeric| / max |numeric|; along a random direction |difference| over the
        typical size; of a dot test over the product of the norms.
    tolerance : float
    index : tuple of int
        The element that differs most: of the input; in a Jacobian, of the output and then
        of the input; empty along a direction.
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
    def values(self) -> str:
        """The two values in words; their ratio where there is one."""
        text = f"analytic {self.analytic:.6g}"
        if self.numeric == 0:
            text = "both 0" if self.analytic == 0 else f"{text} where it ought to be 0"
        else:
            text += f", numeric {self.numeric:.6g}"
            ratio = self.analytic / self.numeric
            text += f", ratio {ratio:.6g}" if np.isfinite(ratio) else ""
        return f"worst {list(self.index)}: {text}" if self.index else text

    def __str__(self) -> str:
        return (
            f"{'ok  ' if self.ok else 'FAIL'}  {self.what:12s} {self.witness:20s} "
            f"error {self.error:.1e} (tolerance {self.tolerance:.0e})  {self.values}"
        )


def compare(
    what: str, witness: str, analytic: Array, numeric: Array, tolerance: float, floor: float
) -> list[Comparison]:
    """Compare element by element.

    Parameters
    ----------
    what, witness : str
    analytic, numeric : arrays of the same shape
        A NaN in `numeric` leaves its element out.
    tolerance : float
    floor : float
        Round-off: smaller differences are none.

    Returns
    -------
    list of Comparison
        One, or none if there is no element to compare.
    """
    if np.isnan(numeric).all():
        return []
    difference = np.abs(analytic - numeric)
    difference = np.where(difference <= floor, 0, difference)
    difference = np.where(np.isnan(numeric), -1, difference)  # never the worst
    scale = np.nanmax(np.abs(numeric), initial=0)
    largest = np.maximum(difference, 0).max(initial=0)  # NaN stays NaN
    error = float(largest / scale if scale > 0 else largest)  # of zeros the plain difference
    at = tuple(int(i) for i in np.unravel_index(np.argmax(difference), numeric.shape))
    values = float(analytic[at]), float(numeric[at])
    return [Comparison(what, witness, error, tolerance, at, *values)]


@dataclass(frozen=True)
class Finding:
    """A mistake, named.

    Attributes
    ----------
    why : Cause
        What the mistake is.
    where : str
        In which gradient, and where in it.
    evidence : str
        One line: what was seen that says so.
    certainty : float
        From 0 to 1. Less than 1 where few elements say so, or only part is explained.
    alternatives : tuple of Cause
        Others that give the same gradient on these inputs.
    """

    why: Cause
    where: str
    evidence: str
    certainty: float = 1.0
    alternatives: tuple[Cause, ...] = ()

    @property
    def cause(self) -> str:
        """The cause's slug."""
        return self.why.slug

    @property
    def title(self) -> str:
        """What the mistake is."""
        return self.why.title

    @property
    def hint(self) -> str:
        """One sentence on what to look at."""
        return self.why.hint

    @property
    def is_use(self) -> bool:
        """Whether it says that no check was possible, not that a gradient is wrong."""
        return self.why.kind == "cannot check"

    def __str__(self) -> str:
        rows = {"where": self.where, "evidence": self.evidence}
        if self.alternatives:
            others = "; ".join(cause.title for cause in self.alternatives)
            rows["or"] = f"{others}: on these inputs it comes to the same"
        rows["hint"] = self.hint
        kind = "cannot check" if self.is_use else "error"
        head = f"{kind}[{self.cause}]: {self.title}  ({self.certainty:.0%})"
        return "\n".join([head, *(f"  {label:>8}: {text}" for label, text in rows.items())])


@dataclass(frozen=True)
class InputResult:
    """The gradient with respect to one input, element by element.

    Attributes
    ----------
    name : str
    gradient : Array
        What backward gave for the upstream gradient of the check.
    numeric : Array
        What it ought to be; on a kink the mean of both slopes; NaN where no one asked.
    below, above : Array
        The least and the greatest value that the slopes to both sides allow: apart on kinks only.
    kinked : Array of bool
        Elements on a kink: there is no derivative, only a rule.
    distance : Array
        The kink map, in units of the input: from each element to its nearest kink. Without a map
        from the caller it is 0 on a kink and NaN elsewhere.
    method : str
        "complex step" or "differences".
    asked : int
        How many elements were differentiated one by one.
    directions : int
        How many random directions through all elements were compared.
    """

    name: str
    gradient: Array
    numeric: Array
    below: Array
    above: Array
    kinked: NDArray[np.bool_]
    distance: Array
    method: str
    asked: int
    directions: int

    @property
    def scale(self) -> float:
        """The largest numeric value."""
        return float(np.nanmax(np.abs(self.numeric), initial=0)) or 1.0

    @property
    def error(self) -> Array:
        """How far each element is from what is allowed, relative to `scale`."""
        outside = np.maximum(self.below - self.gradient, self.gradient - self.above)
        return np.maximum(outside, 0) / self.scale

    @property
    def outside(self) -> int:
        """Number of elements on a kink that are not between the slopes to both sides."""
        return int((self.kinked & (self.error > OUTSIDE_KINK)).sum())


@dataclass(frozen=True)
class GradientReport:
    """The result of one check.

    Attributes
    ----------
    findings : tuple of Finding
        Mistakes, the likeliest first; empty if all is right.
    comparisons : tuple of Comparison
        What each witness measured.
    inputs : tuple of InputResult
    notes : tuple of str
        What a reader ought to know of a check that passes too: kinks, and its reach.
    """

    findings: tuple[Finding, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    inputs: tuple[InputResult, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong: no finding, and every comparison within its tolerance."""
        return not self.findings and all(comparison.ok for comparison in self.comparisons)

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
        verdict = "ok: every gradient is right" if self.ok else "FAIL"
        parts = [str(finding) for finding in self.findings]
        parts += ["\n".join(str(comparison) for comparison in self.comparisons)]
        parts += ["\n".join(f"note: {note}" for note in self.notes)]
        return "\n\n".join([verdict, *(part for part in parts if part)])

    def _repr_html_(self) -> str:
        """Render in a notebook: findings and notes as they are printed, comparisons as a table."""
        verdict = str(self).partition("\n")[0]
        texts = "".join(f"<pre>{html.escape(str(text))}</pre>" for text in self.findings)
        rows = [("input", "witness", "error", "tolerance", "worst element")]
        for c in self.comparisons:
            rows.append((c.what, c.witness, f"{c.error:.1e}", f"{c.tolerance:.0e}", c.values))
        cells = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
        table = "".join(f"<tr>{row}</tr>" for row in cells)
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<b>{verdict}</b>{texts}<table>{table}</table>{notes}"
