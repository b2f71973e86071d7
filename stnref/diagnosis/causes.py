"""The mistakes in values that a report can name, and what to look at for each."""

from __future__ import annotations

from stnref.gradcheck.causes import CAUSES as MEASURED
from stnref.gradcheck.causes import read_causes

_WRONG = """
sign: a sign is flipped
    Look at the sign of the term that is named.
xy-swapped: x and y are exchanged
    The last axis is (x, y): x runs along the columns, y along the rows.
hw-swapped: H and W are exchanged
    x goes with W and the columns, y with H and the rows; look at the order in each index.
pixel-factor: the factor from normalised to pixel coordinates is missing or stands on the wrong side
    By the chain rule dgrid = dpoints * ∂x/∂g, and ∂x/∂g is (W - 1)/2, (H - 1)/2, or W/2, H/2 if
    the corners are the outer edges.
corner-factor: the factor of the other corner convention
    ∂x/∂g is (W - 1)/2 with aligned corners and W/2 without: forward and backward have to use
    the same.
corners-swapped: weights of the four corners are exchanged
    The corner at floor(x) has the weight 1 - fx, the one after it fx, likewise in y.
corner-missing: one of the four corners is missing
    Count the terms: four.
accumulation-lost: overwritten where it has to be added
    Several outputs read one input pixel: use numpy.add.at, or += on views that do not overlap;
    neither = nor dU[index] += adds up repeated indices.
outside-gradient: what lies outside still receives gradient
    Where forward read a zero, or a constant, backward may neither write nor read: use the same
    mask in both.
border-gradient: samples at the border receive no gradient
    A sample that straddles the border reads some pixels inside: mask the corners one by one,
    not the sample.
channel-sum: the sum over channels is missing
    A coordinate moves through all channels at once: sum over the channel axis.
batch-mean: a mean over the batch is missing, or taken twice
    Is the 1/N of a mean in forward there once in backward, and nowhere where forward sums?
constant-factor: a constant factor
    Look for a constant that one side has alone.
transpose: a transpose is missing in a matrix product
    Y = X W has dX = dY W^T and dW = X^T dY; a square matrix hides it from the shapes.
bias-sum: a gradient is not summed over all the outputs that share the parameter
    What is broadcast in forward is summed in backward, over the same axes.
off-by-one: the right values a step away: a stride, pad, range or index is off
    Compare the index of every tap in forward and in backward.
wrong-place: the right values in the wrong places: an axis reversed, or the place always the same
    Compare the order of every axis in forward and in backward: kernel, channels, batch.
one-hot: the one-hot labels are not subtracted
    The gradient of softmax and cross-entropy is p - y: subtract one at the label.
no-gradient: no gradient comes back at all
    Is it computed, and returned? Look for a branch that is never taken, a mask that is all zero, a
    detached copy, a None.
path-missing: one of several ways from the input to the output is forgotten
    List every place where forward uses the input: each gives a term of the gradient.
"""

CAUSES = {**MEASURED, **read_causes("wrong gradient", _WRONG)}
"""All causes by their slugs, those that the checker finds by itself among them."""
