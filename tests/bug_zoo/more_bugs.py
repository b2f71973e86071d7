"""A second set of mistakes, in another hand: what was developed on `BUGS` is judged by these.

The label is the first thing that a teacher would say. Where none of `CAUSES` says it, it is
`UNEXPLAINED`: the mistake is to be caught, but cannot be named.
"""

from __future__ import annotations

from tests.bug_zoo.bugs import Bug, _bug

UNEXPLAINED = "unexplained"

# --------------------------------------------------------------------------------- splat

_SPLAT = [
    _bug(
        "splat-dx-backwards",
        "splat",
        "sign",
        "A pixel that moves right takes from the left and gives to the right; it was subtracted.",
        ("dx += slope_x * wy", "dx -= slope_x * wy"),
    ),
    _bug(
        "splat-dy-lower-row-negative",
        "splat",
        "sign",
        "Both rows had been given the slope -1.",
        ("(1, fy, 1)", "(1, fy, -1)"),
    ),
    _bug(
        "splat-row-column",
        "splat",
        "xy-swapped",
        "The image's axes are (row, column), and so was the gradient to its points.",
        ("np.stack([dx, dy], axis=-1)", "np.stack([dy, dx], axis=-1)"),
    ),
    _bug(
        "splat-three-corners",
        "splat",
        "corner-missing",
        "The diagonal neighbour was thought to be too far away to matter to the image.",
        (
            "            dimage += (wy * wx)[..., None] * landed\n",
            "            if row_step + column_step < 2:\n"
            "                dimage += (wy * wx)[..., None] * landed\n",
        ),
    ),
    _bug(
        "splat-off-canvas",
        "splat",
        "outside-gradient",
        "What was thrown beyond the canvas is read back from its edge.",
        ("landed = inside[..., None] * dcanvas[at]", "landed = dcanvas[at]"),
    ),
    _bug(
        "splat-whole-footprints-only",
        "splat",
        "border-gradient",
        "Pixels of which a part falls off the canvas were left out altogether.",
        (
            "    return dimage, np.stack([dx",
            '    top, left = cache["top"], cache["left"]\n'
            "    whole = (top >= 0) & (top < H - 1) & (left >= 0) & (left < W - 1)\n"
            "    dimage, dx, dy = dimage * whole[..., None], dx * whole, dy * whole\n"
            "    return dimage, np.stack([dx",
        ),
    ),
    _bug(
        "splat-last-channel",
        "splat",
        "channel-sum",
        "Only the last channel, once an alpha, pulls at the points.",
        ("agreement = (image * landed).sum(axis=-1)", "agreement = (image * landed)[..., -1]"),
    ),
    _bug(
        "splat-gather-overwrites",
        "splat",
        "accumulation-lost",
        "A pixel goes to four places; what the last one returns replaced what the others had.",
        ("dimage += (wy * wx)", "dimage = (wy * wx)"),
        also=("corner-missing",),
    ),
    _bug(
        "splat-rows-exchanged",
        "splat",
        "corners-swapped",
        "The image's gradient has fy on the upper row and 1 - fy on the lower one.",
        ("dimage += (wy * wx)", "dimage += ((1 - wy) * wx)"),
    ),
    _bug(
        "splat-image-not-multiplied",
        "splat",
        UNEXPLAINED,
        "The gradient to the points looks at the canvas alone, not at what was thrown.",
        ("(image * landed).sum(axis=-1)", "landed.sum(axis=-1)"),
    ),
    _bug(
        "splat-weights-only",
        "splat",
        "upstream-ignored",
        "dimage is the weight that stayed on the canvas.",
        (
            "dimage += (wy * wx)[..., None] * landed",
            "dimage += (wy * wx * inside)[..., None]",
        ),
    ),
    _bug(
        "splat-components-first",
        "splat",
        "shape",
        "dx and dy were put on a new first axis.",
        ("np.stack([dx, dy], axis=-1)", "np.stack([dx, dy])"),
    ),
]

# -------------------------------------------------------------------------------- volume

