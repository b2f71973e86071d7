"""The command: what it writes, what it prints, and what it says when it cannot."""

import csv
import json
import platform
from pathlib import Path

import numpy as np
import pytest

import stnref
from stnref import cli
from stnref.checks import catalogue
from stnref.cli import main
from stnref.data import mnist
from stnref.pairs import Pair
from stnref.training import load_checkpoint
from stnref.transforms import TRANSFORMS

SMALL_NETWORK = ["--batch=32", "--train-size=96", "--filters=4", "--hidden=16"]
SMALL = [*SMALL_NETWORK, "--epochs=2", "--test-size=60"]
# Drawing the digits of the test set takes longer than training: of ten a few are drawn.
SMALLER = [*SMALL_NETWORK, "--epochs=1", "--test-size=10"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", *SMALL, "--out", str(folder)]) == 0
    return folder


def test_the_run_folder_is_complete(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.json",
        "history.csv",
        "checkpoint.npz",
        "result.json",
        "curves.png",
        "sheet.png",
    }
    for picture in ("curves.png", "sheet.png"):
        assert (run / picture).read_bytes().startswith(b"\x89PNG")


def test_history_and_result_agree(run: Path) -> None:
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    result = json.loads((run / "result.json").read_text())
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["test_error"]) == result["test_error"]
    assert 0 <= result["test_error"] <= 1
    assert [row["label"] for row in result["alignment"]] == list(range(10))


def test_evaluate_finds_the_error_that_training_found(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = json.loads((run / "result.json").read_text())
    assert main(["evaluate", str(run)]) == 0
    out = capsys.readouterr().out
    assert f"test error {result['test_error']:.2%}" in out
    for row in result["alignment"]:
        assert f"{row['left']:.1f}" in out


def test_evaluate_takes_several_runs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), str(run)]) == 0
    out = capsys.readouterr().out
    assert out.count("test error") == 2
    named = f"{run / 'curves.png'} {run / 'sheet.png'}"
    assert out.endswith(f"\npictures: {named} {named}\n")


