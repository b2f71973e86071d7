"""All operations of the project, each with inputs to check it on.

The shapes tell rows from columns and inputs from outputs: H is not W, H' is not H, there are
several pictures and two channels, and no size is a factor that a mistake might leave out. Random
inputs do not lie on a kink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from stnref import coordinates, fields, filled, nn, sampler, splat, transforms
from stnref.coordinates import target_grid, unnormalize_forward
from stnref.diagnosis import check_gradients
from stnref.gradcheck import GradientReport
from stnref.kinks import kink_report
from stnref.pairs import Pair, pair_of
from stnref.spatial_transformer import SpatialTransformer, SpatialTransformerCache
from stnref.transforms import FREE, bounded, fixed, positive
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


Named = tuple[str, Operation]


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
    parts = (
        _coordinate_operations,
        _grid_operations,
        _parameter_operations,
        _algebra_operations,
        _fit_operations,
        _field_operations,
        _sampler_operations,
        _grid_sample_operations,
        _layer_operations,
        _module_operations,
    )
    return dict(named for operations_of in parts for named in operations_of(rng))


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
    (['operation', 'complex', 'differ.'], 'ok')
    """
    witnesses = ("complex step", "differences", "Jacobian", "dot test")
    heads = ("complex", "differ.", "Jacobian", "dot test")
    lines = [f"{'operation':34s}" + "".join(f"{head:>10s}" for head in heads)]
    for name, report in reports.items():
        errors = [report.error(witness) for witness in witnesses]
        cells = "".join(f"{'-' if e is None else format(e, '.1e'):>10s}" for e in errors)
        lines.append(f"{name:34s}{cells}  {'ok' if report.ok else 'FAIL'}")
    return "\n".join(lines)


def _operation(
    room: ModuleType,
    name: str,
    label: str,
    inputs: Mapping[str, Array],
    kinks: Kinks | None = None,
    **options: Any,
) -> Named:
    """Return the pair of that name of a room with its inputs, under its name and the label."""
    kinks = partial(kinks, **options) if kinks else None
    operation = Operation(pair_of(vars(room), name, **options), inputs, kinks)
    return f"{name}, {label}" if label else name, operation


def _coordinate_operations(rng: np.random.Generator) -> Iterator[Named]:
    of = partial(_operation, coordinates, "unnormalize")
    for aligned in (True, False):
        grid = rng.standard_normal((5, 4, 7, 2))
        yield of(f"align_corners={aligned}", {"grid": grid}, shape=(6, 9), align_corners=aligned)


def _grid_operations(rng: np.random.Generator) -> Iterator[Named]:
    """What ends in a grid, by its own pair."""
    normal, of = rng.standard_normal, partial(_operation, transforms)
    G, G3 = target_grid((4, 5)), target_grid((2, 3, 4))
    control_points = transforms.regular_points((2, 3))
    for label, B in (
        ("", normal((4, 5, 6))),
        ("thin plate", transforms.thin_plate_basis(control_points, G)),
        ("B-spline", transforms.bspline_basis((4, 5), G)),
    ):
        yield of("basis_grid", label, {"theta": normal((3, B.shape[-1], 2))}, B=B)
    yield of("affine_grid", "2-D", {"theta": normal((3, 2, 3))}, G=G)
    yield of("affine_grid", "3-D", {"theta": normal((3, 3, 4))}, G=G3)
    yield of("flow_grid", "2-D", {"flow": normal((3, *G.shape))}, G=G)
    yield of("flow_grid", "3-D", {"flow": normal((3, *G3.shape))}, G=G3)
    horizon = np.zeros((3, 3))
    horizon[2] = 0.5, 2, 0
    for label, tilt in (("", 0), ("with a horizon", horizon)):
        theta = np.eye(3) + tilt + 0.1 * normal((5, 3, 3))
        yield of("projective_grid", label, {"theta": theta}, G=G)
    yield of("projective_grid", "horizon ignored", {"theta": theta}, G=G, horizon="ignore")


