"""Grade a file of someone who writes these operations again: values and gradients.

The functions are named as ours, ``<name>_forward`` and ``<name>_backward``. The values are
compared with ours; the gradient is held against the file's own forward, so that one mistake is not
counted twice.
"""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import numpy as np

from stnref.checks.catalogue import Operation, all_operations
from stnref.coordinates import target_grid
from stnref.gradcheck import Finding, GradientReport
from stnref.pairs import Pair, pair_of
from stnref.validation import Array

TASKS: dict[str, tuple[str, ...]] = {
    "unnormalize": ("unnormalize, align_corners=True", "unnormalize, align_corners=False"),
    "affine_grid": ("affine_grid, 2-D",),
    "flow_grid": ("flow_grid, 2-D",),
    "basis_grid": ("basis_grid",),
    "projective_grid": ("projective_grid",),
    "translation_matrix": ("translation_matrix",),
    "attention_matrix": ("attention_matrix",),
    "rigid_matrix": ("rigid_matrix",),
    "similarity_matrix": ("similarity_matrix",),
    "sample": ("sample, 2-D", "sample, linear, border", "sample, on the lattice"),
    "grid_sample": (
        "grid_sample, align_corners=True",
        "grid_sample, align_corners=False",
        "grid_sample, padding_mode=border",
        "grid_sample, align_corners=True, on the lattice",
        "grid_sample, align_corners=False, on the lattice",
    ),
    "linear": ("linear",),
    "conv2d": ("conv2d", "conv2d, stride 2, padding 1"),
    "max_pool2d": ("max_pool2d", "max_pool2d, with ties"),
    "avg_pool2d": ("avg_pool2d",),
    "relu": ("relu", "relu, with zeros"),
    "tanh": ("tanh",),
    "flatten": ("flatten",),
    "softmax_cross_entropy": ("softmax_cross_entropy", "softmax_cross_entropy, large"),
}
"""The functions that are looked for, and for each its cases: of `all_operations`, or hard ones."""

VALUES = 1e-6
"""Largest error of the values, relative to the largest: log(p + 1e-8) passes, and float32 is for
the check of the gradient to find."""

Function = Callable[..., Any]


@dataclass(frozen=True)
class Grade:
    """What became of one function in one case.

    Attributes
    ----------
    function : str
        A key of `TASKS`.
    case : str
        Which inputs and options.
    verdict : str
        "ok", "wrong values", "wrong gradient", "raises" or "missing".
    error : float or None
        Largest error of the values, relative to the largest value; None if there are none.
    index : tuple of int
        Of the output that is furthest off.
    report : GradientReport or None
        The check of the gradient; None if the function is missing.
    message : str
        What is wrong, in one line.
    """

    function: str
    case: str
    verdict: str
    error: float | None = None
    index: tuple[int, ...] = ()
    report: GradientReport | None = None
    message: str = ""

    @property
    def findings(self) -> Sequence[Finding]:
        """What the check of the gradient found."""
        return self.report.findings if self.report else ()


def grade(path: str | Path, seed: int = 0) -> list[Grade]:
    r"""Run a Python file and grade the functions it defines.

    Parameters
    ----------
    path : str or Path
        The file. It is run as by an import, its folder first on the path of modules; what it prints
        and warns of is dropped. Of its functions those in `TASKS` are asked, channels last and
        arguments in the order of ours. An option that has a default (align_corners, padding_mode,
        stride) need not be there; cases that need it are then left out.
    seed : int
        Seed of the inputs.

    Returns
    -------
    list of Grade
        In the order of `TASKS`, one for each case; one for a function that is missing.

    Raises
    ------
    ValueError
        The file is not there, does not run, or has no whole pair.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "student.py"
    ...     _ = path.write_text(
    ...         "def flatten_forward(X): return X.reshape(len(X), -1), X.shape\n"
    ...         "def flatten_backward(dY, shape): return -dY.reshape(shape)\n"
    ...     )
    ...     [(g.function, g.verdict) for g in grade(path) if g.verdict != "missing"]
    [('flatten', 'wrong gradient')]
    """
    with _quiet(), _folder_of(Path(path)):
        found = _run(Path(path))
        lacking = {name: _lacking(found, name) for name in TASKS}
        if all(lacking.values()):
            alone = [_missing(*task).message for task in lacking.items()]
            got = ", ".join(filter(None, alone)) or "none"
            raise ValueError(
                f"{path}: expected pairs such as relu_forward and relu_backward, got {got}"
            )
        operations = all_operations(seed)
        operations |= _hard_cases(operations)
        grades = []
        for name, cases in TASKS.items():
            if lacking[name]:
                grades.append(_missing(name, lacking[name]))
                continue
            for case in cases:
                operation = _in_place(operations[case], pair_of(found, name))
                if operation is not None:
                    grades.append(_grade(name, case, operations[case], operation, seed))
        return grades


