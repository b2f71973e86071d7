"""Evidence to try suspects on: right gradients of small functions, and mistakes made in them.

All arrays are small, and axes that mean different things differ in length; of the points some lie
inside of the map, some across its border, some outside. A mistake is a function from the evidence
of the right gradient to the Jacobian that a wrong backward stands for.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from stnref import nn, sample_backward, sample_forward, splat_backward, splat_forward
from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.explain import fits
from stnref.diagnosis.suspects import Suspect
from stnref.gradcheck import Jacobians, Problem, jacobians
from stnref.gradcheck.numeric import Slopes

Array = np.ndarray
Mistake = Callable[[Evidence], Array]
Weights = Callable[[Array, Array], Any]

rng = np.random.default_rng(0)
normal = rng.standard_normal

# ------------------------------------------------------------------------- right gradients

B, H, W, C = MAP = 2, 6, 7, 3
V = B, 4, 5, C
U, POINTS = normal(MAP), rng.uniform(-1.3, (W + 0.3, H + 0.3), (B, 4, 5, 2))
LABELS, LAYER = [2, 0, 3], normal((H * W * C, 2))


def moved_forward(own: Array, points: Array) -> Any:
    """Sample at points that a dense layer of the map moves: by nothing, where that is U."""
    away = ((own - U).reshape(B, -1) @ LAYER).reshape(B, 1, 1, 2)
    return sample_forward(own, points + away)


def moved_backward(dV: Array, cache: Any) -> tuple[Array, Array]:
    dU, dpoints = sample_backward(dV, cache)
    return dU + (dpoints.sum(axis=(1, 2)) @ LAYER.T).reshape(MAP), dpoints


sampled = {"U": U, "points": POINTS}
splatted = {"image": normal(V), "points": POINTS}
convolved = {"X": normal((2, 7, 9, 3)), "W": normal((3, 3, 3, 4)), "b": normal(4)}
convolution = nn.conv2d_forward, nn.conv2d_backward
dense = nn.linear_forward, nn.linear_backward
pool = partial(nn.max_pool2d_forward, size=2), nn.max_pool2d_backward
loss = partial(nn.softmax_cross_entropy_forward, labels=LABELS), nn.softmax_cross_entropy_backward
PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Array]]] = {
    "sample": (sample_forward, sample_backward, sampled),
    "clipped": (partial(sample_forward, padding="border"), sample_backward, sampled),
    "moved": (moved_forward, moved_backward, sampled),
    "splat": (partial(splat_forward, shape=(H, W)), splat_backward, splatted),
    "strided": (partial(convolution[0], stride=2), convolution[1], convolved),
    "convolution": (*convolution, convolved),
    "pool": (*pool, {"X": normal((2, 4, 6, 3))}),
    "dense": (*dense, {"X": normal((3, 4)), "W": normal((4, 6)), "b": normal(6)}),
    "square": (*dense, {"X": normal((5, 5)), "W": normal((5, 5)), "b": normal(5)}),
    "loss": (*loss, {"logits": normal((3, 4))}),
    "relu": (nn.relu_forward, nn.relu_backward, {"X": normal((4, 5))}),
    "tanh": (nn.tanh_forward, nn.tanh_backward, {"X": normal((2, 4, 5, 6))}),
}
BASES = [f"{pair} {name}" for pair, (*_, inputs) in PAIRS.items() for name in inputs]


@cache
def right(base: str) -> Evidence:
    """Return the evidence of a right gradient, as of "sample points", the sampler's by points."""
    pair, name = base.rsplit(" ", 1)
    forward, backward, inputs = PAIRS[pair]
    both = jacobians(Problem(forward, backward, inputs.values(), inputs), rng)
    return Evidence(both.seen[0].problem, list(inputs).index(name), both, rng)


def wrong(base: str, mistake: Mistake) -> Evidence:
    """Return the same evidence with a mistake in the analytic Jacobian."""
    e = right(base)
    return _evidence(e.problem, e.which, mistake(e).reshape(e.N.shape), e.J)