_VOLUME = [
    _bug(
        "volume-zyx",
        "sample_volume",
        "xy-swapped",
        "The coordinates' gradient stands in the order of the array's axes, (z, y, x).",
        ("    return dU, dpoints\n", "    return dU, dpoints[..., ::-1]\n"),
    ),
    _bug(
        "volume-yxz",
        "sample_volume",
        "xy-swapped",
        "x and y were exchanged; z, added later, is at its place.",
        ("dpoints[..., 0] +=", "dpoints[..., 1] +="),
        ("dpoints[..., 1] += (2 * dn", "dpoints[..., 0] += (2 * dn"),
    ),
    _bug(
        "volume-seven-corners",
        "sample_volume",
        "corner-missing",
        "Of the eight voxels the farthest was forgotten in dU.",
        (
            "        np.add.at(dU, place, part)\n",
            "        if dk * dn * dm == 0:\n            np.add.at(dU, place, part)\n",
        ),
    ),
    _bug(
        "volume-dz-seven-corners",
        "sample_volume",
        "corner-missing",
        "The slope along z was written out by hand, and one of the eight terms left out.",
        (
            "dpoints[..., 2] += (2 * dk - 1) * wx * wy * gain",
            "if (dk, dn, dm) != (0, 1, 0):\n"
            "            dpoints[..., 2] += (2 * dk - 1) * wx * wy * gain",
        ),
    ),
    _bug(
        "volume-depth-downwards",
        "sample_volume",
        "sign",
        "z was thought to be a height.",
        ("(2 * dk - 1)", "(1 - 2 * dk)"),
    ),
    _bug(
        "volume-plain-add",
        "sample_volume",
        "accumulation-lost",
        "Several samples read one voxel; dU[place] += part keeps one of them.",
        ("np.add.at(dU, place, part)", "dU[place] += part"),
    ),
    _bug(
        "volume-without-dz",
        "sample_volume",
        "path-missing",
        "From pictures to volumes: z was added to forward, and to the points, but got no slope.",
        ("        dpoints[..., 2] += (2 * dk - 1) * wx * wy * gain\n", ""),
    ),
    _bug(
        "volume-dy-without-wz",
        "sample_volume",
        UNEXPLAINED,
        "The slope along y still has the weight of pictures, wx alone.",
        ("(2 * dn - 1) * wx * wz * gain", "(2 * dn - 1) * wx * gain"),
    ),
    _bug(
        "volume-no-mask",
        "sample_volume",
        "outside-gradient",
        "The gradient of voxels that do not exist goes to the nearest ones.",
        ("(exists * wz * wy * wx)", "(wz * wy * wx)"),
    ),
    _bug(
        "volume-channels-averaged",
        "sample_volume",
        "channel-sum",
        "The mean over the channels, for the coordinates.",
        ('np.einsum("...c,...c->...", dV, value)', "(dV * value).mean(axis=-1)"),
        also=("constant-factor",),
    ),
    _bug(
        "volume-first-slice-empty",
        "sample_volume",
        "border-gradient",
        "k > 0 for k >= 0: the first slice receives nothing.",
        ("part = (exists * wz", "part = (exists * (place[1] > 0) * wz"),
        also=("off-by-one",),
    ),
    _bug(
        "volume-near-is-far",
        "sample_volume",
        "corners-swapped",
        "In dU the near slice has the weight of the far one.",
        ("(exists * wz * wy * wx)", "(exists * (1 - wz) * wy * wx)"),
    ),
    _bug(
        "volume-single-weights",
        "sample_volume",
        "float32",
        "Eight weights a sample need much memory: the fractions are kept in single precision.",
        ("    return V, (U, f, eight)", "    return V, (U, f.astype(np.float32), eight)"),
    ),
    _bug(
        "volume-all-into-the-first",
        "sample_volume",
        "wrong-place",
        "The batch index was left at zero: the first volume collects the gradients of all.",
        ("np.add.at(dU, place, part)", "np.add.at(dU, (0, *place[1:]), part)"),
    ),
]

# --------------------------------------------------------------------------------- cubic

_LOOPS = "    b = np.arange(len(framed))[:, None, None]\n    for i in range(-1, 3):\n"

_CUBIC = [
    _bug(
        "cubic-three-rows",
        "sample_cubic",
        "off-by-one",
        "range(-1, 2) ends before 2: the lowest row of taps is not visited.",
        (_LOOPS, _LOOPS.replace("3)", "2)")),
        also=("corner-missing",),
    ),
    _bug(
        "cubic-frame-of-one",
        "sample_cubic",
        "off-by-one",
        "The frame is two pixels wide; backward adds one to the column.",
        ("np.clip(m0 + j + 2,", "np.clip(m0 + j + 1,"),
    ),
    _bug(
        "cubic-frame-cut-askew",
        "sample_cubic",
        "off-by-one",
        "One row was cut off above, three below.",
        ("dframed[:, 2:-2, 2:-2]", "dframed[:, 1:-3, 2:-2]"),
    ),
    _bug(
        "cubic-slope-even",
        "sample_cubic",
        "sign",
        "The derivative of |t| is the sign of t; it was taken for one.",
        ("return np.sign(t) * np.where", "return np.where"),
    ),
    _bug(
        "cubic-slope-outer-sign",
        "sample_cubic",
        "sign",
        "A sign of the outer piece's derivative was copied wrong.",
        ("- 10 * a * s + 8 * a", "- 10 * a * s - 8 * a"),
    ),
    _bug(
        "cubic-power-rule",
        "sample_cubic",
        UNEXPLAINED,
        "5 s^2 was differentiated to 5 s.",
        ("- 10 * a * s", "- 5 * a * s"),
    ),
    _bug(
        "cubic-two-parameters",
        "sample_cubic",
        UNEXPLAINED,
        "The slope is that of Catmull and Rom's kernel, a = -1/2.",
        ("    inner = 3 * (a + 2)", "    a = -0.5\n    inner = 3 * (a + 2)"),
    ),
    _bug(
        "cubic-inner-taps-only",
        "sample_cubic",
        "corner-missing",
        "The slope was differentiated for |t| <= 1 alone: the outer taps have none.",
        ("np.sign(t) * np.where(s <= 1, inner, outer)", "np.sign(t) * inner * (s <= 1)"),
    ),
    _bug(
        "cubic-slopes-exchanged",
        "sample_cubic",
        "xy-swapped",
        "x moves through the columns; its slope was taken along the rows.",
        ("dx += kernel_slope(tx) * ky", "dx += kernel_slope(ty) * kx"),
        ("dy += kx * kernel_slope(ty)", "dy += ky * kernel_slope(tx)"),
    ),
    _bug(
        "cubic-plain-add",
        "sample_cubic",
        "accumulation-lost",
        "Every pixel is read by many samples, and here by the last of them only.",
        (
            "np.add.at(dframed, (b, row, column), (ky * kx)[..., None] * dV)",
            "dframed[b, row, column] += (ky * kx)[..., None] * dV",
        ),
    ),
    _bug(
        "cubic-grey",
        "sample_cubic",
        "channel-sum",
        "The picture was thought to be grey.",
        ("(dV * framed[b, row, column]).sum(axis=-1)", "(dV * framed[b, row, column])[..., 0]"),
    ),
    _bug(
        "cubic-frame-folded-in",
        "sample_cubic",
        "outside-gradient",
        "Taps in the frame were moved to the picture's edge, on the way back only.",
        ("2, 0, last_row)", "2, 2, last_row - 2)"),
        ("2, 0, last_column)", "2, 2, last_column - 2)"),
    ),
    _bug(
        "cubic-whole-neighbourhoods",
        "sample_cubic",
        "border-gradient",
        "Samples near the edge, of which a tap is outside, were skipped.",
        (
            "    dV = dV * ~away[..., None]\n",
            "    H, W = framed.shape[1] - 4, framed.shape[2] - 4\n"
            "    away = away | (n0 < 1) | (n0 + 2 >= H) | (m0 < 1) | (m0 + 2 >= W)\n"
            "    dV = dV * ~away[..., None]\n",
        ),
    ),
    _bug(
        "cubic-not-differentiated",
        "sample_cubic",
        UNEXPLAINED,
        "The gradient to x has the kernel where its derivative is due.",
        ("dx += kernel_slope(tx) * ky", "dx += kx * ky"),
    ),
    _bug(
        "cubic-footprint-transposed",
        "sample_cubic",
        "hw-swapped",
        "Of the sixteen weights in dU rows and columns were exchanged.",
        (
            "(ky * kx)[..., None] * dV",
            "(kernel_value(y - n0 - j) * kernel_value(x - m0 - i))[..., None] * dV",
        ),
        also=("transpose",),
    ),
]

