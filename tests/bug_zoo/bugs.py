"""The zoo of mistakes: small patches to correct implementations, each with its cause.

A gradient checker that names mistakes is judged by these labels. Each bug is one mistake that
people make, written as a replacement of source text in one file of `implementations`.
"""

from __future__ import annotations

import linecache
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bug_zoo.inputs import OPERATIONS, bind, make_inputs

__all__ = ["BUGS", "CAUSES", "OPERATIONS", "Bug", "bind", "load", "make_inputs"]

IMPLEMENTATIONS = Path(__file__).parent / "implementations"

CAUSES = {
    "sign": "sign flipped: of a gradient, on one axis, or of one term",
    "xy-swapped": "x and y exchanged in a gradient to coordinates",
    "hw-swapped": "H and W exchanged: in a factor, or rows and columns of a map's gradient",
    "pixel-factor": "the factor from normalised to pixel coordinates is missing",
    "corner-factor": "the factor is that of the other corner convention",
    "corners-swapped": "weights of two corners exchanged (f for 1 - f)",
    "corner-missing": "one of the four corners is missing",
    "accumulation-lost": "overwritten, where several outputs read one pixel",
    "outside-gradient": "corners outside of the map give or receive gradient",
    "border-gradient": "samples across the border, or border pixels, get no gradient",
    "channel-sum": "not summed over the channels",
    "batch-mean": "the mean over the batch missing, applied twice, or in place of a sum",
    "constant-factor": "any other constant factor",
    "upstream-ignored": "the upstream gradient is not used, ones are assumed",
    "transpose": "a transpose is missing, or one too many",
    "bias-sum": "the bias gradient is that of one sample or one position only",
    "off-by-one": "a stride, pad, pool or pixel index is off by one, or the stride is ignored",
    "wrong-place": "right values, wrong places: an axis reversed, another sample, always the same",
    "relu-mask": "the mask of relu is missing, inverted, or of the wrong array",
    "one-hot": "softmax without subtracting the one-hot labels",
    "input-mutated": "an input or the upstream gradient is changed in place",
    "stale-cache": "backward uses the last forward call instead of its cache",
    "float32": "computed in float32 where float64 was given",
    "kink": "right but on kinks, where it lies outside of the one-sided slopes",
    "path-missing": "one of several paths from an input to the output is forgotten",
    "not-linear": "backward is not linear in the upstream gradient",
    "not-repeatable": "a second call of backward with the same cache differs",
    "shape": "the gradient does not have its input's shape",
    "non-finite": "forward gives NaN",
    "random-forward": "forward draws random numbers",
}
"""What a finding can be named, and what it means."""


@dataclass(frozen=True)
class Bug:
    """A mistake, and the cause that a checker is to name first."""

    name: str
    operation: str
    module: str  # "sampler": implementations/sampler.py
    patch: tuple[tuple[str, str], ...]  # (old, new) source text, old occurs exactly once
    cause: str
    story: str
    also: tuple[str, ...] = ()  # causes that no test could tell from it on these inputs
    options: Mapping[str, Any] = field(default_factory=dict)  # bound to forward
    inputs: str = "default"  # the `which` of `make_inputs`


def load(module: str, patch: tuple[tuple[str, str], ...] = ()) -> types.ModuleType:
    """Return an implementation, executed afresh with its source text patched.

    >>> load("layers", (("return dX, dW, db\\n\\n\\ndef conv", "return dX, dW\\n\\n\\ndef conv"),))
    <module 'zoo_layers'>
    """
    source = (IMPLEMENTATIONS / f"{module}.py").read_text(encoding="utf-8")
    for old, new in patch:
        if source.count(old) != 1:
            raise ValueError(f"patch: expected once in {module}.py, got {source.count(old)}: {old}")
        source = source.replace(old, new)
    changed = "; ".join(new.strip().split("\n")[0] for _, new in patch)
    filename = f"<{module}.py with {changed}>" if patch else f"<{module}.py>"
    # With the text in linecache a traceback shows the patched lines.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace = types.ModuleType(f"zoo_{module}")
    exec(compile(source, filename, "exec"), namespace.__dict__)
    return namespace


def _bug(
    name: str, operation: str, cause: str, story: str, *patch: tuple[str, str], **more: Any
) -> Bug:
    return Bug(name, operation, OPERATIONS[operation].module, patch, cause, story, **more)


# --------------------------------------------------------------------------- coordinates

_COORDINATES = [
    _bug(
        "unnormalize-pixel-factor",
        "unnormalize",
        "pixel-factor",
        "The gradient in pixels was returned as that in normalised units.",
        ("[dx * factor_x, dy * factor_y]", "[dx, dy]"),
    ),
    _bug(
        "unnormalize-pixel-factor-y",
        "unnormalize",
        "pixel-factor",
        "The factor was written for x and forgotten for y.",
        ("dy * factor_y", "dy"),
        options={"align_corners": False},
    ),
    _bug(
        "unnormalize-hw",
        "unnormalize",
        "hw-swapped",
        "Shapes are (H, W), coordinates (x, y): the factors follow the shape's order.",
        ("H, W, align_corners = cache", "W, H, align_corners = cache"),
    ),
    _bug(
        "unnormalize-corner-factor",
        "unnormalize",
        "corner-factor",
        "Forward aligns corners, backward uses W / 2 and H / 2 all the same.",
        ("(W - 1) / 2 if align_corners else W / 2", "W / 2"),
        ("(H - 1) / 2 if align_corners else H / 2", "H / 2"),
    ),
    _bug(
        "unnormalize-corner-factor-edges",
        "unnormalize",
        "corner-factor",
        "Forward has outer edges, backward the factors of aligned corners.",
        ("(W - 1) / 2 if align_corners else W / 2", "(W - 1) / 2"),
        ("(H - 1) / 2 if align_corners else H / 2", "(H - 1) / 2"),
        options={"align_corners": False},
    ),
    _bug(
        "unnormalize-factor-two",
        "unnormalize",
        "constant-factor",
        "The interval [-1, 1] was taken to have length one: W - 1 in place of (W - 1) / 2.",
        ("(W - 1) / 2 if", "(W - 1) if"),
        ("(H - 1) / 2 if", "(H - 1) if"),
    ),
    _bug(
        "unnormalize-y-up",
        "unnormalize",
        "sign",
        "Backward thinks that y points up.",
        ("dy * factor_y", "-dy * factor_y"),
    ),
    _bug(
        "unnormalize-xy",
        "unnormalize",
        "xy-swapped",
        "The gradient was unpacked as (y, x).",
        ("dx, dy = dpoints[..., 0], dpoints[..., 1]", "dy, dx = dpoints[..., 0], dpoints[..., 1]"),
    ),
    _bug(
        "unnormalize-in-place",
        "unnormalize",
        "input-mutated",
        "The grid was shifted in place to save an array.",
        ("    H, W = shape\n", "    H, W = shape\n    grid += 1\n"),
        ("[(x + 1) * (W - 1) / 2, (y + 1) * (H - 1) / 2]", "[x * (W - 1) / 2, y * (H - 1) / 2]"),
    ),
]

