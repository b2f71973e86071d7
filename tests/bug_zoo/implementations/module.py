"""A spatial transformer in one piece: U -> theta -> grid -> V."""

import numpy as np


def _sample(U, x, y):
    """Sample U at pixels (x, y); return also, for each corner, what backward wants."""
    B, rows, columns, _ = U.shape
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - x0, y - y0  # (B, H', W')
    corners, V = [], 0
    for n, wy, sign_y in ((y0, 1 - fy, -1), (y0 + 1, fy, 1)):
        for m, wx, sign_x in ((x0, 1 - fx, -1), (x0 + 1, fx, 1)):
            inside = (n >= 0) & (n < rows) & (m >= 0) & (m < columns)
            at = (np.arange(B)[:, None, None], np.where(inside, n, 0), np.where(inside, m, 0))
            value = U[at] * inside[..., None]  # (B, H', W', C)
            V = V + (wy * wx)[..., None] * value
            corners.append((at, inside, value, wx, wy, sign_x, sign_y))
    return V, corners


def spatial_transformer_forward(U, W, b, G):
    """Map (U, W, b) to V: theta = flatten(U) W + b; G is the target grid (H', W', 2)."""
    B, rows, columns, _ = U.shape
    theta = (U.reshape(B, -1) @ W + b).reshape(B, 2, 3)
    target = np.concatenate([G, np.ones_like(G[..., :1])], axis=-1)  # (H', W', 3)
    grid = np.einsum("bdk,ijk->bijd", theta, target)  # (B, H', W', 2)
    x = (grid[..., 0] + 1) * (columns - 1) / 2
    y = (grid[..., 1] + 1) * (rows - 1) / 2
    V, corners = _sample(U, x, y)
    return V, (U, W, target, corners)


def spatial_transformer_backward(dV, cache):
    U, W, target, corners = cache
    B, rows, columns, _ = U.shape
    dU_sampler = np.zeros_like(U)
    dx, dy = np.zeros(dV.shape[:-1]), np.zeros(dV.shape[:-1])
    for at, inside, value, wx, wy, sign_x, sign_y in corners:
        np.add.at(dU_sampler, at, (inside * wy * wx)[..., None] * dV)
        agreement = (dV * value).sum(axis=-1)
        dx += sign_x * wy * agreement
        dy += sign_y * wx * agreement
    dgrid = np.stack([dx * (columns - 1) / 2, dy * (rows - 1) / 2], axis=-1)
    dtheta = np.einsum("bijd,ijk->bdk", dgrid, target).reshape(B, 6)
    dW = U.reshape(B, -1).T @ dtheta
    db = dtheta.sum(axis=0)
    dU_localisation = (dtheta @ W.T).reshape(U.shape)
    dU = dU_sampler + dU_localisation
    return dU, dW, db
