"""One run: a configuration, a folder, and what training leaves there.

config.json       what was asked for
checkpoint.npz    where the run stands, see `stnref.training.checkpoint`
history.csv       one row for each epoch
result.json       test error as a fraction, what else there is to say at the end, and versions
curves.png        learning curves
sheet.png         test digits with the sampling grid on them, and what the transformer passed on
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import platform
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from stnref._version import __version__
from stnref.data.digits import draw_digits
from stnref.data.distortions import DISTORTIONS
from stnref.data.mnist import load_mnist
from stnref.experiments.alignment import ClassAlignment, alignment, grid_angle
from stnref.experiments.networks import MODELS, TRANSFORMER, build_network
from stnref.files import remove_temporaries, write_atomic
from stnref.nn import SCHEDULES, SGD, Adam, Params, Sequential
from stnref.nn.sequential import under
from stnref.spatial_transformer import SpatialTransformer
from stnref.training import (
    DataSet,
    Evaluation,
    Progress,
    Recipe,
    TransformerState,
    evaluate,
    load_checkpoint,
    reported,
    save_checkpoint,
    train_epoch,
    watch,
)
from stnref.transforms import TRANSFORMS
from stnref.validation import Array, expect_choice, expect_count, expect_number

FILTERS = {"digits": 16, "mnist": 32}
"""Filters of the CNN for each data set: as many as it needs, so that the transformer has a task."""

OPTIMIZERS = ("adam", "sgd")
CHOICES: dict[str, Collection[str]] = {
    "data": FILTERS,
    "distortion": DISTORTIONS,
    "model": MODELS,
    "transform": TRANSFORMS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
"""What there is of the fields of a Config that are names."""

FILES = ("config.json", "checkpoint.npz", "history.csv", "result.json", "curves.png", "sheet.png")
"""What a run folder holds in the end."""

COLUMNS = ("epoch", "loss", "train_error", "test_loss", "test_error", "seconds")
"""What is said of an epoch, and behind it, of a transformer, what `watch` sees."""

TEST_SEED = 2015
"""Seed of the test set and its distortions: every run is tested on the same pictures."""


@dataclass(frozen=True)
class Config:
    """What `stnref train` is asked for; its options have these names.

    Raises
    ------
    ValueError
        A value is not one of those that there are.
    """

    data: str = "digits"
    distortion: str = "R"
    model: str = "st-cnn"
    transform: str = "affine"
    filters: int | None = None  # unless given, what FILTERS says
    hidden: int = 256
    epochs: int = 10
    batch: int = 128
    rate: float = 1e-3
    optimizer: str = "adam"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = "one-cycle"
    localisation_rate: float = 2.0
    clip: float = 5.0
    train_size: int = 15_000
    test_size: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            expect_choice(name, getattr(self, name), choices)
        for name in ("filters", "hidden", "epochs", "batch", "train_size", "test_size"):
            if getattr(self, name) is not None:
                expect_count(name, getattr(self, name))
        expect_count("seed", self.seed, least=0)
        expect_number("rate", self.rate, above=0)
        if self.clip != np.inf:  # which is not to clip
            expect_number("clip", self.clip, above=0)
        expect_number("localisation_rate", self.localisation_rate, least=0)
        SGD(self.momentum, self.nesterov, self.weight_decay)  # it knows what it takes

    @property
    def has_transformer(self) -> bool:
        """Whether the model begins with a spatial transformer."""
        return self.model.startswith("st-")

    def network(self) -> Sequential:
        """Build the network for 28x28 pictures."""
        return build_network(
            self.model,
            (28, 28, 1),
            filters=self.filters or FILTERS[self.data],
            hidden=self.hidden,
            transform=self.transform,
        )

    def recipe(self) -> Recipe:
        """Return how to train it."""
        sgd = SGD(self.momentum, self.nesterov, self.weight_decay)
        return Recipe(
            epochs=self.epochs,
            batch=self.batch,
            optimizer=sgd if self.optimizer == "sgd" else Adam(weight_decay=self.weight_decay),
            rate=self.rate,
            schedule=SCHEDULES[self.schedule],
            multipliers={f"{TRANSFORMER}.": self.localisation_rate} if self.has_transformer else {},
            clip=self.clip,
        )


def train_run(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    data_dir: Path | None = None,
    checkpoint_every: int = 100,
    stream: TextIO | None = None,
) -> dict[str, Any]:
    """Train as `config` says and write the run folder; return what stands in result.json.

    Parameters
    ----------
    config : Config
    folder : pathlib.Path
        It is made if there is none.
    resume : bool
        Go on from the checkpoint in `folder` if there is one.
    data_dir : pathlib.Path, optional
        Where MNIST lies, see `load_mnist`.
    checkpoint_every : int
        Batches between two checkpoints; there is one at the end of each epoch besides.
    stream : text file, optional
        Where to report, stderr unless told.

    Returns
    -------
    dict
        Numbers and names by their keys in the file.

    Raises
    ------
    FileExistsError
        The folder holds a run and `resume` was not asked for.
    ValueError
        The folder holds a run of another configuration, or cannot be read.
    stnref.training.DivergenceError
        Training diverged; the last checkpoint is kept.
    """
    stream = stream or sys.stderr
    expect_count("checkpoint_every", checkpoint_every)
    _expect_same_run(config, folder, resume)
    network, recipe = config.network(), config.recipe()
    train = _data(config, "train", config.train_size, config.seed + 1, data_dir)
    test = _test_set(config, data_dir)
    folder.mkdir(parents=True, exist_ok=True)  # not before there are data: nothing is left behind
    _claim(config, folder, resume)
    progress = _start(config, len(train.labels), folder / "checkpoint.npz")
    save_checkpoint(folder / "checkpoint.npz", progress)
    _write_history(folder / "history.csv", progress)  # it may lack the last row, or be gone
    while progress.epoch < config.epochs:
        steps = train_epoch(network, train, DISTORTIONS[config.distortion], recipe, progress)
        for step in reported(steps, epochs=config.epochs, stream=stream):
            if (step.batch + 1) % checkpoint_every == 0:
                save_checkpoint(folder / "checkpoint.npz", progress)
        run = Run(config, network, progress.params, test)
        row = _close_epoch(progress, run.evaluate(), len(train.labels))
        if config.has_transformer:
            state = run.watch()
            row.update(state._asdict())
            if state.warning:
                print(f"warning: {state.warning}", file=stream)
        save_checkpoint(folder / "checkpoint.npz", progress)
        _write_history(folder / "history.csv", progress)
        print(
            f"epoch {row['epoch']}/{config.epochs}  loss {row['loss']:.4f}  train error "
            f"{row['train_error']:.2%}  test error {row['test_error']:.2%}  {row['seconds']:.0f} s",
            file=stream,
            flush=True,
        )
    return _write_results(folder, Run(config, network, progress.params, test), progress)


class Run(NamedTuple):
    """A network with its parameters, and the test set that belongs to it."""

    config: Config
    network: Sequential
    params: Params
    test: DataSet

    def evaluate(self) -> Evaluation:
        """Test the network."""
        return evaluate(self.network, self.params, self.test)

    @property
    def transformer(self) -> SpatialTransformer:
        """The network's transformer, if `config` has one."""
        layer = self.network.layers[TRANSFORMER]
        assert isinstance(layer, SpatialTransformer)
        return layer

    def transformed(self, images: Array) -> tuple[Array, Array]:
        """Return the output (B, H', W', C) and the grid of the network's transformer."""
        V, cache = self.transformer.forward(images, under(TRANSFORMER, self.params))
        return V, cache.grid

    def watch(self) -> TransformerState:
        """See where the transformer looks, on some of the test pictures."""
        return watch(self.transformer, self.test.images[:250], under(TRANSFORMER, self.params))

    def alignment(self) -> list[ClassAlignment]:
        """Return the alignment per class; nothing for a network without transformer."""
        if not self.config.has_transformer:
            return []
        parts = np.array_split(self.test.images, max(1, len(self.test.images) // 500))
        turned = [grid_angle(self.transformed(part)[1]) for part in parts]
        return alignment(self.test.labels, self.test.angle, np.concatenate(turned))

    def some_of_each(self, count: int) -> Array:
        """Return the first `count` test pictures of each class, class by class in turn."""
        labels = self.test.labels
        indices = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
        depth = min(len(own) for own in indices)
        return self.test.images[np.stack([own[:depth] for own in indices], axis=1).ravel()]


def load_run(folder: Path, *, data_dir: Path | None = None) -> Run:
    """Read a run folder, and make its test set.

    Parameters
    ----------
    folder : pathlib.Path
    data_dir : pathlib.Path, optional
        Where MNIST lies, see `load_mnist`.

    Returns
    -------
    Run

    Raises
    ------
    FileNotFoundError, ValueError
        The folder holds no run that can be read.
    """
    config = read_config(folder / "config.json")
    params = load_checkpoint(folder / "checkpoint.npz", _fresh(config)).params
    return Run(config, config.network(), params, _test_set(config, data_dir))


def read_config(path: Path) -> Config:
    """Read the configuration of a run.

    Parameters
    ----------
    path : pathlib.Path
        The run's config.json.

    Returns
    -------
    Config

    Raises
    ------
    FileNotFoundError, ValueError
        There is no such file, or it is no configuration.
    """
    try:
        return Config(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"{path.parent}: expected a run folder, got no {path.name}"
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: expected a run's configuration, got {error}") from error


# ---------------------------------------------------------------------------- parts of a run


def _expect_same_run(config: Config, folder: Path, resume: bool) -> None:
    """See that the folder holds no run, or, to resume it, one of the same configuration."""
    there = [name for name in FILES if (folder / name).exists()]
    if there and not resume:
        raise FileExistsError(
            f"{folder}: expected no run there, got one; go on with --resume, or name another"
        )
    if there and "config.json" not in there:
        raise FileNotFoundError(
            f"{folder}: expected config.json beside {there[0]}, got none; name another folder"
        )
    if not there:
        return
    own = dataclasses.asdict(read_config(folder / "config.json"))
    for name, value in dataclasses.asdict(config).items():
        if own[name] != value:
            raise ValueError(
                f"{folder}: expected a run with {name} {value}, got {own[name]}; name "
                "another folder, or ask for the same"
            )


def _claim(config: Config, folder: Path, resume: bool) -> None:
    """Write config.json: of two processes that start in one folder, one is told that it is late."""
    for name in FILES:
        remove_temporaries(folder / name)
    try:
        asked = _json(dataclasses.asdict(config))
        write_atomic(folder / "config.json", asked, exclusive=True)
    except FileExistsError:
        _expect_same_run(config, folder, resume)


def _test_set(config: Config, data_dir: Path | None) -> DataSet:
    """Return the test pictures, distorted once and for all."""
    test = _data(config, "test", config.test_size, TEST_SEED, data_dir)
    rng = np.random.default_rng([TEST_SEED, 1])
    images, angle = DISTORTIONS[config.distortion](test.images, rng)
    return DataSet(images, test.labels, test.angle + angle)


def _data(config: Config, split: str, size: int, seed: int, data_dir: Path | None) -> DataSet:
    """Draw as many digits, or read that split of MNIST."""
    if config.data == "mnist":
        try:
            images, labels = load_mnist(split, data_dir=data_dir)
        except OSError as error:
            raise OSError(
                f"{error}\n--data-dir names a folder that has it; train --data digits needs none"
            ) from error
        return DataSet(images, labels, np.zeros(len(labels)))
    digits = draw_digits(size, np.random.default_rng([seed, 0]))
    return DataSet(digits.images, digits.labels, digits.angle)


def _fresh(config: Config) -> Progress:
    """Return the progress of a run that has not begun."""
    rng = np.random.default_rng(config.seed)
    params = config.network().init(rng)
    return Progress(params, config.recipe().optimizer.init(params), rng)


def _start(config: Config, count: int, checkpoint: Path) -> Progress:
    """Return the progress of the checkpoint if there is one, else that of a fresh run."""
    fresh = _fresh(config)
    if not checkpoint.exists():
        return fresh
    progress = load_checkpoint(checkpoint, fresh)
    batches, under_way = -(-count // config.batch), progress.batch > 0
    if progress.epoch + under_way > config.epochs or (
        under_way and (progress.batch > batches or len(progress.order) != count)
    ):
        raise ValueError(
            f"{checkpoint}: expected {config.epochs} epochs of {batches} batches of {count} "
            f"pictures, got epoch {progress.epoch}, batch {progress.batch}, "
            f"{len(progress.order)} pictures; delete it to start anew"
        )
    return progress


def _close_epoch(progress: Progress, test: Evaluation, count: int) -> dict[str, float]:
    """Append the epoch's row to the history and make ready for the next one."""
    row = {
        "epoch": progress.epoch + 1,
        "loss": progress.loss_sum / count,
        "train_error": progress.wrong / count,
        "test_loss": test.loss,
        "test_error": test.error,
        "seconds": round(progress.seconds, 1),
    }
    progress.history.append(row)
    progress.epoch += 1
    progress.batch, progress.loss_sum, progress.wrong = 0, 0.0, 0
    progress.order = np.empty(0, dtype=np.intp)
    return row


def _write_history(path: Path, progress: Progress) -> None:
    text = io.StringIO()
    watched = [name for row in progress.history[:1] for name in row if name not in COLUMNS]
    writer = csv.DictWriter(text, [*COLUMNS, *watched], lineterminator="\n")
    writer.writeheader()
    writer.writerows(progress.history)
    write_atomic(path, text.getvalue().encode())


def _write_results(folder: Path, run: Run, progress: Progress) -> dict[str, Any]:
    """Write result.json and the pictures."""
    from stnref import viz  # matplotlib is slow to import, and only wanted here

    last = progress.history[-1]
    result = {
        "test_error": last["test_error"],
        "train_error": last["train_error"],
        "epochs": progress.epoch,
        "seconds": last["seconds"],
        "parameters": sum(p.size for p in run.params.values()),
        "alignment": [row._asdict() for row in run.alignment()],
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "stnref": __version__,
        },
    }
    write_atomic(folder / "result.json", _json(result))
    figure = viz.new_figure(5, 6 if run.config.has_transformer else 3.5)
    axes = figure.subplots(1 + run.config.has_transformer, 1, sharex=True, squeeze=False)[:, 0]
    viz.plot_learning_curves({run.config.model: progress.history}, ax=axes[0])
    if run.config.has_transformer:
        viz.plot_transformer(progress.history, ax=axes[1])
    viz.save_figure(figure, folder / "curves.png")
    if run.config.has_transformer:
        images = run.some_of_each(3)
        outputs, grids = run.transformed(images)
        viz.save_figure(viz.plot_sheet(images, grids, outputs), folder / "sheet.png")
    return result


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
