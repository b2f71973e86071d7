"""What is seen of a transformer while it trains, on grids whose answer is known."""

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest

from stnref import SpatialTransformer, nn, transforms
from stnref.experiments import run as run_module
from stnref.training import TransformerState, watch

IMAGES = np.random.default_rng(0).random((3, 9, 7, 2))


def _seen(name: str, theta: list[float], **options: bool) -> TransformerState:
    st = SpatialTransformer(nn.Flatten(), 126, (5, 4), transform=name, **options)
    params = st.init(np.random.default_rng(0), dtype=np.float64)
    params["regression.b"][:] = theta
    return watch(st, IMAGES, params)


@pytest.mark.parametrize("corners", [True, False])
def test_an_affine_theta_is_found_again(corners: bool) -> None:
    seen = _seen("affine", [0.5, 0.2, 0, -0.1, 0.4, 0], align_corners=corners)
    assert seen.determinant == pytest.approx(0.5 * 0.4 + 0.2 * 0.1)
    assert seen.scale == pytest.approx(seen.determinant**0.5)
    assert (seen.outside, seen.zero_gradient, seen.warning) == (0, 0, "")


def test_a_mirror_has_a_negative_determinant() -> None:
    seen = _seen("affine", [-1, 0, 0, 0, 1, 0])
    assert seen.determinant == pytest.approx(-1)
    assert seen.scale == pytest.approx(1)


@pytest.mark.parametrize(
    ("theta", "warning"),
    [
        ([3, 0, 0], "the transformer is zooming out: 90% of the samples outside, scale 3"),
        ([0.5, 4, 0], "the transformer looks beside the picture: 100% of the samples outside"),
        ([0.01, 0, 0], "the transformer is zooming in on a point: 0% of the samples outside"),
    ],
)
def test_each_way_to_fail_has_its_words(theta: list[float], warning: str) -> None:
    assert _seen("attention", theta).warning.startswith(warning)


def test_flat_pictures_give_no_gradient() -> None:
    st = SpatialTransformer(nn.Flatten(), 25, (5, 5), transform="translation")
    params = st.init(np.random.default_rng(0))
    params["regression.b"][:] = 0.01  # off the pixels, and inside but for the last row and column
    seen = watch(st, np.ones((2, 5, 5, 1)), params)
    assert seen.zero_gradient == pytest.approx(16 / 25)
    nothing = watch(st, np.zeros((2, 5, 5, 1)), params)
    assert nothing.warning == (
        "no gradient comes back from 100% of the samples: 0% of the samples outside, scale 1"
    )


def test_any_transform_and_volumes_are_watched() -> None:
    for name in transforms.TRANSFORMS:
        st = SpatialTransformer(nn.Flatten(), 126, (9, 7), transform=name)
        seen = watch(st, IMAGES, st.init(np.random.default_rng(0)))
        assert (seen.scale, seen.outside) == (pytest.approx(1, abs=1e-6), 0)
    st = SpatialTransformer(nn.Flatten(), 60, (3, 4, 5), transform="affine3d")
    volumes = np.random.default_rng(1).random((2, 3, 4, 5, 1))
    assert watch(st, volumes, st.init(np.random.default_rng(0))).determinant == pytest.approx(1)


def test_a_run_writes_it_into_its_history_and_warns(tmp_path: Path) -> None:
    sizes = {"epochs": 2, "batch": 8, "train_size": 16, "test_size": 8, "hidden": 4}
    config = run_module.Config(model="st-fcn", transform="attention", **sizes)
    wild = dataclasses.replace(
        config, optimizer="sgd", rate=3.0, clip=np.inf, localisation_rate=30, schedule="constant"
    )
    said = io.StringIO()
    run_module.train_run(wild, tmp_path / "run", stream=said)
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert list(rows[0]) == [*run_module.COLUMNS, *TransformerState._fields]
    states = [TransformerState(*(float(row[k]) for k in TransformerState._fields)) for row in rows]
    warned = [line for line in said.getvalue().splitlines() if line.startswith("warning: ")]
    assert warned == [f"warning: {s.warning}" for s in states if s.warning]
    assert warned
    run_module.train_run(dataclasses.replace(config, model="fcn"), tmp_path / "plain")
    text = (tmp_path / "plain" / "history.csv").read_text()
    assert text.splitlines()[0] == ",".join(run_module.COLUMNS)
