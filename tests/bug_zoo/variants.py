"""Correct implementations, written in other ways: a checker must find nothing in them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from tests.bug_zoo.inputs import Inputs, function_names, make_inputs
from tests.bug_zoo.zoo import load


class Variant(NamedTuple):
    """A pair with the inputs it takes: ``forward(**inputs)``; constants are among them."""

    operation: str
    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[..., Any]
    which: str = "default"
    arrange: Callable[[Inputs], Inputs] = dict  # the operation's inputs as forward wants them

    def make_inputs(self, size: str, rng: np.random.Generator) -> Inputs:
        """Return the inputs by name, see `inputs.make_inputs`."""
        return self.arrange(make_inputs(self.operation, size, rng, self.which))

    def functions(self) -> SimpleNamespace:
        """Return the pair under the names that an implementation's functions have."""
        pair = zip(function_names(self.operation), (self.forward, self.backward), strict=True)
        return SimpleNamespace(**dict(pair))


def channels_first() -> Variant:
    """U (B, C, H, W) and V (B, C, H', W'), as in PyTorch; the gradient to U too."""
    sampler = load("sampler")

    def last(a):
        return a.transpose(0, 2, 3, 1)

    def first(a):
        return a.transpose(0, 3, 1, 2)

    def forward(U, grid):
        V, cache = sampler.grid_sample_forward(last(U), grid)
        return first(V), cache

    def backward(dV, cache):
        dU, dgrid = sampler.grid_sample_backward(last(dV), cache)
        return first(dU), dgrid

    def arrange(inputs):
        return {**inputs, "U": first(inputs["U"]).copy()}

    return Variant("grid_sample", forward, backward, arrange=arrange)


def _pixels(points, H, W):
    """Yield (b, i, j), (n, m) and the distances, for each pixel that a sample reads."""
    for b, i, j in np.ndindex(points.shape[:3]):
        x, y = points[b, i, j]
        for n in range(max(0, int(np.floor(y))), min(H, int(np.floor(y)) + 2)):
            for m in range(max(0, int(np.floor(x))), min(W, int(np.floor(x)) + 2)):
                yield (b, i, j), (b, n, m), x - m, y - n


def python_loops() -> Variant:
    """The sums of equations 5 to 7, pixel by pixel, with the kernel max(0, 1 - |t|)."""

    def forward(U, points):
        V = np.zeros((*points.shape[:3], U.shape[3]))
        for at, pixel, t_x, t_y in _pixels(points, *U.shape[1:3]):
            V[at] += U[pixel] * max(0, 1 - abs(t_x)) * max(0, 1 - abs(t_y))
        return V, {"U": U, "points": points}

    def backward(dV, cache):
        U, points = cache["U"], cache["points"]
        dU, dpoints = np.zeros_like(U), np.zeros_like(points)
        for at, pixel, t_x, t_y in _pixels(points, *U.shape[1:3]):
            k_x, k_y = max(0, 1 - abs(t_x)), max(0, 1 - abs(t_y))
            product = dV[at] @ U[pixel]
            dU[pixel] += dV[at] * k_x * k_y
            dpoints[at] += product * np.array([-np.sign(t_x) * k_y, -np.sign(t_y) * k_x])
        return dU, dpoints

    return Variant("sample", forward, backward)


def backward_in_reverse_order() -> Variant:
    """The windows of a convolution from the last to the first: other round-off, same sum."""
    layers = load("layers")

    def backward(dY, cache):
        (_, H, W, _), padded, weights, s, p = cache
        k = len(weights)
        dpadded, dW = np.zeros_like(padded), np.zeros_like(weights)
        for i, j in reversed(list(np.ndindex(dY.shape[1:3]))):
            at = (slice(None), slice(i * s, i * s + k), slice(j * s, j * s + k))
            dpadded[at] += np.einsum("bf,uvcf->buvc", dY[:, i, j], weights)
            dW += np.einsum("buvc,bf->uvcf", padded[at], dY[:, i, j])
        return dpadded[:, p : p + H, p : p + W], dW, dY.sum(axis=(1, 2)).sum(axis=0)

    forward = partial(layers.conv2d_forward, stride=2, padding=1)
    return Variant("conv2d", forward, backward)


