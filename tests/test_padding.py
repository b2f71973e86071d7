"""Paddings: maps on indices, against NumPy's pad and against their definition."""

import importlib

import numpy as np
import pytest

from stnref import sample_forward
from stnref.padding import PADDINGS, border, get_paddings, wrap
from tests.signatures import expect_names

NUMPY = {
    "zeros": "constant",
    "border": "edge",
    "reflection_centres": "reflect",
    "reflection_edges": "symmetric",
    "wrap": "wrap",
}


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize("name", PADDINGS)
def test_the_extended_axis_is_that_of_numpy(name: str, n: int) -> None:
    row = np.random.default_rng(n).random(n)
    m = np.arange(-17.0, n + 17)
    index, inside = PADDINGS[name](m, n)
    mode = "edge" if n == 1 and name == "reflection_centres" else NUMPY[name]
    np.testing.assert_array_equal(
        np.where(inside, row[index.astype(int)], 0), np.pad(row, 17, mode)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PADDINGS)
def test_indices_however_large_are_in_range(name: str, dtype: type) -> None:
    largest = float(np.finfo(dtype).max)
    m = np.array([-largest, -1e30, -1e18, -(2.0**24), 2.0**24, 1e18, 1e30, largest], dtype=dtype)
    for n in (1, 2, 5):
        index, inside = PADDINGS[name](m, n)
        assert index.dtype == dtype
        np.testing.assert_array_equal(index, np.rint(index))
        assert index.min() >= 0
        assert index.max() < n
        assert inside.any() == (name != "zeros")


@pytest.mark.parametrize("kernel", ["nearest", "linear", "cubic", "bspline3"])
@pytest.mark.parametrize("name", PADDINGS)
def test_sampling_outside_is_sampling_of_the_extended_map(kernel: str, name: str) -> None:
    """Pad by hand, sample inside: the same, for every kernel."""
    rng = np.random.default_rng(0)
    U = rng.random((2, 4, 5, 3))
    points = rng.uniform([-9, -9], [13, 12], (2, 6, 7, 2))
    by_hand = np.pad(U, ((0, 0), (12, 12), (12, 12), (0, 0)), NUMPY[name])
    V, _ = sample_forward(U, points, kernel=kernel, padding=name)
    expected, _ = sample_forward(by_hand, points + 12, kernel=kernel)
    np.testing.assert_allclose(V, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", ["nearest", "linear", "cubic", "bspline3"])
def test_a_padding_for_each_axis(kernel: str) -> None:
    """A panorama goes round in x and ends in y; by hand, one axis after the other."""
    rng = np.random.default_rng(1)
    U = rng.random((2, 4, 5, 3))
    points = rng.uniform([-9, -9], [13, 12], (2, 6, 7, 2))
    by_hand = np.pad(U, ((0, 0), (0, 0), (12, 12), (0, 0)), "wrap")
    by_hand = np.pad(by_hand, ((0, 0), (12, 12), (0, 0), (0, 0)), "edge")
    V, _ = sample_forward(U, points, kernel=kernel, padding=("wrap", border))
    expected, _ = sample_forward(by_hand, points + 12, kernel=kernel)
    np.testing.assert_allclose(V, expected, rtol=1e-12, atol=1e-12)


def test_a_padding_for_each_axis_of_a_volume() -> None:
    U = np.arange(24.0).reshape(1, 2, 3, 4, 1)
    points = np.array([[-1.0, -1, -1], [4, 3, 2]]).reshape(1, 1, 1, 2, 3)
    V, _ = sample_forward(U, points, padding=["wrap", "border", "reflection_edges"])
    assert V.ravel().tolist() == [3, 20]  # U[0, 0, 0, 3], U[0, 1, 2, 0]


def test_a_padding_of_ones_own() -> None:
    """The picture's negative index is its last pixel, what lies beyond is zero."""

    def once_more(m: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        return np.mod(m, n).astype(np.intp), (m >= -n) & (m < n)

    assert get_paddings(once_more, 2) == (once_more, once_more)
    U = np.arange(4.0).reshape(1, 1, 4, 1)
    points = np.array([[-1.0, 0], [3.5, 0], [4.0, 0]]).reshape(1, 1, 3, 2)
    assert sample_forward(U, points, padding=once_more)[0].ravel().tolist() == [3, 1.5, 0]


@pytest.mark.parametrize(
    ("padding", "message"),
    [
        ("mirror", "padding: expected one of 'zeros', 'border', 'reflection_centres', .*'mirror'"),
        (("wrap", "mirror"), "padding: expected one of .*'mirror'"),
        (("wrap",), "padding: expected one, or one for each of xy, got 1"),
        ((wrap, wrap, wrap), "padding: expected one, or one for each of xy, got 3"),
    ],
)
def test_bad_input(padding: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get_paddings(padding, 2)  # type: ignore[arg-type]


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.padding"))