# ------------------------------------------------------------------------------- algebra

_COMPOSE_AND_INVERT = [
    _bug(
        "compose-q-not-transposed",
        "compose",
        "transpose",
        "dP = dR Q^T + …: the transpose of the 2 x 2 block was left out.",
        ("dP = dR @ _T(Q)", "dP = dR @ Q"),
    ),
    _bug(
        "compose-p-not-transposed",
        "compose",
        "transpose",
        "Forward's P was applied to the gradient as it is.",
        ("dQ = _T(P) @ dR", "dQ = P @ dR"),
        ("dq = _T(P) @ dr", "dq = P @ dr"),
    ),
    _bug(
        "compose-product-rule",
        "compose",
        "path-missing",
        "P turns Q and moves q; its gradient through q was forgotten.",
        ("dP = dR @ _T(Q) + dr @ _T(q)", "dP = dR @ _T(Q)"),
    ),
    _bug(
        "compose-shift-of-a",
        "compose",
        "path-missing",
        "p is only added, so it was held for a constant.",
        ("dp = dr\n", "dp = 0 * dr\n"),
    ),
    _bug(
        "compose-wrong-side",
        "compose",
        UNEXPLAINED,
        "P^T was multiplied from the right.",
        ("dQ = _T(P) @ dR", "dQ = dR @ _T(P)"),
    ),
    _bug(
        "compose-answers-exchanged",
        "compose",
        "wrong-place",
        "The gradient to B was returned first.",
        ("return _join(dP, dp), _join(dQ, dq)", "return _join(dQ, dq), _join(dP, dp)"),
    ),
    _bug(
        "invert-without-minus",
        "invert",
        "sign",
        "d(A^-1) = -A^-1 dA A^-1: the minus was lost.",
        ("dP = -_T(R)", "dP = _T(R)"),
        ("dp = -_T(R)", "dp = _T(R)"),
    ),
    _bug(
        "invert-shift-without-minus",
        "invert",
        "sign",
        "r = -R p: the minus was lost for p.",
        ("dp = -_T(R)", "dp = _T(R)"),
    ),
    _bug(
        "invert-shift-term-added",
        "invert",
        "sign",
        "R's gradient through r = -R p was added, not subtracted.",
        ("dR - dr @ _T(p)", "dR + dr @ _T(p)"),
    ),
    _bug(
        "invert-one-inverse",
        "invert",
        UNEXPLAINED,
        "One of the two factors A^-1 is missing.",
        ("-_T(R) @ dR_total @ _T(R)", "-_T(R) @ dR_total"),
    ),
    _bug(
        "invert-not-transposed",
        "invert",
        "transpose",
        "The formula for tangents, -N A_dot N, was used for gradients.",
        ("-_T(R) @ dR_total @ _T(R)", "-R @ dR_total @ R"),
        ("dp = -_T(R) @ dr", "dp = -R @ dr"),
    ),
    _bug(
        "invert-translation-apart",
        "invert",
        "path-missing",
        "The inverse's translation -R p was thought not to depend on R.",
        ("dR_total = dR - dr @ _T(p)", "dR_total = dR"),
    ),
    _bug(
        "invert-square-form",
        "invert",
        "shape",
        "The gradient was returned as 3 x 3, with the row that is implied.",
        (
            "    return _join(dP, dp)\n",
            "    return np.pad(_join(dP, dp), ((0, 0), (0, 1), (0, 0)))\n",
        ),
    ),
]

