"""Valid arguments for every public function, drawn by the names of its parameters.

A new function is fuzzed without anyone remembering it: its signature says what it takes. Only a
parameter of a new name has to be told here how it is drawn, and a test fails until it is.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import stnref
from stnref import nn, transforms
from stnref.coordinates import target_grid
from stnref.padding import PADDINGS

EXEMPT = {
    "expect_": "the checks themselves, which take what anybody passes",
    "Nothing is checked here": "so the docstring says: others call it with what they checked",
    "padding": "a `Padding` is called by the sampler, for each axis, with what it made",
    "record": "a parameter that is a function, a file or a record: no value is drawn for these",
    "checker": "gradcheck, diagnosis and checks take functions, or many seconds; cli takes words",
}
"""What is left out, with the reason."""

UNCHECKED = "Nothing is checked here"
CHECKER = ("stnref.gradcheck", "stnref.diagnosis", "stnref.checks", "stnref.cli", "stnref.__main__")
PLAIN = re.compile(
    r"(Array|ArrayLike|Angles|DTypeLike|State|Rate|int|float|str|bool|None|MatrixLike|PaddingLike"
    r"|Transform|np\.random\.Generator|NDArray\[np\.\w+\]|Constraint|Kernel|Collection\[str\]|Params"
    r"|Literal\[.*\]|Flag|Sequence\[(int|Constraint)\]|Iterable\[str\]"
    r"|Mapping\[(str|int), (Any|ArrayLike|Constraint|float)\]"
    r"|tuple\[(int|float)(, (int|float|\.\.\.))*\])"
)
"""Annotations of what is drawn."""

FLAT = (
    *("translation", "attention", "rigid", "similarity", "projective", "thin_plate", "bspline"),
    *("rotate", "grid_angle", "regular_points", "get_transform"),
)
"""Beginnings of the names of what there is for pictures alone."""


def functions() -> dict[str, Callable[..., Any]]:
    """Return the public functions, and the classes that check what they are made of, by name."""
    found = {}
    for room in pkgutil.walk_packages(stnref.__path__, "stnref."):
        module = importlib.import_module(room.name)
        for name, function in vars(module).items():
            own = getattr(function, "__module__", None) == room.name and not name.startswith("_")
            if own and _is_checked(function) and not _is_exempt(name, function, module):
                found[name] = function
    return found


def _is_checked(function: Any) -> bool:
    """Return whether it is a function or a class with a method of making it."""
    if not inspect.isclass(function):
        return inspect.isfunction(function)
    return "__post_init__" in vars(function) or (
        "__init__" in vars(function) and not dataclasses.is_dataclass(function)
    )


def _is_exempt(name: str, function: Any, module: Any) -> bool:
    text = " ".join((function.__doc__ or "").split()) + (module.__doc__ or "")
    return (
        name.startswith("expect_")
        or UNCHECKED in text
        or function in PADDINGS.values()
        or module.__name__.startswith(CHECKER)
        or any(not _is_plain(p) for p in inspect.signature(function).parameters.values())
    )


def _is_plain(parameter: inspect.Parameter) -> bool:
    """Return whether it is one that is drawn: it has to be one, or may be left out."""
    hints = str(parameter.annotation).split(" | ")
    optional = parameter.default is not parameter.empty and "Path" not in hints
    return (
        parameter.kind is parameter.VAR_KEYWORD
        or optional
        or parameter.name == "cache"
        or all(map(PLAIN.fullmatch, hints))
    )


FUNCTIONS = functions()
WAYS = ("_double_backward", "_backward", "_jvp")


class Draw:
    """Sizes that fit together, and a value for each parameter that has been asked for."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.rng = rng = np.random.default_rng(seed)
        self.d = 2 if name.startswith(FLAT) else int(rng.integers(2, 4))
        self.dtype = rng.choice([np.float32, np.float64])
        self.B, self.C, self.K = (int(n) for n in rng.integers(1, 4, 3))
        self.in_shape = tuple(int(n) for n in rng.integers(1, 6, self.d))
        self.out_shape = tuple(int(n) for n in rng.integers(1, 6, self.d))

    def normal(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * self.rng.standard_normal(shape)).astype(self.dtype)

    def uniform(self, low: Any, high: Any, *shape: int) -> np.ndarray:
        return self.rng.uniform(low, high, shape).astype(self.dtype)

    def near_identity(self, rows: int, columns: int) -> np.ndarray:
        return np.eye(rows, columns, dtype=self.dtype) + self.normal(
            self.B, rows, columns, scale=0.1
        )

    def choice(self, *values: Any) -> Any:
        return values[self.rng.integers(len(values))]

    def arguments(self) -> dict[str, Any]:
        """Return a value for each parameter of the function, or leave an option out."""
        for way in WAYS:
            if self.name.endswith(way):
                return self._of_a_derivative(self.name.removesuffix(way) + "_forward")
        return self._of(FUNCTIONS[self.name])

    def _of(self, function: Callable[..., Any]) -> dict[str, Any]:
        values = {}
        for parameter in inspect.signature(function).parameters.values():
            hints = str(parameter.annotation).split(" | ")
            if parameter.name == "name" and parameter.default is not parameter.empty:
                continue  # what the caller calls it in a message
            if parameter.kind is parameter.VAR_KEYWORD or not all(map(PLAIN.fullmatch, hints)):
                continue
            if parameter.default is parameter.empty or self.rng.random() < 0.5:
                values[parameter.name] = self.value(function.__name__, parameter.name)
        return values

    def _of_a_derivative(self, forward: str) -> dict[str, Any]:
        """Draw forward's inputs, run it, and draw what its derivative takes beside the cache."""
        inputs = self._of(FUNCTIONS[forward])
        out, cache = FUNCTIONS[forward](**inputs)
        values: dict[str, Any] = {}
        for parameter in inspect.signature(FUNCTIONS[self.name]).parameters.values():
            name = parameter.name
            if name == "cache":
                values[name] = cache
            elif name == "needs":
                continue
            else:
                like = {name[2:]: inputs.get(name[2:]), name[:-4]: inputs.get(name[:-4])}
                tangent = name.endswith("_dot") or name.startswith("dd")
                model = next((v for v in like.values() if v is not None), out) if tangent else out
                values[name] = self.normal(*model.shape)
        return values

    def value(self, function: str, name: str) -> Any:
        """Draw a value of a parameter: by the function's own rule, or by the name alone."""
        for key in (f"{function}.{name}", name):
            for pattern, rule in RULES.items():
                if key == pattern or ("*" in pattern and _fits(key, pattern)):
                    return rule(self)
        raise KeyError(f"tests/fuzz/draw.py: expected a rule for {function}.{name}, got none")