# ---------------------------------------------------------------------------- transforms

_TRANSFORMS = [
    _bug(
        "affine-xy",
        "affine_grid",
        "xy-swapped",
        "The rows of dtheta were filled from a gradient that was thought to be (y, x).",
        (
            '"bijd,ijk->bdk", dgrid, target)\n    return dtheta',
            '"bijd,ijk->bdk", dgrid[..., ::-1], target)\n    return dtheta',
        ),
    ),
    _bug(
        "affine-mean-over-pixels",
        "affine_grid",
        "constant-factor",
        "A mean over the target pixels was taken in place of the sum.",
        ("return dtheta  # (B, 2, 3)", "return dtheta / target[..., 0].size"),
        also=("batch-mean",),
    ),
    _bug(
        "affine-sign",
        "affine_grid",
        "sign",
        "The update's minus sign was put into the gradient already.",
        ("return dtheta  # (B, 2, 3)", "return -dtheta"),
    ),
    _bug(
        "affine-batch-mean",
        "affine_grid",
        "batch-mean",
        "dtheta was divided by the batch, though each sample has its own theta.",
        ("return dtheta  # (B, 2, 3)", "return dtheta / len(dtheta)"),
    ),
    _bug(
        "affine-flat",
        "affine_grid",
        "shape",
        "dtheta was returned as the six numbers of a vector.",
        ("return dtheta  # (B, 2, 3)", "return dtheta.reshape(-1, 6)"),
    ),
    _bug(
        "affine-ignores-upstream",
        "affine_grid",
        "upstream-ignored",
        "The derivative of the sum of the grid was written, not that of the loss.",
        ("    target = cache\n", "    target, dgrid = cache, np.ones_like(dgrid)\n"),
    ),
    _bug(
        "flow-xy",
        "flow_grid",
        "xy-swapped",
        "The flow was thought to be (dy, dx).",
        ("dflow = dgrid.copy()", "dflow = dgrid[..., ::-1].copy()"),
    ),
    _bug(
        "flow-half",
        "flow_grid",
        "constant-factor",
        "A factor of a half was left over from a change of units.",
        ("dflow = dgrid.copy()", "dflow = dgrid / 2"),
    ),
    _bug(
        "flow-sign",
        "flow_grid",
        "sign",
        "The flow was thought to be subtracted from the grid.",
        ("dflow = dgrid.copy()", "dflow = -dgrid"),
    ),
    _bug(
        "basis-shuffled",
        "basis_grid",
        "transpose",
        "(B, 2, K) was brought to the shape (B, K, 2) by reshape, where a transpose is due.",
        ("return dtheta.transpose(0, 2, 1)", "return dtheta.reshape(len(dgrid), -1, 2)"),
    ),
    _bug(
        "basis-float32",
        "basis_grid",
        "float32",
        "The basis was stored in single precision to save memory.",
        (
            "    basis = cache\n",
            "    basis = cache.astype(np.float32)\n    dgrid = dgrid.astype(np.float32)\n",
        ),
    ),
    _bug(
        "projective-without-z",
        "projective_grid",
        "path-missing",
        "The denominator was taken for a constant: no term -X / Z^2.",
        ("dZ = -dx * X / Z**2 - dy * Y / Z**2", "dZ = 0 * dx"),
    ),
    _bug(
        "projective-z-of-x-only",
        "projective_grid",
        "path-missing",
        "Z divides both coordinates; only x was remembered.",
        ("dZ = -dx * X / Z**2 - dy * Y / Z**2", "dZ = -dx * X / Z**2"),
    ),
    _bug(
        "projective-z-sign",
        "projective_grid",
        "sign",
        "The derivative of 1 / Z has a minus.",
        ("dZ = -dx * X / Z**2 - dy * Y / Z**2", "dZ = dx * X / Z**2 + dy * Y / Z**2"),
    ),
    _bug(
        "projective-transposed",
        "projective_grid",
        "transpose",
        "target^T dXYZ in place of dXYZ^T target; 3 x 3 hides it.",
        ('return np.einsum("bijd,ijk->bdk", dXYZ', 'return np.einsum("bijd,ijk->bkd", dXYZ'),
    ),
    _bug(
        "translation-swapped",
        "translation_matrix",
        "xy-swapped",
        "The gradients to tx and ty were returned in the order of rows and columns.",
        ("np.stack([dtx, dty], axis=1)", "np.stack([dty, dtx], axis=1)"),
    ),
    _bug(
        "translation-sign",
        "translation_matrix",
        "sign",
        "A positive tx moves the picture to the left, so its gradient was given a minus.",
        ("np.stack([dtx, dty], axis=1)", "np.stack([-dtx, dty], axis=1)"),
    ),
    _bug(
        "attention-one-entry",
        "attention_matrix",
        "path-missing",
        "s stands twice in theta; only the first place gave its gradient.",
        ("ds = dtheta[:, 0, 0] + dtheta[:, 1, 1]", "ds = dtheta[:, 0, 0]"),
    ),
    _bug(
        "attention-mean-of-entries",
        "attention_matrix",
        "constant-factor",
        "The two entries of s were averaged, not added.",
        ("ds = dtheta[:, 0, 0] + dtheta[:, 1, 1]", "ds = (dtheta[:, 0, 0] + dtheta[:, 1, 1]) / 2"),
    ),
    _bug(
        "rigid-sign-of-sine",
        "rigid_matrix",
        "sign",
        "The minus of -sin was lost in its derivative.",
        ("- c * dtheta[:, 0, 1]", "+ c * dtheta[:, 0, 1]"),
    ),
    _bug(
        "rigid-one-entry",
        "rigid_matrix",
        "path-missing",
        "The angle stands in four entries of theta; one was taken.",
        ("- c * dtheta[:, 0, 1] + c * dtheta[:, 1, 0] - s * dtheta[:, 1, 1]", ""),
    ),
    _bug(
        "rigid-upper-row-only",
        "rigid_matrix",
        "path-missing",
        "The angle's gradient was collected from the upper row of theta alone.",
        ("+ c * dtheta[:, 1, 0] - s * dtheta[:, 1, 1]", ""),
    ),
    _bug(
        "similarity-sign-of-angle",
        "similarity_matrix",
        "sign",
        "The angle's gradient belongs to the rotation by -a.",
        ("da = scale * (c * along_s - s * along_c)", "da = scale * (s * along_c - c * along_s)"),
    ),
    _bug(
        "similarity-scale-diagonal",
        "similarity_matrix",
        "path-missing",
        "The scale's gradient was collected from the diagonal only.",
        ("dscale = c * along_c + s * along_s", "dscale = c * along_c"),
    ),
]

