"""All operations of the project, each with inputs to check it on.

The shapes tell rows from columns and inputs from outputs: H is not W, H' is not H, there are
several pictures and two channels, and no size is a factor that a mistake might leave out. Random
inputs do not lie on a kink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from stnref import coordinates, nn, sampler, splat, transforms
from stnref.coordinates import target_grid, unnormalize_forward
from stnref.diagnosis import check_gradients
from stnref.gradcheck import GradientReport
from stnref.kinks import kink_report
from stnref.pairs import Pair, pair_of
from stnref.spatial_transformer import SpatialTransformer, SpatialTransformerCache
from stnref.validation import Array

Kinks = Callable[..., Sequence[Array | None]]


@dataclass(frozen=True)
class Operation:
    """A pair, its inputs, and what `check_gradients` has to know of it.

    A forward with options is a `functools.partial` of the public function, which says what they are
    when another pair is to take its place.
    """

    pair: Pair
    inputs: Mapping[str, Array]
    kinks: Kinks | None = None

    def check(self, seed: int = 0) -> GradientReport:
        """Check the gradients."""
        return check_gradients(
            self.pair.forward,
            self.pair.backward,
            list(self.inputs.values()),
            jvp=self.pair.jvp,
            names=list(self.inputs),
            kinks=self.kinks,
            seed=seed,
        )


def check_all(seed: int = 0) -> dict[str, GradientReport]:
    """Check every operation, on inputs drawn with that seed.

    Parameters
    ----------
    seed : int
        Seed of the inputs, and of the upstream gradients and the directions.

    Returns
    -------
    dict of str to GradientReport
        In the order of `all_operations`.

    Examples
    --------
    >>> all(report.ok for report in check_all().values())
    True
    """
    return {name: op.check(seed) for name, op in all_operations(seed).items()}


def all_operations(seed: int = 0) -> dict[str, Operation]:
    """Return the operations by name.

    Parameters
    ----------
    seed : int
        Seed of the inputs.

    Returns
    -------
    dict of str to Operation

    Examples
    --------
    >>> tanh = all_operations()["tanh"]
    >>> list(tanh.inputs), tanh.check().ok
    (['X'], True)
    """
    rng = np.random.default_rng(seed)
    return {
        **_coordinate_operations(rng),
        **_grid_operations(rng),
        **_parameter_operations(rng),
        **_algebra_operations(rng),
        **_sampler_operations(rng),
        **_grid_sample_operations(rng),
        **_layer_operations(rng),
        **_module_operations(rng),
    }


def table(reports: Mapping[str, GradientReport]) -> str:
    """Return one line for each operation: the largest error that each witness found.

    Parameters
    ----------
    reports : mapping of str to GradientReport

    Returns
    -------
    str
        A head, then the lines in the order of the reports.

    Examples
    --------
    >>> head, line = table({"tanh": all_operations()["tanh"].check()}).splitlines()
    >>> head.split()[:3], line.split()[-1]
    (['operation', 'complex', 'step'], 'ok')
    """
    witnesses = ("complex step", "differences", "Jacobian", "dot test")
    lines = [f"{'operation':32s}" + "".join(f"{w:>21s}" for w in witnesses)]
    for name, report in reports.items():
        errors = [report.error(witness) for witness in witnesses]
        cells = "".join(f"{'-' if e is None else format(e, '.1e'):>21s}" for e in errors)
        lines.append(f"{name:32s}{cells}  {'ok' if report.ok else 'FAIL'}")
    return "\n".join(lines)


def _operation(
    room: ModuleType,
    name: str,
    inputs: Mapping[str, Array],
    kinks: Kinks | None = None,
    **options: Any,
) -> Operation:
    """Return the pair of that name of a room with its inputs."""
    return Operation(pair_of(vars(room), name, **options), inputs, kinks)


def _coordinate_operations(rng: np.random.Generator) -> dict[str, Operation]:
    return {
        f"unnormalize, align_corners={aligned}": _operation(
            coordinates,
            "unnormalize",
            {"grid": rng.standard_normal((5, 4, 7, 2))},
            shape=(6, 9),
            align_corners=aligned,
        )
        for aligned in (True, False)
    }


def _grid_operations(rng: np.random.Generator) -> dict[str, Operation]:
    """What ends in a grid, by its own pair."""
    normal, grid_of = rng.standard_normal, partial(_operation, transforms)
    G, G3 = target_grid((4, 5)), target_grid((2, 3, 4))
    bases = {
        "basis_grid": normal((4, 5, 6)),
        "basis_grid, thin plate": transforms.thin_plate_basis(transforms.regular_points((2, 3)), G),
        "basis_grid, B-spline": transforms.bspline_basis((4, 5), G),
    }
    horizon = np.zeros((3, 3))
    horizon[2] = 0.5, 2, 0
    return {
        **{
            name: grid_of("basis_grid", {"theta": normal((3, B.shape[-1], 2))}, B=B)
            for name, B in bases.items()
        },
        "affine_grid, 2-D": grid_of("affine_grid", {"theta": normal((3, 2, 3))}, G=G),
        "affine_grid, 3-D": grid_of("affine_grid", {"theta": normal((3, 3, 4))}, G=G3),
        "flow_grid, 2-D": grid_of("flow_grid", {"flow": normal((3, *G.shape))}, G=G),
        "flow_grid, 3-D": grid_of("flow_grid", {"flow": normal((3, *G3.shape))}, G=G3),
        **{
            name: grid_of(
                "projective_grid", {"theta": np.eye(3) + tilt + 0.1 * normal((5, 3, 3))}, G=G
            )
            for name, tilt in (
                ("projective_grid", 0),
                ("projective_grid, with a horizon", horizon),
            )
        },
    }


def _parameter_operations(rng: np.random.Generator) -> dict[str, Operation]:
    """What begins with the parameters that a net predicts."""
    normal = rng.standard_normal
    constraints = [
        transforms.bounded(-0.5, 2),
        transforms.fixed(0.25),
        transforms.FREE,
        transforms.positive(3),
    ]
    operations = {
        "constrain": _operation(
            transforms, "constrain", {"raw": normal((2, 3))}, constraints=constraints
        )
    }
    for name, n_params in (("translation", 2), ("attention", 3), ("rigid", 3), ("similarity", 4)):
        matrix = f"{name}_matrix"
        operations[matrix] = _operation(transforms, matrix, {"params": normal((5, n_params))})
    for name in (*transforms.TRANSFORMS, *transforms.TRANSFORMS_3D):
        shape = (2, 3, 4) if name in transforms.TRANSFORMS_3D else (3, 4)
        transform = transforms.get_transform(name, shape)
        params = {"params": transform.identity + 0.2 * normal((2, transform.n_params))}
        operations[f"transform {name}"] = Operation(Pair(*transform[2:]), params)
    return operations


def _algebra_operations(rng: np.random.Generator) -> dict[str, Operation]:
    operations = {}
    shapes: dict[str, Any] = {"in_shape": (4, 7), "out_shape": (5, 3)}
    for form, shape in (("affine", (2, 3)), ("projective", (3, 3))):
        A, B = np.eye(*shape) + 0.2 * rng.standard_normal((2, 2, *shape))
        for name, inputs, options in (
            ("compose", {"A": A, "B": B}, {}),
            ("invert", {"A": A}, {}),
            ("to_pixel_matrix", {"A": A}, shapes),
            ("from_pixel_matrix", {"M": B}, shapes),
        ):
            operations[f"{name}, {form}"] = _operation(transforms, name, inputs, **options)
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
        "sample, 2-D": _operation(
            sampler,
            "sample",
            {"U": normal((3, 4, 6, 2)), "points": uniform(-1.5, 6.5, (3, 5, 7, 2))},
            _sample_kinks,
        ),
        "sample, 3-D": _operation(
            sampler,
            "sample",
            {"U": normal((2, 2, 3, 4, 2)), "points": uniform(-1.5, 4.5, (2, 1, 3, 2, 3))},
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
        operations[f"sample, {kernel}, {padding}"] = _operation(
            sampler,
            "sample",
            {"U": normal((2, 4, 5, 2)), "points": uniform(-4, 8, (2, 3, 2, 2))},
            partial(_sample_kinks, padding=padding) if kernel == "linear" else None,
            kernel=kernel,
            padding=padding,
        )
    for mean in (False, True):
        operations["splat, normalize" if mean else "splat"] = _operation(
            splat,
            "splat",
            {"image": normal((2, 3, 2, 2)), "points": uniform(-0.5, 3.5, (2, 3, 2, 2))},
            shape=(4, 5),
            normalize=mean,
        )
    return operations


def _grid_sample_operations(rng: np.random.Generator) -> dict[str, Operation]:
    cases: tuple[tuple[str, Any], ...] = (
        ("align_corners", True),
        ("align_corners", False),
        ("padding_mode", "border"),
    )
    normal, uniform = rng.standard_normal, rng.uniform
    return {
        f"grid_sample, {name}={value}": _operation(
            sampler,
            "grid_sample",
            {"U": normal((3, 4, 6, 2)), "grid": uniform(-1.4, 1.4, (3, 5, 7, 2))},
            partial(_grid_sample_kinks, **{name: value}),
            **{name: value},
        )
        for name, value in cases
    }


def _layer_operations(rng: np.random.Generator) -> dict[str, Operation]:
    normal, layer = rng.standard_normal, partial(_operation, nn)
    labels = rng.integers(0, 4, 5)
    return {
        "linear": layer("linear", {"X": normal((3, 5)), "W": normal((5, 4)), "b": normal(4)}),
        "conv2d": layer(
            "conv2d", {"X": normal((5, 7, 6, 2)), "W": normal((3, 3, 2, 4)), "b": normal(4)}
        ),
        "conv2d, stride 2, padding 1": layer(
            "conv2d",
            {"X": normal((5, 6, 7, 2)), "W": normal((3, 3, 2, 4)), "b": normal(4)},
            stride=2,
            padding=1,
        ),
        "max_pool2d": layer("max_pool2d", {"X": normal((3, 7, 5, 2))}, size=2),
        "avg_pool2d": layer("avg_pool2d", {"X": normal((3, 7, 5, 2))}, size=2),
        **{name: layer(name, {"X": normal((3, 4, 5, 2))}) for name in ("relu", "tanh", "flatten")},
        "softmax_cross_entropy": layer(
            "softmax_cross_entropy", {"logits": normal((5, 4))}, labels=labels
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
    return {"spatial_transformer": Operation(Pair(forward, backward), inputs)}
