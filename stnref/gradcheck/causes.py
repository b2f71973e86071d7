"""What the checker finds by itself: how a pair behaves, and why it cannot be checked.

It measures gradients, and does not name the mistakes in them: a wrong one is `unexplained` here.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Cause(NamedTuple):
    """A kind of mistake.

    Attributes
    ----------
    slug : str
        Its name in a report and in tests.
    title : str
        What it is.
    hint : str
        One sentence on what to look at.
    kind : str
        "wrong gradient"; "behaviour": of the two functions, whatever the values; "cannot check":
        there is no gradient to judge.
    """

    slug: str
    title: str
    hint: str
    kind: str


def read_causes(kind: str, text: str) -> dict[str, Cause]:
    r"""Return the causes of one kind, by their slugs, from a text.

    Parameters
    ----------
    kind : str
        See `Cause`.
    text : str
        Of each cause a line with its slug and title, and below it, indented, its hint.

    Returns
    -------
    dict from slug to Cause

    Examples
    --------
    >>> read_causes("wrong gradient", "sign: a sign is flipped\n  Look at the term.")["sign"].title
    'a sign is flipped'
    """
    causes = {}
    for block in re.split(r"\n(?=\S)", text.strip()):
        head, *hint = re.split(r"\s*\n\s*", block)
        slug, title = head.split(": ", 1)
        causes[slug] = Cause(slug, title, " ".join(hint), kind)
    return causes


_CANNOT = """
shape: a wrong number, shape or kind of what is returned
    forward returns (out, cache), out an array of floats; backward one gradient for each input, in
    their order, each an array of its input's shape (a list counts as several).
error: the code raises
    Look at the line that is named; run that call by itself.
non-finite: values that are not finite
    Look for a division by zero, a logarithm of zero or an overflow.
random-forward: a forward that is random
    Draw the random numbers outside and pass them in, or give it a fixed seed: a random function
    has no gradient to compare with.
untrusted: no numerical derivative that can be trusted
    Is forward continuous here, is it far enough from the end of where it is defined and from a
    kink, and does it compute in float64 throughout?
"""
_BEHAVIOUR = """
input-mutated: an array of the caller is changed in place
    Look for +=, *= and assignments to slices; work on a copy.
stale-cache: backward uses the last forward call, not the cache that it was given
    Keep nothing on self or in globals: what backward needs goes through the cache.
not-repeatable: a second backward with the same cache gives another result
    Look for a buffer in the cache that backward adds to.
upstream-ignored: the upstream gradient is ignored
    Multiply by dout: the output is not the loss, and its gradient is not one.
not-linear: backward is not linear in the upstream gradient
    Backward is J^T dout: no power, clip, absolute value or constant term of dout.
float32: float32 where float64 was given
    Look for astype, a dtype= of zeros or empty, and constants in float32.
jvp: the jvp is not the tangent of forward
    Backward passed: compare the jvp with it, term by term.
"""
_WRONG = """
relu-mask: gradient passes where the unit is off
    The mask of a relu is X > 0, of its input: neither of the upstream gradient nor Y >= 0, which
    is true everywhere.
kink: right, but for the elements on a kink
    On a kink any number between the slopes to both sides will do; this is none.
unexplained: a wrong gradient, of no kind known here
    Begin with the element that is named: differentiate it by hand.
"""

CAUSES = {
    **read_causes("cannot check", _CANNOT),
    **read_causes("behaviour", _BEHAVIOUR),
    **read_causes("wrong gradient", _WRONG),
}
"""The causes by their slugs, which are what tests compare."""