# ------------------------------------------------------------------------------- sampler

_SAMPLER = [
    _bug(
        "sampler-dx-sign",
        "sample",
        "sign",
        "Left minus right in place of right minus left.",
        (
            "slope_x = (1 - fy) * (U01 - U00) + fy * (U11 - U10)",
            "slope_x = (1 - fy) * (U00 - U01) + fy * (U10 - U11)",
        ),
    ),
    _bug(
        "sampler-dy-lower-term-sign",
        "sample",
        "sign",
        "In one of the two columns the difference was taken the wrong way round.",
        ("fx * (U11 - U01)", "fx * (U01 - U11)"),
    ),
    _bug(
        "grid-sample-sign-both",
        "grid_sample",
        "sign",
        "The kernel's slope was derived by the pixel's coordinate, not by the sample's.",
        ("dgrid = np.stack([dpoints[..., 0] *", "dgrid = -np.stack([dpoints[..., 0] *"),
    ),
    _bug(
        "sampler-xy",
        "sample",
        "xy-swapped",
        "The gradients were stacked in the order (y, x) of the array's axes.",
        ("np.stack([dx, dy], axis=-1)", "np.stack([dy, dx], axis=-1)"),
    ),
    _bug(
        "grid-sample-xy",
        "grid_sample",
        "xy-swapped",
        "The two components were exchanged after the factors had been applied.",
        (
            "[dpoints[..., 0] * factor_x, dpoints[..., 1] * factor_y]",
            "[dpoints[..., 1] * factor_y, dpoints[..., 0] * factor_x]",
        ),
    ),
    _bug(
        "grid-sample-hw",
        "grid_sample",
        "hw-swapped",
        "The factor of x was made of the height, that of y of the width.",
        ("sample_cache, H, W, align_corners = cache", "sample_cache, W, H, align_corners = cache"),
    ),
    _bug(
        "sampler-du-rows-columns",
        "sample",
        "hw-swapped",
        "dU was collected as (B, W, H, C) and reshaped, not transposed, into (B, H, W, C).",
        (
            "dU = np.zeros(U.shape, dtype=dV.dtype)",
            "B, H, W, C = U.shape\n    dU = np.zeros((B, W, H, C))",
        ),
        ("    np.add.at(dU, at, part)", "    np.add.at(dU, (at[0], at[2], at[1]), part)"),
        ("    return dU, dpoints\n", "    return dU.reshape(U.shape), dpoints\n"),
        also=("transpose",),
    ),
    _bug(
        "grid-sample-pixel-factor",
        "grid_sample",
        "pixel-factor",
        "The gradient to points in pixels was returned as that to the grid.",
        ("    return dU, dgrid", "    return dU, dpoints"),
    ),
    _bug(
        "grid-sample-pixel-factor-x",
        "grid_sample",
        "pixel-factor",
        "The factor of x was forgotten.",
        ("dpoints[..., 0] * factor_x", "dpoints[..., 0]"),
    ),
    _bug(
        "grid-sample-pixel-factor-edges",
        "grid_sample",
        "pixel-factor",
        "With outer edges the factors W / 2 and H / 2 are due as well.",
        ("align_corners else W / 2", "align_corners else 1"),
        ("align_corners else H / 2", "align_corners else 1"),
        options={"align_corners": False},
        inputs="edges",
    ),
    _bug(
        "grid-sample-corner-factor",
        "grid_sample",
        "corner-factor",
        "W / 2 and H / 2 although the corners are aligned.",
        ("(W - 1) / 2 if align_corners else W / 2", "W / 2"),
        ("(H - 1) / 2 if align_corners else H / 2", "H / 2"),
    ),
    _bug(
        "grid-sample-corner-factor-edges",
        "grid_sample",
        "corner-factor",
        "align_corners=False reached forward but not backward.",
        (
            "sample_cache, H, W, align_corners = cache",
            "sample_cache, H, W, _ = cache\n    align_corners = True",
        ),
        options={"align_corners": False},
        inputs="edges",
    ),
    _bug(
        "grid-sample-corner-factor-y",
        "grid_sample",
        "corner-factor",
        "One axis has the factor of aligned corners, the other H / 2.",
        ("(H - 1) / 2 if align_corners else H / 2", "H / 2"),
    ),
    _bug(
        "grid-sample-factor-two",
        "grid_sample",
        "constant-factor",
        "x = (g + 1) (W - 1) / 2 was differentiated without the half.",
        ("(W - 1) / 2 if", "(W - 1) if"),
        ("(H - 1) / 2 if", "(H - 1) if"),
    ),
    _bug(
        "sampler-du-half",
        "sample",
        "constant-factor",
        "The map's gradient was halved, as if it were shared with the coordinates.",
        ("    return dU, dpoints\n", "    return dU / 2, dpoints\n"),
    ),
    _bug(
        "sampler-du-fx-swapped",
        "sample",
        "corners-swapped",
        "The left pixels received the weight of the right ones.",
        (
            "_add(dU, at00, in00 * (1 - fy) * (1 - fx) * dV)",
            "_add(dU, at00, in00 * (1 - fy) * fx * dV)",
        ),
        (
            "_add(dU, at01, in01 * (1 - fy) * fx * dV)",
            "_add(dU, at01, in01 * (1 - fy) * (1 - fx) * dV)",
        ),
        ("_add(dU, at10, in10 * fy * (1 - fx) * dV)", "_add(dU, at10, in10 * fy * fx * dV)"),
        ("_add(dU, at11, in11 * fy * fx * dV)", "_add(dU, at11, in11 * fy * (1 - fx) * dV)"),
    ),
    _bug(
        "sampler-du-diagonal-swapped",
        "sample",
        "corners-swapped",
        "Upper right and lower left exchanged their weights (wb and wc of the tutorials).",
        ("in01 * (1 - fy) * fx * dV", "in01 * fy * (1 - fx) * dV"),
        ("in10 * fy * (1 - fx) * dV", "in10 * (1 - fy) * fx * dV"),
    ),
    _bug(
        "sampler-dx-rows-swapped",
        "sample",
        "corners-swapped",
        "In the slope along x the upper row has the weight fy of the lower one.",
        (
            "slope_x = (1 - fy) * (U01 - U00) + fy * (U11 - U10)",
            "slope_x = fy * (U01 - U00) + (1 - fy) * (U11 - U10)",
        ),
    ),
    _bug(
        "grid-sample-dy-columns-swapped",
        "grid_sample",
        "corners-swapped",
        "In the slope along y the left column has the weight of the right one.",
        (
            "slope_y = (1 - fx) * (U10 - U00) + fx * (U11 - U01)",
            "slope_y = fx * (U10 - U00) + (1 - fx) * (U11 - U01)",
        ),
    ),
    _bug(
        "sampler-du-corner-missing",
        "sample",
        "corner-missing",
        "The lower right pixel was forgotten in dU.",
        ("    _add(dU, at11, in11 * fy * fx * dV)\n", ""),
    ),
    _bug(
        "sampler-dx-corner-missing",
        "sample",
        "corner-missing",
        "The slope along x misses the lower left pixel.",
        ("fy * (U11 - U10)", "fy * U11"),
    ),
    _bug(
        "grid-sample-dy-corner-missing",
        "grid_sample",
        "corner-missing",
        "The slope along y misses the upper right pixel.",
        ("fx * (U11 - U01)", "fx * U11"),
    ),
    _bug(
        "grid-sample-du-corner-missing",
        "grid_sample",
        "corner-missing",
        "The upper left pixel was forgotten in dU.",
        ("    _add(dU, at00, in00 * (1 - fy) * (1 - fx) * dV)\n", ""),
    ),
    _bug(
        "sampler-buffered-add",
        "sample",
        "accumulation-lost",
        "dU[index] += part adds only once for an index that occurs twice: np.add.at is due.",
        ("np.add.at(dU, at, part)", "dU[at] += part"),
    ),
    _bug(
        "grid-sample-overwritten",
        "grid_sample",
        "accumulation-lost",
        "dU[index] = part: only the last sample that reads a pixel gives it a gradient.",
        ("np.add.at(dU, at, part)", "dU[at] = part"),
    ),
    _bug(
        "grid-sample-border-buffered",
        "grid_sample",
        "accumulation-lost",
        "With border padding many samples read the same border pixel, and one of them counts.",
        ("np.add.at(dU, at, part)", "dU[at] += part"),
        options={"padding_mode": "border"},
    ),
    _bug(
        "sampler-du-mask-forgotten",
        "sample",
        "outside-gradient",
        "Corners outside were clipped to the border, and the border pixel gets their gradient.",
        ('in00, in01, in10, in11 = cache["masks"]', "in00 = in01 = in10 = in11 = 1"),
    ),
    _bug(
        "sampler-dx-reads-clipped",
        "sample",
        "outside-gradient",
        "The slopes read the map again, at clipped indices, without the mask.",
        (
            'U00, U01, U10, U11 = cache["corners"]',
            'U00, U01, U10, U11 = (U[at] for at in cache["places"])',
        ),
    ),
    _bug(
        "grid-sample-mask-of-one-axis",
        "grid_sample",
        "outside-gradient",
        "In backward a corner counts as inside if its row is; the column was not asked.",
        (
            'in00, in01, in10, in11 = cache["masks"]',
            'y0, H = cache["y0"][..., None], U.shape[1]\n'
            "    in00 = in01 = (y0 >= 0) & (y0 < H)\n"
            "    in10 = in11 = (y0 + 1 >= 0) & (y0 + 1 < H)",
        ),
    ),
    _bug(
        "sampler-border-slope-outside",
        "sample",
        "outside-gradient",
        "Border padding in forward; in backward the slope of zeros padding: samples beyond the "
        "border, where the map is constant, are drawn back.",
        (
            'U00, U01, U10, U11 = cache["corners"]',
            'x0, y0 = cache["x0"], cache["y0"]\n'
            "    cells = ((y0, x0), (y0, x0 + 1), (y0 + 1, x0), (y0 + 1, x0 + 1))\n"
            '    exist = (_corner(U, y, x, "zeros")[1] for y, x in cells)\n'
            '    U00, U01, U10, U11 = (c * e for c, e in zip(cache["corners"], exist))',
        ),
        options={"padding": "border"},
    ),
    _bug(
        "sampler-straddling-dropped",
        "sample",
        "border-gradient",
        "Only samples with all four corners inside give a gradient.",
        (
            "    dU = np.zeros(U.shape, dtype=dV.dtype)",
            "    dV = dV * (in00 & in01 & in10 & in11)\n    dU = np.zeros(U.shape, dtype=dV.dtype)",
        ),
    ),
    _bug(
        "sampler-first-column-dropped",
        "sample",
        "border-gradient",
        "x > 0 in place of x >= 0: the first column receives no gradient.",
        (
            'in00, in01, in10, in11 = cache["masks"]',
            'first = [at[2][..., None] > 0 for at in cache["places"]]\n'
            '    in00, in01, in10, in11 = (m & f for m, f in zip(cache["masks"], first))',
        ),
    ),
    _bug(
        "grid-sample-straddling-slope-dropped",
        "grid_sample",
        "border-gradient",
        "The coordinates' gradient was set to zero wherever a corner is outside.",
        (
            "dx = (dV * slope_x).sum(axis=-1)",
            "dV = dV * (in00 & in01 & in10 & in11)\n    dx = (dV * slope_x).sum(axis=-1)",
        ),
    ),
    _bug(
        "grid-sample-border-mask-of-zeros",
        "grid_sample",
        "border-gradient",
        "Border padding in forward, the mask of zeros padding in backward: what samples outside "
        "read, the border pixels, receives nothing.",
        (
            'in00, in01, in10, in11 = cache["masks"]',
            'x0, y0 = cache["x0"], cache["y0"]\n'
            "    cells = ((y0, x0), (y0, x0 + 1), (y0 + 1, x0), (y0 + 1, x0 + 1))\n"
            '    in00, in01, in10, in11 = (_corner(U, y, x, "zeros")[1] for y, x in cells)',
        ),
        options={"padding_mode": "border"},
    ),
    _bug(
        "sampler-first-channel",
        "sample",
        "channel-sum",
        "Written for grey pictures: the coordinates' gradient looks at the first channel only.",
        ("(dV * slope_x).sum(axis=-1)", "(dV * slope_x)[..., 0]"),
        ("(dV * slope_y).sum(axis=-1)", "(dV * slope_y)[..., 0]"),
    ),
    _bug(
        "grid-sample-dy-last-channel",
        "grid_sample",
        "channel-sum",
        "A loop over the channels overwrites dy; the last one is left.",
        ("(dV * slope_y).sum(axis=-1)", "(dV * slope_y)[..., -1]"),
    ),
    _bug(
        "grid-sample-channel-mean",
        "grid_sample",
        "channel-sum",
        "A mean over the channels in place of the sum.",
        ("(dV * slope_x).sum(axis=-1)", "(dV * slope_x).mean(axis=-1)"),
        ("(dV * slope_y).sum(axis=-1)", "(dV * slope_y).mean(axis=-1)"),
        also=("constant-factor",),
    ),
    _bug(
        "grid-sample-batch-mean",
        "grid_sample",
        "batch-mean",
        "The loss is a mean over the batch already; the sampler divides once more.",
        (
            "    dU, dpoints = sample_backward(dV, sample_cache)",
            "    dU, dpoints = sample_backward(dV / len(dV), sample_cache)",
        ),
    ),
    _bug(
        "sampler-upstream-ignored",
        "sample",
        "upstream-ignored",
        "The slope of the picture was returned, not its product with the upstream gradient.",
        ("(dV * slope_x).sum(axis=-1)", "slope_x.sum(axis=-1)"),
        ("(dV * slope_y).sum(axis=-1)", "slope_y.sum(axis=-1)"),
    ),
    _bug(
        "sampler-du-upstream-ignored",
        "sample",
        "upstream-ignored",
        "The weights were scattered, without the gradient that they weigh.",
        (
            "_add(dU, at00, in00 * (1 - fy) * (1 - fx) * dV)",
            "_add(dU, at00, in00 * (1 - fy) * (1 - fx))",
        ),
        ("in01 * (1 - fy) * fx * dV", "in01 * (1 - fy) * fx"),
        ("in10 * fy * (1 - fx) * dV", "in10 * fy * (1 - fx)"),
        ("in11 * fy * fx * dV", "in11 * fy * fx"),
    ),
    _bug(
        "sampler-du-one-based",
        "sample",
        "off-by-one",
        "Indices from the Lua original, which begin at one: dU is moved by a column.",
        ("    return dU, dpoints\n", "    return np.roll(dU, 1, axis=2), dpoints\n"),
    ),
    _bug(
        "sampler-float32-backward",
        "sample",
        "float32",
        "The buffer for dU is float32, whatever comes in.",
        ("np.zeros(U.shape, dtype=dV.dtype)", "np.zeros(U.shape, dtype=np.float32)"),
    ),
    _bug(
        "grid-sample-float32-forward",
        "grid_sample",
        "float32",
        "The grid was cast to float32 in forward.",
        (
            "    _, H, W, _ = U.shape\n",
            "    _, H, W, _ = U.shape\n    grid = grid.astype(np.float32)\n",
        ),
    ),
    _bug(
        "sampler-stale-cell",
        "sample",
        "stale-cache",
        "The places are kept in a module's variable; backward uses those of the last call.",
        ("    return V, cache\n", "    _LAST.update(cache)\n    return V, cache\n"),
        (
            "def sample_backward(dV, cache):\n",
            "_LAST = {}\n\n\ndef sample_backward(dV, cache):\n    cache = _LAST\n",
        ),
    ),
    _bug(
        "sampler-dx-equation-7",
        "sample",
        "kink",
        "Equation 7 read literally: on the lattice the columns x - 1, x, x + 1 have the factors "
        "0, 1, 0.",
        (
            "slope_x = (1 - fy) * (U01 - U00) + fy * (U11 - U10)",
            "left, right = np.where(fx > 0, -1, 1), np.where(fx > 0, 1, 0)\n"
            "    slope_x = (1 - fy) * (right * U01 + left * U00) + fy * (right * U11 + left * U10)",
        ),
        inputs="kinks",
    ),
    _bug(
        "grid-sample-equation-7",
        "grid_sample",
        "kink",
        "Equation 7 read literally, along both axes, in normalised coordinates.",
        (
            "slope_x = (1 - fy) * (U01 - U00) + fy * (U11 - U10)",
            "left, right = np.where(fx > 0, -1, 1), np.where(fx > 0, 1, 0)\n"
            "    slope_x = (1 - fy) * (right * U01 + left * U00) + fy * (right * U11 + left * U10)",
        ),
        (
            "slope_y = (1 - fx) * (U10 - U00) + fx * (U11 - U01)",
            "up, down = np.where(fy > 0, -1, 1), np.where(fy > 0, 1, 0)\n"
            "    slope_y = (1 - fx) * (down * U10 + up * U00) + fx * (down * U11 + up * U01)",
        ),
        inputs="kinks",
    ),
    _bug(
        "sampler-ceil",
        "sample",
        "kink",
        "The right neighbour is ceil(x): on the lattice that is the pixel itself, the slope 0.",
        ("x1, y1 = x0 + 1, y0 + 1", "x1, y1 = np.ceil(x).astype(int), np.ceil(y).astype(int)"),
        inputs="kinks",
    ),
    _bug(
        "grid-sample-clipped-gradient",
        "grid_sample",
        "not-linear",
        "The gradient to the grid is clipped inside backward, to keep the training calm.",
        ("    return dU, dgrid", "    return dU, np.clip(dgrid, -0.5, 0.5)"),
    ),
    _bug(
        "grid-sample-adds-into-cache",
        "grid_sample",
        "not-repeatable",
        "The buffer of dU is made once and kept in the cache; a second backward adds to it.",
        (
            "dU = np.zeros(U.shape, dtype=dV.dtype)",
            'dU = cache.setdefault("dU", np.zeros(U.shape, dtype=dV.dtype))',
        ),
    ),
    _bug(
        "sampler-channels-first",
        "sample",
        "shape",
        "dU was returned channels first.",
        ("    return dU, dpoints\n", "    return dU.transpose(0, 3, 1, 2), dpoints\n"),
    ),
    _bug(
        "sampler-scales-upstream",
        "sample",
        "input-mutated",
        "The upstream gradient was masked in place for the coordinates' sake.",
        (
            "    dx = (dV * slope_x).sum(axis=-1)\n",
            "    dV *= in00 | in01 | in10 | in11\n    dx = (dV * slope_x).sum(axis=-1)\n",
        ),
    ),
]