def dict_cache() -> Variant:
    """Log-softmax by logaddexp, with a dict as cache."""

    def forward(logits, labels):
        log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        one_hot = np.eye(logits.shape[1])[labels]
        return -(one_hot * log_p).sum() / len(labels), {"log_p": log_p, "one_hot": one_hot}

    def backward(dloss, cache):
        return dloss / len(cache["log_p"]) * (np.exp(cache["log_p"]) - cache["one_hot"])

    return Variant("softmax_cross_entropy", forward, backward)


def closure() -> Variant:
    """f(x) -> y, vjp: the closure takes the place of the cache."""

    def forward(X):
        return np.sinh(X) / np.cosh(X), lambda dY: dY / np.cosh(X) ** 2

    return Variant("tanh", forward, lambda dY, vjp: vjp(dY))


def sparse_matrix() -> Variant:
    """V = S U with one sparse matrix for the batch, and S_x, S_y for the slopes."""
    from scipy.sparse import csr_matrix

    def matrix(points, H, W, slope=""):
        """Return S, a row for each point; `slope` "x" or "y" differentiates its weights."""
        B, P = len(points), points[0, ..., 0].size
        x, y = points.reshape(-1, 2).T
        x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
        k_x = (-1, 1) if slope == "x" else (1 - (x - x0), x - x0)
        k_y = (-1, 1) if slope == "y" else (1 - (y - y0), y - y0)
        S = csr_matrix((B * P, B * H * W))
        for v, u in np.ndindex(2, 2):
            n, m = y0 + v, x0 + u
            ok = (n >= 0) & (n < H) & (m >= 0) & (m < W)
            columns = (np.repeat(np.arange(B), P) * H + n) * W + m
            S += csr_matrix(((k_y[v] * k_x[u])[ok], (ok.nonzero()[0], columns[ok])), shape=S.shape)
        return S

    def forward(U, points):
        _, H, W, C = U.shape
        S = matrix(points, H, W)
        return (S @ U.reshape(-1, C)).reshape(*points.shape[:3], C), (U, points, S)

    def backward(dV, cache):
        U, points, S = cache
        _, H, W, C = U.shape
        flat = dV.reshape(-1, C)
        slopes = [matrix(points, H, W, axis) @ U.reshape(-1, C) for axis in "xy"]
        dpoints = np.stack([(flat * slope).sum(axis=1) for slope in slopes], axis=-1)
        return (S.T @ flat).reshape(U.shape), dpoints.reshape(points.shape)

    return Variant("sample", forward, backward)


def float32() -> Variant:
    """float32 inputs, and float32 all the way."""
    sampler = load("sampler")

    def forward(U, points):
        V, cache = sampler.sample_forward(U, points)
        cache["fx"], cache["fy"] = (cache[f].astype(np.float32) for f in ("fx", "fy"))
        return V.astype(np.float32), cache

    def arrange(inputs):
        return {name: value.astype(np.float32) for name, value in inputs.items()}

    return Variant("sample", forward, sampler.sample_backward, arrange=arrange)


def einsum() -> Variant:
    """The convolution as one einsum over all windows."""
    from numpy.lib.stride_tricks import sliding_window_view

    def forward(X, W, b):
        windows = sliding_window_view(X, W.shape[:2], axis=(1, 2))  # (B, H', W', C, k, k)
        return np.einsum("bijcuv,uvcf->bijf", windows, W, optimize=True) + b, (windows, W)

    def backward(dY, cache):
        windows, W = cache
        k = len(W)
        dW = np.einsum("bijcuv,bijf->uvcf", windows, dY, optimize=True)
        # The gradient to X is a convolution of dY, padded, with the flipped filters.
        padded = np.pad(dY, ((0, 0), (k - 1, k - 1), (k - 1, k - 1), (0, 0)))
        spread = sliding_window_view(padded, (k, k), axis=(1, 2))
        dX = np.einsum("bijfuv,uvcf->bijc", spread, W[::-1, ::-1], optimize=True)
        return dX, dW, np.einsum("bijf->f", dY)

    return Variant("conv2d", forward, backward)