def _fits(key: str, pattern: str) -> bool:
    before, after = pattern.split("*")
    return key.startswith(before) and key.endswith(after) and len(key) >= len(pattern) - 1


def _points(draw: Draw) -> np.ndarray:
    return draw.uniform(-2, np.array(draw.in_shape[::-1]) + 1, draw.B, *draw.out_shape, draw.d)


def _state(draw: Draw) -> dict[str, np.ndarray]:
    return dict(nn.SGD().init(_params(draw)))


def _params(draw: Draw) -> dict[str, np.ndarray]:
    return {"fc.W": np.ones((2, 3), draw.dtype), "fc.b": np.ones(3, draw.dtype)}


def _constraints(draw: Draw) -> list[Any]:
    return [transforms.FREE, transforms.fixed(0.5), transforms.positive(2.0)]


def _matrix(draw: Draw) -> np.ndarray:
    d = draw.d
    return draw.near_identity(*(3, 3) if d == 2 and draw.C == 1 else (d, d + 1))


RULES: dict[str, Callable[[Draw], Any]] = {
    # the sampler
    "U": lambda r: r.normal(r.B, *r.in_shape, r.C),
    "points": _points,
    "grid": lambda r: r.uniform(-1.5, 1.5, r.B, *r.out_shape, r.d),
    "fill": lambda r: r.normal(r.C),
    "image": lambda r: r.normal(r.B, *r.out_shape, r.C),
    "kernel": lambda r: r.choice("nearest", "linear", "cubic", "bspline3"),
    "onnx_grid_sample.mode": lambda r: r.choice("nearest", "linear", "cubic"),
    "scipy_map_coordinates.mode": lambda r: r.choice("grid-constant", "nearest", "mirror"),
    "pytorch_grid_sample*.mode": lambda r: r.choice("nearest", "bilinear"),
    "pytorch_grid_sample*.padding_mode": lambda r: r.choice("zeros", "border", "reflection"),
    "onnx_grid_sample.padding_mode": lambda r: r.choice("zeros", "border", "reflection"),
    "mode": lambda r: r.choice("nearest", "bilinear", "bicubic"),
    "conv2d_forward.padding": lambda r: r.choice(0, 1, 2),
    "padding": lambda r: r.choice(*PADDINGS),
    "padding_mode": lambda r: r.choice("zeros", "border", "reflection", "wrap"),
    "nonfinite": lambda r: r.choice("raise", "outside"),
    "normalize": lambda r: r.choice(True, False),
    "fused": lambda r: r.choice(True, False),
    "runtime": lambda r: r.choice(True, False),
    "tol": lambda r: r.choice(1e-6, 0.25),
    "margin": lambda r: r.choice(0.5, 1.0),
    # kernels and paddings
    "lattice": lambda r: r.choice("right", "left", "central", "paper"),
    "get_paddings.d": lambda r: 2,
    "a": lambda r: r.choice(-0.75, -0.5),
    "m": lambda r: r.rng.integers(-9, 9, 5).astype(r.dtype),
    "n": lambda r: r.choice(1, 4),
    # coordinates
    "shape": lambda r: r.in_shape,
    "in_shape": lambda r: r.in_shape,
    "out_shape": lambda r: r.out_shape,
    "align_corners": lambda r: r.choice(True, False),
    "dtype": lambda r: r.dtype,
    "supersampled_grid.factor": lambda r: r.choice(1, 2, 3),
    # transforms
    "G": lambda r: target_grid(r.out_shape, dtype=r.dtype),
    "affine_grid*.theta": lambda r: r.near_identity(r.d, r.d + 1),
    "projective_grid*.theta": lambda r: r.near_identity(3, 3),
    "basis_grid*.theta": lambda r: r.normal(r.B, r.K, r.d),
    "basis_grid*.B": lambda r: r.normal(*r.out_shape, r.K),
    "translation*.params": lambda r: r.normal(r.B, 2),
    "attention*.params": lambda r: r.normal(r.B, 3),
    "rigid*.params": lambda r: r.normal(r.B, 3),
    "similarity*.params": lambda r: r.normal(r.B, 4),
    "flow": lambda r: r.normal(r.B, *r.out_shape, r.d),
    "horizon": lambda r: r.choice("hide", "ignore"),
    "A": _matrix,
    "B": _matrix,
    "M": _matrix,
    "control_points": lambda r: transforms.regular_points((2, 3)),
    "control_shape": lambda r: r.choice((4, 4), (4, 5)),
    "stiffness": lambda r: r.choice(0.0, 0.5),
    "raw": lambda r: r.normal(r.B, 2),
    "constraints": _constraints,
    "fixed.value": lambda r: 0.5,
    "low": lambda r: -1.0,
    "high": lambda r: r.choice(0.5, 2.0),
    "scale": lambda r: r.choice(0.5, 2.0),
    "constrained.transform": lambda r: transforms.get_transform("rigid", r.out_shape[:2]),
    "constrained.constraints": lambda r: {0: transforms.bounded(-1, 1)},
    # fields and matrices from points
    "compose_flows_forward.outer": lambda r: r.normal(r.B, *r.in_shape, r.d, scale=0.1),
    "compose_flows_forward.inner": lambda r: r.normal(r.B, *r.out_shape, r.d, scale=0.1),
    "invert_flow_forward.flow": lambda r: r.normal(r.B, *r.in_shape, r.d, scale=0.02),
    "iterations": lambda r: 50,
    "invert_flow_forward.tol": lambda r: 1e-3,
    "velocity": lambda r: r.normal(r.B, *r.in_shape, r.d, scale=0.1),
    "steps": lambda r: r.choice(0, 3),
    "least_squares_forward.A": lambda r: r.normal(r.B, 6, 2),
    "least_squares_forward.b": lambda r: r.normal(r.B, 6, 3),
    "fit_affine_forward.target": lambda r: r.normal(r.B, 6, r.d),
    "fit_affine_forward.source": lambda r: r.normal(r.B, 6, r.d),
    "fit_homography_forward.target": lambda r: r.normal(r.B, 6, 2),
    "fit_homography_forward.source": lambda r: r.normal(r.B, 6, 2),
    # layers
    "n_in": lambda r: r.choice(1, 3),
    "n_out": lambda r: r.choice(1, 3),
    "k": lambda r: r.choice(1, 3),
    "Conv2d.padding": lambda r: r.choice(0, 1, 2),
    "size": lambda r: r.choice(1, 2, 3),
    "prefix": lambda r: "fc",
    "fan_in": lambda r: r.choice(1, 9),
    "momentum": lambda r: r.choice(0.0, 0.9),
    "nesterov": lambda r: r.choice(True, False),
    "weight_decay": lambda r: r.choice(0.0, 1e-4),
    "beta1": lambda r: 0.9,
    "beta2": lambda r: 0.999,
    "epsilon": lambda r: 1e-8,
    "pair_of.namespace": lambda r: vars(nn),
    "pair_of.name": lambda r: "relu",
    "linear_forward.X": lambda r: r.normal(r.B, r.K),
    "linear_forward.W": lambda r: r.normal(r.K, 3),
    "conv2d_forward.X": lambda r: r.normal(r.B, 5, 6, r.C),
    "conv2d_forward.W": lambda r: r.normal(3, 3, r.C, 3),
    "b": lambda r: r.normal(3),
    "stride": lambda r: r.choice(1, 2),
    "*_pool2d_forward.X": lambda r: r.normal(r.B, 4, 5, r.C),
    "*_pool2d_forward.size": lambda r: r.choice(1, 2, 3),
    "X": lambda r: r.normal(r.B, *r.in_shape),
    "logits": lambda r: r.normal(r.B, 4),
    "softmax_cross_entropy_forward.labels": lambda r: r.rng.integers(0, 4, r.B),
    "params": _params,
    "grads": _params,
    "state": _state,
    "rate": lambda r: 0.1,
    "multipliers": lambda r: {"fc.": 0.5},
    "limit": lambda r: r.choice(0.5, 90.0),
    "done": lambda r: float(r.rng.random()),
    "stages": lambda r: r.choice(1, 3),
    "step_decay.factor": lambda r: 0.5,
    "warm_up": lambda r: 0.3,
    "start": lambda r: 0.04,
    "end": lambda r: 1e-5,
    # figures
    "plot_image.image": lambda r: r.uniform(0, 1, 4, 5, r.choice(1, 3)),
    "plot_grid.grid": lambda r: r.uniform(-1, 1, 5, 6, 2),
    "plot_grid.shape": lambda r: (7, 8),
    "lines": lambda r: r.choice(1, 7),
    "plot_cell.x": lambda r: 0.25,
    "plot_cell.y": lambda r: 0.5,
    "plot_gradient_field.image": lambda r: r.uniform(0, 1, 4, 5, 1),
    "plot_gradient_field.points": lambda r: r.uniform(0, 4, 3, 4, 2),
    "plot_gradient_field.dpoints": lambda r: r.normal(3, 4, 2),
    "plot_landscape.x": lambda r: np.linspace(-1, 1, 4),
    "plot_landscape.y": lambda r: np.linspace(-1, 1, 3),
    "plot_landscape.loss": lambda r: r.uniform(0, 1, 3, 4),
    "plot_landscape.path": lambda r: r.uniform(-1, 1, 5, 2),
    "plot_contributions.points": lambda r: r.uniform(-1, 5, 3, 4, 2),
    "plot_contributions.shape": lambda r: (4, 5),
    "plot_corner_rules.n": lambda r: r.choice(2, 5),
    "plot_paddings.U": lambda r: r.uniform(0, 1, 4),
    "plot_families.image": lambda r: r.uniform(0, 1, 5, 6, 1),
    "plot_families.params": lambda r: {"affine": np.array([1.0, 0, 0, 0, 1, 0])},
    "plot_theta.theta": lambda r: r.normal(5, 3),
    "plot_sheet.images": lambda r: r.uniform(0, 1, r.B, 5, 6, 1),
    "grids": lambda r: r.uniform(-1, 1, r.B, 5, 6, 2),
    "outputs": lambda r: r.uniform(0, 1, r.B, 5, 6, 1),
    "columns": lambda r: r.choice(1, 10),
    "width": lambda r: 4.0,
    "height": lambda r: 3.0,
    # runs
    "Config.data": lambda r: "digits",
    "distortion": lambda r: "R",
    "Config.transform": lambda r: "affine",
    "optimizer": lambda r: "adam",
    "schedule": lambda r: "constant",
    "Config.rate": lambda r: 1e-3,
    "localisation_rate": lambda r: 2.0,
    "epochs": lambda r: r.choice(1, 3),
    "batch": lambda r: 16,
    "train_size": lambda r: 16,
    "test_size": lambda r: 16,
    "clip": lambda r: 5.0,
    "seed": lambda r: r.choice(0, 3),
    # data and experiments
    "count": lambda r: r.choice(1, 3),
    "rng": lambda r: np.random.default_rng(0),
    "draw_digits.size": lambda r: r.choice(12, 28),
    "draw_digits.labels": lambda r: None,
    "images": lambda r: r.normal(r.B, 5, 5, r.C),
    "labels": lambda r: r.rng.integers(0, 3, r.B),
    "turned": lambda r: r.uniform(-1, 1, r.B),
    "angles": lambda r: r.uniform(-1, 1, 4),
    "model": lambda r: r.choice("cnn", "st-cnn", "fcn", "st-fcn"),
    "build_network.in_shape": lambda r: (28, 28, 1),
    "classes": lambda r: r.choice(2, 10),
    "filters": lambda r: r.choice(1, 4),
    "hidden": lambda r: r.choice(1, 8),
    "transform": lambda r: r.choice(*transforms.TRANSFORMS),
    "known": lambda r: r.uniform(-1, 1, r.B),
    "get_transform.name": lambda r: r.choice(*transforms.TRANSFORMS),
}