# -------------------------------------------------------------------------------- module

_MODULE = [
    _bug(
        "module-without-localisation",
        "spatial_transformer",
        "path-missing",
        "U feeds two branches; the localisation net's part of dU was forgotten.",
        ("dU = dU_sampler + dU_localisation", "dU = dU_sampler"),
    ),
    _bug(
        "module-without-sampler",
        "spatial_transformer",
        "path-missing",
        "The sampler's part of dU was overwritten by that of the localisation net.",
        ("dU = dU_sampler + dU_localisation", "dU = dU_localisation"),
    ),
    _bug(
        "module-theta-columns-first",
        "spatial_transformer",
        "transpose",
        "dtheta was flattened column by column, theta row by row.",
        ('"bijd,ijk->bdk", dgrid, target)', '"bijd,ijk->bkd", dgrid, target)'),
    ),
    _bug(
        "module-theta-xy",
        "spatial_transformer",
        "xy-swapped",
        "The rows of dtheta stand in the order y, x.",
        (
            "dx * (columns - 1) / 2, dy * (rows - 1) / 2]",
            "dy * (rows - 1) / 2, dx * (columns - 1) / 2]",
        ),
    ),
    _bug(
        "module-pixel-factor",
        "spatial_transformer",
        "pixel-factor",
        "Pixels were taken for normalised units on the way back to theta.",
        ("[dx * (columns - 1) / 2, dy * (rows - 1) / 2]", "[dx, dy]"),
    ),
    _bug(
        "module-bias-first-sample",
        "spatial_transformer",
        "bias-sum",
        "db is the first sample's gradient to theta.",
        ("db = dtheta.sum(axis=0)", "db = dtheta[0]"),
    ),
    _bug(
        "module-accumulation",
        "spatial_transformer",
        "accumulation-lost",
        "Fancy += in place of np.add.at.",
        (
            "np.add.at(dU_sampler, at, (inside * wy * wx)[..., None] * dV)",
            "dU_sampler[at] += (inside * wy * wx)[..., None] * dV",
        ),
    ),
    _bug(
        "module-first-channel",
        "spatial_transformer",
        "channel-sum",
        "Only the first channel moves theta.",
        ("agreement = (dV * value).sum(axis=-1)", "agreement = (dV * value)[..., 0]"),
    ),
    _bug(
        "module-batch-mean",
        "spatial_transformer",
        "batch-mean",
        "dtheta was divided by the batch, which the loss had done already.",
        (".reshape(B, 6)\n    dW", ".reshape(B, 6) / B\n    dW"),
    ),
    _bug(
        "module-sign-of-localisation",
        "spatial_transformer",
        "sign",
        "The two parts of dU were subtracted.",
        ("dU = dU_sampler + dU_localisation", "dU = dU_sampler - dU_localisation"),
    ),
]