def hat_matrices() -> Variant:
    """V = k_y^T U k_x for each sample, with dense rows of the hat kernel: no cells, no floor."""

    def rows(t, n):
        return np.maximum(0, 1 - np.abs(t[..., None] - np.arange(n)))  # (B, H', W', n)

    def slopes(t, n):
        distance = t[..., None] - np.arange(n)
        return np.where(np.abs(distance) < 1, -np.sign(distance), 0)

    def forward(U, points):
        K_x, K_y = rows(points[..., 0], U.shape[2]), rows(points[..., 1], U.shape[1])
        return np.einsum("bijn,bnmc,bijm->bijc", K_y, U, K_x, optimize=True), (U, points, K_x, K_y)

    def backward(dV, cache):
        U, points, K_x, K_y = cache
        dU = np.einsum("bijn,bijm,bijc->bnmc", K_y, K_x, dV, optimize=True)
        D_x, D_y = slopes(points[..., 0], U.shape[2]), slopes(points[..., 1], U.shape[1])
        dx = np.einsum("bijc,bijn,bnmc,bijm->bij", dV, K_y, U, D_x, optimize=True)
        dy = np.einsum("bijc,bijn,bnmc,bijm->bij", dV, D_y, U, K_x, optimize=True)
        return dU, np.stack([dx, dy], axis=-1)

    return Variant("sample", forward, backward)


def weights_in_forward() -> Variant:
    """Backward knows neither U nor the points: forward has prepared all that it needs."""

    def forward(U, grid):
        B, H, W, _ = U.shape
        factor = np.array([W - 1, H - 1]) / 2
        points = (grid + 1) * factor
        base = np.floor(points).astype(int)
        f = points - base
        V, taps = 0, []
        for v, u in np.ndindex(2, 2):
            n, m = base[..., 1] + v, base[..., 0] + u
            inside = (n >= 0) & (n < H) & (m >= 0) & (m < W)
            at = np.ravel_multi_index((np.arange(B)[:, None, None], n % H, m % W), (B, H, W))
            w_x, w_y = f[..., 0] if u else 1 - f[..., 0], f[..., 1] if v else 1 - f[..., 1]
            value = U.reshape(B * H * W, -1)[at] * inside[..., None]
            signed = np.stack([(2 * u - 1) * w_y, (2 * v - 1) * w_x], axis=-1) * factor
            V = V + (w_x * w_y)[..., None] * value
            taps.append((at, w_x * w_y * inside, value, signed))
        return V, (U.shape, taps)

    def backward(dV, cache):
        (B, H, W, C), taps = cache
        dU, dgrid = np.zeros((B * H * W, C)), 0
        for at, weight, value, signed in taps:
            for c in range(C):
                part = (weight * dV[..., c]).ravel()
                dU[:, c] += np.bincount(at.ravel(), part, minlength=B * H * W)
            dgrid = dgrid + (dV * value).sum(axis=-1)[..., None] * signed
        return dU.reshape(B, H, W, C), dgrid

    return Variant("grid_sample", forward, backward)


def recomputed_in_backward() -> Variant:
    """The cache holds the inputs alone; backward runs forward's arithmetic once more."""
    module = load("module")

    def forward(U, W, b, G):
        return module.spatial_transformer_forward(U, W, b, G)[0], (U, W, b, G)

    def backward(dV, inputs):
        _, cache = module.spatial_transformer_forward(*inputs)
        return module.spatial_transformer_backward(dV, cache)

    return Variant("spatial_transformer", forward, backward)


def winners_by_number() -> Variant:
    """Max pooling by the numbers of the winning pixels in the flat map."""

    def forward(X, size=2):
        B, H, W, C = X.shape
        h, w = H // size, W // size
        number = np.arange(X.size).reshape(X.shape)[:, : h * size, : w * size]
        squares = number.reshape(B, h, size, w, size, C).transpose(0, 1, 3, 5, 2, 4)
        squares = squares.reshape(-1, size * size)  # (outputs, k^2)
        best = squares[np.arange(len(squares)), X.ravel()[squares].argmax(axis=1)]
        return X.ravel()[best].reshape(B, h, w, C), (best, X.shape)

    def backward(dY, cache):
        best, shape = cache
        # The winners are all different, so that a plain assignment loses nothing.
        dX = np.zeros(int(np.prod(shape)))
        dX[best] = dY.ravel()
        return dX.reshape(shape)

    return Variant("max_pool2d", forward, backward)


