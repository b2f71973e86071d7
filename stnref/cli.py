"""The ``stnref`` command: train, evaluate, check."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from stnref.experiments.alignment import ClassAlignment
from stnref.experiments.run import Config, load_run, train_run
from stnref.training.trainer import DivergenceError
from stnref.transforms import TRANSFORMS

HELP = {
    "data": "digits drawn from strokes (embedded), or MNIST",
    "distortion": "the paper's letter, or none",
    "model": "cnn, st-cnn, fcn or st-fcn",
    "transform": "what the transformer predicts: " + ", ".join(TRANSFORMS),
    "filters": "filters of each convolution of the CNN; 32 for mnist, 16 for digits unless given",
    "hidden": "units of each hidden layer of the FCN",
    "epochs": "passes over the training set",
    "batch": "pictures in a batch",
    "rate": "peak learning rate",
    "optimizer": "adam or sgd",
    "momentum": "momentum of sgd",
    "nesterov": "Nesterov's momentum",
    "weight_decay": "factor of the L2 penalty's gradient",
    "schedule": "constant, step, cosine or one-cycle",
    "localisation_rate": "factor on the rate of the transformer's own parameters",
    "clip": "largest norm of the gradient",
    "train_size": "number of drawn digits to train on",
    "test_size": "number of drawn digits to test on",
    "seed": "seed of everything random but the test set",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Returns
    -------
    argparse.ArgumentParser
    """
    top = argparse.ArgumentParser(
        prog="stnref", description="Reference implementation of spatial transformer networks."
    )
    commands = top.add_subparsers(dest="command", required=True)

    train = commands.add_parser(
        "train",
        help="train a network and write a run folder",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type == "bool":
            train.add_argument(option, action="store_true", help=HELP[field.name])
        else:
            convert = {"str": str, "int": int, "float": float}[str(field.type).split(" ")[0]]
            train.add_argument(option, type=convert, default=field.default, help=HELP[field.name])
    train.add_argument(
        "--out", type=Path, default=None, help="run folder (default: runs/ and the run's name)"
    )
    train.add_argument("--data-dir", type=Path, default=None, help="where MNIST lies")
    train.add_argument(
        "--resume", action="store_true", help="go on where the run in the folder stopped"
    )
    train.add_argument(
        "--checkpoint-every", type=int, default=100, help="batches between two checkpoints"
    )

    evaluate = commands.add_parser("evaluate", help="test the networks of run folders")
    evaluate.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folder")
    evaluate.add_argument("--data-dir", type=Path, default=None, help="where MNIST lies")

    check = commands.add_parser("check", help="check the gradients of all operations, or of a file")
    check.add_argument(
        "path",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="Python file with functions named like stnref's, relu_forward and relu_backward: "
        "it is run, and their values and gradients are checked",
    )
    check.add_argument("--seed", type=int, default=0, help="seed of the inputs")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process unless told.

    Returns
    -------
    int
        0, 1 if a check failed, 2 after an error, which it prints, or 130 if it was interrupted.
    """
    args = vars(parser().parse_args(argv))
    commands: dict[str, Callable[..., int]] = {
        "train": _train,
        "evaluate": _evaluate,
        "check": _check,
    }
    command = commands[args.pop("command")]
    try:
        return command(**args)
    except (OSError, ValueError, DivergenceError) as error:
        print(f"stnref: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stnref: interrupted; --resume goes on from the last checkpoint", file=sys.stderr)
        return 130


def _train(
    *,
    out: Path | None,
    data_dir: Path | None,
    resume: bool,
    checkpoint_every: int,
    **options: str | int | float | bool | None,
) -> int:
    config = Config(**options)  # type: ignore[arg-type]
    folder = out or Path("runs") / default_name(config)
    result = train_run(
        config, folder, resume=resume, data_dir=data_dir, checkpoint_every=checkpoint_every
    )
    print(f"{config.model} on {config.data}, distortion {config.distortion}: {folder}")
    print(f"test error {result['test_error']:.2%} after {result['epochs']} epochs")
    _print_alignment([ClassAlignment(**row) for row in result["alignment"]])
    return 0


def default_name(config: Config) -> str:
    """Return a name of the run out of what sets it apart.

    Parameters
    ----------
    config : Config

    Returns
    -------
    str

    Examples
    --------
    >>> default_name(Config(model="cnn")), default_name(Config(transform="rigid", seed=3))
    ('digits-R-cnn-seed0', 'digits-R-st-cnn-rigid-seed3')
    """
    transform = [config.transform] if config.has_transformer else []
    parts = [config.data, config.distortion, config.model, *transform, f"seed{config.seed}"]
    return "-".join(parts)


def _evaluate(*, runs: Sequence[Path], data_dir: Path | None) -> int:
    for folder in runs:
        run = load_run(folder, data_dir=data_dir)
        config, answers = run.config, run.evaluate()
        print(f"{config.model} on {config.data}, distortion {config.distortion}: {folder}")
        print(f"test error {answers.error:.2%}  ({answers.wrong.sum()} of {len(answers.wrong)})")
        _print_alignment(run.alignment())
    return 0


def _print_alignment(rows: Sequence[ClassAlignment]) -> None:
    if not rows:
        return
    print("circular standard deviation of the digits' angle, degrees")
    print("  class  input  after the transformer  ratio")
    for row in rows:
        # A class of one digit, or of digits that all stand alike, has no ratio.
        ratio = row.left / row.known if row.known > 1e-5 else float("nan")
        print(f"  {row.label:5d}  {row.known:5.1f}  {row.left:21.1f}  {ratio:5.2f}")


def _check(*, path: Path | None, seed: int) -> int:
    if path is not None:
        return _check_file(path, seed)
    from stnref.checks.catalogue import check_all, table

    reports = check_all(seed)
    print(table(reports))
    failed = [name for name, report in reports.items() if not report.ok]
    print(f"{len(reports) - len(failed)} of {len(reports)} operations pass")
    for name in failed:
        print(f"\n{name}\n{reports[name]}")
    return 1 if failed else 0


def _check_file(path: Path, seed: int) -> int:
    from stnref.checks.grader import grade, summary

    grades = grade(path, seed)
    print(summary(grades))
    return 0 if all(g.verdict in ("ok", "missing") for g in grades) else 1


if __name__ == "__main__":
    sys.exit(main())