# -------------------------------------------------------------------------------- layers

_LINEAR_AND_CONV = [
    _bug(
        "linear-dx-transpose",
        "linear",
        "transpose",
        "dX = dY W: with as many inputs as outputs the shapes do not complain.",
        ("dX = dY @ W.T", "dX = dY @ W"),
        inputs="square",
    ),
    _bug(
        "linear-dw-transpose",
        "linear",
        "transpose",
        "dW = dY^T X is the transpose of what is due.",
        ("dW = X.T @ dY", "dW = dY.T @ X"),
        inputs="square",
    ),
    _bug(
        "linear-bias-first-sample",
        "linear",
        "bias-sum",
        "All samples use one bias; only the first one gave it a gradient.",
        ("db = dY.sum(axis=0)", "db = dY[0]"),
    ),
    _bug(
        "linear-bias-mean",
        "linear",
        "batch-mean",
        "The bias got the mean over the batch, the weights the sum.",
        ("db = dY.sum(axis=0)", "db = dY.mean(axis=0)"),
    ),
    _bug(
        "linear-dw-mean",
        "linear",
        "batch-mean",
        "dW was divided by the batch, which the loss had done already.",
        ("dW = X.T @ dY", "dW = X.T @ dY / len(X)"),
    ),
    _bug(
        "linear-bias-keepdims",
        "linear",
        "shape",
        "db has the shape (1, M).",
        ("db = dY.sum(axis=0)", "db = dY.sum(axis=0, keepdims=True)"),
    ),
    _bug(
        "linear-float32",
        "linear",
        "float32",
        "Forward was made fast by single precision.",
        ("Y = X @ W + b", "Y = (X.astype(np.float32) @ W.astype(np.float32) + b).astype(X.dtype)"),
    ),
    _bug(
        "linear-clips-upstream",
        "linear",
        "not-linear",
        "Gradient clipping has its place in the optimiser, not in backward.",
        ("    X, W = cache\n", "    X, W = cache\n    dY = np.clip(dY, -0.1, 0.1)\n"),
    ),
    _bug(
        "linear-dw-accumulates",
        "linear",
        "not-repeatable",
        "dW is added to that of the last backward, which nobody had set to zero.",
        ("return Y, (X, W)\n", 'return Y, {"X": X, "W": W, "dW": np.zeros_like(W)}\n'),
        ("    X, W = cache\n", '    X, W = cache["X"], cache["W"]\n'),
        ("    dW = X.T @ dY\n", '    cache["dW"] += X.T @ dY\n    dW = cache["dW"].copy()\n'),
    ),
    _bug(
        "linear-ignores-upstream",
        "linear",
        "upstream-ignored",
        "dX was written as if the loss were the sum of the outputs.",
        ("dX = dY @ W.T", "dX = np.ones_like(dY) @ W.T"),
    ),
    _bug(
        "linear-sign-of-bias",
        "linear",
        "sign",
        "The bias was thought of as a threshold, to be subtracted.",
        ("db = dY.sum(axis=0)", "db = -dY.sum(axis=0)"),
    ),
    _bug(
        "conv-windows-overwritten",
        "conv2d",
        "accumulation-lost",
        "Windows overlap, and each one overwrites what the one before had sent to their pixels.",
        ("m : m + k] += part", "m : m + k] = part"),
    ),
    _bug(
        "conv-dw-last-window",
        "conv2d",
        "accumulation-lost",
        "dW is that of the last window only.",
        ("dW += np.tensordot", "dW = np.tensordot"),
    ),
    _bug(
        "conv-bias-first-position",
        "conv2d",
        "bias-sum",
        "The bias is used at every position; only the first one was counted.",
        ("db = dY.sum(axis=(0, 1, 2))", "db = dY[:, 0, 0].sum(axis=0)"),
    ),
    _bug(
        "conv-bias-first-sample",
        "conv2d",
        "bias-sum",
        "The sum over the batch was forgotten for the bias.",
        ("db = dY.sum(axis=(0, 1, 2))", "db = dY[0].sum(axis=(0, 1))"),
    ),
    _bug(
        "conv-dx-transpose",
        "conv2d",
        "transpose",
        "W was not transposed: with C = F it fits.",
        ("np.tensordot(d, W, axes=([1], [3]))", "np.tensordot(d, W, axes=([1], [2]))"),
        inputs="square",
    ),
    _bug(
        "conv-dw-transpose",
        "conv2d",
        "transpose",
        "dW has its filters and channels exchanged: with C = F it fits.",
        ("    return dX, dW, db\n\n\ndef max", "    return dX, dW.swapaxes(2, 3), db\n\n\ndef max"),
        inputs="square",
    ),
    _bug(
        "conv-dx-rows-columns",
        "conv2d",
        "hw-swapped",
        "Rows and columns of the filter were exchanged on the way back.",
        (
            "padded[:, n : n + k, m : m + k] += part",
            "padded[:, n : n + k, m : m + k] += part.swapaxes(1, 2)",
        ),
        also=("transpose",),
    ),
    _bug(
        "conv-dw-rows-columns",
        "conv2d",
        "hw-swapped",
        "dW is (columns, rows, C, F): the square filter hides it.",
        ("    return dX, dW, db\n\n\ndef max", "    return dX, dW.swapaxes(0, 1), db\n\n\ndef max"),
        also=("transpose",),
    ),
    _bug(
        "conv-crop",
        "conv2d",
        "off-by-one",
        "The padding was cut off one row too early.",
        ("top, left = padding, padding", "top, left = padding - 1, padding"),
        options={"padding": 1},
    ),
    _bug(
        "conv-padding-not-cut",
        "conv2d",
        "off-by-one",
        "The padding was cut off below and on the right only.",
        ("top, left = padding, padding", "top, left = 0, 0"),
        options={"padding": 1},
    ),
    _bug(
        "conv-stride-ignored",
        "conv2d",
        "off-by-one",
        "Backward moves its window by one pixel, forward by two.",
        ("n, m = i * stride, j * stride", "n, m = i, j"),
        options={"stride": 2, "padding": 1},
    ),
    _bug(
        "conv-dw-batch-mean",
        "conv2d",
        "batch-mean",
        "dW is a mean over the batch.",
        (
            "dW += np.tensordot(window, d, axes=([0], [0]))",
            "dW += np.tensordot(window, d, axes=([0], [0])) / len(d)",
        ),
    ),
    _bug(
        "conv-dx-sign",
        "conv2d",
        "sign",
        "A minus sign in dX.",
        ("m : m + k] += part", "m : m + k] -= part"),
    ),
    _bug(
        "conv-upstream-in-place",
        "conv2d",
        "input-mutated",
        "The mean over the batch was taken of the upstream gradient itself, for a log.",
        (
            "    db = dY.sum(axis=(0, 1, 2))\n",
            "    db = dY.sum(axis=(0, 1, 2))\n    dY /= len(dY)\n",
        ),
        options={"stride": 2},
    ),
]

