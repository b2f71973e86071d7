"""Validation at every public edge: each a clear error in one form, ``name: expected …, got …``."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import DTypeLike

import stnref
from stnref import coordinates, kernels, nn, transforms
from stnref.checks.catalogue import all_operations
from stnref.experiments.networks import build_network
from stnref.validation import DTYPES, NonFiniteError, expect_array

U = np.ones((2, 4, 5, 3))
GRID = np.zeros((2, 3, 6, 2))
V, SAMPLE = stnref.sample_forward(U, GRID)
_, GRID_SAMPLE = stnref.grid_sample_forward(U, GRID)
G = stnref.target_grid((3, 6))
THETA = np.zeros((2, 2, 3))
_, AFFINE = stnref.affine_grid_forward(THETA, G)
_, UNNORMALIZE = stnref.unnormalize_forward(GRID, (4, 5))
_, RIGID = stnref.rigid_matrix_forward(np.zeros((2, 3)))
X, W, b = np.ones((2, 6, 5, 3)), np.ones((3, 3, 3, 4)), np.ones(4)
_, CONV = nn.conv2d_forward(X, W, b)
_, POOL = nn.max_pool2d_forward(X, 2)
_, RELU = nn.relu_forward(X)
_, LINEAR = nn.linear_forward(np.ones((2, 3)), np.ones((3, 4)), b)
_, LOSS = nn.softmax_cross_entropy_forward(np.ones((2, 3)), [0, 1])


def _with(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed[1, 2, 3, 1] = value
    return changed


CASES: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    # wrong rank
    "theta without batch": (
        lambda: stnref.affine_grid(np.eye(2, 3), G),
        ValueError,
        "theta: expected shape (B, 2, 3) or (B, 3, 4), got (2, 3)",
    ),
    "map without channels": (
        lambda: stnref.grid_sample(U[..., 0], GRID),
        ValueError,
        "U: expected shape (B, H, W, C) or (B, D, H, W, C), got (2, 4, 5)",
    ),
    "grid of another rank": (
        lambda: stnref.grid_sample(U, GRID[0]),
        ValueError,
        "grid: expected shape (2, H', W', 2), got (3, 6, 2)",
    ),
    "G with batch": (
        lambda: stnref.affine_grid(THETA, GRID),
        ValueError,
        "G: expected shape (H', W', 2), got (2, 3, 6, 2)",
    ),
    "basis of another rank": (
        lambda: stnref.basis_grid_forward(np.ones((2, 3, 2)), np.ones((4, 3))),
        ValueError,
        "B: expected shape (H', W', 3), got (4, 3)",
    ),
    "params without batch": (
        lambda: stnref.rigid_matrix_forward(np.zeros(3)),
        ValueError,
        "params: expected shape (B, 3), got (3,)",
    ),
    "dense input of images": (
        lambda: nn.linear_forward(X, np.ones((3, 4)), b),
        ValueError,
        "X: expected shape (B, N), got (2, 6, 5, 3)",
    ),
    # wrong last axis
    "points of a volume": (
        lambda: stnref.sample_forward(U, np.zeros((2, 3, 6, 3))),
        ValueError,
        "points: expected shape (2, H', W', 2), got (2, 3, 6, 3)",
    ),
    "points of a picture in a volume": (
        lambda: stnref.sample_forward(U[:, None], np.zeros((2, 1, 3, 6, 2))),
        ValueError,
        "points: expected shape (2, D', H', W', 3), got (2, 1, 3, 6, 2)",
    ),
    "grid of three coordinates": (
        lambda: stnref.unnormalize_forward(np.zeros((2, 3)), (4, 5)),
        ValueError,
        "grid: expected shape (..., 2), got (2, 3)",
    ),
    "filters for other channels": (
        lambda: nn.conv2d_forward(X, W[:, :, :2], b),
        ValueError,
        "W: expected shape (k, k, 3, F), got (3, 3, 2, 4)",
    ),
    "filters that are not square": (
        lambda: nn.conv2d_forward(X, W[:2], b),
        ValueError,
        "W: expected shape (k, k, C, F), got (2, 3, 3, 4)",
    ),
    # mismatched batch
    "grids for another batch": (
        lambda: stnref.grid_sample(U, GRID[:1]),
        ValueError,
        "grid: expected shape (2, H', W', 2), got (1, 3, 6, 2)",
    ),
    "labels for another batch": (
        lambda: nn.softmax_cross_entropy_forward(np.ones((2, 3)), [0]),
        ValueError,
        "labels: expected shape (2,), got (1,)",
    ),
    # dtypes
    "integer image": (
        lambda: stnref.grid_sample(U.astype(np.uint8), GRID),
        TypeError,
        "U: expected dtype float32, float64, complex64 or complex128, got uint8; convert with "
        "U.astype(numpy.float32)",
    ),
    "half precision": (
        lambda: stnref.grid_sample(U, GRID.astype(np.float16)),
        TypeError,
        "grid: expected dtype float32, float64, complex64 or complex128, got float16",
    ),
    "labels that are not integers": (
        lambda: nn.softmax_cross_entropy_forward(np.ones((2, 3)), [0.0, 1.0]),
        TypeError,
        "labels: expected an integer dtype, got float64",
    ),
    # not finite
    "NaN in the grid": (
        lambda: stnref.grid_sample(U, _with(GRID, np.nan)),
        NonFiniteError,
        "grid: expected finite values, got nan at index (1, 2, 3, 1)",
    ),
    "overflow on the way to pixels, which names what the caller passed": (
        lambda: stnref.grid_sample(U, _with(GRID, 1e308)),
        NonFiniteError,
        "grid, in pixels: expected finite values, got inf at index (1, 2, 3, 1)",
    ),
    "infinite point": (
        lambda: stnref.sample_forward(U, _with(GRID, -np.inf)),
        NonFiniteError,
        "points: expected finite values, got -inf at index (1, 2, 3, 1)",
    ),
    # empty, zero-sized
    "map without rows": (
        lambda: stnref.grid_sample(U[:, :0], GRID),
        ValueError,
        "U: expected shape (B, H, W, C) or (B, D, H, W, C), got (2, 0, 5, 3), which has an empty",
    ),
    "zero-sized output": (
        lambda: stnref.target_grid((0, 3)),
        ValueError,
        "shape: expected 2 or 3 positive integers, got (0, 3)",
    ),
    "zero-sized output of a transform": (
        lambda: stnref.get_transform("affine", (4, 0)),
        ValueError,
        "out_shape: expected 2 positive integers, got (4, 0)",
    ),
    "size that is no integer": (
        lambda: stnref.target_grid((2.5, 3)),  # type: ignore[arg-type]
        ValueError,
        "shape: expected 2 or 3 positive integers, got (2.5, 3)",
    ),
    "map smaller than the pool": (
        lambda: nn.max_pool2d_forward(X, 6),
        ValueError,
        "X: expected at least 6 rows and columns, got (2, 6, 5, 3)",
    ),
    "map smaller than the filter": (
        lambda: nn.conv2d_forward(X[:, :2], W, b),
        ValueError,
        "X: expected at least 3 rows and columns, got (2, 2, 5, 3)",
    ),
    # unknown names
    "unknown mode": (
        lambda: stnref.grid_sample(U, GRID, mode="lanczos"),
        ValueError,
        "mode: expected one of 'nearest', 'bilinear', 'bicubic', got 'lanczos'",
    ),
    "unknown padding": (
        lambda: stnref.grid_sample(U, GRID, padding_mode="mirror"),
        ValueError,
        "padding_mode: expected one of 'zeros', 'border', 'reflection', 'wrap', got 'mirror'",
    ),
    "unknown kernel": (
        lambda: stnref.sample_forward(U, GRID, kernel="lanczos"),
        ValueError,
        "kernel: expected one of 'nearest', 'linear', 'cubic', 'bspline3', got 'lanczos'",
    ),
    "unknown rule for NaN": (
        lambda: stnref.sample_forward(U, GRID, nonfinite="ignore"),
        ValueError,
        "nonfinite: expected one of 'raise', 'outside', got 'ignore'",
    ),
    "unknown transform": (
        lambda: stnref.get_transform("afine", (4, 5)),
        ValueError,
        "name: expected one of 'translation', 'attention', 'rigid', 'similarity', 'affine'",
    ),
    "unknown need": (
        lambda: stnref.sample_backward(V, SAMPLE, needs=("theta",)),
        ValueError,
        "needs: expected one of 'U', 'points', got 'theta'",
    ),
    "unknown model": (
        lambda: build_network("resnet", (28, 28, 1)),
        ValueError,
        "model: expected one of 'cnn', 'st-cnn', 'fcn', 'st-fcn', got 'resnet'",
    ),
    # upstream gradients and tangents of the wrong shape
    "sample_backward": (
        lambda: stnref.sample_backward(V[:1], SAMPLE),
        ValueError,
        "dV: expected shape (2, 3, 6, 3), got (1, 3, 6, 3)",
    ),
    "grid_sample_backward": (
        lambda: stnref.grid_sample_backward(V[..., 0], GRID_SAMPLE),
        ValueError,
        "dV: expected shape (2, 3, 6, 3), got (2, 3, 6)",
    ),
    "sample_jvp": (
        lambda: stnref.sample_jvp(None, U, SAMPLE),
        ValueError,
        "points_dot: expected shape (2, 3, 6, 2), got (2, 4, 5, 3)",
    ),
    "affine_grid_backward": (
        lambda: stnref.affine_grid_backward(GRID[:1], AFFINE),
        ValueError,
        "dgrid: expected shape (2, 3, 6, 2), got (1, 3, 6, 2)",
    ),
    "affine_grid_jvp": (
        lambda: stnref.affine_grid_jvp(np.zeros((2, 3, 2)), AFFINE),
        ValueError,
        "theta_dot: expected shape (2, 2, 3), got (2, 3, 2)",
    ),
    "unnormalize_backward": (
        lambda: stnref.unnormalize_backward(V, UNNORMALIZE),
        ValueError,
        "dpoints: expected shape (2, 3, 6, 2), got (2, 3, 6, 3)",
    ),
    "rigid_matrix_backward": (
        lambda: stnref.rigid_matrix_backward(THETA[:1], RIGID),
        ValueError,
        "dtheta: expected shape (2, 2, 3), got (1, 2, 3)",
    ),
    "conv2d_backward": (
        lambda: nn.conv2d_backward(X, CONV),
        ValueError,
        "dY: expected shape (2, 4, 3, 4), got (2, 6, 5, 3)",
    ),
    "max_pool2d_backward": (
        lambda: nn.max_pool2d_backward(X, POOL),
        ValueError,
        "dY: expected shape (2, 3, 2, 3), got (2, 6, 5, 3)",
    ),
    "relu_backward": (
        lambda: nn.relu_backward(X[:1], RELU),
        ValueError,
        "dY: expected shape (2, 6, 5, 3), got (1, 6, 5, 3)",
    ),
    "linear_backward": (
        lambda: nn.linear_backward(np.ones((4, 2)), LINEAR),
        ValueError,
        "dY: expected shape (2, 4), got (4, 2)",
    ),
    "softmax_cross_entropy_backward": (
        lambda: nn.softmax_cross_entropy_backward(np.ones(2), LOSS),
        ValueError,
        "dloss: expected shape (), got (2,)",
    ),
    # labels, parameters
    "label too large": (
        lambda: nn.softmax_cross_entropy_forward(np.ones((2, 3)), [0, 3]),
        ValueError,
        "labels: expected values from 0 to 2, got 3 at index 1",
    ),
    "negative label": (
        lambda: nn.softmax_cross_entropy_forward(np.ones((2, 3)), [-1, 0]),
        ValueError,
        "labels: expected values from 0 to 2, got -1 at index 0",
    ),
    "missing parameter": (
        lambda: nn.Linear(3, 4).forward(np.ones((2, 3)), {"W": np.ones((3, 4))}),
        KeyError,
        "params: expected W, b, got W",
    ),
    "picture too small for the CNN": (
        lambda: build_network("cnn", (20, 28, 1)),
        ValueError,
        "in_shape: expected at least 24 rows and columns, got (20, 28, 1)",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES)
def test_bad_input(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    ("dtype", "remedy"),
    [
        *((name, "float32") for name in ("bool", "int8", "uint8", "int16", "uint16", "float16")),
        *((name, "float64") for name in ("int32", "uint32", "int64", "uint64", ">i4")),
        (np.longdouble, "float64"),
        (np.clongdouble, "complex128"),
    ],
)
def test_a_refused_dtype_is_sent_where_nothing_is_lost(dtype: DTypeLike, remedy: str) -> None:
    if np.dtype(dtype) in DTYPES:
        pytest.skip("this machine's long double is float64")
    with pytest.raises(TypeError, match=rf"convert with U\.astype\(numpy\.{remedy}\)$"):
        expect_array("U", np.ones(3, dtype))


def test_label_ids_survive_the_conversion_that_the_message_asks_for() -> None:
    ids = np.array([576073733, 16777217])
    with pytest.raises(TypeError) as refusal:
        expect_array("ids", ids)
    advice = str(refusal.value).split("convert with ")[1]
    assert eval(advice, {"ids": ids, "numpy": np}).tolist() == [576073733, 16777217]


@pytest.mark.parametrize("dtype", [object, str, "datetime64[s]"])
def test_no_conversion_is_advised_where_none_is_meant(dtype: DTypeLike) -> None:
    with pytest.raises(TypeError, match=r"complex128, got [^;]+$"):
        expect_array("U", np.zeros(3, dtype))


@pytest.mark.parametrize("name", ["f4", "f8", "c8", "c16"])
def test_the_other_byte_order_is_taken(name: str) -> None:
    array = expect_array("U", np.array([0.5, -3.0], np.dtype(name).newbyteorder()))
    assert array.dtype == np.dtype(name)
    assert array.tolist() == [0.5, -3.0]


TEXT_FOR_A_FLAG = {
    "target_grid": lambda: stnref.target_grid((2, 3), align_corners="False"),
    "supersampled_grid": lambda: stnref.supersampled_grid((2, 3), 2, align_corners="False"),
    "unnormalize": lambda: stnref.unnormalize_forward(GRID, (4, 5), align_corners="False"),
    "normalize": lambda: coordinates.normalize(GRID, (4, 5), align_corners="False"),
    "grid_sample": lambda: stnref.grid_sample(U, GRID, align_corners="False"),
    "transform": lambda: stnref.get_transform("rigid", (2, 3), align_corners="False"),
    "pixel matrix": lambda: transforms.to_pixel_matrix(
        THETA, (4, 5), (2, 3), align_corners="False"
    ),
    "module": lambda: stnref.SpatialTransformer(
        nn.Flatten(), 60, (2, 3), transform=TRANSFORM, align_corners="False"
    ),
}
TRANSFORM = stnref.get_transform("rigid", (2, 3))


@pytest.mark.parametrize("name", TEXT_FOR_A_FLAG)
def test_a_text_is_no_flag(name: str) -> None:
    with pytest.raises(TypeError, match="align_corners: expected True or False, got 'False'"):
        TEXT_FOR_A_FLAG[name]()


@pytest.mark.parametrize("dtype", [int, np.float16, np.longdouble, np.complex128])
def test_grids_and_parameters_are_float32_or_float64(dtype: DTypeLike) -> None:
    """An integer grid would be [-1, 0, 0, 1], integer weights mostly 0."""
    if np.dtype(dtype) in DTYPES and np.dtype(dtype).kind == "f":
        pytest.skip("this machine's long double is float64")
    rng = np.random.default_rng(0)
    module = stnref.SpatialTransformer(nn.Flatten(), 60, (2, 3))
    for call in (
        lambda: stnref.target_grid((4, 4), dtype=dtype),
        lambda: nn.Linear(2, 3).init(rng, dtype),
        lambda: nn.Conv2d(2, 3, 3).init(rng, dtype),
        lambda: module.init(rng, dtype),
        lambda: stnref.testing.cases(dtype=dtype),
    ):
        with pytest.raises(TypeError, match="dtype: expected float32 or float64, got"):
            call()


@pytest.mark.parametrize(
    "call",
    [
        lambda G: stnref.affine_grid(THETA, G),
        lambda G: stnref.projective_grid_forward(np.zeros((2, 3, 3)), G),
        lambda G: stnref.flow_grid_forward(GRID, G),
        lambda G: stnref.thin_plate_basis(transforms.regular_points((2, 2)), G),
        lambda G: stnref.bspline_basis((4, 4), G),
    ],
)
def test_a_complex_target_grid_is_refused(call: Callable[[np.ndarray], object]) -> None:
    """It is a constant; its imaginary part would be lost."""
    with pytest.raises(TypeError, match="G: expected a real dtype, got complex128"):
        call(G + 0j)


def test_a_mask_is_not_lost() -> None:
    with pytest.raises(TypeError, match=r"U: expected an array, got a masked one; see U\.filled"):
        stnref.grid_sample(np.ma.masked_less(U, 0.5), GRID)


@pytest.mark.parametrize(
    "make",
    [
        lambda: kernels.cubic(np.nan),
        lambda: nn.MaxPool2d(-1),
        lambda: nn.AvgPool2d(0),
        lambda: nn.Conv2d(1, 2, 3, stride={}),
        lambda: nn.Conv2d(1, 2, 3, padding=-1),
    ],
)
def test_constructors_check_what_they_take(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"(a|stride|size|padding): expected an? .*, got"):
        make()


def test_no_result_is_a_view_of_an_input() -> None:
    """So that ``dparams += 5`` leaves dtheta as it is. Flattening is one by contract."""
    for name, ((forward, backward, jvp), inputs, _) in (
        (name, vars(op).values()) for name, op in all_operations().items()
    ):
        if name.startswith(("flatten", "spatial_transformer")):
            continue
        values = list(inputs.values())
        out, cache = forward(*values)
        dout = np.ones_like(out)
        gradients = backward(dout, cache)
        results = [out, *(gradients if isinstance(gradients, tuple) else [gradients])]
        if jvp is not None:
            results.append(jvp(*values, cache))
        for result in results:
            for given in (*values, dout):
                assert not np.shares_memory(result, given), name
