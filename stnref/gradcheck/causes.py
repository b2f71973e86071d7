"""The mistakes that a report can name, and what to look at for each."""

from __future__ import annotations

from typing import NamedTuple


class Cause(NamedTuple):
    """A kind of mistake: what it is, and one sentence on what to look at."""

    title: str
    hint: str


CAUSES: dict[str, Cause] = {
    # how the pair was used: there is no gradient to judge
    "shape": Cause(
        "a wrong number, shape or kind of what is returned",
        "forward returns (out, cache), out an array of floats; backward one gradient for each "
        "input, in their order, each an array of its input's shape (a list counts as several).",
    ),
    "error": Cause("the code raises", "Look at the line that is named; run that call by itself."),
    "non-finite": Cause(
        "values that are not finite",
        "Look for a division by zero, a logarithm of zero or an overflow.",
    ),
    "random-forward": Cause(
        "a forward that is random",
        "Draw the random numbers outside and pass them in, or give it a fixed seed: a random "
        "function has no gradient to compare with.",
    ),
    "untrusted": Cause(
        "no numerical derivative that can be trusted",
        "Is forward continuous here, is it far enough from the end of where it is defined and from "
        "a kink, and does it compute in float64 throughout?",
    ),
    # how the two functions behave
    "input-mutated": Cause(
        "an array of the caller is changed in place",
        "Look for +=, *= and assignments to slices; work on a copy.",
    ),
    "stale-cache": Cause(
        "backward uses the last forward call, not the cache that it was given",
        "Keep nothing on self or in globals: what backward needs goes through the cache.",
    ),
    "not-repeatable": Cause(
        "a second backward with the same cache gives another result",
        "Look for a buffer in the cache that backward adds to.",
    ),
    "upstream-ignored": Cause(
        "the upstream gradient is ignored",
        "Multiply by dout: the output is not the loss, and its gradient is not one.",
    ),
    "not-linear": Cause(
        "backward is not linear in the upstream gradient",
        "Backward is J^T dout: no power, clip, absolute value or constant term of dout.",
    ),
    "float32": Cause(
        "float32 where float64 was given",
        "Look for astype, a dtype= of zeros or empty, and constants in float32.",
    ),
    "jvp": Cause(
        "the jvp is not the tangent of forward",
        "Backward passed: compare the jvp with it, term by term.",
    ),
    # what is wrong with the values
    "sign": Cause("a sign is flipped", "Look at the sign of the term that is named."),
    "xy-swapped": Cause(
        "x and y are exchanged",
        "The last axis is (x, y): x runs along the columns, y along the rows.",
    ),
    "hw-swapped": Cause(
        "H and W are exchanged",
        "x goes with W and the columns, y with H and the rows; look at the order in each index.",
    ),
    "pixel-factor": Cause(
        "the factor from normalised to pixel coordinates is missing or stands on the wrong side",
        "By the chain rule dgrid = dpoints * dx/dg, and dx/dg is (W - 1)/2, (H - 1)/2, or W/2, "
        "H/2 if the corners are the outer edges.",
    ),
    "corner-factor": Cause(
        "the factor of the other corner convention",
        "dx/dg is (W - 1)/2 with aligned corners and W/2 without: forward and backward have to "
        "use the same.",
    ),
    "corners-swapped": Cause(
        "weights of the four corners are exchanged",
        "The corner at floor(x) has the weight 1 - fx, the one after it fx, likewise in y.",
    ),
    "corner-missing": Cause("one of the four corners is missing", "Count the terms: four."),
    "accumulation-lost": Cause(
        "overwritten where it has to be added",
        "Several outputs read one input pixel: use numpy.add.at, or += on views that do not "
        "overlap; neither = nor dU[index] += adds up repeated indices.",
    ),
    "outside-gradient": Cause(
        "what lies outside still receives gradient",
        "Where forward read a zero, or a constant, backward may neither write nor read: use the "
        "same mask in both.",
    ),
    "border-gradient": Cause(
        "samples at the border receive no gradient",
        "A sample that straddles the border reads some pixels inside: mask the corners one by "
        "one, not the sample.",
    ),
    "channel-sum": Cause(
        "the sum over channels is missing",
        "A coordinate moves through all channels at once: sum over the channel axis.",
    ),
    "batch-mean": Cause(
        "a mean over the batch is missing, or taken twice",
        "Is the 1/N of a mean in forward there once in backward, and nowhere where forward sums?",
    ),
    "constant-factor": Cause("a constant factor", "Look for a constant that one side has alone."),
    "transpose": Cause(
        "a transpose is missing in a matrix product",
        "Y = X W has dX = dY W^T and dW = X^T dY; a square matrix hides it from the shapes.",
    ),
    "bias-sum": Cause(
        "a gradient is not summed over all the outputs that share the parameter",
        "What is broadcast in forward is summed in backward, over the same axes.",
    ),
    "off-by-one": Cause(
        "the right values a step away: a stride, pad, range or index is off",
        "Compare the index of every tap in forward and in backward.",
    ),
    "wrong-place": Cause(
        "the right values in the wrong places: an axis reversed, or the place always the same",
        "Compare the order of every axis in forward and in backward: kernel, channels, batch.",
    ),
    "relu-mask": Cause(
        "gradient passes where the unit is off",
        "The mask of a relu is X > 0, of its input: neither of the upstream gradient nor "
        "Y >= 0, which is true everywhere.",
    ),
    "one-hot": Cause(
        "the one-hot labels are not subtracted",
        "The gradient of softmax and cross-entropy is p - y: subtract one at the label.",
    ),
    "kink": Cause(
        "right, but for the elements on a kink",
        "On a kink any number between the slopes to both sides will do; this is none.",
    ),
    "path-missing": Cause(
        "one of several ways from the input to the output is forgotten",
        "List every place where forward uses the input: each gives a term of the gradient.",
    ),
    "unexplained": Cause(
        "a wrong gradient, of no kind known here",
        "Begin with the element that is named: differentiate it by hand.",
    ),
}
"""Slug -> cause; the slugs are what tests compare."""

USE = ("shape", "error", "non-finite", "random-forward", "untrusted")
"""Causes that say the check could not be made, not that a gradient is wrong."""
