"""Splatting: each pixel of an image is added to the four canvas pixels around its point."""

import numpy as np


def _spot(row, column, H, W, padding):
    """Return the index into a canvas, clipped to it, and 1 where it was on the canvas, else 0."""
    on = (row >= 0) & (row < H) & (column >= 0) & (column < W)
    if padding == "border":
        on = np.ones_like(on)
    picture = np.arange(len(row))[:, None, None]
    return (picture, np.clip(row, 0, H - 1), np.clip(column, 0, W - 1)), on.astype(float)


def splat_forward(image, points, shape, *, padding="zeros"):
    H, W = shape
    left, top = (np.floor(points[..., axis]).astype(int) for axis in (0, 1))
    fx, fy = points[..., 0] - left, points[..., 1] - top  # (B, H', W')
    canvas = np.zeros((len(image), H, W, image.shape[-1]))
    for below in (0, 1):
        for right in (0, 1):
            spot, on = _spot(top + below, left + right, H, W, padding)
            share = on * (fy if below else 1 - fy) * (fx if right else 1 - fx)
            np.add.at(canvas, spot, share[..., None] * image)
    return canvas, {"image": image, "left": left, "top": top, "fx": fx, "fy": fy, "pad": padding}


def splat_backward(dcanvas, cache):
    image, fx, fy = cache["image"], cache["fx"], cache["fy"]
    _, H, W, _ = dcanvas.shape
    dimage = np.zeros(image.shape)
    dx, dy = np.zeros(fx.shape), np.zeros(fy.shape)
    for row_step, wy, slope_y in ((0, 1 - fy, -1), (1, fy, 1)):
        for column_step, wx, slope_x in ((0, 1 - fx, -1), (1, fx, 1)):
            row, column = cache["top"] + row_step, cache["left"] + column_step
            at, inside = _spot(row, column, H, W, cache["pad"])
            landed = inside[..., None] * dcanvas[at]  # (B, H', W', C)
            dimage += (wy * wx)[..., None] * landed
            agreement = (image * landed).sum(axis=-1)  # (B, H', W')
            dx += slope_x * wy * agreement
            dy += slope_y * wx * agreement
    return dimage, np.stack([dx, dy], axis=-1)