@pytest.mark.parametrize("model", ["cnn", "fcn", "st-fcn"])
def test_every_model_trains(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model", model, "--out", str(tmp_path / "run")]
    assert main(["train", *SMALLER, *options]) == 0
    out = capsys.readouterr().out
    assert "test error" in out
    assert ("circular standard deviation" in out) == model.startswith("st-")
    assert (tmp_path / "run" / "sheet.png").exists() == model.startswith("st-")


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_every_transform_trains(transform: str, tmp_path: Path) -> None:
    options = ["--transform", transform, "--model", "st-fcn", "--out", str(tmp_path / "run")]
    assert main(["train", *SMALLER, *options]) == 0


def test_sgd_with_all_its_options_trains(tmp_path: Path) -> None:
    options = ["--optimizer=sgd", "--rate=0.01", "--nesterov", "--weight-decay=1e-4"]
    options += ["--schedule=step", "--distortion=none", f"--out={tmp_path / 'run'}"]
    assert main(["train", *SMALLER, *options]) == 0


def test_the_test_set_does_not_depend_on_the_seed(run: Path, tmp_path: Path) -> None:
    """Two seeds, one test set: the scatter of the known angles is the same."""
    other = tmp_path / "run"
    assert main(["train", *SMALL, "--seed", "7", "--out", str(other)]) == 0
    first, second = (json.loads((r / "result.json").read_text()) for r in (run, other))
    assert [row["known"] for row in first["alignment"]] == [
        row["known"] for row in second["alignment"]
    ]
    a, b = (load_checkpoint(r / "checkpoint.npz").params["conv1.W"] for r in (run, other))
    assert not np.array_equal(a, b)


def _says(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_a_folder_with_a_run_is_not_overwritten(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _says(["train", *SMALL, "--out", str(run)], capsys)
    assert said.endswith(
        "run: expected no run there, got one; go on with --resume, or name another\n"
    )


def test_a_finished_run_resumed_prints_its_result_again(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "checkpoint.npz").read_bytes()
    assert main(["train", *SMALL, "--out", str(run), "--resume"]) == 0
    assert "test error" in capsys.readouterr().out
    assert (run / "checkpoint.npz").read_bytes() == before


def test_a_run_is_not_resumed_with_another_configuration(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _says(["train", *SMALL, "--rate", "0.5", "--resume", "--out", str(run)], capsys)
    assert "expected a run with rate 0.5, got 0.001" in said


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("nothing there", "expected a run folder, got no config.json"),
        ("config is no json", "config.json: expected a run's configuration, got"),
        ("config of another program", "config.json: expected a run's configuration, got"),
        ("config of brackets", "config.json: expected a run's configuration, got"),
        ("no checkpoint", "No such file or directory"),
        ("half a checkpoint", "checkpoint.npz: expected a checkpoint of format 2"),
    ],
)
def test_an_unreadable_run_folder(
    run: Path, spoil: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    if spoil != "nothing there":
        folder.mkdir()
        for name in ("config.json", "checkpoint.npz"):
            (folder / name).write_bytes((run / name).read_bytes())
    if spoil == "config is no json":
        (folder / "config.json").write_text("epochs: 2")
    if spoil == "config of another program":
        (folder / "config.json").write_text('{"layers": 3}')
    if spoil == "config of brackets":
        (folder / "config.json").write_text("[" * 100_000)
    if spoil == "no checkpoint":
        (folder / "checkpoint.npz").unlink()
    if spoil == "half a checkpoint":
        whole = (folder / "checkpoint.npz").read_bytes()
        (folder / "checkpoint.npz").write_bytes(whole[: len(whole) // 2])
    assert message in _says(["evaluate", str(folder)], capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "resnet"], "model: expected one of 'cnn', 'st-cnn', 'fcn', 'st-fcn'"),
        (["--transform", "afine"], "transform: expected one of 'translation'"),
        (["--data", "cifar"], "data: expected one of 'digits', 'mnist', got 'cifar'"),
        (["--distortion", "Q"], "distortion: expected one of 'none', 'R', got 'Q'"),
        (["--epochs", "0"], "epochs: expected an integer from 1 on, got 0"),
        (["--rate", "-1"], "rate: expected a finite number above 0, got -1.0"),
        (["--rate", "inf"], "rate: expected a finite number above 0, got inf"),
        (["--clip", "nan"], "clip: expected a finite number above 0, got nan"),
        (["--seed", "-1"], "seed: expected an integer from 0 on, got -1"),
        (["--localisation-rate", "-3"], "localisation_rate: expected a finite number from 0 on"),
        (["--weight-decay", "-1"], "weight_decay: expected a finite number from 0 on, got -1.0"),
        (["--momentum", "nan"], "momentum: expected a finite number from 0 on and below 1, got"),
        (["--checkpoint-every", "0"], "checkpoint_every: expected an integer from 1 on, got 0"),
    ],
)
def test_bad_options(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in _says(["train", *options, "--out", str(tmp_path / "run")], capsys)
    assert not (tmp_path / "run").exists()


def test_a_run_that_diverges_keeps_its_last_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    options = ["--optimizer=sgd", "--rate=1e38", "--clip=1e30", "--schedule=constant"]
    options += ["--model=cnn", "--checkpoint-every=1", f"--out={folder}"]
    said = _says(["train", *SMALL, *options], capsys)
    assert "expected finite values, got others at epoch 1, batch" in said
    assert "suspect: " in said
    params = load_checkpoint(folder / "checkpoint.npz").params
    assert all(np.isfinite(value).all() for value in params.values())


def test_check_prints_a_table_and_passes(capsys: pytest.CaptureFixture[str]) -> None:
    """Of at most 80 columns."""
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    count = len(catalogue.all_operations())
    assert len(lines) == count + 2
    assert max(map(len, lines)) <= 80
    assert lines[-1] == f"{count} of {count} operations pass"


RIGHT = Path(__file__).parent / "bug_zoo" / "implementations" / "layers.py"
MINUS = ("dX = dY * (1 - Y**2)", "dX = -dY * (1 - Y**2)")


def test_check_of_a_file_that_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(RIGHT)]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].split() == ["operation", "values", "gradient", "verdict"]
    assert lines[1].startswith("linear ")
    assert lines[1].endswith(" ok")
    assert lines[-1] == "8 of 8 functions right, 11 missing"
    assert "missing: unnormalize, affine_grid, " in out
    assert max(map(len, lines)) <= 80
    assert "error" not in out


def test_check_of_a_file_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "student.py"
    path.write_text(RIGHT.read_text(encoding="utf-8").replace(*MINUS), encoding="utf-8")
    assert main(["check", str(path), "--seed", "1"]) == 1
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if line.startswith("tanh  ")]
    assert row.endswith(" wrong gradient")
    assert "error[sign]: a sign is flipped" in out
    assert "hint: Look at the sign of the term that is named." in out
    assert out.endswith("\n7 of 8 functions right, 11 missing\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "expected a Python file, got none"),
        ("x = (\n", "expected a file that runs, got SyntaxError: "),
        ("x = 1 / 0\n", "got ZeroDivisionError: division by zero (line 1)"),
        ("raise SystemExit(0)\n", "expected a file that runs, got SystemExit: 0 (line 1)"),
        ("x = 1\n", "expected pairs such as relu_forward and relu_backward, got none"),
    ],
)
def test_check_of_a_file_that_cannot_be_checked(
    text: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "student.py"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    said = _says(["check", str(path)], capsys)
    assert said.startswith(f"stnref: {path}: ")
    assert message in said


def test_check_fails_where_a_gradient_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = catalogue.all_operations()["tanh"]
    wrong = catalogue.Operation(Pair(right.pair.forward, lambda dY, cache: 2 * dY), right.inputs)
    monkeypatch.setattr(catalogue, "all_operations", lambda seed=0: {"tanh": wrong})
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "0 of 1 operations pass" in out
    assert "FAIL  X" in out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"stnref {stnref.__version__}\n"


@pytest.mark.parametrize("command", ["train", "evaluate", "check", "notebooks", None])
def test_help_fits_the_screen_and_says_each_default_once(
    command: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*([command] if command else []), "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for option in text.split(" --")[1:]:
        assert option.count("default:") <= 1
    if command == "train":
        assert "model: cnn, st-cnn" in text.replace("before it: ", "model: ")
        assert "16 for digits, 32 for mnist" in text


def test_the_files_are_listed_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main(["train", *SMALLER, "--model=fcn", "--out", str(folder)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "files: " + " ".join(sorted(path.name for path in folder.iterdir()))


def test_the_result_names_its_versions(run: Path) -> None:
    assert json.loads((run / "result.json").read_text())["versions"] == {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "stnref": stnref.__version__,
    }


def test_settings_are_taken_from_a_runs_config(run: Path, tmp_path: Path) -> None:
    again = ["train", "--config", str(run / "config.json"), "--epochs=1", "--test-size=10"]
    assert main([*again, "--out", str(tmp_path / "again")]) == 0
    there = json.loads((run / "config.json").read_text())
    here = json.loads((tmp_path / "again" / "config.json").read_text())
    assert here == {**there, "epochs": 1, "test_size": 10}


def test_without_a_network_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    call = ["train", "--data=mnist", "--out", str(tmp_path / "run")]
    for _ in range(2):  # the second try says the same
        assert main([*call, "--data-dir", str(tmp_path / "mnist")]) == 2
        error = capsys.readouterr().err
        assert "expected a mirror to give it" in error
        assert "--data digits" in error
        assert "--data-dir" in error
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("command", "advice"), [("train", True), ("evaluate", False)])
def test_an_interrupt_says_what_fits_the_command(
    command: str,
    advice: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(**arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, f"_{command}", interrupt)
    assert main([command, *(["runs/x"] if command == "evaluate" else [])]) == 130
    error = capsys.readouterr().err
    assert error.startswith("stnref: interrupted")
    assert ("--resume" in error) == advice
    assert len(error.splitlines()) == 1


def test_the_notebooks_are_written_and_nothing_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "course" / "notebooks"
    assert main(["notebooks", str(folder)]) == 0
    names = [path.name for path in sorted(folder.glob("*.ipynb"))]
    assert names[0] == "01_forward_and_reverse_mapping.ipynb"
    assert capsys.readouterr().out.splitlines() == [str(p) for p in sorted(folder.iterdir())]
    first = folder / names[0]
    first.write_text("mine")
    assert main(["notebooks", str(folder)]) == 2
    assert "expected no file there, got one" in capsys.readouterr().err
    assert first.read_text() == "mine"


def test_a_mistake_of_the_program_is_one_line_and_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mistaken(**arguments: object) -> int:
        raise KeyError("theta")

    monkeypatch.setattr(cli, "_check", mistaken)
    assert main(["check"]) == 70
    error = capsys.readouterr().err
    assert error.startswith("stnref: a mistake of the program, KeyError: 'theta'; please report it")
    assert "--debug" in error
    assert len(error.splitlines()) == 1
    with pytest.raises(KeyError):
        main(["check", "--debug"])


def test_too_little_memory_is_no_mistake_of_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def large(**arguments: object) -> int:
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr(cli, "_train", large)
    assert main(["train"]) == 2
    assert capsys.readouterr().err == "stnref: Unable to allocate 3 TiB\n"