def _parameter_operations(rng: np.random.Generator) -> Iterator[Named]:
    """What begins with the parameters that a net predicts."""
    normal, of = rng.standard_normal, partial(_operation, transforms)
    constraints = [bounded(-0.5, 2), fixed(0.25), FREE, positive(3)]
    yield of("constrain", "", {"raw": normal((2, 3))}, constraints=constraints)
    for name, n_params in (("translation", 2), ("attention", 3), ("rigid", 3), ("similarity", 4)):
        yield of(f"{name}_matrix", "", {"params": normal((5, n_params))})
    for name in (*transforms.TRANSFORMS, *transforms.TRANSFORMS_3D):
        shape = (2, 3, 4) if name in transforms.TRANSFORMS_3D else (3, 4)
        transform = transforms.get_transform(name, shape)
        params = transform.identity + 0.2 * normal((2, transform.n_params))
        yield f"transform {name}", Operation(Pair(*transform[2:]), {"params": params})


def _algebra_operations(rng: np.random.Generator) -> Iterator[Named]:
    of = partial(_operation, transforms)
    shapes: dict[str, Any] = {"in_shape": (4, 7), "out_shape": (5, 3)}
    for form, shape in (("affine", (2, 3)), ("projective", (3, 3))):
        A, B = np.eye(*shape) + 0.2 * rng.standard_normal((2, 2, *shape))
        yield of("compose", form, {"A": A, "B": B})
        yield of("invert", form, {"A": A})
        yield of("to_pixel_matrix", form, {"A": A}, **shapes)
        yield of("from_pixel_matrix", form, {"M": B}, **shapes)


def _fit_operations(rng: np.random.Generator) -> Iterator[Named]:
    """Matrices from the corners of a picture, or from more points than it takes."""
    normal, of = rng.standard_normal, partial(_operation, transforms)
    yield of("least_squares", "", {"A": normal((3, 7, 4)), "b": normal((3, 7, 2))})
    for label, shape in (("4 points", (2, 2)), ("8 points", (2, 4))):
        points = target_grid(shape).reshape(-1, 2)
        target = points + 0.1 * normal((3, *points.shape))
        inputs = {"target": target, "source": target + 0.2 * normal(target.shape)}
        yield of("fit_affine", label, inputs)
        yield of("fit_homography", label, inputs)


def _field_operations(rng: np.random.Generator) -> Iterator[Named]:
    """Displacements, of which those to be inverted do not fold; a few reach beyond the border."""
    normal, of = rng.standard_normal, partial(_operation, fields)
    inputs = {"outer": normal((3, 4, 6, 2)), "inner": 0.3 * normal((3, 5, 7, 2))}
    yield of("compose_flows", "", inputs)
    for label, shape in (("2-D", (3, 4, 6, 2)), ("3-D", (2, 3, 4, 5, 3))):
        yield of("invert_flow", label, {"flow": rng.uniform(-0.1, 0.1, shape)})
        yield of("integrate_velocity", label, {"velocity": 0.2 * normal(shape)}, steps=3)


def _sample_kinks(
    U: Array, points: Array, *, kernel: str = "linear", padding: str = "zeros"
) -> list[Array | None]:
    """The kink map of linear sampling: distances in pixels to the nearest line of the lattice."""
    linear = kernel == "linear"
    return [None, kink_report(points, U.shape[1:-1], padding=padding).distance if linear else None]


def _grid_sample_kinks(
    U: Array, grid: Array, *, align_corners: bool = True, padding_mode: str = "zeros"
) -> list[Array | None]:
    """The same in normalised units."""
    shape = U.shape[1:-1]
    points, cache = unnormalize_forward(grid, shape, align_corners=align_corners)
    return [None, kink_report(points, shape, padding=padding_mode).distance / cache.slope]


