"""From normalised coordinates to pixels."""

import numpy as np


def unnormalize_forward(grid, shape, *, align_corners=True):
    H, W = shape
    x, y = grid[..., 0], grid[..., 1]
    if align_corners:
        points = np.stack([(x + 1) * (W - 1) / 2, (y + 1) * (H - 1) / 2], axis=-1)
    else:
        points = np.stack([((x + 1) * W - 1) / 2, ((y + 1) * H - 1) / 2], axis=-1)
    return points, (H, W, align_corners)


def unnormalize_backward(dpoints, cache):
    H, W, align_corners = cache
    dx, dy = dpoints[..., 0], dpoints[..., 1]
    factor_x = (W - 1) / 2 if align_corners else W / 2
    factor_y = (H - 1) / 2 if align_corners else H / 2
    return np.stack([dx * factor_x, dy * factor_y], axis=-1)