# ------------------------------------------------------------------------------- the file


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what code of others prints and warns of: each function runs some hundred times."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _folder_of(path: Path) -> Iterator[None]:
    """Let a file import its neighbours, and forget them afterwards: others have their own."""
    folder, places, modules = path.resolve().parent, sys.path[:], set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = places
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).parent == folder:
                del sys.modules[name]


def _run(path: Path) -> dict[str, Any]:
    if not path.is_file():
        got = "a folder" if path.exists() else "none"
        raise ValueError(f"{path}: expected a Python file, got {got}")
    try:
        return runpy.run_path(str(path))
    except (Exception, SystemExit) as error:  # whatever code of others may raise
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            lines.append(error.lineno)
        line = f" (line {lines[-1]})" if lines else ""
        text = _text(error)
        raise ValueError(f"{path}: expected a file that runs, got {text}{line}") from error


def _text(error: BaseException) -> str:
    return " ".join(traceback.format_exception_only(error)[-1].split())


def _lacking(found: Mapping[str, Any], name: str) -> list[str]:
    """Return which of "forward" and "backward" are no functions of the file."""
    return [way for way in ("forward", "backward") if not callable(found.get(f"{name}_{way}"))]


def _missing(name: str, lacking: Sequence[str]) -> Grade:
    there = {"forward", "backward"} - set(lacking)
    half = f"{name}_{there.pop()} without {name}_{lacking[0]}" if there else ""
    return Grade(name, name, "missing", message=half)


# ------------------------------------------------------------------------------- the cases


def _hard_cases(operations: Mapping[str, Operation]) -> dict[str, Operation]:
    """Inputs on kinks, where any rule between the slopes may hold, and large ones."""
    cases = {}

    def add(name: str, like: str, **inputs: Array) -> None:
        cases[name] = replace(operations[like], inputs={**operations[like].inputs, **inputs})

    B, H, W, _ = operations["sample, 2-D"].inputs["U"].shape
    pixels = np.stack(np.meshgrid(np.arange(W), np.arange(H)), axis=-1).astype(float)  # (H, W, 2)
    add("sample, on the lattice", "sample, 2-D", points=np.stack([pixels] * B))
    for aligned in (True, False):
        like = f"grid_sample, align_corners={aligned}"
        B, H, W, _ = operations[like].inputs["U"].shape
        identity = target_grid((H, W), align_corners=aligned)
        add(f"{like}, on the lattice", like, grid=np.stack([identity] * B))
    add("max_pool2d, with ties", "max_pool2d", X=operations["max_pool2d"].inputs["X"].round())
    add("relu, with zeros", "relu", X=operations["relu"].inputs["X"].round())
    logits = operations["softmax_cross_entropy"].inputs["logits"] + 800  # whose exp overflows
    add("softmax_cross_entropy, large", "softmax_cross_entropy", logits=logits)
    return cases


def _in_place(operation: Operation, theirs: Pair) -> Operation | None:
    """Put another pair in the place of ours; None if it lacks an option of this case."""
    ours: Any = operation.pair.forward
    options: Mapping[str, Any] = {}
    if isinstance(ours, partial):
        options, ours = ours.keywords, ours.func
    defaults = {name: p.default for name, p in signature(ours).parameters.items()}
    positional, keywords = [], {}
    for name, value in options.items():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False  # who writes into it shall hear of it
        if _takes(theirs.forward, name):
            keywords[name] = value
        elif defaults[name] is Parameter.empty:  # theirs may have another name for it
            positional.append(value)
        elif value != defaults[name]:
            return None

    def bound(*inputs: Array) -> Any:
        return _without_exit(theirs.forward, *inputs, *positional, **keywords)

    return replace(operation, pair=Pair(bound, partial(_without_exit, theirs.backward)))


