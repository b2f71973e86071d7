"""Cubic convolution after Keys: sixteen pixels a sample, zeros outside of the map."""

import numpy as np

a = -0.75


def kernel_value(t):
    s = np.abs(t)
    inner = (a + 2) * s**3 - (a + 3) * s**2 + 1
    outer = a * s**3 - 5 * a * s**2 + 8 * a * s - 4 * a
    return np.where(s <= 1, inner, outer)


def kernel_slope(t):
    s = np.abs(t)
    inner = 3 * (a + 2) * s**2 - 2 * (a + 3) * s
    outer = 3 * a * s**2 - 10 * a * s + 8 * a
    return np.sign(t) * np.where(s <= 1, inner, outer)


def sample_forward(U, points, *, kernel="cubic"):
    assert kernel == "cubic"
    _, H, W, _ = U.shape
    framed = np.pad(U, ((0, 0), (2, 2), (2, 2), (0, 0)))  # pixel (0, 0) is at [2, 2]
    away = ((points < -2) | (points >= np.array([W + 1, H + 1]))).any(axis=-1)
    x, y = np.where(away, 0, points[..., 0]), np.where(away, 0, points[..., 1])
    m0, n0 = np.floor(x).astype(int), np.floor(y).astype(int)
    b = np.arange(len(U))[:, None, None]
    V = 0
    for i in range(-1, 3):
        for j in range(-1, 3):
            n, m = np.clip(n0 + i, -2, H + 1), np.clip(m0 + j, -2, W + 1)
            k = kernel_value(y - n0 - i) * kernel_value(x - m0 - j) * ~away
            V = V + k[..., None] * framed[b, n + 2, m + 2]
    return V, (framed, x, y, n0, m0, away)


def sample_backward(dV, cache):
    framed, x, y, n0, m0, away = cache
    dV = dV * ~away[..., None]
    last_row, last_column = framed.shape[1] - 1, framed.shape[2] - 1
    dframed = np.zeros(framed.shape)
    dx, dy = np.zeros(x.shape), np.zeros(y.shape)
    b = np.arange(len(framed))[:, None, None]
    for i in range(-1, 3):
        for j in range(-1, 3):
            row = np.clip(n0 + i + 2, 0, last_row)
            column = np.clip(m0 + j + 2, 0, last_column)
            ty, tx = y - n0 - i, x - m0 - j
            ky, kx = kernel_value(ty), kernel_value(tx)
            np.add.at(dframed, (b, row, column), (ky * kx)[..., None] * dV)
            inner_product = (dV * framed[b, row, column]).sum(axis=-1)
            dx += kernel_slope(tx) * ky * inner_product
            dy += kx * kernel_slope(ty) * inner_product
    dU = dframed[:, 2:-2, 2:-2]
    return dU, np.stack((dx, dy), axis=-1)
