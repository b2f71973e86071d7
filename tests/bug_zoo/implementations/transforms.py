"""Grid generators and small families of matrices."""

import numpy as np


def _homogeneous(G):
    return np.concatenate([G, np.ones_like(G[..., :1])], axis=-1)  # (H', W', 3): (x, y, 1)


def affine_grid_forward(theta, G):
    target = _homogeneous(G)
    grid = np.einsum("bdk,ijk->bijd", theta, target)  # (B, H', W', 2)
    return grid, target


def affine_grid_backward(dgrid, cache):
    target = cache
    dtheta = np.einsum("bijd,ijk->bdk", dgrid, target)
    return dtheta  # (B, 2, 3)


def flow_grid_forward(flow, G):
    return flow + G, None


def flow_grid_backward(dgrid, cache):
    dflow = dgrid.copy()
    return dflow


def basis_grid_forward(theta, B):
    grid = np.tensordot(B, theta, axes=([2], [1]))  # (H', W', B, 2)
    return grid.transpose(2, 0, 1, 3), B


def basis_grid_backward(dgrid, cache):
    basis = cache
    # The axes: (H', W') of dgrid with (H', W') of the basis leaves (B, 2, K).
    dtheta = np.tensordot(dgrid, basis, axes=([1, 2], [0, 1]))
    return dtheta.transpose(0, 2, 1)


def projective_grid_forward(theta, G):
    target = _homogeneous(G)
    XYZ = np.einsum("bdk,ijk->bijd", theta, target)
    X, Y, Z = XYZ[..., 0], XYZ[..., 1], XYZ[..., 2]
    return np.stack([X / Z, Y / Z], axis=-1), (target, X, Y, Z)


def projective_grid_backward(dgrid, cache):
    target, X, Y, Z = cache
    dx, dy = dgrid[..., 0], dgrid[..., 1]
    dX = dx / Z
    dY = dy / Z
    dZ = -dx * X / Z**2 - dy * Y / Z**2
    dXYZ = np.stack([dX, dY, dZ], axis=-1)  # (B, H', W', 3)
    return np.einsum("bijd,ijk->bdk", dXYZ, target)


def translation_matrix_forward(params):
    theta = np.zeros((len(params), 2, 3), dtype=params.dtype)
    theta[:, 0, 0] = theta[:, 1, 1] = 1
    theta[:, :, 2] = params
    return theta, None


def translation_matrix_backward(dtheta, cache):
    dtx, dty = dtheta[:, 0, 2], dtheta[:, 1, 2]
    return np.stack([dtx, dty], axis=1)


def attention_matrix_forward(params):
    theta = np.zeros((len(params), 2, 3))
    s, tx, ty = params.T
    theta[:, 0, 0] = theta[:, 1, 1] = s
    theta[:, 0, 2], theta[:, 1, 2] = tx, ty
    return theta, None


def attention_matrix_backward(dtheta, cache):
    ds = dtheta[:, 0, 0] + dtheta[:, 1, 1]
    return np.stack([ds, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=1)


def rigid_matrix_forward(params):
    a, tx, ty = params.T
    c, s = np.cos(a), np.sin(a)
    theta = np.array([[c, -s, tx], [s, c, ty]]).transpose(2, 0, 1)  # (B, 2, 3)
    return theta, (c, s)


def rigid_matrix_backward(dtheta, cache):
    c, s = cache
    da = -s * dtheta[:, 0, 0] - c * dtheta[:, 0, 1] + c * dtheta[:, 1, 0] - s * dtheta[:, 1, 1]
    return np.stack([da, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=1)


def similarity_matrix_forward(params):
    scale, a, tx, ty = params.T
    c, s = np.cos(a), np.sin(a)
    theta = np.array([[scale * c, -scale * s, tx], [scale * s, scale * c, ty]])
    return theta.transpose(2, 0, 1), (scale, c, s)


def similarity_matrix_backward(dtheta, cache):
    scale, c, s = cache
    along_c = dtheta[:, 0, 0] + dtheta[:, 1, 1]
    along_s = dtheta[:, 1, 0] - dtheta[:, 0, 1]
    dscale = c * along_c + s * along_s
    da = scale * (c * along_s - s * along_c)
    return np.stack([dscale, da, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=1)