_PIXEL_MATRICES = [
    _bug(
        "to-pixel-height-first",
        "to_pixel_matrix",
        "hw-swapped",
        "The source's two scales are in the order of its shape.",
        (
            "    scale_in, scale_out, middle_out = cache\n",
            "    scale_in, scale_out, middle_out = cache\n    scale_in = scale_in[::-1]\n",
        ),
    ),
    _bug(
        "to-pixel-shift-unscaled",
        "to_pixel_matrix",
        "pixel-factor",
        "The translation's gradient stayed in pixels.",
        ("dA_shift = scale_in[:, None] * dM[:, :, 2:]", "dA_shift = dM[:, :, 2:]"),
    ),
    _bug(
        "to-pixel-target-scale-upside-down",
        "to_pixel_matrix",
        "pixel-factor",
        "On the way back one multiplies by what forward divides by: a factor the wrong way up.",
        ("* dlinear / scale_out", "* dlinear * scale_out"),
    ),
    _bug(
        "to-pixel-shift-path",
        "to_pixel_matrix",
        "path-missing",
        "The linear part moves the shift as well, by the middle of the target.",
        ("dlinear = dM[:, :, :2] - dM[:, :, 2:] * middle_out", "dlinear = dM[:, :, :2]"),
    ),
    _bug(
        "to-pixel-middle-added",
        "to_pixel_matrix",
        "sign",
        "The middle of the target is subtracted in forward and was added in backward.",
        ("dM[:, :, :2] - dM[:, :, 2:]", "dM[:, :, :2] + dM[:, :, 2:]"),
    ),
    _bug(
        "to-pixel-outer-edges",
        "to_pixel_matrix",
        "corner-factor",
        "Corners are aligned, and backward multiplies by half the full size of the source.",
        (
            "    scale_in, scale_out, middle_out = cache\n",
            "    scale_in, scale_out, middle_out = cache\n    scale_in = scale_in + 0.5\n",
        ),
    ),
    _bug(
        "from-pixel-in-for-out",
        "from_pixel_matrix",
        UNEXPLAINED,
        "Source and target were exchanged in the cache.",
        ("unit_in, unit_out, centre_out = cache", "unit_out, unit_in, centre_out = cache"),
    ),
    _bug(
        "from-pixel-full-width",
        "from_pixel_matrix",
        "constant-factor",
        "One unit was taken for the full width of the source, where it is a half of it.",
        (
            "    unit_in, unit_out, centre_out = cache\n",
            "    unit_in, unit_out, centre_out = cache\n    unit_in = 2 * unit_in\n",
        ),
    ),
    _bug(
        "from-pixel-source-unscaled",
        "from_pixel_matrix",
        "pixel-factor",
        "The division by the source's units was left out.",
        (") / unit_in[:, None]\n    dM_shift", ")\n    dM_shift"),
        ("dM_shift = dshift / unit_in[:, None]", "dM_shift = dshift"),
    ),
    _bug(
        "from-pixel-broadcast",
        "from_pixel_matrix",
        "hw-swapped",
        "Without [:, None] the units of x and y divide the columns, not the rows.",
        (") / unit_in[:, None]\n    dM_shift", ") / unit_in\n    dM_shift"),
        also=("transpose",),
    ),
    _bug(
        "from-pixel-centre-forgotten",
        "from_pixel_matrix",
        "path-missing",
        "The linear part acts on the target's centre too.",
        ("(dlinear * unit_out + dshift * centre_out)", "(dlinear * unit_out)"),
    ),
]

_CONSTRAIN = [
    _bug(
        "constrain-width-for-half",
        "constrain",
        "constant-factor",
        "The half of the interval was forgotten.",
        ("(high - low) / 2 * (1 - np", "(high - low) * (1 - np"),
    ),
    _bug(
        "constrain-scale-forgotten",
        "constrain",
        "constant-factor",
        "The slope of scale e^r was written as e^r.",
        ("slope = params[:, k]", "slope = np.exp(raw[:, column])"),
    ),
    _bug(
        "constrain-one-plus-square",
        "constrain",
        "sign",
        "1 + tanh^2 for 1 - tanh^2.",
        ("* (1 - np.tanh", "* (1 + np.tanh"),
    ),
    _bug(
        "constrain-tanh-not-squared",
        "constrain",
        UNEXPLAINED,
        "The square in 1 - tanh^2 was lost.",
        ("np.tanh(raw[:, column]) ** 2)", "np.tanh(raw[:, column]))"),
    ),
    _bug(
        "constrain-columns-behind-fixed",
        "constrain",
        "off-by-one",
        "Behind the fixed parameter, columns of raw and of params differ by one.",
        ("dparams[:, k] * slope", "dparams[:, column] * slope"),
    ),
    _bug(
        "constrain-tanh-in-place",
        "constrain",
        "input-mutated",
        "tanh was written over the raw parameters, for backward wants it.",
        ("(1 + np.tanh(r)) / 2", "(1 + np.tanh(r, out=r)) / 2"),
        ("np.tanh(raw[:, column]) ** 2", "raw[:, column] ** 2"),
    ),
]

# ------------------------------------------------------------- coordinates and transforms

