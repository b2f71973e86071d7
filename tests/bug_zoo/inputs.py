"""Inputs of the operations, at two sizes, in a few kinds.

Sizes are chosen so that the factors by which mistakes differ are all different: B is neither 2
nor 4, H != W, H' != H. Samples of the sampler stay off the lattice unless a kink is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

Inputs = dict[str, Any]
Shape = tuple[int, ...]
Maker = Callable[[bool, np.random.Generator, str], Inputs]  # (whether tiny, rng, which)


class Operation(NamedTuple):
    """Where an operation is implemented, and which of its inputs have a gradient."""

    module: str
    differentiable: tuple[str, ...]
    make: Maker
    options: Mapping[str, Any] = {}  # those without which forward cannot be called
    function: str = ""  # of which forward and backward are named, if not after the operation


def function_names(operation: str) -> tuple[str, str]:
    """Return ``<name>_forward`` and ``<name>_backward``; the name is mostly the operation's.

    >>> function_names("sample_volume")
    ('sample_forward', 'sample_backward')
    """
    name = OPERATIONS[operation].function or operation
    return f"{name}_forward", f"{name}_backward"


def make_inputs(
    operation: str, size: str, rng: np.random.Generator, which: str = "default"
) -> Inputs:
    """Return the inputs of an operation by name, constants (G, labels, shape) among them.

    `size` is "tiny" or "realistic". `which` is "default"; "kinks": on the lattice, zeros for
    relu, ties in pools; "square": as many inputs as outputs, so that shapes hide a transpose;
    "edges": a grid made for ``align_corners=False``; "large": logits of several hundreds;
    "single": one sample, one pixel, one channel; "equal": weights that are all equal;
    "symmetric": symmetric matrices; "grey": one channel. An operation that does
    not know a kind gives the default.
    """
    return OPERATIONS[operation].make(size == "tiny", rng, which)


def bind(
    owner: Any, operation: str, inputs: Inputs, options: Mapping[str, Any] = {}
) -> tuple[Callable[..., Any], Callable[..., Any], list[np.ndarray]]:
    """Return forward as a function of its differentiable inputs alone, backward, these inputs."""
    forward, backward = (getattr(owner, name) for name in function_names(operation))
    names = OPERATIONS[operation].differentiable
    rest = {name: value for name, value in inputs.items() if name not in names}
    rest |= {**OPERATIONS[operation].options, **options}

    def bound(*arrays: np.ndarray) -> Any:
        return forward(**dict(zip(names, arrays, strict=True)), **rest)

    return bound, backward, [inputs[name] for name in names]


# --------------------------------------------------------------------------- coordinates


def _target(shape: tuple[int, int]) -> np.ndarray:
    y, x = (np.linspace(-1, 1, n) for n in shape)
    return np.stack(np.meshgrid(x, y), axis=-1)  # (H', W', 2)


def scattered_points(out_shape: Shape, H: int, W: int, rng: np.random.Generator) -> np.ndarray:
    """Return points (B, H', W', 2) in pixels, at least a tenth of a pixel off the lattice.

    Of eight samples three lie anywhere inside, one straddles the left or right border, one the
    upper or lower one, one is wholly outside, and two fall into the same cell.
    """
    kind = rng.permuted(np.arange(np.prod(out_shape)) % 8).reshape(out_shape)
    shape = kind.shape
    m, n = rng.integers(0, W - 1, shape), rng.integers(0, H - 1, shape)
    m = np.where(kind == 3, rng.choice([-1, W - 1], shape), m)
    n = np.where(kind == 4, rng.choice([-1, H - 1], shape), n)
    m = np.where(kind == 5, rng.choice([-3, -2, W, W + 1], shape), m)
    n = np.where(kind == 5, rng.choice([-3, -2, H, H + 1], shape), n)
    m, n = np.where(kind >= 6, W // 2, m), np.where(kind >= 6, H // 2 - 1, n)
    return np.stack([m, n], axis=-1) + rng.uniform(0.1, 0.9, (*shape, 2))


def _lattice_points(out_shape: Shape, H: int, W: int, rng: np.random.Generator) -> np.ndarray:
    """Return points (B, H', W', 2), half of the coordinates of which are whole numbers."""
    x, y = rng.integers(-2, W + 2, out_shape), rng.integers(-2, H + 2, out_shape)
    on_lattice = rng.random((*out_shape, 2)) < 0.5
    return np.where(on_lattice, np.stack([x, y], -1), scattered_points(out_shape, H, W, rng))


def _normalized(points: np.ndarray, H: int, W: int, which: str) -> np.ndarray:
    d = np.array([W, H]) if which == "edges" else np.array([W - 1, H - 1])
    return (2 * points - np.array([W - 1, H - 1])) / d


# ------------------------------------------------------------------------------- makers


def _unnormalize(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    grid_shape, shape = ((3, 5, 7, 2), (4, 6)) if tiny else ((8, 20, 16, 2), (28, 24))
    return {"grid": rng.uniform(-1.3, 1.3, grid_shape), "shape": shape}


def _sample(tiny: bool, rng: np.random.Generator, which: str, few: Shape = (3, 5, 7)) -> Inputs:
    U_shape, out_shape = ((3, 4, 6, 2), few) if tiny else ((8, 28, 24, 3), (8, 20, 16))
    if which == "kinks":  # with W - 1 and H - 1 powers of two the normalised lattice is exact
        U_shape = (3, 5, 9, 2) if tiny else (8, 33, 17, 3)
    if which == "single":  # all around the only pixel are zeros
        return {"U": rng.normal(size=(1, 1, 1, 1)), "points": rng.uniform(0.1, 0.9, (1, 1, 1, 2))}
    _, H, W, _ = U_shape
    points = (_lattice_points if which == "kinks" else scattered_points)(out_shape, H, W, rng)
    return {"U": rng.normal(size=U_shape), "points": points}


def _sample_few(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    """Return fewer samples where each reads sixteen pixels: a check takes a second, not five."""
    return _sample(tiny, rng, which, few=(3, 3, 5))


def _grid_sample(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    inputs = _sample(tiny, rng, which)
    _, H, W, _ = inputs["U"].shape
    return {"U": inputs["U"], "grid": _normalized(inputs["points"], H, W, which)}


def _affine_grid(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    B, shape = (3, (5, 7)) if tiny else (8, (20, 16))
    return {"theta": np.eye(2, 3) + rng.normal(scale=0.2, size=(B, 2, 3)), "G": _target(shape)}


def _projective_grid(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    B, shape = (3, (5, 7)) if tiny else (8, (20, 16))
    theta = np.eye(3) + rng.uniform(-0.3, 0.3, (B, 3, 3))  # Z stays above 0.1: all visible
    return {"theta": theta, "G": _target(shape)}


def _basis_grid(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    B, shape, K = (3, (5, 7), 4) if tiny else (8, (20, 16), 9)
    return {"theta": rng.normal(size=(B, K, 2)), "B": rng.normal(size=(*shape, K))}


def _flow_grid(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    B, shape = (3, (5, 7)) if tiny else (8, (20, 16))
    return {"flow": rng.normal(scale=0.2, size=(B, *shape, 2)), "G": _target(shape)}


def _params(n: int, tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    return {"params": rng.uniform(0.3, 1.2, (5 if tiny else 32, n)) * rng.choice([-1, 1], n)}


def _spatial_transformer(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    """Draw again until no sample is close to the lattice, where the slope jumps."""
    U_shape, shape = ((3, 4, 6, 2), (5, 7)) if tiny else ((5, 14, 12, 3), (20, 16))
    B, H, W, C = U_shape
    G = _target(shape)
    while True:
        U, weights = rng.normal(size=U_shape), rng.normal(size=(H * W * C, 6))
        weights *= 0.2 / np.sqrt(len(weights))
        b = np.array([1.0, 0, 0, 0, 1, 0]) + rng.normal(scale=0.1, size=6)
        theta = (U.reshape(B, -1) @ weights + b).reshape(B, 2, 3)
        grid = G @ theta[:, None, :, :2].swapaxes(-1, -2) + theta[:, None, None, :, 2]
        points = (grid + 1) * np.array([W - 1, H - 1]) / 2
        if np.abs(points - points.round()).min() > (3e-3 if tiny else 3e-4):
            return {"U": U, "W": weights, "b": b, "G": G}


def _linear(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    B, N, M = (3, 5, 4) if tiny else (32, 100, 10)
    B, N, M = (1, 1, 1) if which == "single" else (B, N, N if which == "square" else M)
    shapes = (("X", (B, N)), ("W", (N, M)), ("b", M))
    inputs = {name: rng.normal(size=shape) for name, shape in shapes}
    if which == "equal":
        inputs["W"][...] = 0.3
    return inputs


def _conv2d(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    X, k, F = ((5, 7, 6, 2), 3, 4) if tiny else ((6, 16, 14, 3), 5, 8)
    F = X[3] if which == "square" else F
    shapes = (("X", X), ("W", (k, k, X[3], F)), ("b", F))
    return {name: rng.normal(size=shape) for name, shape in shapes}


def _pool(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    X = rng.normal(size=(3, 7, 5, 2) if tiny else (6, 17, 15, 3))  # one row and column left over
    return {"X": X.round() if which == "kinks" else X}


def _pointwise(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    shape = (3, 4, 5, 2) if tiny else (8, 14, 12, 3)
    other = {"single": (1, 1, 1, 1), "grey": (*shape[:3], 1)}
    X = rng.normal(size=other.get(which, shape))
    X += 0.05 * np.sign(X)  # not too close to the kink of relu
    return {"X": X.round() if which == "kinks" else X}


def _softmax(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    B, K = (5, 4) if tiny else (32, 10)
    logits = rng.normal(size=(B, K)) + (800 if which == "large" else 0)
    return {"logits": logits, "labels": rng.integers(0, K, B)}


def _splat(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    """Three of eight pixels land anywhere on the canvas, two in one cell, see the sampler's."""
    image, shape = ((3, 5, 7, 2), (4, 6)) if tiny else ((8, 20, 16, 3), (28, 24))
    points = scattered_points(image[:3], *shape, rng)
    return {"image": rng.normal(size=image), "points": points, "shape": shape}