_POOLS_AND_POINTWISE = [
    _bug(
        "avg-pool-not-divided",
        "avg_pool2d",
        "constant-factor",
        "Each pixel got the square's whole gradient.",
        ("= dY / size**2", "= dY"),
    ),
    _bug(
        "avg-pool-divided-by-side",
        "avg_pool2d",
        "constant-factor",
        "Divided by the side of the square, not by its area.",
        ("= dY / size**2", "= dY / size"),
    ),
    _bug(
        "avg-pool-corner-only",
        "avg_pool2d",
        "off-by-one",
        "range(size - 1): the last row of each square was left out.",
        ("for u in range(size):", "for u in range(size - 1):"),
    ),
    _bug(
        "avg-pool-rows-columns",
        "avg_pool2d",
        "hw-swapped",
        "dX was filled as (B, W, H, C) and reshaped.",
        (
            "    dX = np.zeros(shape)\n    for u",
            "    B, H, W, C = shape\n    dX = np.zeros((B, W, H, C)).swapaxes(1, 2)\n    for u",
        ),
        (
            "= dY / size**2\n    return dX",
            "= dY / size**2\n    return dX.swapaxes(1, 2).reshape(shape)",
        ),
        also=("transpose",),
    ),
    _bug(
        "max-pool-rows-columns",
        "max_pool2d",
        "hw-swapped",
        "Row and column inside the square were exchanged.",
        ("u, v = winner // size, winner % size", "v, u = winner // size, winner % size"),
        also=("transpose",),
    ),
    _bug(
        "max-pool-next-pixel",
        "max_pool2d",
        "off-by-one",
        "The winner's number was counted from one.",
        (
            "u, v = winner // size, winner % size",
            "winner = (winner + 1) % size**2\n    u, v = winner // size, winner % size",
        ),
    ),
    _bug(
        "max-pool-stride",
        "max_pool2d",
        "off-by-one",
        "Squares begin at i + u in backward: the pool's stride was ignored.",
        ("dX[b, i * size + u, j * size + v, c] = dY", "np.add.at(dX, (b, i + u, j + v, c), dY)"),
    ),
    _bug(
        "max-pool-ties",
        "max_pool2d",
        "kink",
        "Every pixel that equals the maximum gets the whole gradient.",
        (
            "winner = squares.argmax(axis=-1)",
            "winner = squares == squares.max(axis=-1, keepdims=True)",
        ),
        ("b, i, j, c = np.indices(winner.shape)", "b, i, j, c, place = np.indices(winner.shape)"),
        ("u, v = winner // size, winner % size", "u, v = place // size, place % size"),
        ("j * size + v, c] = dY", "j * size + v, c] = dY[..., None] * winner"),
        inputs="kinks",
    ),
    _bug(
        "max-pool-stale-winner",
        "max_pool2d",
        "stale-cache",
        "The winners are kept on the layer: of a layer used twice only the last ones are left.",
        (
            "    return squares.max(axis=-1), (X.shape, size, winner)\n",
            "    global _winner\n    _winner = winner\n"
            "    return squares.max(axis=-1), (X.shape, size)\n",
        ),
        ("    shape, size, winner = cache\n", "    (shape, size), winner = cache, _winner\n"),
    ),
    _bug(
        "relu-mask-missing",
        "relu",
        "relu-mask",
        "The gradient was passed on as it came.",
        ("dX = dY * mask", "dX = dY.copy()"),
    ),
    _bug(
        "relu-mask-of-upstream",
        "relu",
        "relu-mask",
        "The upstream gradient was rectified, not masked.",
        ("mask = X > 0", "mask = dY > 0"),
    ),
    _bug(
        "relu-mask-always-true",
        "relu",
        "relu-mask",
        "Y >= 0 holds everywhere: the mask was made of the rectified array.",
        ("    X, _ = cache\n", "    X, Y = cache\n"),
        ("mask = X > 0", "mask = Y >= 0"),
    ),
    _bug(
        "relu-mask-inverted",
        "relu",
        "relu-mask",
        "The gradient passes where the input is negative.",
        ("mask = X > 0", "mask = X <= 0"),
    ),
    _bug(
        "relu-ignores-upstream",
        "relu",
        "upstream-ignored",
        "The derivative of relu was returned, without the upstream gradient.",
        ("dX = dY * mask", "dX = mask.astype(dY.dtype)"),
    ),
    _bug(
        "relu-forward-in-place",
        "relu",
        "input-mutated",
        "The input was rectified in place.",
        ("Y = np.maximum(X, 0)", "Y = np.maximum(X, 0, out=X)"),
    ),
    _bug(
        "relu-upstream-in-place",
        "relu",
        "input-mutated",
        "The upstream gradient was masked in place.",
        ("dX = dY * mask", "dX = dY\n    dX[~mask] = 0"),
    ),
    _bug(
        "relu-stale-mask",
        "relu",
        "stale-cache",
        "The mask lies in a module's variable.",
        ("    return Y, (X, Y)\n", "    global _mask\n    _mask = X > 0\n    return Y, (X, Y)\n"),
        ("mask = X > 0\n    dX", "mask = _mask\n    dX"),
    ),
    _bug(
        "relu-slope-two-at-zero",
        "relu",
        "kink",
        "The slope at zero was set to two.",
        ("mask = X > 0", "mask = np.heaviside(X, 2.0)"),
        inputs="kinks",
    ),
    _bug(
        "relu-dropout",
        "relu",
        "random-forward",
        "Dropout without a fixed seed: each forward call is another function.",
        (
            "    Y = np.maximum(X, 0)\n",
            "    kept = np.random.default_rng().random(X.shape) > 0.1\n"
            "    X = X * kept\n    Y = np.maximum(X, 0)\n",
        ),
    ),
    _bug(
        "tanh-upstream-ignored",
        "tanh",
        "upstream-ignored",
        "The derivative of tanh was returned, without the upstream gradient.",
        ("dX = dY * (1 - Y**2)", "dX = 1 - Y**2"),
    ),
    _bug(
        "tanh-upstream-squared",
        "tanh",
        "not-linear",
        "The upstream gradient was multiplied in twice.",
        ("dX = dY * (1 - Y**2)", "dX = dY**2 * (1 - Y**2)"),
    ),
    _bug(
        "tanh-stale-output",
        "tanh",
        "stale-cache",
        "The output is kept in a module's variable, as a layer object would keep it on self.",
        ("    Y = np.tanh(X)\n", "    global _Y\n    Y = _Y = np.tanh(X)\n"),
        ("    (Y,) = cache\n", "    Y = _Y\n"),
    ),
    _bug(
        "tanh-plus",
        "tanh",
        "sign",
        "1 + Y^2 in place of 1 - Y^2.",
        ("(1 - Y**2)", "(1 + Y**2)"),
    ),
    _bug(
        "flatten-channels-first",
        "flatten",
        "transpose",
        "The vector was cut up as if the map had been channels first.",
        (
            "dX = dY.reshape(cache)",
            "B, H, W, C = cache\n    dX = dY.reshape(B, C, H, W).transpose(0, 2, 3, 1)",
        ),
    ),
    _bug(
        "flatten-forgotten",
        "flatten",
        "shape",
        "The gradient stayed flat.",
        ("dX = dY.reshape(cache)", "dX = dY"),
    ),
]

