"""Trilinear sampling of volumes (B, D, H, W, C) at points (x, y, z)."""

import numpy as np


def _voxel(U, k, n, m, padding):
    """Index of voxel (k, n, m) in (depth, row, column), and a mask of those that exist."""
    B, D, H, W, _ = U.shape
    exists = (k >= 0) & (k < D) & (n >= 0) & (n < H) & (m >= 0) & (m < W)
    if padding == "border":
        exists[...] = True
    b = np.arange(B).reshape(B, 1, 1, 1)
    return (b, k.clip(0, D - 1), n.clip(0, H - 1), m.clip(0, W - 1)), exists


def sample_forward(U, points, *, padding="zeros"):
    cell = np.floor(points).astype(int)  # (B, D', H', W', 3), (x, y, z)
    f = points - cell
    V = np.zeros((*points.shape[:-1], U.shape[-1]))
    eight = []
    for dk in (0, 1):
        for dn in (0, 1):
            for dm in (0, 1):
                k, n, m = cell[..., 2] + dk, cell[..., 1] + dn, cell[..., 0] + dm
                place, exists = _voxel(U, k, n, m, padding)
                value = np.where(exists[..., None], U[place], 0)
                near_far = np.abs(1 - np.array([dm, dn, dk]) - f)  # 1 - f where d = 0, else f
                V += near_far.prod(axis=-1)[..., None] * value
                eight.append((dk, dn, dm, place, exists, value))
    return V, (U, f, eight)


def sample_backward(dV, cache):
    U, f, eight = cache
    fx, fy, fz = f[..., 0], f[..., 1], f[..., 2]
    dU = np.zeros(U.shape)
    dpoints = np.zeros(f.shape)
    for dk, dn, dm, place, exists, value in eight:
        wx = fx if dm else 1 - fx
        wy = fy if dn else 1 - fy
        wz = fz if dk else 1 - fz
        part = (exists * wz * wy * wx)[..., None] * dV
        np.add.at(dU, place, part)
        gain = np.einsum("...c,...c->...", dV, value)
        dpoints[..., 0] += (2 * dm - 1) * wy * wz * gain
        dpoints[..., 1] += (2 * dn - 1) * wx * wz * gain
        dpoints[..., 2] += (2 * dk - 1) * wx * wy * gain
    return dU, dpoints