def _sample_volume(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    """Points as the sampler's in x and y; of ten one straddles the first or last slice."""
    U, out = ((3, 3, 4, 5, 2), (2, 3, 4)) if tiny else ((6, 7, 11, 9, 3), (8, 10, 5))
    B, D, H, W, _ = U
    xy = scattered_points((B, out[0] * out[1], out[2]), H, W, rng).reshape(B, *out, 2)
    k = rng.integers(0, D - 1, (B, *out))
    at_ends = rng.choice([-1, D - 1], k.shape)
    k = np.where(rng.random(k.shape) < 0.1, at_ends, k)
    z = k + rng.uniform(0.1, 0.9, k.shape)
    return {"U": rng.normal(size=U), "points": np.concatenate([xy, z[..., None]], axis=-1)}


def _compose(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    B = 5 if tiny else 32
    return {name: np.eye(2, 3) + rng.uniform(-0.6, 0.6, (B, 2, 3)) for name in "AB"}


def _invert(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    # The diagonal outweighs the rest: no matrix is close to a singular one.
    A = np.eye(2, 3) + rng.uniform(-0.4, 0.4, (5 if tiny else 32, 2, 3))
    if which == "symmetric":
        A[:, 0, 1] = A[:, 1, 0]
    return {"A": A}


def _pixel_matrix(name: str, tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    B, shapes = (3, ((4, 6), (5, 8))) if tiny else (32, ((28, 24), (20, 17)))
    matrix = np.eye(2, 3) + rng.uniform(-0.5, 0.5, (B, 2, 3))
    return {name: matrix, "in_shape": shapes[0], "out_shape": shapes[1]}


def _constrain(tiny: bool, rng: np.random.Generator, which: str) -> Inputs:
    """One constraint of each kind; the fixed one, without a raw parameter, is not the last."""
    constraints = (("positive", 0.6), ("fixed", 0.25), ("bounded", -1.0, 2.5), ("free",))
    return {"raw": rng.uniform(-1.2, 1.2, (5 if tiny else 32, 3)), "constraints": constraints}


OPERATIONS: dict[str, Operation] = {
    "unnormalize": Operation("coordinates", ("grid",), _unnormalize),
    "affine_grid": Operation("transforms", ("theta",), _affine_grid),
    "projective_grid": Operation("transforms", ("theta",), _projective_grid),
    "basis_grid": Operation("transforms", ("theta",), _basis_grid),
    "flow_grid": Operation("transforms", ("flow",), _flow_grid),
    "translation_matrix": Operation("transforms", ("params",), partial(_params, 2)),
    "attention_matrix": Operation("transforms", ("params",), partial(_params, 3)),
    "rigid_matrix": Operation("transforms", ("params",), partial(_params, 3)),
    "similarity_matrix": Operation("transforms", ("params",), partial(_params, 4)),
    "sample": Operation("sampler", ("U", "points"), _sample),
    "grid_sample": Operation("sampler", ("U", "grid"), _grid_sample),
    "spatial_transformer": Operation("module", ("U", "W", "b"), _spatial_transformer),
    "linear": Operation("layers", ("X", "W", "b"), _linear),
    "conv2d": Operation("layers", ("X", "W", "b"), _conv2d),
    "max_pool2d": Operation("layers", ("X",), _pool, {"size": 2}),
    "avg_pool2d": Operation("layers", ("X",), _pool, {"size": 2}),
    "relu": Operation("layers", ("X",), _pointwise),
    "tanh": Operation("layers", ("X",), _pointwise),
    "flatten": Operation("layers", ("X",), _pointwise),
    "softmax_cross_entropy": Operation("layers", ("logits",), _softmax),
    "splat": Operation("splat", ("image", "points"), _splat),
    "sample_volume": Operation("volume", ("U", "points"), _sample_volume, {}, "sample"),
    "sample_cubic": Operation("cubic", ("U", "points"), _sample_few, {"kernel": "cubic"}, "sample"),
    "compose": Operation("algebra", ("A", "B"), _compose),
    "invert": Operation("algebra", ("A",), _invert),
    "to_pixel_matrix": Operation("algebra", ("A",), partial(_pixel_matrix, "A")),
    "from_pixel_matrix": Operation("algebra", ("M",), partial(_pixel_matrix, "M")),
    "constrain": Operation("algebra", ("raw",), _constrain),
}
"""The operations by name; see `function_names` for the names of their functions."""