_GRIDS = [
    _bug(
        "unnormalize-height-for-x",
        "unnormalize",
        "hw-swapped",
        "H was typed for W, once.",
        ("factor_x = (W - 1) / 2 if", "factor_x = (H - 1) / 2 if"),
    ),
    _bug(
        "unnormalize-divided",
        "unnormalize",
        "pixel-factor",
        "Divided by the factor, as coordinates are on the way back.",
        ("[dx * factor_x, dy * factor_y]", "[dx / factor_x, dy / factor_y]"),
    ),
    _bug(
        "affine-last-pixel",
        "affine_grid",
        "accumulation-lost",
        "A loop over the pixels assigns dtheta: that of the last one remains.",
        (
            'dtheta = np.einsum("bijd,ijk->bdk", dgrid, target)\n    return dtheta',
            "for i, j in np.ndindex(target.shape[:2]):\n"
            "        dtheta = dgrid[:, i, j, :, None] * target[i, j]\n    return dtheta",
        ),
    ),
    _bug(
        "affine-no-translation",
        "affine_grid",
        "path-missing",
        "The last column of theta got no gradient: the 1 in (x, y, 1) was overlooked.",
        ("return dtheta  # (B, 2, 3)", "return dtheta * np.array([1, 1, 0])"),
    ),
    _bug(
        "affine-neighbours-theta",
        "affine_grid",
        "wrong-place",
        "The gradient of sample b was given to b - 1.",
        ("return dtheta  # (B, 2, 3)", "return np.roll(dtheta, -1, axis=0)"),
        also=("off-by-one",),
    ),
    _bug(
        "affine-one-theta-for-all",
        "affine_grid",
        UNEXPLAINED,
        "One theta was thought to move all samples: each got the sum over the batch.",
        ("return dtheta  # (B, 2, 3)", "return np.tile(dtheta.sum(axis=0), (len(dtheta), 1, 1))"),
    ),
    _bug(
        "flow-signs",
        "flow_grid",
        "not-linear",
        "Only the direction counts, it was thought: the sign of the gradient.",
        ("dflow = dgrid.copy()", "dflow = np.sign(dgrid)"),
    ),
    _bug(
        "projective-homogeneous-one",
        "projective_grid",
        "path-missing",
        "The last column of theta is multiplied by 1, and its gradient was forgotten.",
        ('"bijd,ijk->bdk", dXYZ, target)', '"bijd,ijk->bdk", dXYZ, target * np.array([1, 1, 0]))'),
    ),
    _bug(
        "projective-z-power",
        "projective_grid",
        UNEXPLAINED,
        "The derivative of 1 / Z was written as -1 / Z.",
        ("dZ = -dx * X / Z**2 - dy * Y / Z**2", "dZ = -dx * X / Z - dy * Y / Z"),
    ),
    _bug(
        "projective-y-not-divided",
        "projective_grid",
        UNEXPLAINED,
        "The numerator's gradient was divided by Z for x only.",
        ("dY = dy / Z", "dY = dy"),
    ),
    _bug(
        "basis-mean-of-rows",
        "basis_grid",
        "constant-factor",
        "A mean over the rows of pixels, a sum over the columns.",
        ("return dtheta.transpose(0, 2, 1)", "return dtheta.transpose(0, 2, 1) / len(basis)"),
    ),
    _bug(
        "basis-rows-first",
        "basis_grid",
        "xy-swapped",
        "Control points were returned as (row, column).",
        ("return dtheta.transpose(0, 2, 1)", "return dtheta.transpose(0, 2, 1)[..., ::-1]"),
    ),
    _bug(
        "basis-last-point-first",
        "basis_grid",
        "wrong-place",
        "The control points were counted from the other end.",
        ("return dtheta.transpose(0, 2, 1)", "return dtheta.transpose(0, 2, 1)[:, ::-1]"),
    ),
    _bug(
        "translation-middle-column",
        "translation_matrix",
        "off-by-one",
        "The third column has the index 2, not 1.",
        ("dtheta[:, 0, 2], dtheta[:, 1, 2]\n", "dtheta[:, 0, 1], dtheta[:, 1, 1]\n"),
    ),
    _bug(
        "attention-ty-tx",
        "attention_matrix",
        "xy-swapped",
        "Behind the scale came ty, then tx.",
        ("[ds, dtheta[:, 0, 2], dtheta[:, 1, 2]]", "[ds, dtheta[:, 1, 2], dtheta[:, 0, 2]]"),
    ),
    _bug(
        "rigid-degrees",
        "rigid_matrix",
        "constant-factor",
        "The angle was thought to be in degrees.",
        ("    c, s = cache\n", "    c, s = np.radians(cache)\n"),
    ),
    _bug(
        "rigid-cosine-for-sine",
        "rigid_matrix",
        UNEXPLAINED,
        "Sine and cosine were unpacked in the other order.",
        ("    c, s = cache\n", "    s, c = cache\n"),
    ),
    _bug(
        "similarity-scale-not-multiplied",
        "similarity_matrix",
        UNEXPLAINED,
        "The angle's gradient is that of a rotation without scale.",
        ("da = scale * (c * along_s - s * along_c)", "da = c * along_s - s * along_c"),
    ),
    _bug(
        "similarity-no-translation",
        "similarity_matrix",
        "path-missing",
        "The translation got zeros.",
        ("[dscale, da, dtheta[:, 0, 2], dtheta[:, 1, 2]]", "[dscale, da, 0 * da, 0 * da]"),
    ),
]

# ------------------------------------------------------------------------------- sampler