_SOFTMAX = [
    _bug(
        "softmax-without-n",
        "softmax_cross_entropy",
        "batch-mean",
        "The loss is a mean over the batch, its gradient was not divided.",
        ("return dloss * dlogits / n", "return dloss * dlogits"),
    ),
    _bug(
        "softmax-n-twice",
        "softmax_cross_entropy",
        "batch-mean",
        "Divided by the batch twice.",
        ("return dloss * dlogits / n", "return dloss * dlogits / n**2"),
    ),
    _bug(
        "softmax-mean-over-entries",
        "softmax_cross_entropy",
        "constant-factor",
        "Divided by the number of logits, B K, in place of B.",
        ("return dloss * dlogits / n", "return dloss * dlogits / p.size"),
    ),
    _bug(
        "softmax-without-one-hot",
        "softmax_cross_entropy",
        "one-hot",
        "The labels were not subtracted from the probabilities.",
        ("    dlogits[np.arange(n), labels] -= 1\n", ""),
    ),
    _bug(
        "softmax-label-columns",
        "softmax_cross_entropy",
        "one-hot",
        "dlogits[:, labels] -= 1 subtracts from whole columns.",
        ("dlogits[np.arange(n), labels] -= 1", "dlogits[:, labels] -= 1"),
    ),
    _bug(
        "softmax-label-numbers",
        "softmax_cross_entropy",
        "one-hot",
        "The labels were subtracted as numbers, not as one-hot rows.",
        ("dlogits[np.arange(n), labels] -= 1", "dlogits -= labels[:, None]"),
    ),
    _bug(
        "softmax-diagonal",
        "softmax_cross_entropy",
        "path-missing",
        "Of the softmax's Jacobian only the diagonal was used: dlogits is zero but at the label.",
        (
            "    dlogits[np.arange(n), labels] -= 1\n",
            "    picked = p[np.arange(n), labels]\n    dlogits = np.zeros_like(p)\n"
            "    dlogits[np.arange(n), labels] = picked - 1\n",
        ),
    ),
    _bug(
        "softmax-sign",
        "softmax_cross_entropy",
        "sign",
        "Labels minus probabilities.",
        ("return dloss * dlogits / n", "return -dloss * dlogits / n"),
    ),
    _bug(
        "softmax-upstream-ignored",
        "softmax_cross_entropy",
        "upstream-ignored",
        "The loss was taken to be the end of the chain: dloss is not used.",
        ("return dloss * dlogits / n", "return dlogits / n"),
    ),
    _bug(
        "softmax-shifted-in-place",
        "softmax_cross_entropy",
        "input-mutated",
        "The row's maximum was subtracted from the logits in place.",
        (
            "    shifted = logits - logits.max(axis=1, keepdims=True)\n",
            "    logits -= logits.max(axis=1, keepdims=True)\n    shifted = logits\n",
        ),
    ),
    _bug(
        "softmax-cache-used-up",
        "softmax_cross_entropy",
        "not-repeatable",
        "One is subtracted from the probabilities in the cache, by every backward anew.",
        ("dlogits = p.copy()", "dlogits = p"),
    ),
    _bug(
        "softmax-normalised-gradient",
        "softmax_cross_entropy",
        "not-linear",
        "The gradient was scaled to length one.",
        ("return dloss * dlogits / n", "d = dloss * dlogits / n\n    return d / np.linalg.norm(d)"),
    ),
    _bug(
        "softmax-float32",
        "softmax_cross_entropy",
        "float32",
        "Probabilities were stored in single precision.",
        ("return loss, (p, labels)", "return loss, (p.astype(np.float32), labels)"),
    ),
    _bug(
        "softmax-overflow",
        "softmax_cross_entropy",
        "non-finite",
        "The row's maximum was not subtracted: exp overflows, inf / inf is NaN.",
        ("    shifted = logits - logits.max(axis=1, keepdims=True)\n", "    shifted = logits\n"),
        (
            "def softmax_cross_entropy_forward",
            '@np.errstate(all="ignore")\ndef softmax_cross_entropy_forward',
        ),
        inputs="large",
    ),
]

BUGS: tuple[Bug, ...] = (
    *_COORDINATES,
    *_TRANSFORMS,
    *_SAMPLER,
    *_MODULE,
    *_LINEAR_AND_CONV,
    *_POOLS_AND_POINTWISE,
    *_SOFTMAX,
)
"""All bugs; names are unique."""