def sample_by_sample() -> Variant:
    """Flatten one sample after the other, into an array that is new."""

    def backward(dY, shape):
        return np.array([d.reshape(shape) for d in dY])

    return Variant("flatten", lambda X: (np.array([x.ravel() for x in X]), X[0].shape), backward)


def _rule_on_the_lattice(share_of_left: float) -> Variant:
    """The slope on the lattice is a mean of the left and the right one."""
    sampler = load("sampler")

    def backward(dV, cache):
        dU, right = sampler.sample_backward(dV, cache)
        fractions = np.concatenate([cache["fx"], cache["fy"]], axis=-1)
        points = np.stack([cache["x0"], cache["y0"]], axis=-1) + fractions
        dpoints = right.copy()
        for axis in (0, 1):
            # Along x the slope does not change: any point of the left cell will do.
            _, before = sampler.sample_forward(cache["U"], points - np.eye(2)[axis])
            _, left = sampler.sample_backward(dV, before)
            share = share_of_left * (fractions[..., axis] == 0)
            dpoints[..., axis] += share * (left - right)[..., axis]
        return dU, dpoints

    return Variant("sample", sampler.sample_forward, backward, "kinks")


def relu_half_at_zero() -> Variant:
    """Slope 1/2 at zero: between the one-sided slopes 0 and 1."""

    def backward(dY, X):
        return dY * np.heaviside(X, 0.5)

    return Variant("relu", lambda X: ((X + np.abs(X)) / 2, X), backward, "kinks")


def max_pool_shares_ties() -> Variant:
    """Equal values share the gradient: a mean of the slopes that the rules of one winner have."""

    def forward(X, size=2):
        B, H, W, C = X.shape
        h, w = H // size, W // size
        squares = X[:, : h * size, : w * size].reshape(B, h, size, w, size, C)
        best = squares.max(axis=(2, 4), keepdims=True)
        share = (squares == best) / (squares == best).sum(axis=(2, 4), keepdims=True)
        return best[:, :, 0, :, 0], (X.shape, share)

    def backward(dY, cache):
        (B, H, W, C), share = cache
        parts = share * dY[:, :, None, :, None]
        h, w = share.shape[1] * share.shape[2], share.shape[3] * share.shape[4]
        dX = np.zeros((B, H, W, C))
        dX[:, :h, :w] = parts.reshape(B, h, w, C)
        return dX

    return Variant("max_pool2d", forward, backward, "kinks")


def torch_autograd() -> Variant:
    """PyTorch's own grid_sample, and its automatic derivatives."""
    import torch

    def forward(U, grid):
        leaves = [torch.tensor(a, requires_grad=True) for a in (U, grid)]
        V = torch.nn.functional.grid_sample(
            leaves[0].permute(0, 3, 1, 2), leaves[1], align_corners=True
        ).permute(0, 2, 3, 1)
        return V.detach().numpy(), (V, leaves)

    def backward(dV, cache):
        V, leaves = cache
        gradients = torch.autograd.grad(V, leaves, torch.tensor(dV), retain_graph=True)
        return tuple(g.numpy() for g in gradients)

    return Variant("grid_sample", forward, backward)


VARIANTS: dict[str, Callable[[], Variant]] = {
    "channels-first": channels_first,
    "python-loops": python_loops,
    "reverse-order": backward_in_reverse_order,
    "dict-cache": dict_cache,
    "closure": closure,
    "float32": float32,
    "einsum": einsum,
    "hat-matrices": hat_matrices,
    "sparse-matrix": sparse_matrix,
    "weights-in-forward": weights_in_forward,
    "recomputed-in-backward": recomputed_in_backward,
    "winners-by-number": winners_by_number,
    "sample-by-sample": sample_by_sample,
    "left-rule": partial(_rule_on_the_lattice, 1.0),
    "central-rule": partial(_rule_on_the_lattice, 0.5),
    "relu-half-at-zero": relu_half_at_zero,
    "max-pool-shares-ties": max_pool_shares_ties,
}
"""Makers of the variants by name; that of a package which is not installed is left out."""

if importlib.util.find_spec("torch"):
    VARIANTS["torch-autograd"] = torch_autograd