_SAMPLER = [
    _bug(
        "sample-dy-weighed-by-fy",
        "sample",
        "xy-swapped",
        "The slope along y is weighed along x; fy was written for fx.",
        ("(1 - fx) * (U10 - U00) + fx * (U11 - U01)", "(1 - fy) * (U10 - U00) + fy * (U11 - U01)"),
    ),
    _bug(
        "sample-dx-times-fx",
        "sample",
        UNEXPLAINED,
        "The weight was kept, although it had been differentiated.",
        ("dx = (dV * slope_x).sum(axis=-1)", "dx = (dV * slope_x * fx).sum(axis=-1)"),
    ),
    _bug(
        "grid-sample-fx-constant",
        "grid_sample",
        "path-missing",
        "fx was held constant, so nothing comes to x.",
        ("dx = (dV * slope_x).sum(axis=-1)", "dx = np.zeros(dV.shape[:-1])"),
    ),
    _bug(
        "sample-upper-row-only",
        "sample",
        "corner-missing",
        "The slope along x was taken from the upper two pixels.",
        (" + fy * (U11 - U10)\n    slope_y", "\n    slope_y"),
    ),
    _bug(
        "sample-slopes-not-weighed",
        "sample",
        UNEXPLAINED,
        "Plain differences of the first pixel and its neighbours, as if fx = fy = 0.",
        ("slope_x = (1 - fy) * (U01 - U00) + fy * (U11 - U10)", "slope_x = U01 - U00"),
        ("slope_y = (1 - fx) * (U10 - U00) + fx * (U11 - U01)", "slope_y = U10 - U00"),
    ),
    _bug(
        "sample-slopes-of-transposed-map",
        "sample",
        "hw-swapped",
        "For the slopes the map was read again, as U[b, x, y].",
        (
            'U00, U01, U10, U11 = cache["corners"]',
            "_, H, W, _ = U.shape\n"
            '    corners = zip(cache["places"], cache["masks"])\n'
            "    U00, U01, U10, U11 = (\n"
            "        U[b, x.clip(0, H - 1), y.clip(0, W - 1)] * there\n"
            "        for (b, y, x), there in corners\n"
            "    )",
        ),
        also=("transpose",),
    ),
    _bug(
        "grid-sample-last-row-empty",
        "grid_sample",
        "border-gradient",
        "y < H - 1 for y <= H - 1: the last row receives nothing.",
        (
            'in00, in01, in10, in11 = cache["masks"]',
            'above = [at[1][..., None] < U.shape[1] - 1 for at in cache["places"]]\n'
            '    in00, in01, in10, in11 = (m & a for m, a in zip(cache["masks"], above))',
        ),
        also=("off-by-one",),
    ),
    _bug(
        "sample-one-column-too-many",
        "sample",
        "outside-gradient",
        "x <= W for x < W: the column behind the last one counts, and is clipped to it.",
        (
            'in00, in01, in10, in11 = cache["masks"]',
            'x0, y0 = cache["x0"], cache["y0"]\n'
            "    cells = ((y0, x0), (y0, x0 + 1), (y0 + 1, x0), (y0 + 1, x0 + 1))\n"
            "    _, H, W, _ = U.shape\n"
            "    in00, in01, in10, in11 = (\n"
            "        ((y >= 0) & (y < H) & (x >= 0) & (x <= W))[..., None] for y, x in cells\n"
            "    )",
        ),
        also=("off-by-one",),
    ),
    _bug(
        "grid-sample-int-for-floor",
        "grid_sample",
        "off-by-one",
        "int() cuts towards zero: left of and above the first pixel that is another cell.",
        (
            'in00, in01, in10, in11 = cache["masks"]',
            'x, y = cache["x0"] + fx[..., 0], cache["y0"] + fy[..., 0]\n'
            "    x0, y0 = x.astype(int), y.astype(int)\n"
            "    fx, fy = (x - x0)[..., None], (y - y0)[..., None]\n"
            '    at00, in00 = _corner(U, y0, x0, "zeros")\n'
            '    at01, in01 = _corner(U, y0, x0 + 1, "zeros")\n'
            '    at10, in10 = _corner(U, y0 + 1, x0, "zeros")\n'
            '    at11, in11 = _corner(U, y0 + 1, x0 + 1, "zeros")\n'
            "    U00, U01 = U[at00] * in00, U[at01] * in01\n"
            "    U10, U11 = U[at10] * in10, U[at11] * in11",
        ),
    ),
    _bug(
        "grid-sample-factor-twice",
        "grid_sample",
        "pixel-factor",
        "The factor to pixels was applied in the sampler and once more around it.",
        (
            "[dpoints[..., 0] * factor_x, dpoints[..., 1] * factor_y]",
            "[dpoints[..., 0] * factor_x**2, dpoints[..., 1] * factor_y**2]",
        ),
    ),
    _bug(
        "grid-sample-width-for-y",
        "grid_sample",
        "hw-swapped",
        "The line of factor_x was copied, and W left in it.",
        ("(H - 1) / 2 if align_corners", "(W - 1) / 2 if align_corners"),
    ),
    _bug(
        "sample-bgr",
        "sample",
        "wrong-place",
        "The map's gradient has its channels in reverse, as pictures read by OpenCV.",
        ("    return dU, dpoints\n", "    return dU[..., ::-1], dpoints\n"),
    ),
    _bug(
        "grid-sample-neighbours-map",
        "grid_sample",
        "wrong-place",
        "The batch was counted from one: what belongs to map b goes to b - 1.",
        ("np.add.at(dU, at, part)", "np.add.at(dU, (at[0] - 1, *at[1:]), part)"),
        also=("off-by-one",),
    ),
    _bug(
        "sample-upstream-weighed-before",
        "sample",
        UNEXPLAINED,
        "The upstream gradient was weighed for the last corner under its own name, and then used.",
        (
            "_add(dU, at11, in11 * fy * fx * dV)",
            "dV = in11 * fy * fx * dV\n    _add(dU, at11, dV)",
        ),
    ),
    _bug(
        "grid-sample-half-precision-weights",
        "grid_sample",
        "float32",
        "The fractions, between 0 and 1, were kept in half precision.",
        (
            '    cache = {"U": U, "x0": x0, "y0": y0, "fx": fx, "fy": fy}',
            "    fx, fy = fx.astype(np.float16), fy.astype(np.float16)\n"
            '    cache = {"U": U, "x0": x0, "y0": y0, "fx": fx, "fy": fy}',
        ),
    ),
]

# -------------------------------------------------------------------------------- module

