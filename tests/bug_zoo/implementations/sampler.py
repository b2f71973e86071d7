"""Bilinear sampling, channels last: the four corners of a sample one by one."""

import numpy as np


def _corner(U, y, x, padding):
    """Return the index of the pixel (the nearest one, outside) and whether it counts."""
    B, H, W, _ = U.shape
    b = np.arange(B)[:, None, None]
    inside = (y >= 0) & (y < H) & (x >= 0) & (x < W)
    if padding == "border":
        inside = np.ones_like(inside)
    return (b, np.clip(y, 0, H - 1), np.clip(x, 0, W - 1)), inside[..., None]


def _add(dU, at, part):
    np.add.at(dU, at, part)


def sample_forward(U, points, *, padding="zeros"):
    x, y = points[..., 0], points[..., 1]
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = x0 + 1, y0 + 1
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]  # (B, H', W', 1)
    at00, in00 = _corner(U, y0, x0, padding)
    at01, in01 = _corner(U, y0, x1, padding)
    at10, in10 = _corner(U, y1, x0, padding)
    at11, in11 = _corner(U, y1, x1, padding)
    U00, U01 = U[at00] * in00, U[at01] * in01  # (B, H', W', C)
    U10, U11 = U[at10] * in10, U[at11] * in11
    V = (1 - fy) * ((1 - fx) * U00 + fx * U01) + fy * ((1 - fx) * U10 + fx * U11)
    cache = {"U": U, "x0": x0, "y0": y0, "fx": fx, "fy": fy}
    cache["corners"] = U00, U01, U10, U11
    cache["places"] = at00, at01, at10, at11
    cache["masks"] = in00, in01, in10, in11
    return V, cache


def sample_backward(dV, cache):
    U, fx, fy = cache["U"], cache["fx"], cache["fy"]
    U00, U01, U10, U11 = cache["corners"]
    at00, at01, at10, at11 = cache["places"]
    in00, in01, in10, in11 = cache["masks"]
    dU = np.zeros(U.shape, dtype=dV.dtype)
    _add(dU, at00, in00 * (1 - fy) * (1 - fx) * dV)
    _add(dU, at01, in01 * (1 - fy) * fx * dV)
    _add(dU, at10, in10 * fy * (1 - fx) * dV)
    _add(dU, at11, in11 * fy * fx * dV)
    slope_x = (1 - fy) * (U01 - U00) + fy * (U11 - U10)
    slope_y = (1 - fx) * (U10 - U00) + fx * (U11 - U01)
    dx = (dV * slope_x).sum(axis=-1)
    dy = (dV * slope_y).sum(axis=-1)
    dpoints = np.stack([dx, dy], axis=-1)  # (B, H', W', 2)
    return dU, dpoints


def grid_sample_forward(U, grid, *, align_corners=True, padding_mode="zeros"):
    _, H, W, _ = U.shape
    if align_corners:
        points = (grid + 1) * np.array([W - 1, H - 1]) / 2
    else:
        points = ((grid + 1) * np.array([W, H]) - 1) / 2
    V, sample_cache = sample_forward(U, points, padding=padding_mode)
    return V, (sample_cache, H, W, align_corners)


def grid_sample_backward(dV, cache):
    sample_cache, H, W, align_corners = cache
    dU, dpoints = sample_backward(dV, sample_cache)
    factor_x = (W - 1) / 2 if align_corners else W / 2
    factor_y = (H - 1) / 2 if align_corners else H / 2
    dgrid = np.stack([dpoints[..., 0] * factor_x, dpoints[..., 1] * factor_y], axis=-1)
    return dU, dgrid