def _sampler_operations(rng: np.random.Generator) -> Iterator[Named]:
    normal, uniform, of = rng.standard_normal, rng.uniform, partial(_operation, sampler, "sample")
    inputs = {"U": normal((3, 4, 6, 2)), "points": uniform(-1.5, 6.5, (3, 5, 7, 2))}
    yield of("2-D", inputs, _sample_kinks)
    inputs = {"U": normal((2, 2, 3, 4, 2)), "points": uniform(-1.5, 4.5, (2, 1, 3, 2, 3))}
    yield of("3-D", inputs, _sample_kinks)
    for kernel, padding in (
        ("linear", "border"),
        ("linear", "reflection_centres"),
        ("cubic", "zeros"),
        ("cubic", "reflection_edges"),
        ("bspline3", "border"),
    ):
        inputs = {"U": normal((2, 4, 5, 2)), "points": uniform(-4, 8, (2, 3, 2, 2))}
        yield of(f"{kernel}, {padding}", inputs, _sample_kinks, kernel=kernel, padding=padding)
    for label, mean in (("", False), ("normalize", True)):
        inputs = {"image": normal((2, 3, 2, 2)), "points": uniform(-0.5, 3.5, (2, 3, 2, 2))}
        yield _operation(splat, "splat", label, inputs, shape=(4, 5), normalize=mean)


def _grid_sample_operations(rng: np.random.Generator) -> Iterator[Named]:
    cases: tuple[dict[str, Any], ...] = (
        {"align_corners": True},
        {"align_corners": False},
        {"padding_mode": "border"},
        {"padding_mode": "wrap"},
    )
    for options in cases:
        U, grid = rng.standard_normal((3, 4, 6, 2)), rng.uniform(-1.4, 1.4, (3, 5, 7, 2))
        ((name, value),) = options.items()
        inputs, kinks = {"U": U, "grid": grid}, _grid_sample_kinks
        yield _operation(sampler, "grid_sample", f"{name}={value}", inputs, kinks, **options)
    inputs = {"U": U, "grid": grid, "fill": rng.standard_normal(2)}
    yield _operation(filled, "filled_grid_sample", "", inputs)


def _layer_operations(rng: np.random.Generator) -> Iterator[Named]:
    normal, of = rng.standard_normal, partial(_operation, nn)
    labels = rng.integers(0, 4, 5)
    yield of("linear", "", {"X": normal((3, 5)), "W": normal((5, 4)), "b": normal(4)})
    inputs = {"X": normal((5, 7, 6, 2)), "W": normal((3, 3, 2, 4)), "b": normal(4)}
    yield of("conv2d", "", inputs)
    inputs = {"X": normal((5, 6, 7, 2)), "W": normal((3, 3, 2, 4)), "b": normal(4)}
    yield of("conv2d", "stride 2, padding 1", inputs, stride=2, padding=1)
    for name in ("max_pool2d", "avg_pool2d"):
        yield of(name, "", {"X": normal((3, 7, 5, 2))}, size=2)
    for name in ("relu", "tanh", "flatten"):
        yield of(name, "", {"X": normal((3, 4, 5, 2))})
    yield of("softmax_cross_entropy", "", {"logits": normal((5, 4))}, labels=labels)


def _module_operations(rng: np.random.Generator) -> Iterator[Named]:
    """The spatial transformer as a function of its input and of all its parameters."""
    localisation = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(40, 3), tanh=nn.Tanh())
    module = SpatialTransformer(localisation, 3, (3, 6), transform="affine")
    start = module.init(rng, np.float64)
    params = {name: value + 0.2 * rng.standard_normal(value.shape) for name, value in start.items()}

    def forward(U: Array, *values: Array) -> tuple[Array, SpatialTransformerCache]:
        return module.forward(U, dict(zip(params, values, strict=True)))

    def backward(dV: Array, cache: SpatialTransformerCache) -> tuple[Array | None, ...]:
        dU, dparams = module.backward(dV, cache)
        return dU, *(dparams[name] for name in params)

    inputs = {"U": rng.standard_normal((2, 4, 5, 2)), **params}
    yield "spatial_transformer", Operation(Pair(forward, backward), inputs)