_MODULE = [
    _bug(
        "module-homogeneous-one",
        "spatial_transformer",
        "path-missing",
        "The target's third coordinate, 1, was taken for 0: no gradient to the translation.",
        (
            'np.einsum("bijd,ijk->bdk", dgrid, target)',
            'np.einsum("bijd,ijk->bdk", dgrid, target * np.array([1, 1, 0]))',
        ),
    ),
    _bug(
        "module-dw-of-the-last",
        "spatial_transformer",
        "accumulation-lost",
        "dW was assigned in a loop over the batch: the last sample's is left.",
        (
            "dW = U.reshape(B, -1).T @ dtheta",
            "for b in range(B):\n        dW = np.outer(U[b], dtheta[b])",
        ),
    ),
    _bug(
        "module-columns-for-y",
        "spatial_transformer",
        "hw-swapped",
        "Both axes have the factor of the width.",
        ("dy * (rows - 1) / 2]", "dy * (columns - 1) / 2]"),
    ),
    _bug(
        "module-localisation-channels-first",
        "spatial_transformer",
        "transpose",
        "The localisation net's part was folded back as (B, C, H, W).",
        (
            "(dtheta @ W.T).reshape(U.shape)",
            "(dtheta @ W.T).reshape(B, -1, rows, columns).transpose(0, 2, 3, 1)",
        ),
    ),
    _bug(
        "module-dx-forgets-wy",
        "spatial_transformer",
        UNEXPLAINED,
        "The slope along x is not weighed along y.",
        ("dx += sign_x * wy * agreement", "dx += sign_x * agreement"),
    ),
]

# -------------------------------------------------------------------------------- layers

_LINEAR_AND_CONV = [
    _bug(
        "linear-dw-of-the-last",
        "linear",
        "accumulation-lost",
        "A loop over the samples assigns dW anew.",
        (
            "    dW = X.T @ dY\n",
            "    for x, d in zip(X, dY):\n        dW = np.outer(x, d)\n",
        ),
    ),
    _bug(
        "linear-single-weights",
        "linear",
        "float32",
        "The weights were kept in single precision for backward, everything else in double.",
        ("return Y, (X, W)\n", "return Y, (X, W.astype(np.float32))\n"),
    ),
    _bug(
        "linear-bias-last-sample",
        "linear",
        "bias-sum",
        "db was overwritten by each sample in turn.",
        ("db = dY.sum(axis=0)", "db = dY[-1].copy()"),
        also=("accumulation-lost",),
    ),
    _bug(
        "linear-bias-not-alone",
        "linear",
        UNEXPLAINED,
        "The bias was given the gradient of the first input's weights.",
        ("db = dY.sum(axis=0)", "db = dW[0].copy()"),
    ),
    _bug(
        "conv-dx-flipped",
        "conv2d",
        "wrong-place",
        "The book flips the kernel for a backward that gathers; this one scatters.",
        ("m : m + k] += part", "m : m + k] += part[:, ::-1, ::-1]"),
    ),
    _bug(
        "conv-dw-reversed",
        "conv2d",
        "wrong-place",
        "The indices of dW run backwards, as in a true convolution.",
        ("    return dX, dW, db\n\n\ndef max", "    return dX, dW[::-1, ::-1], db\n\n\ndef max"),
    ),
    _bug(
        "conv-bias-first-column",
        "conv2d",
        "bias-sum",
        "Summed over the batch and the rows, not over the columns.",
        ("db = dY.sum(axis=(0, 1, 2))", "db = dY.sum(axis=(0, 1))[0]"),
    ),
    _bug(
        "conv-bias-mean-of-positions",
        "conv2d",
        "constant-factor",
        "A sum over the batch, a mean over the positions.",
        ("db = dY.sum(axis=(0, 1, 2))", "db = dY.mean(axis=(1, 2)).sum(axis=0)"),
    ),
    _bug(
        "conv-dw-stride-ignored",
        "conv2d",
        "off-by-one",
        "dX minds the stride, dW does not.",
        ("window = padded[:, n : n + k, m : m + k]", "window = padded[:, i : i + k, j : j + k]"),
        options={"stride": 2},
    ),
    _bug(
        "conv-padded-buffer",
        "conv2d",
        "stale-cache",
        "The padded picture lies in one buffer for each shape, and the next forward fills it anew.",
        ("def conv2d_forward(", "_BUFFERS = {}\n\n\ndef conv2d_forward("),
        (
            "    rows = (padded.shape[1] - k)",
            "    buffer = _BUFFERS.setdefault(padded.shape, np.empty_like(padded))\n"
            "    buffer[...] = padded\n    padded = buffer\n    rows = (padded.shape[1] - k)",
        ),
    ),
    _bug(
        "conv-channels-share",
        "conv2d",
        UNEXPLAINED,
        "Every channel of dX was given the mean of all channels.",
        (
            "    return dX, dW, db\n\n\ndef max",
            "    dX = dX.mean(axis=-1, keepdims=True) + 0 * dX\n    return dX, dW, db\n\n\ndef max",
        ),
    ),
]

