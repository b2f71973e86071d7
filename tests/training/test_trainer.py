"""The loop: it learns, it repeats, and it stops before it spoils anything."""

import numpy as np
import pytest

from stnref import SpatialTransformer, nn
from stnref.data.distortions import Distorted, undistorted
from stnref.nn.schedules import constant
from stnref.training import (
    DataSet,
    DivergenceError,
    Progress,
    Recipe,
    evaluate,
    train_epoch,
)

NETWORK = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(16, 2))


def _data(count: int = 50) -> DataSet:
    """Pictures with a bright upper or lower half."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    images = rng.random((count, 4, 4, 1), dtype=np.float32)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 1
    return DataSet(images, labels, np.zeros(count))


def _recipe(**changes: object) -> Recipe:
    defaults = {
        "epochs": 4,
        "batch": 8,
        "optimizer": nn.SGD(momentum=0.9),
        "rate": 0.05,
        "schedule": constant,
        "multipliers": {},
        "clip": 5.0,
    }
    return Recipe(**{**defaults, **changes})  # type: ignore[arg-type]


def _start(recipe: Recipe, network: nn.Sequential = NETWORK) -> Progress:
    rng = np.random.default_rng(1)
    params = network.init(rng)
    return Progress(params, recipe.optimizer.init(params), rng)


def _epochs(recipe: Recipe, progress: Progress, count: int) -> None:
    for _ in range(count):
        list(train_epoch(NETWORK, _data(), undistorted, recipe, progress))
        progress.epoch, progress.batch = progress.epoch + 1, 0


@pytest.mark.parametrize("optimizer", [nn.SGD(momentum=0.9), nn.SGD(0.9, True), nn.Adam()])
def test_it_learns(optimizer: nn.SGD | nn.Adam) -> None:
    recipe = _recipe(optimizer=optimizer)
    progress = _start(recipe)
    before = evaluate(NETWORK, progress.params, _data())
    _epochs(recipe, progress, 4)
    after = evaluate(NETWORK, progress.params, _data())
    assert after.error < 0.05 < before.error
    assert after.loss < before.loss


def test_the_same_seed_gives_the_same_bits() -> None:
    runs = []
    for _ in range(2):
        progress = _start(_recipe())
        _epochs(_recipe(), progress, 2)
        runs.append(progress.params["fc.W"])
    np.testing.assert_array_equal(*runs)


def test_an_epoch_sees_each_picture_once_and_reports_what_it_saw() -> None:
    seen = []

    def watch(images: np.ndarray, rng: np.random.Generator) -> Distorted:
        seen.append(images)
        return undistorted(images, rng)

    recipe, data = _recipe(), _data()
    steps = list(train_epoch(NETWORK, data, watch, recipe, _start(recipe)))
    pictures = np.concatenate(seen)
    assert [len(images) for images in seen] == [8, 8, 8, 8, 8, 8, 2]
    assert [step.batch for step in steps] == list(range(7))
    np.testing.assert_array_equal(
        np.sort(pictures.sum(axis=(1, 2, 3))), np.sort(data.images.sum(axis=(1, 2, 3)))
    )


def test_distortions_are_fresh_in_every_epoch() -> None:
    drawn = []

    def draw(images: np.ndarray, rng: np.random.Generator) -> Distorted:
        drawn.append(rng.random())
        return undistorted(images, rng)

    recipe = _recipe()
    progress = _start(recipe)
    for _ in range(2):
        list(train_epoch(NETWORK, _data(), draw, recipe, progress))
        progress.epoch, progress.batch = progress.epoch + 1, 0
    assert len(set(drawn)) == 14


def test_a_group_with_rate_zero_stays_where_it_is() -> None:
    recipe = _recipe(multipliers={"fc.W": 0.0})
    progress = _start(recipe)
    before = progress.params
    _epochs(recipe, progress, 1)
    np.testing.assert_array_equal(progress.params["fc.W"], before["fc.W"])
    assert not np.array_equal(progress.params["fc.b"], before["fc.b"])


def _transformer_network() -> nn.Sequential:
    st = SpatialTransformer(nn.Flatten(), 16, (4, 4))
    return nn.Sequential(st=st, flatten=nn.Flatten(), fc=nn.Linear(16, 2))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "st.regression.b",
            np.nan,
            r"the loss: expected finite values, got others at epoch 1, batch 1, rate 0\.05; "
            r"suspect: layer st, its sampling grid \(grid: expected finite values, got nan",
        ),
        ("fc.b", np.inf, r"the loss: .* suspect: layer fc, its output"),
    ],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_suspect(
    name: str, value: float, message: str
) -> None:
    network, recipe = _transformer_network(), _recipe()
    progress = _start(recipe, network)
    progress.params = {**progress.params, name: np.full_like(progress.params[name], value)}
    with pytest.raises(DivergenceError, match=message):
        next(train_epoch(network, _data(), undistorted, recipe, progress))


def test_a_test_loss_that_is_not_finite_names_the_suspect() -> None:
    recipe = _recipe()
    progress = _start(recipe)
    params = {**progress.params, "fc.W": np.full((16, 2), 3e38, dtype=np.float32)}
    message = r"the test loss: expected finite values, .* at picture 0 on; suspect: layer fc"
    with pytest.raises(DivergenceError, match=message):
        evaluate(NETWORK, params, _data())


def test_a_run_that_explodes_keeps_the_last_finite_parameters() -> None:
    recipe = _recipe(rate=1e38, clip=1e30)
    progress = _start(recipe)
    with pytest.raises(DivergenceError, match="A smaller rate or a smaller clip may help"):
        _epochs(recipe, progress, 4)
    assert all(np.isfinite(value).all() for value in progress.params.values())
    assert all(np.isfinite(value).all() for value in progress.optimizer.values())
