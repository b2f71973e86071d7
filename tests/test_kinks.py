"""The kink report: how many samples lie on a kink, where, and within what distance."""

import numpy as np
import pytest

from stnref import affine_grid, kink_report, sample_forward, target_grid, unnormalize_forward
from stnref.padding import PADDINGS, PaddingLike


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("align_corners", [True, False])
def test_the_identity_at_equal_size_puts_every_sample_on_a_kink(
    align_corners: bool, dtype: type
) -> None:
    for shape in ((28, 42), (5, 7)):
        G = target_grid(shape, align_corners=align_corners, dtype=dtype)
        grid = affine_grid(np.eye(2, 3, dtype=dtype)[None], G)
        points, _ = unnormalize_forward(grid, shape, align_corners=align_corners)
        report = kink_report(points, shape)
        assert report.n_kinks == report.n_samples == shape[0] * shape[1]
        assert report.on_kink.all()
        assert report.distance.dtype == dtype


def test_where_and_how_far() -> None:
    """With zeros, the outermost lines are at -1 and at n: here x = 5 and y = 4."""
    points = np.array([[0.25, 1.5], [2.0, 0.4], [-1.0, 3.3], [-3.0, 9.0]]).reshape(1, 2, 2, 2)
    report = kink_report(points, (4, 5))
    np.testing.assert_array_equal(
        report.on_kink[0], [[[False, False], [True, False]], [[True, False], [False, False]]]
    )
    assert (report.n_kinks, report.n_samples) == (2, 4)
    expected = [[[0.25, 0.5], [0, 0.4]], [[0, 0.3], [2, 5]]]
    np.testing.assert_allclose(report.distance[0], expected)
    assert str(report).endswith("the first at [0, 0, 1], [0, 1, 0]")


@pytest.mark.parametrize(
    ("padding", "outside"),
    [
        ("zeros", [1.3, 0.3, 0.2, 2.4]),  # to -1, -1, 5 and 5
        ("border", [2.3, 0.7, 0.8, 3.4]),  # to 0, 0, 4 and 4
        ("reflection_centres", [0.3, 0.3, 0.2, 0.4]),  # to -2, -1, 5 and 7
        ("reflection_edges", [0.3, 0.3, 0.2, 0.4]),
        ("wrap", [0.3, 0.3, 0.2, 0.4]),
        (("zeros", "border"), [1.3, 0.3, 0.2, 2.4]),
        (("border", "zeros"), [2.3, 0.7, 0.8, 3.4]),
    ],
)
def test_how_far_the_lines_go_on_depends_on_the_padding(
    padding: PaddingLike, outside: list[float]
) -> None:
    inside = [0.0, 0.3, 1.5, 3.9]
    x = np.array([*inside, -2.3, -0.7, 4.8, 7.4])
    points = np.stack([x, np.full(8, 0.5)], axis=-1).reshape(1, 1, 8, 2)
    report = kink_report(points, (4, 5), padding=padding)
    expected = [0, 0.3, 0.5, 0.1, *outside]
    np.testing.assert_allclose(report.distance[0, 0, :, 0], expected, atol=1e-12)


@pytest.mark.parametrize("padding", PADDINGS)
def test_between_the_lines_the_map_does_not_bend(padding: str) -> None:
    """Along x it is linear over the stretch that the distance promises, up to the line."""
    rng = np.random.default_rng(0)
    U = rng.standard_normal((1, 4, 5, 1))
    x = rng.uniform(-7, 11, 40)
    points = np.stack([x, np.full(40, 1.25)], axis=-1).reshape(1, 1, 40, 2)
    free = kink_report(points, U.shape[1:3], padding=padding).distance * [1, 0]  # (1, 1, 40, 2)
    before, middle, after = (
        sample_forward(U, points + sign * free, padding=padding)[0] for sign in (-1, 0, 1)
    )
    np.testing.assert_allclose(before + after, 2 * middle, atol=1e-12)


def test_an_unknown_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="padding: expected one of"):
        kink_report(np.zeros((1, 2, 2, 2)), (4, 5), padding="mirror")


def test_the_tolerance() -> None:
    points = np.array([1 + 1e-6, 0.5]).reshape(1, 1, 1, 2)
    assert kink_report(points, (4, 5)).n_kinks == 0
    assert kink_report(points, (4, 5), tol=1e-5).n_kinks == 1
    assert str(kink_report(points, (4, 5), tol=0.1)).startswith("1 of 1 samples lie on a kink (wi")


def test_volumes() -> None:
    points = np.array([0.5, 0.5, 1.0]).reshape(1, 1, 1, 1, 3)
    np.testing.assert_array_equal(kink_report(points, (2, 3, 4)).on_kink.ravel(), [0, 0, 1])


@pytest.mark.parametrize(
    ("points", "shape", "message"),
    [
        (np.zeros((1, 2, 2, 3)), (4, 5), r"points: expected shape \(B, H', W', 2\)"),
        (np.zeros((1, 2, 2, 2)), (4,), "shape: expected 2 or 3 positive integers"),
    ],
)
def test_bad_input(points: np.ndarray, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kink_report(points, shape)