_POOLS_AND_POINTWISE = [
    _bug(
        "max-pool-always-the-first",
        "max_pool2d",
        "wrong-place",
        "The first pixel of each square gets the gradient, whichever won.",
        ("u, v = winner // size, winner % size", "u = v = 0 * winner"),
    ),
    _bug(
        "max-pool-to-everyone",
        "max_pool2d",
        UNEXPLAINED,
        "The gradient was spread over the square as in a pool of averages, undivided.",
        (
            "    dX[b, i * size + u, j * size + v, c] = dY\n",
            "    for u, v in np.ndindex(size, size):\n"
            "        dX[b, i * size + u, j * size + v, c] = dY\n",
        ),
    ),
    _bug(
        "avg-pool-all-to-the-first",
        "avg_pool2d",
        UNEXPLAINED,
        "The whole gradient goes to the first pixel of each square.",
        ("for u in range(size):", "for u in range(1):"),
        ("for v in range(size):", "for v in range(1):"),
        ("= dY / size**2", "= dY"),
    ),
    _bug(
        "avg-pool-divides-in-place",
        "avg_pool2d",
        "input-mutated",
        "The upstream gradient was divided in place.",
        (
            "    dX = np.zeros(shape)\n    for u",
            "    dY /= size**2\n    dX = np.zeros(shape)\n    for u",
        ),
        ("= dY / size**2", "= dY"),
    ),
    _bug(
        "avg-pool-of-ones",
        "avg_pool2d",
        "upstream-ignored",
        "Each pixel's share was written down, without the gradient that is shared.",
        ("= dY / size**2", "= 1 / size**2"),
    ),
    _bug(
        "tanh-of-the-input",
        "tanh",
        UNEXPLAINED,
        "1 - X^2: the input was cached, not the output.",
        ("    return Y, (Y,)\n", "    return Y, (X,)\n"),
    ),
    _bug(
        "tanh-like-sigmoid",
        "tanh",
        UNEXPLAINED,
        "Y (1 - Y) is the derivative of another curve of the same shape.",
        ("(1 - Y**2)", "Y * (1 - Y)"),
    ),
    _bug(
        "tanh-square-minus-one",
        "tanh",
        "sign",
        "Y^2 - 1.",
        ("(1 - Y**2)", "(Y**2 - 1)"),
    ),
    _bug(
        "tanh-upstream-in-place",
        "tanh",
        "input-mutated",
        "dY *= 1 - Y^2 saves an array and takes it from the caller.",
        ("dX = dY * (1 - Y**2)", "dY *= 1 - Y**2\n    dX = dY.copy()"),
    ),
    _bug(
        "relu-leaky",
        "relu",
        "relu-mask",
        "Backward of a leaky relu.",
        ("mask = X > 0", "mask = np.where(X > 0, 1, 0.01)"),
    ),
    _bug(
        "relu-sign",
        "relu",
        "relu-mask",
        "The sign of X in place of the mask: the slope of |X|.",
        ("mask = X > 0", "mask = np.sign(X)"),
    ),
    _bug(
        "relu-times-output",
        "relu",
        "relu-mask",
        "The gradient was multiplied by the output, where the question is whether it is positive.",
        ("mask = X > 0", "mask = Y"),
        ("X, _ = cache", "_, Y = cache"),
    ),
    _bug(
        "relu-output-reused",
        "relu",
        "not-repeatable",
        "The gradient was written over the cached output, from which the mask is made.",
        (
            "    mask = X > 0\n    dX = dY * mask\n",
            "    mask = Y > 0\n    Y[...] = dY * mask\n    dX = Y.copy()\n",
        ),
        ("X, _ = cache", "_, Y = cache"),
    ),
    _bug(
        "flatten-column-major",
        "flatten",
        "transpose",
        "order='F': folded back column by column, unfolded row by row.",
        ("dX = dY.reshape(cache)", 'dX = dY.reshape(cache, order="F")'),
    ),
    _bug(
        "flatten-batch-last",
        "flatten",
        "transpose",
        "The vectors were taken to stand side by side, the batch on the last axis.",
        (
            "dX = dY.reshape(cache)",
            "B, *rest = cache\n    dX = np.moveaxis(dY.reshape(*rest, B), -1, 0)",
        ),
    ),
]

_SOFTMAX = [
    _bug(
        "softmax-sigmoid-factor",
        "softmax_cross_entropy",
        UNEXPLAINED,
        "Multiplied by p (1 - p), as with a squared error.",
        ("return dloss * dlogits / n", "return dloss * dlogits * p * (1 - p) / n"),
    ),
    _bug(
        "softmax-mean-over-classes",
        "softmax_cross_entropy",
        "constant-factor",
        "Divided by the number of classes where that of samples is due.",
        ("n = len(labels)\n    dlogits", "n = p.shape[1]\n    dlogits"),
        ("np.arange(n), labels] -= 1", "np.arange(len(p)), labels] -= 1"),
    ),
    _bug(
        "softmax-label-added",
        "softmax_cross_entropy",
        "sign",
        "p + y in place of p - y.",
        ("labels] -= 1", "labels] += 1"),
    ),
    _bug(
        "softmax-labels-from-one",
        "softmax_cross_entropy",
        "off-by-one",
        "Labels were thought to be counted from one.",
        ("dlogits[np.arange(n), labels] -= 1", "dlogits[np.arange(n), labels - 1] -= 1"),
        also=("one-hot",),
    ),
    _bug(
        "softmax-guess-for-label",
        "softmax_cross_entropy",
        "one-hot",
        "The one was subtracted at the net's own guess.",
        ("dlogits[np.arange(n), labels] -= 1", "dlogits[np.arange(n), p.argmax(axis=1)] -= 1"),
    ),
    _bug(
        "softmax-shared-buffer",
        "softmax_cross_entropy",
        "stale-cache",
        "The cache holds a view of a buffer for probabilities, which the next call overwrites.",
        (
            "def softmax_cross_entropy_forward(",
            "_SCRATCH = np.empty(4096)\n\n\ndef softmax_cross_entropy_forward(",
        ),
        (
            "    return loss, (p, labels)\n",
            "    kept = _SCRATCH[: p.size].reshape(p.shape)\n    kept[...] = p\n"
            "    return loss, (kept, labels)\n",
        ),
    ),
]

MORE_BUGS: list[Bug] = [
    *_SPLAT,
    *_VOLUME,
    *_CUBIC,
    *_COMPOSE_AND_INVERT,
    *_PIXEL_MATRICES,
    *_CONSTRAIN,
    *_GRIDS,
    *_SAMPLER,
    *_MODULE,
    *_LINEAR_AND_CONV,
    *_POOLS_AND_POINTWISE,
    *_SOFTMAX,
]
"""All of them; no name is one of `BUGS`."""
