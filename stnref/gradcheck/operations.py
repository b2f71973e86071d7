"""All operations of the project, each with inputs to check it on.

The shapes tell rows from columns and inputs from outputs: H is not W, H' is not H, there are
several pictures and two channels, and no size is a factor that a mistake might leave out. Random
inputs do not lie on a kink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from stnref import nn
from stnref.coordinates import (
    target_grid,
    unnormalize_backward,
    unnormalize_forward,
    unnormalize_jvp,
)
from stnref.gradcheck.check import check_gradients
from stnref.gradcheck.report import GradientReport
from stnref.kinks import kink_report
from stnref.sampler import (
    grid_sample_backward,
    grid_sample_forward,
    grid_sample_jvp,
    sample_backward,
    sample_forward,
    sample_jvp,
)
from stnref.spatial_transformer import SpatialTransformer, SpatialTransformerCache
from stnref.splat import splat_backward, splat_forward, splat_jvp
from stnref.transforms import (
    FREE,
    TRANSFORMS,
    TRANSFORMS_3D,
    affine_grid_backward,
    affine_grid_forward,
    affine_grid_jvp,
    attention_matrix_backward,
    attention_matrix_forward,
    attention_matrix_jvp,
    basis_grid_backward,
    basis_grid_forward,
    basis_grid_jvp,
    bounded,
    bspline_basis,
    compose_backward,
    compose_forward,
    compose_jvp,
    constrain_backward,
    constrain_forward,
    constrain_jvp,
    fixed,
    flow_grid_backward,
    flow_grid_forward,
    flow_grid_jvp,
    from_pixel_matrix_backward,
    from_pixel_matrix_forward,
    from_pixel_matrix_jvp,
    get_transform,
    invert_backward,
    invert_forward,
    invert_jvp,
    positive,
    projective_grid_backward,
    projective_grid_forward,
    projective_grid_jvp,
    regular_points,
    rigid_matrix_backward,
    rigid_matrix_forward,
    rigid_matrix_jvp,
    similarity_matrix_backward,
    similarity_matrix_forward,
    similarity_matrix_jvp,
    thin_plate_basis,
    to_pixel_matrix_backward,
    to_pixel_matrix_forward,
    to_pixel_matrix_jvp,
    translation_matrix_backward,
    translation_matrix_forward,
    translation_matrix_jvp,
)
from stnref.validation import Array

Normal = Callable[..., Array]


@dataclass(frozen=True)
class Operation:
    """A pair, its inputs, and what `check_gradients` has to know of it.

    A forward with options is a `functools.partial` of the public function, which says what they are
    when another pair is to take its place.
    """

    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[..., Any]
    inputs: Mapping[str, Array]
    jvp: Callable[..., Array] | None = None
    kinks: Callable[..., Sequence[Array | None]] | None = None

    def check(self, seed: int = 0) -> GradientReport:
        """Check the gradients."""
        return check_gradients(
            self.forward,
            self.backward,
            list(self.inputs.values()),
            jvp=self.jvp,
            names=list(self.inputs),
            kinks=self.kinks,
            seed=seed,
        )


def check_all(seed: int = 0) -> dict[str, GradientReport]:
    """Check every operation, on inputs drawn with that seed."""
    return {name: op.check(seed) for name, op in all_operations(seed).items()}


def all_operations(seed: int = 0) -> dict[str, Operation]:
    """Return the operations by name."""
    rng = np.random.default_rng(seed)
    return {
        **_coordinate_operations(rng),
        **_transform_operations(rng),
        **_algebra_operations(rng),
        **_sampler_operations(rng),
        **_layer_operations(rng),
        **_module_operations(rng),
    }


def table(reports: Mapping[str, GradientReport]) -> str:
    """Return one line for each operation: the largest error that each witness found."""
    witnesses = ("complex step", "differences", "Jacobian", "dot test")
    lines = [f"{'operation':32s}" + "".join(f"{w:>21s}" for w in witnesses)]
    for name, report in reports.items():
        errors = [report.error(witness) for witness in witnesses]
        cells = "".join(f"{'-' if e is None else format(e, '.1e'):>21s}" for e in errors)
        lines.append(f"{name:32s}{cells}  {'ok' if report.ok else 'FAIL'}")
    return "\n".join(lines)


def _coordinate_operations(rng: np.random.Generator) -> dict[str, Operation]:
    return {
        f"unnormalize, align_corners={aligned}": Operation(
            partial(unnormalize_forward, shape=(6, 9), align_corners=aligned),
            unnormalize_backward,
            {"grid": rng.standard_normal((5, 4, 7, 2))},
            unnormalize_jvp,
        )
        for aligned in (True, False)
    }


def _transform_operations(rng: np.random.Generator) -> dict[str, Operation]:
    normal = rng.standard_normal
    G, G3 = target_grid((4, 5)), target_grid((2, 3, 4))
    operations = {
        **{
            name: Operation(
                partial(basis_grid_forward, B=B),
                basis_grid_backward,
                {"theta": normal((3, B.shape[-1], 2))},
                basis_grid_jvp,
            )
            for name, B in (
                ("basis_grid", normal((4, 5, 6))),
                ("basis_grid, thin plate", thin_plate_basis(regular_points((2, 3)), G)),
                ("basis_grid, B-spline", bspline_basis((4, 5), G)),
            )
        },
        **{
            f"affine_grid, {axes}": Operation(
                partial(affine_grid_forward, G=target),
                affine_grid_backward,
                {"theta": normal((3, *theta_shape))},
                affine_grid_jvp,
            )
            for axes, target, theta_shape in (("2-D", G, (2, 3)), ("3-D", G3, (3, 4)))
        },
        **{
            f"flow_grid, {axes}": Operation(
                partial(flow_grid_forward, G=target),
                flow_grid_backward,
                {"flow": normal((3, *target.shape))},
                flow_grid_jvp,
            )
            for axes, target in (("2-D", G), ("3-D", G3))
        },
        **{
            name: Operation(
                partial(projective_grid_forward, G=G),
                projective_grid_backward,
                {"theta": np.eye(3) + third_row + 0.1 * normal((5, 3, 3))},
                projective_grid_jvp,
            )
            for name, third_row in (
                ("projective_grid", np.zeros((3, 3))),
                ("projective_grid, with a horizon", np.array([[0.0] * 3, [0] * 3, [0.5, 2, 0]])),
            )
        },
        "constrain": Operation(
            partial(
                constrain_forward, constraints=[bounded(-0.5, 2), fixed(0.25), FREE, positive(3)]
            ),
            constrain_backward,
            {"raw": normal((2, 3))},
            constrain_jvp,
        ),
    }
    for name, n_params, pair in (
        (
            "translation",
            2,
            (translation_matrix_forward, translation_matrix_backward, translation_matrix_jvp),
        ),
        (
            "attention",
            3,
            (attention_matrix_forward, attention_matrix_backward, attention_matrix_jvp),
        ),
        ("rigid", 3, (rigid_matrix_forward, rigid_matrix_backward, rigid_matrix_jvp)),
        (
            "similarity",
            4,
            (similarity_matrix_forward, similarity_matrix_backward, similarity_matrix_jvp),
        ),
    ):
        forward, backward, jvp = pair
        params = {"params": normal((5, n_params))}
        operations[f"{name}_matrix"] = Operation(forward, backward, params, jvp)
    for name in (*TRANSFORMS, *TRANSFORMS_3D):
        transform = get_transform(name, (2, 3, 4) if name in TRANSFORMS_3D else (3, 4))
        params = {"params": transform.identity + 0.2 * normal((2, transform.n_params))}
        operations[f"transform {name}"] = Operation(
            transform.forward, transform.backward, params, transform.jvp
        )
    return operations


def _algebra_operations(rng: np.random.Generator) -> dict[str, Operation]:
    operations = {}
    for form, shape in (("affine", (2, 3)), ("projective", (3, 3))):
        A, B = np.eye(*shape) + 0.2 * rng.standard_normal((2, 2, *shape))
        operations[f"compose, {form}"] = Operation(
            compose_forward, compose_backward, {"A": A, "B": B}, compose_jvp
        )
        operations[f"invert, {form}"] = Operation(
            invert_forward, invert_backward, {"A": A}, invert_jvp
        )
        operations[f"to_pixel_matrix, {form}"] = Operation(
            partial(to_pixel_matrix_forward, in_shape=(4, 7), out_shape=(5, 3)),
            to_pixel_matrix_backward,
            {"A": A},
            to_pixel_matrix_jvp,
        )
        operations[f"from_pixel_matrix, {form}"] = Operation(
            partial(from_pixel_matrix_forward, in_shape=(4, 7), out_shape=(5, 3)),
            from_pixel_matrix_backward,
            {"M": B},
            from_pixel_matrix_jvp,
        )
    return operations


def _sample_kinks(U: Array, points: Array, padding: str = "zeros") -> list[Array | None]:
    """The kink map of linear sampling: distances in pixels to the nearest line of the lattice."""
    return [None, kink_report(points, U.shape[1:-1], padding=padding).distance]


def _grid_sample_kinks(
    U: Array, grid: Array, *, align_corners: bool = True, padding_mode: str = "zeros"
) -> list[Array | None]:
    """The same in normalised units."""
    shape = U.shape[1:-1]
    points, cache = unnormalize_forward(grid, shape, align_corners=align_corners)
    return [None, kink_report(points, shape, padding=padding_mode).distance / cache.slope]


def _sampler_operations(rng: np.random.Generator) -> dict[str, Operation]:
    normal, uniform = rng.standard_normal, rng.uniform
    operations = {
        "sample, 2-D": Operation(
            sample_forward,
            sample_backward,
            {"U": normal((3, 4, 6, 2)), "points": uniform(-1.5, 6.5, (3, 5, 7, 2))},
            sample_jvp,
            _sample_kinks,
        ),
        "sample, 3-D": Operation(
            sample_forward,
            sample_backward,
            {"U": normal((2, 2, 3, 4, 2)), "points": uniform(-1.5, 4.5, (2, 1, 3, 2, 3))},
            sample_jvp,
            _sample_kinks,
        ),
    }
    for kernel, padding in (
        ("linear", "border"),
        ("linear", "reflection_centres"),
        ("cubic", "zeros"),
        ("cubic", "reflection_edges"),
        ("bspline3", "border"),
    ):
        operations[f"sample, {kernel}, {padding}"] = Operation(
            partial(sample_forward, kernel=kernel, padding=padding),
            sample_backward,
            {"U": normal((2, 4, 5, 2)), "points": uniform(-4, 8, (2, 3, 2, 2))},
            sample_jvp,
            partial(_sample_kinks, padding=padding) if kernel == "linear" else None,
        )
    for mean in (False, True):
        operations["splat, normalize" if mean else "splat"] = Operation(
            partial(splat_forward, shape=(4, 5), normalize=mean),
            splat_backward,
            {"image": normal((2, 3, 2, 2)), "points": uniform(-0.5, 3.5, (2, 3, 2, 2))},
            splat_jvp,
        )
    options: tuple[dict[str, Any], ...] = (
        {"align_corners": True},
        {"align_corners": False},
        {"padding_mode": "border"},
    )
    for option in options:
        ((name, value),) = option.items()
        operations[f"grid_sample, {name}={value}"] = Operation(
            partial(grid_sample_forward, **option),
            grid_sample_backward,
            {"U": normal((3, 4, 6, 2)), "grid": uniform(-1.4, 1.4, (3, 5, 7, 2))},
            grid_sample_jvp,
            partial(_grid_sample_kinks, **option),
        )
    return operations


def _layer_operations(rng: np.random.Generator) -> dict[str, Operation]:
    normal = rng.standard_normal
    labels = rng.integers(0, 4, 5)
    return {
        "linear": Operation(
            nn.linear_forward,
            nn.linear_backward,
            {"X": normal((3, 5)), "W": normal((5, 4)), "b": normal(4)},
        ),
        "conv2d": Operation(
            nn.conv2d_forward,
            nn.conv2d_backward,
            {"X": normal((5, 7, 6, 2)), "W": normal((3, 3, 2, 4)), "b": normal(4)},
        ),
        "conv2d, stride 2, padding 1": Operation(
            partial(nn.conv2d_forward, stride=2, padding=1),
            nn.conv2d_backward,
            {"X": normal((5, 6, 7, 2)), "W": normal((3, 3, 2, 4)), "b": normal(4)},
        ),
        "max_pool2d": Operation(
            partial(nn.max_pool2d_forward, size=2),
            nn.max_pool2d_backward,
            {"X": normal((3, 7, 5, 2))},
        ),
        "avg_pool2d": Operation(
            partial(nn.avg_pool2d_forward, size=2),
            nn.avg_pool2d_backward,
            {"X": normal((3, 7, 5, 2))},
        ),
        "relu": Operation(
            nn.relu_forward,
            nn.relu_backward,
            {"X": normal((3, 4, 5, 2))},
        ),
        "tanh": Operation(nn.tanh_forward, nn.tanh_backward, {"X": normal((3, 4, 5, 2))}),
        "flatten": Operation(nn.flatten_forward, nn.flatten_backward, {"X": normal((3, 4, 5, 2))}),
        "softmax_cross_entropy": Operation(
            partial(nn.softmax_cross_entropy_forward, labels=labels),
            nn.softmax_cross_entropy_backward,
            {"logits": normal((5, 4))},
        ),
    }


def _module_operations(rng: np.random.Generator) -> dict[str, Operation]:
    """The spatial transformer as a function of its input and of all its parameters."""
    localisation = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(40, 3), tanh=nn.Tanh())
    module = SpatialTransformer(localisation, 3, (3, 6), transform="affine")
    start = module.init(rng, np.float64)
    params = {name: value + 0.2 * rng.standard_normal(value.shape) for name, value in start.items()}
    names = list(params)

    def forward(U: Array, *values: Array) -> tuple[Array, SpatialTransformerCache]:
        return module.forward(U, dict(zip(names, values, strict=True)))

    def backward(dV: Array, cache: SpatialTransformerCache) -> tuple[Array | None, ...]:
        dU, dparams = module.backward(dV, cache)
        return dU, *(dparams[name] for name in names)

    inputs = {"U": rng.standard_normal((2, 4, 5, 2)), **params}
    return {"spatial_transformer": Operation(forward, backward, inputs)}
