"""Affine matrices (B, 2, 3) = [P | p]: products, inverses, pixels; and bounds on parameters."""

import numpy as np


def _T(matrices):
    return matrices.swapaxes(-1, -2)


def _join(linear, shift):
    return np.concatenate([linear, shift], axis=2)


def compose_forward(A, B):
    P, p = A[:, :, :2], A[:, :, 2:]
    Q, q = B[:, :, :2], B[:, :, 2:]
    return _join(P @ Q, P @ q + p), (P, Q, q)


def compose_backward(dC, cache):
    P, Q, q = cache
    dR, dr = dC[:, :, :2], dC[:, :, 2:]
    dP = dR @ _T(Q) + dr @ _T(q)
    dp = dr
    dQ = _T(P) @ dR
    dq = _T(P) @ dr
    return _join(dP, dp), _join(dQ, dq)


def invert_forward(A):
    P, p = A[:, :, :2], A[:, :, 2:]
    R = np.linalg.inv(P)
    return _join(R, -R @ p), (R, p)


def invert_backward(dN, cache):
    R, p = cache
    dR, dr = dN[:, :, :2], dN[:, :, 2:]
    # N = [R | r] with r = -R p: R has a gradient of its own and one through r.
    dR_total = dR - dr @ _T(p)
    dP = -_T(R) @ dR_total @ _T(R)
    dp = -_T(R) @ dr
    return _join(dP, dp)


def _half_sizes(shape, align_corners):
    """Return pixels per normalised unit and the middle pixel, both as (x, y)."""
    size = np.array(shape[::-1])
    return (size - 1) / 2 if align_corners else size / 2, (size - 1) / 2


def to_pixel_matrix_forward(A, in_shape, out_shape, *, align_corners=True):
    scale_in, middle_in = _half_sizes(in_shape, align_corners)
    scale_out, middle_out = _half_sizes(out_shape, align_corners)
    linear = scale_in[:, None] * A[:, :, :2] / scale_out
    shift = scale_in * A[:, :, 2] + middle_in - linear @ middle_out
    return _join(linear, shift[:, :, None]), (scale_in, scale_out, middle_out)


def to_pixel_matrix_backward(dM, cache):
    scale_in, scale_out, middle_out = cache
    dlinear = dM[:, :, :2] - dM[:, :, 2:] * middle_out
    dA_linear = scale_in[:, None] * dlinear / scale_out
    dA_shift = scale_in[:, None] * dM[:, :, 2:]
    return _join(dA_linear, dA_shift)


def from_pixel_matrix_forward(M, in_shape, out_shape, *, align_corners=True):
    unit_in, centre_in = _half_sizes(in_shape, align_corners)
    unit_out, centre_out = _half_sizes(out_shape, align_corners)
    linear = M[:, :, :2] * unit_out / unit_in[:, None]
    shift = (M[:, :, :2] @ centre_out + M[:, :, 2] - centre_in) / unit_in
    return _join(linear, shift[:, :, None]), (unit_in, unit_out, centre_out)


def from_pixel_matrix_backward(dA, cache):
    unit_in, unit_out, centre_out = cache
    dlinear, dshift = dA[:, :, :2], dA[:, :, 2:]
    dM_linear = (dlinear * unit_out + dshift * centre_out) / unit_in[:, None]
    dM_shift = dshift / unit_in[:, None]
    return _join(dM_linear, dM_shift)


def constrain_forward(raw, constraints):
    """Each constraint: ("free",), ("fixed", value), ("bounded", low, high), ("positive", scale)."""
    params = np.zeros((len(raw), len(constraints)))
    column = 0
    for k, (kind, *numbers) in enumerate(constraints):
        if kind == "fixed":
            params[:, k] = numbers[0]
            continue
        r = raw[:, column]
        if kind == "free":
            params[:, k] = r
        elif kind == "positive":
            params[:, k] = numbers[0] * np.exp(r)
        elif kind == "bounded":
            low, high = numbers
            params[:, k] = low + (high - low) * (1 + np.tanh(r)) / 2
        column += 1
    return params, (raw, params, constraints)


def constrain_backward(dparams, cache):
    raw, params, constraints = cache
    draw = np.zeros(raw.shape)
    column = 0
    for k, (kind, *numbers) in enumerate(constraints):
        if kind == "fixed":
            continue
        slope = 1
        if kind == "positive":
            slope = params[:, k]
        elif kind == "bounded":
            low, high = numbers
            slope = (high - low) / 2 * (1 - np.tanh(raw[:, column]) ** 2)
        draw[:, column] = dparams[:, k] * slope
        column += 1
    return draw
