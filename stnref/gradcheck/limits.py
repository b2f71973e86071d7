"""Every tolerance and every limit of size, each with its reason.

Where there are two values, the key says whether the pair computes in float32, unless it is said
otherwise.
"""

from __future__ import annotations

# ------------------------------------------------------------------- how large an error may be

COMPLEX_TOLERANCE = 1e-10
"""Of a complex step, which is exact to round-off: a long sum loses some of the sixteen digits."""
DIFFERENCE_TOLERANCES = {False: (1e-9, 1e-7), True: (2e-4, 5e-3)}
"""Differences are held to the first, or to their own estimate of error up to the second."""
DOT_TOLERANCES = {False: 1e-12, True: 2e-4}
"""Of the dot test, measured by the product of the norms, in which round-off averages out."""
LINEARITY = {False: 1e-5, True: 1e-3}
"""Largest error of backward(a d1 + b d2) = a backward(d1) + b backward(d2), relative. In float64 it
lets the round-off of float32 pass, which has a finding of its own."""
TAYLOR_RATE = 1.9
"""Taylor's remainder falls like h² with a right gradient, like h with a wrong one."""
SAME_GRADIENT = 1e-12
"""Two gradients that agree so far are one: an upstream gradient was ignored."""
ROUND_OFF = 8
"""Units of round-off of the input that a gradient of zero may have, as at a minimum."""
OUTSIDE_KINK = 1e-6
"""An element on a kink so far beyond its slopes, relative, is counted in a report."""

# ------------------------------------------------------------------------- what is not trusted

ANALYTIC = 1e-6
"""A complex step that is so close to the differences, relative, is a derivative."""
UNTRUSTED = 1e-5
"""A larger estimate, relative, is none: there is nothing to compare with."""
FLOAT32_NOISE = 1e-11, 1e-5
"""Outputs that scatter between these, relative, were computed in float32, at least in part."""
ROUGH_STEP, ROUGH_POINTS = 1e-6, 12
"""The points at which that is looked at, in units of the input: so close a smooth function is
smooth to round-off, and float32 is not."""
GROUPED = {False: 1e-8, True: 1e-12}
"""How well derivatives by several elements at once must give a random direction's; True: where both
are complex steps. A wrong group is off by its entries, which are of order 1."""

# ------------------------------------------------------------------------------- how certain

SCATTER_CERTAINTY = 0.95
"""Scattered outputs were computed in float32, unless they lose digits otherwise."""
DOUBT_CERTAINTY = 0.9
"""An estimate of error that is too large is an estimate."""
UNEXPLAINED_CERTAINTY = 0.3
"""That a gradient is wrong is certain; that the element named is where to look is not."""

# ------------------------------------------------------------------------------- differences

LADDER = tuple(2.0**-k for k in range(3, 25, 2))
"""Steps of the differences, in units of the input, from 1/8 to 1.2e-7: what is nearer than the last
counts as at x."""
ENOUGH = 3
"""Rungs after which a smooth function may be done: Richardson's values and their errors."""
NEAR = LADDER[5], LADDER[7]
"""Steps that look for kinks at x alone."""
AROUND = LADDER[-1] * 2**6
"""How far from x the pieces are asked that meet there."""
TAYLOR_STEPS = tuple(2.0**-k for k in range(2, 22))
"""Those of the Taylor test, in units of the input."""
TAYLOR_NOISE = 100
"""Units of round-off; a smaller remainder has no rate."""
LEAST_STEP = 1000
"""Units of round-off; below these a difference says nothing."""
NOISE = 50
"""Units of round-off, over the step, that slopes may differ by without being different."""
DONE, DONE_NOISE = 1e-11, 20
"""An estimate of error below these, relative and in units of round-off, is not made better."""
KINK = 1e-6
"""A smaller difference of the slopes to both sides, relative, is no kink."""
STAYS = 0.6
"""On a smooth piece the difference shrinks to 1/4 from rung to rung; on a kink it stays."""
GROWS = 2.0
"""Where the function jumps the difference grows by 4."""
JUMP = 1e10
"""Units of round-off that a jump is more than, even one of float32."""
UNIT = 1e-2, 1e2
"""Inputs whose largest element is between these are differentiated in units of 1."""

# ----------------------------------------------------------------- how much is asked of an input

MOST_ELEMENTS = 1000
"""Inputs with more elements are compared along random directions."""
MOST_ENTRIES = 2_000_000
"""So are those whose Jacobian would have more entries."""
MOST_ROWS = 500
"""Outputs up to which backward's whole Jacobian is compared too."""
SIZES = (3, 5, 7, 6, 9, 8, 4, 2)
"""What an axis of a large input is cut to, or else to half of it."""
AMBIGUOUS = {2: 2, 4: 1}
"""Sizes to do without, if possible, and how much: a factor of 2 or 4 has many origins."""
SHORT = 6
"""Of axes with up to so many elements, as of the parameters of a matrix, a part is taken last."""
LIVELY = 0.5
"""The share of the outputs that show what is looked for may fall to this by one cut."""
DIRECTIONS = 3
"""Random directions: one lies by chance, three do not."""
MOST_PIECES = 64
"""Elements on kinks whose pieces are asked."""
PIECES = 8
"""Points around a kink at which the slopes of its pieces are asked."""
FORWARDS = 4
"""How often forward is run to see whether it is random: few bits may agree by chance."""
RELEVANT = 1000
"""The size of error, in tolerances, whose chance to be missed is stated."""