def of_matrix(N: Array, A: Array) -> Evidence:
    """Return the evidence of the linear map N, whose backward gives A."""
    problem = Problem(lambda x: (N @ x, None), lambda d, _: d @ A, [np.ones(len(N.T))], ["x"])
    return _evidence(problem, 0, A, [N])


def _evidence(problem: Problem, which: int, A: Array, J: list[Array]) -> Evidence:
    N = [Slopes(N, 0 * N, N, N, N != N, N != N) for N in J]
    return Evidence(problem, which, Jacobians([A] * len(N), N, []), rng)


class Case(NamedTuple):
    """A mistake in the gradient of `base`, and the cause that a suspect names; "" for none."""

    suspect: Suspect
    base: str
    mistake: Mistake
    cause: str
    said: str = ""

    def __str__(self) -> str:
        return f"{self.suspect.__name__}: {self.cause or 'nothing'} in {self.base} {self.said}"

    @property
    def named(self) -> str:
        """The cause of the candidate that fits and says what is to be said; "" if none does."""
        e = wrong(self.base, self.mistake)
        found = (c for c in self.suspect(e) if fits(e, c))
        return next((c.cause for c in found if self.said in f"{c.where}: {c.evidence}"), "")


# ------------------------------------------------------------------------------ mistakes


def times(*r: float) -> Mistake:
    """Multiply the components along the last axis, in turn."""
    return lambda e: e.N * np.resize(r, e.shape[-1])[e.k[:, -1]]


def each(change: Callable[[Array], Array]) -> Mistake:
    """Change the gradient of each output, in the input's shape."""
    return lambda e: np.array([change(row.reshape(e.shape)) for row in e.N])


def in_windows(change: Callable[[Array], Array]) -> Mistake:
    """Change what the outputs give to their windows in the map, (n_out, 1, 3, 3, C)."""
    return lambda e: e.windows.jacobian(change(e.windows.of(e.N)), len(e.k))


def exchanged(dU: Array) -> Array:
    """Return an array with pixel (m, n) at (n, m), where there is such a pixel."""
    return np.pad(dU[:, :H, :H].swapaxes(1, 2), [(0, 0), (0, 0), (0, W - H), (0, 0)])


def bilinear(fx: Array, fy: Array) -> Any:
    """Weights of the corners: [[upper left, upper right], [lower left, lower right]]."""
    return [[(1 - fy) * (1 - fx), (1 - fy) * fx], [fy * (1 - fx), fy * fx]]


def slope_x(fx: Array, fy: Array) -> Any:
    return [[fy - 1, 1 - fy], [-fy, fy]]


def slope_y(fx: Array, fy: Array) -> Any:
    return [[fx - 1, -fx], [1 - fx, fx]]


def by_map(weights: Weights = bilinear, floor: Callable[[Array], Array] = np.floor) -> Array:
    """Return dV/dU (n_out, n) from the weights of the corners."""
    J = np.zeros((*V, *MAP))
    left, up = np.moveaxis(floor(POINTS).astype(int), -1, 0)
    at = weights(POINTS[..., 0] - left, POINTS[..., 1] - up)
    for b, i, j, n, m in np.ndindex(*V[:3], 2, 2):
        y, x = up[b, i, j] + n, left[b, i, j] + m
        if 0 <= y < H and 0 <= x < W:
            J[b, i, j, :, b, y, x] = np.eye(C) * at[n][m][b, i, j]
    return J.reshape(np.prod(V), -1)


def by_points(x: Weights = slope_x, y: Weights = slope_y, read: Array = U) -> Array:
    """Return dV/dpoints (n_out, n) from the slopes of the corners, and the map that they read."""
    slopes = np.stack([by_map(w) @ read.ravel() for w in (x, y)], axis=-1)
    own = np.repeat(np.eye(len(slopes) // C), C, axis=0)  # (n_out, positions)
    return (own[:, :, None] * slopes[:, None]).reshape(len(slopes), -1)