def _takes(function: Function, name: str) -> bool:
    try:
        signature(function).bind_partial(**{name: None})
    except (TypeError, ValueError):  # no such option, or a callable that does not tell
        return False
    return True


def _without_exit(function: Function, *arguments: Any, **options: Any) -> Any:
    try:
        return function(*arguments, **options)
    except SystemExit as error:
        raise RuntimeError(f"ends the program, {_text(error)}") from error


# ------------------------------------------------------------------------------ the grades


def _grade(function: str, case: str, ours: Operation, theirs: Operation, seed: int) -> Grade:
    try:
        report = theirs.check(seed)
    except Exception as raised:  # code of others, where the check did not expect that it raises
        return Grade(function, case, "raises", message=_text(raised))
    first = report.findings[0] if report.findings else None
    try:
        error, index, message = _compare_values(ours, theirs)
    except Exception:  # code of others; the report says what it raised
        error, index, message = None, (), ""
    if first is not None and first.cause == "error":
        verdict, message = "raises", f"{first.where} {first.evidence}"
    elif error is None or not error <= VALUES:
        verdict = "wrong values"
    elif not report.ok:
        verdict, message = "wrong gradient", first.title if first else str(report.worst)
    else:
        verdict = "ok"
    return Grade(function, case, verdict, error, index, report, message)


def _compare_values(ours: Operation, theirs: Operation) -> tuple[float, tuple[int, ...], str]:
    """Return the largest relative error, where it is, and what there is to say of it."""
    arrays = [array.copy() for array in ours.inputs.values()]
    expected = np.asarray(ours.pair.forward(*arrays)[0])
    out, _ = theirs.pair.forward(*arrays)
    actual = np.asarray(out)
    if actual.shape != expected.shape:
        return np.inf, (), f"out: expected shape {expected.shape}, got {actual.shape}"
    off = np.abs(actual - expected)
    index = tuple(int(i) for i in np.unravel_index(np.argmax(off), off.shape))  # NaN is largest
    error = float(off[index] / np.abs(expected).max())
    if error <= VALUES:
        return error, index, ""
    text = f"out{list(index)}: expected {expected[index]:.6g}, got {actual[index]:.6g}"
    return error, index, text


# ------------------------------------------------------------------------------ the answer


def summary(grades: Sequence[Grade]) -> str:
    """Return a table, then what is wrong, then what is missing, then a count.

    Parameters
    ----------
    grades : sequence of Grade

    Returns
    -------
    str

    Examples
    --------
    >>> print(summary([Grade("tanh", "tanh", "ok", 0.0), Grade("relu", "relu", "missing")]))
    operation                                         values gradient verdict
    tanh                                             0.0e+00        - ok
    <BLANKLINE>
    missing: relu
    <BLANKLINE>
    1 of 1 functions right, 1 missing
    """
    asked = [g for g in grades if g.verdict != "missing"]
    missing = [g for g in grades if g.verdict == "missing"]
    lines = [f"{'operation':48s}{'values':>8s}{'gradient':>9s} verdict"]
    for g in asked:
        lines.append(f"{g.case:48s}{_number(g.error):>8s}{_number(_worst(g)):>9s} {g.verdict}")
    parts = ["\n".join(lines), *_complaints(asked)]
    if missing:
        names = ", ".join(g.message or g.function for g in missing)
        parts.append(textwrap.fill(f"missing: {names}", 80, subsequent_indent="  "))
    functions = {g.function for g in asked}
    wrong = {g.function for g in asked if g.verdict != "ok"}
    right = f"{len(functions) - len(wrong)} of {len(functions)} functions right"
    return "\n\n".join([*parts, f"{right}, {len(missing)} missing"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _worst(g: Grade) -> float | None:
    return g.report.worst.error if g.report and g.report.comparisons else None


def _complaints(grades: Sequence[Grade]) -> list[str]:
    """Say each thing once, in the first of a function's cases that has it."""
    parts: dict[tuple[str, str], str] = {}
    for g in grades:
        texts = [(finding.cause, str(finding)) for finding in g.findings]
        if g.verdict == "wrong values" and g.message:
            texts.insert(0, (g.verdict, f"error[wrong-values]: {g.message}"))
        if g.verdict in ("wrong gradient", "raises") and not g.findings:
            texts.append((g.case, g.message))
        for what, text in texts:
            parts.setdefault((g.function, what), f"{g.case}\n{text}")
    return list(parts.values())