def mutations(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield values that come near a valid one, and most of which are wrong."""
    yield from {"None": None, "a number": 5, "a text": "text", "a set": {1}, "nothing": ()}.items()
    if isinstance(value, np.ndarray):
        yield "an axis more", value[None]
        yield "an axis less", value[0] if value.ndim else value
        yield "one too long", np.concatenate([value, value[-1:]]) if value.ndim else value
        yield "one too long at the end", np.concatenate([value, value[..., -1:]], axis=-1)
        yield "empty", value[:0]
        yield "empty at the end", value[..., :0]
        yield "integers", np.ones(value.shape, int)
        yield "objects", value.astype(object)
        yield "complex", value.astype(complex)
        yield "masked", np.ma.masked_array(value, mask=True)
        yield "a list of unequal rows", [[1.0], [1.0, 2.0]]
        for name, number in (("a NaN", np.nan), ("infinity", np.inf), ("far", 1e30)):
            changed = value.astype(float)
            changed.flat[-1] = number
            yield name, changed
    elif isinstance(value, (bool, np.bool_)):
        yield from {"a word": "False", "two": 2}.items()
    elif isinstance(value, (int, float)):
        for number in (-1, 0, 1.5, "3", np.nan, np.inf, -np.inf, 2**63 - 1, 10**30, [value]):
            yield str(number), number
    elif isinstance(value, tuple) and value and all(isinstance(n, int) for n in value):
        for sizes in (
            *(value[:-1], (*value, 2), (0, *value[1:]), (-1, *value[1:]), (1.5, *value[1:])),
            *((2**63 - 1, *value[1:]), (10**30, *value[1:]), ("3", *value[1:]), (None,) * 2),
            *((10**6,) * len(value), list(value), np.array(value)),
        ):
            yield str(sizes)[:40], sizes
    elif isinstance(value, dict):
        yield "another key", {"other": next(iter(value.values()))}
        yield "other values", dict.fromkeys(value, None)
    elif isinstance(value, list):
        yield "one more", [*value, None]
        yield "other values", [None] * len(value)
