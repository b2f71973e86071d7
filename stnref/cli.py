"""The ``stnref`` command: train, evaluate, check, notebooks."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stnref._version import __version__
from stnref.experiments.alignment import ClassAlignment
from stnref.experiments.run import CHOICES, Config, load_run, read_config, train_run
from stnref.training.trainer import DivergenceError

HELP = {
    "data": "digits drawn from strokes (embedded), or MNIST",
    "distortion": "the paper's letter, or none",
    "model": "network, st- with a spatial transformer before it",
    "transform": "what the transformer predicts",
    "filters": "filters of each convolution of the CNN (default: 16 for digits, 32 for mnist)",
    "hidden": "units of each hidden layer of the FCN",
    "epochs": "passes over the training set",
    "batch": "pictures in a batch",
    "rate": "peak learning rate",
    "optimizer": "rule of the steps",
    "momentum": "momentum of sgd",
    "nesterov": "Nesterov's momentum",
    "weight_decay": "factor of the L2 penalty's gradient",
    "schedule": "how the rate goes up and down",
    "localisation_rate": "factor on the rate of the transformer's own parameters",
    "clip": "largest norm of the gradient",
    "train_size": "number of drawn digits to train on",
    "test_size": "number of drawn digits to test on",
    "seed": "seed of everything random but the test set",
}
ISSUES = "https://github.com/stnref/stnref/issues"
CONVERT = {"str": (str, "NAME"), "int": (int, "N"), "float": (float, "X")}
"""What makes a field of a Config out of an option, and what the help calls it."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Returns
    -------
    argparse.ArgumentParser
    """
    top = argparse.ArgumentParser(
        prog="stnref", description="Reference implementation of spatial transformer networks."
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show where an error comes from")

    train = commands.add_parser(
        "train",
        parents=[common],
        help="train a network and write a run folder",
        usage="%(prog)s [options]",
    )
    train.add_argument(
        "--config", type=Path, metavar="FILE", help="a run's config.json: its settings as defaults"
    )
    for field in dataclasses.fields(Config):
        option, text = "--" + field.name.replace("_", "-"), HELP[field.name]
        # Only what is given arrives: the rest is from --config, or a default of Config.
        if field.type == "bool":
            yes_or_no = argparse.BooleanOptionalAction
            train.add_argument(option, action=yes_or_no, default=argparse.SUPPRESS, help=text)
            continue
        if field.name in CHOICES:
            text += ": " + ", ".join(CHOICES[field.name])
        if field.default is not None:
            text += f" (default: {field.default})"
        convert, letter = CONVERT[str(field.type).split(" ")[0]]
        train.add_argument(
            option, type=convert, metavar=letter, default=argparse.SUPPRESS, help=text
        )
    train.add_argument(
        "--out", type=Path, metavar="DIR", help="run folder (default: runs/ and the run's name)"
    )
    train.add_argument("--data-dir", type=Path, metavar="DIR", help="where MNIST lies")
    train.add_argument(
        "--resume", action="store_true", help="go on where the run in the folder stopped"
    )
    train.add_argument(
        "--checkpoint-every",
        type=int,
        metavar="N",
        default=100,
        help="batches between two checkpoints (default: %(default)s)",
    )

    evaluate = commands.add_parser(
        "evaluate", parents=[common], help="test the networks of run folders"
    )
    evaluate.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folder")
    evaluate.add_argument("--data-dir", type=Path, metavar="DIR", help="where MNIST lies")

    check = commands.add_parser(
        "check", parents=[common], help="check the gradients of all operations, or of a file"
    )
    check.add_argument(
        "path",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="Python file with functions named like stnref's, relu_forward and relu_backward: "
        "it is run, and their values and gradients are checked",
    )
    check.add_argument(
        "--seed", type=int, metavar="N", default=0, help="seed of the inputs (default: %(default)s)"
    )

    notebooks = commands.add_parser(
        "notebooks", parents=[common], help="write the notebooks into a folder"
    )
    notebooks.add_argument("folder", type=Path, metavar="DIR", help="it is made if there is none")
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
        0, 1 if a check failed, 2 after an error, which it prints in one line, 70 if that is a
        mistake of the program, or 130 if it was interrupted.

    Raises
    ------
    Exception
        Whatever went wrong, if the arguments have ``--debug``.
    """
    args = vars(parser().parse_args(argv))
    debug = args.pop("debug")
    commands: dict[str, Callable[..., int]] = {
        "train": _train,
        "evaluate": _evaluate,
        "check": _check,
        "notebooks": _notebooks,
    }
    command = args.pop("command")
    try:
        return commands[command](**args)
    except KeyboardInterrupt:
        resume = "; with --resume it goes on from the last checkpoint" * (command == "train")
        print(f"stnref: interrupted{resume}", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            raise
        if isinstance(error, (OSError, ValueError, DivergenceError, MemoryError)):
            print(f"stnref: {error or 'out of memory'}", file=sys.stderr)
            return 2
        print(
            f"stnref: a mistake of the program, {type(error).__name__}: {error}; please report it "
            f"at {ISSUES} with what --debug shows",
            file=sys.stderr,
        )
        return 70


def _train(
    *,
    config: Path | None,
    out: Path | None,
    data_dir: Path | None,
    resume: bool,
    checkpoint_every: int,
    **options: Any,
) -> int:
    asked = dataclasses.replace(read_config(config) if config else Config(), **options)
    folder = out or Path("runs") / default_name(asked)
    result = train_run(
        asked, folder, resume=resume, data_dir=data_dir, checkpoint_every=checkpoint_every
    )
    print(f"{asked.model} on {asked.data}, distortion {asked.distortion}: {folder}")
    print(f"test error {result['test_error']:.2%} after {result['epochs']} epochs")
    _print_alignment([ClassAlignment(**row) for row in result["alignment"]])
    print("files:", *sorted(path.name for path in folder.iterdir()))
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
    print("pictures:", *(picture for folder in runs for picture in sorted(folder.glob("*.png"))))
    return 0


def _print_alignment(rows: Sequence[ClassAlignment]) -> None:
    if not rows:
        return
    print("circular standard deviation of the digits' angle, degrees")
    print("  class  input  after the transformer  ratio")
    for row in rows:
        # A class of one digit, or of digits that all stand alike, has no ratio.
        ratio = f"{row.left / row.known:.2f}" if row.known > 1e-5 else "\N{EN DASH}"
        print(f"  {row.label:5d}  {row.known:5.1f}  {row.left:21.1f}  {ratio:>5s}")


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


def _notebooks(*, folder: Path) -> int:
    here = Path(__file__).parent  # in a checkout the notebooks lie beside the package, not in it
    there = next(p for p in (here / "notebooks", here.parent / "notebooks") if p.is_dir())
    copies = {source: folder / source.name for source in sorted(there.glob("[0-9]*"))}
    for copy in copies.values():
        if copy.exists():
            raise FileExistsError(f"{copy}: expected no file there, got one; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for source, copy in copies.items():
        shutil.copyfile(source, copy)
        print(copy)
    return 0
