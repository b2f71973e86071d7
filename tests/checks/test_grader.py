"""Grading a file: what is right, what is wrong and of which kind, what is missing."""

import sys
from functools import cache
from pathlib import Path

import pytest

from stnref.checks.catalogue import all_operations
from stnref.checks.grader import TASKS, Grade, grade, summary

IMPLEMENTATIONS = Path(__file__).parents[1] / "bug_zoo" / "implementations"
STUDENTS = ("coordinates", "layers", "sampler", "transforms")


def _patched(tmp_path: Path, module: str, *changes: tuple[str, str], only: str = "") -> Path:
    """Write a right implementation, a few places changed, with all its pairs or only one."""
    text = (IMPLEMENTATIONS / f"{module}.py").read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    for name in TASKS:
        if only and name != only:
            text = text.replace(f"def {name}_backward(", f"def _{name}_backward(")
    return _written(tmp_path, text)


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "student.py"
    path.write_text(text, encoding="utf-8")
    return path


@cache
def _right(module: str) -> list[Grade]:
    return grade(IMPLEMENTATIONS / f"{module}.py")


def _of(grades: list[Grade], function: str) -> list[Grade]:
    return [g for g in grades if g.function == function]


@pytest.mark.parametrize("module", STUDENTS)
def test_right_implementations_are_right_in_every_case(module: str) -> None:
    grades = _right(module)
    asked = [g for g in grades if g.verdict != "missing"]
    assert asked
    assert [g for g in asked if g.verdict != "ok"] == []
    functions = {g.function for g in asked}
    assert [g.case for g in asked] == [
        case for name in TASKS if name in functions for case in TASKS[name]
    ]
    assert {g.function for g in grades} == set(TASKS)


def test_together_they_define_every_task() -> None:
    files = [_right(module) for module in STUDENTS]
    defined = [g.function for grades in files for g in grades if g.verdict != "missing"]
    assert set(defined) == set(TASKS)


def test_the_first_case_of_each_task_is_one_of_our_operations() -> None:
    assert {cases[0] for cases in TASKS.values()} <= set(all_operations())


TIES = (
    (
        "winner = squares.argmax(axis=-1)",
        "winner = squares == squares.max(axis=-1, keepdims=True)",
    ),
    (
        "    b, i, j, c = np.indices(winner.shape)\n    u, v = winner // size, winner % size\n",
        "    b, i, j, c, k = np.nonzero(winner)\n    u, v = k // size, k % size\n",
    ),
    ("v, c] = dY\n", "v, c] = dY[b, i, j, c]\n"),
)


@pytest.mark.parametrize(
    ("module", "changes", "case", "cause"),
    [
        (
            "layers",
            [("mask = X > 0", "mask = (X > 0) + 2.0 * (X == 0)")],
            "relu, with zeros",
            "kink",
        ),
        ("layers", TIES, "max_pool2d, with ties", "kink"),
        (
            "layers",
            [("logits - logits.max(axis=1, keepdims=True)", "logits")],
            "softmax_cross_entropy, large",
            "non-finite",
        ),
        (
            "sampler",
            [('if padding == "border":', 'if padding == "no":')],
            "sample, linear, border",
            None,
        ),
    ],
    ids=["slope two at zero", "all to both of a tie", "overflow", "zeros for the border"],
)
def test_a_mistake_that_shows_in_one_case_alone(
    module: str, changes: list[tuple[str, str]], case: str, cause: str | None, tmp_path: Path
) -> None:
    function = case.split(",")[0]
    grades = _of(grade(_patched(tmp_path, module, *changes, only=function)), function)
    wrong = [g for g in grades if g.verdict != "ok"]
    assert [g.case for g in wrong] == [case]
    if cause is None:
        assert wrong[0].verdict == "wrong values"
    else:
        assert wrong[0].findings[0].cause == cause


def test_a_wrong_gradient_is_named_and_the_others_stay_right(tmp_path: Path) -> None:
    path = _patched(tmp_path, "layers", ("dX = dY * (1 - Y**2)", "dX = -dY * (1 - Y**2)"))
    grades = grade(path)
    (tanh,) = _of(grades, "tanh")
    assert tanh.verdict == "wrong gradient"
    assert tanh.error is not None
    assert tanh.error < 1e-12
    assert tanh.findings[0].cause == "sign"
    assert tanh.message == tanh.findings[0].title
    wrong = {g.function for g in grades if g.verdict not in ("ok", "missing")}
    assert wrong == {"tanh"}


def test_wrong_values_are_told_from_a_wrong_gradient(tmp_path: Path) -> None:
    """Twice the value with twice the gradient: the pair is right, the function another one."""
    path = _patched(
        tmp_path,
        "layers",
        ("return X.reshape(len(X), -1), X.shape", "return 2 * X.reshape(len(X), -1), X.shape"),
        ("dX = dY.reshape(cache)", "dX = 2 * dY.reshape(cache)"),
        only="flatten",
    )
    (flatten,) = _of(grade(path), "flatten")
    assert flatten.verdict == "wrong values"
    assert flatten.error == pytest.approx(1)
    assert len(flatten.index) == 2
    assert flatten.report is not None
    assert flatten.report.ok
    assert flatten.message.startswith(f"out{list(flatten.index)}: expected ")


def test_values_of_another_shape(tmp_path: Path) -> None:
    path = _written(
        tmp_path,
        "def flatten_forward(X): return X.reshape(-1), X.shape\n"
        "def flatten_backward(dY, cache): return dY.reshape(cache)\n",
    )
    (flatten,) = _of(grade(path), "flatten")
    assert flatten.verdict == "wrong values"
    assert flatten.message == "out: expected shape (3, 40), got (120,)"


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (("factor_x = (W - 1) / 2 if align_corners else W / 2", "factor_x = (W - 1) / 2"), "False"),
        (("factor_x = (W - 1) / 2 if align_corners else W / 2", "factor_x = W / 2"), "True"),
    ],
)
def test_both_corner_conventions_are_asked(
    change: tuple[str, str], wrong: str, tmp_path: Path
) -> None:
    grades = _of(grade(_patched(tmp_path, "coordinates", change)), "unnormalize")
    verdicts = {g.case: g.verdict for g in grades}
    other = {"True": "False", "False": "True"}[wrong]
    assert verdicts == {
        f"unnormalize, align_corners={wrong}": "wrong gradient",
        f"unnormalize, align_corners={other}": "ok",
    }


def test_a_case_whose_option_is_not_there_is_left_out(tmp_path: Path) -> None:
    path = _written(
        tmp_path,
        "import numpy as np\n"
        "def unnormalize_forward(grid, size):\n"
        "    factor = (np.array(size[::-1]) - 1) / 2\n"
        "    return (grid + 1) * factor, factor\n"
        "def unnormalize_backward(dpoints, factor):\n"
        "    return dpoints * factor\n",
    )
    asked = _of(grade(path), "unnormalize")
    assert [(g.case, g.verdict) for g in asked] == [("unnormalize, align_corners=True", "ok")]


@pytest.mark.parametrize("rule", [0.0, 0.5, 1.0], ids=["left", "mean", "right"])
def test_any_rule_on_the_lattice_is_right(rule: float, tmp_path: Path) -> None:
    """Where both slopes meet, the mean of the two is as good as either."""
    path = _patched(
        tmp_path,
        "sampler",
        (
            "    dx = (dV * slope_x).sum(axis=-1)\n    dy = (dV * slope_y).sum(axis=-1)\n",
            "    dx, dy = by_rule(U, cache, dV, slope_x, slope_y)\n",
        ),
        only="sample",
    )
    path.write_text(
        path.read_text(encoding="utf-8")
        + f"""
def by_rule(U, cache, dV, slope_x, slope_y):
    right = (dV * slope_x).sum(axis=-1), (dV * slope_y).sum(axis=-1)
    points = np.stack([cache["x0"] + cache["fx"][..., 0], cache["y0"] + cache["fy"][..., 0]], -1)
    h, mixed = 1e-3, []
    for axis, slope in enumerate(right):
        step = h * (np.arange(2) == axis)
        V, before = sample_forward(U, points)[0], sample_forward(U, points - step)[0]
        left = (dV * (V - before)).sum(axis=-1) / h
        on = cache["fxy"[0] + "xy"[axis]][..., 0] == 0
        mixed.append(np.where(on, {rule} * slope + (1 - {rule}) * left, slope))
    return mixed
""",
        encoding="utf-8",
    )
    assert {g.verdict for g in _of(grade(path), "sample")} == {"ok"}


def test_a_wrong_rule_on_the_lattice_is_wrong_there_alone(tmp_path: Path) -> None:
    path = _patched(
        tmp_path,
        "sampler",
        (
            "    dx = (dV * slope_x).sum(axis=-1)\n",
            "    dx = (dV * slope_x).sum(axis=-1) * (1 + 4 * (fx[..., 0] == 0))\n",
        ),
        only="sample",
    )
    verdicts = {g.case: g.verdict for g in _of(grade(path), "sample")}
    assert verdicts.pop("sample, on the lattice") == "wrong gradient"
    assert set(verdicts.values()) == {"ok"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ZeroDivisionError('by hand')", "ZeroDivisionError: by hand"),
        ("sys.exit(3)", "ends the program, SystemExit: 3"),
        ("return nowhere", "NameError: name 'nowhere' is not defined"),
    ],
)
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_a_function_that_raises(body: str, said: str, way: str, tmp_path: Path) -> None:
    bodies = {"forward": "return X, None", "backward": "return dY", way: body}
    path = _written(
        tmp_path,
        "import sys\n"
        f"def tanh_forward(X):\n    {bodies['forward']}\n"
        f"def tanh_backward(dY, cache):\n    {bodies['backward']}\n"
        "def flatten_forward(X): return X.reshape(len(X), -1), X.shape\n"
        "def flatten_backward(dY, shape): return dY.reshape(shape)\n",
    )
    grades = grade(path)
    (tanh,) = _of(grades, "tanh")
    assert tanh.verdict == "raises"
    assert said in tanh.message
    assert [g.verdict for g in _of(grades, "flatten")] == ["ok"]


def test_a_half_pair_is_missing_and_says_which_half(tmp_path: Path) -> None:
    path = _patched(
        tmp_path,
        "layers",
        ("def tanh_backward", "def tanh_back"),
        ("def relu_forward", "def _relu_forward"),
    )
    grades = grade(path)
    (tanh,), (relu,), (sample,) = (_of(grades, name) for name in ("tanh", "relu", "sample"))
    assert (tanh.verdict, tanh.message) == ("missing", "tanh_forward without tanh_backward")
    assert (relu.verdict, relu.message) == ("missing", "relu_backward without relu_forward")
    assert (sample.verdict, sample.message) == ("missing", "")


def test_a_constant_that_is_written_to_is_found(tmp_path: Path) -> None:
    path = _written(
        tmp_path,
        "def flow_grid_forward(flow, G):\n"
        "    G += flow[0]\n"
        "    return G + 0 * flow, None\n"
        "def flow_grid_backward(dgrid, cache):\n"
        "    return dgrid\n",
    )
    (flow,) = _of(grade(path), "flow_grid")
    assert flow.verdict == "raises"
    assert "read-only" in flow.message


def test_prints_and_warnings_are_dropped_and_neighbours_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "neighbour_of_student.py").write_text("factor = 1\n", encoding="utf-8")
    path = _written(
        tmp_path,
        "import numpy as np\n"
        "from neighbour_of_student import factor\n"
        "print('hello')\n"
        "def tanh_forward(X):\n"
        "    print(X)\n"
        "    np.log(np.zeros(1))\n"
        "    Y = factor * np.tanh(X)\n"
        "    return Y, Y\n"
        "def tanh_backward(dY, Y):\n"
        "    return dY * (1 - Y**2)\n"
        "if __name__ == '__main__':\n"
        "    raise ValueError('not as a script')\n",
    )
    before = sys.path[:]
    assert [g.verdict for g in _of(grade(path), "tanh")] == ["ok"]
    assert capsys.readouterr().out == ""
    assert sys.path == before
    assert "neighbour_of_student" not in sys.modules


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = 1 / 0\n", r"got ZeroDivisionError: division by zero \(line 2\)$"),
        ("\ndef f(:\n", r"got SyntaxError: invalid syntax \(line 2\)$"),
        ("import sys\nsys.exit(1)\n", r"got SystemExit: 1 \(line 2\)$"),
        ("import nowhere_at_all\n", r"No module named 'nowhere_at_all' \(line 1\)$"),
        ("x = 1\n", "got none$"),
        ("def relu_forward(X): return X\n", "got relu_forward without relu_backward$"),
    ],
)
def test_a_file_that_cannot_be_graded(text: str, message: str, tmp_path: Path) -> None:
    path = _written(tmp_path, text)
    with pytest.raises(ValueError, match=message) as caught:
        grade(path)
    assert str(caught.value).startswith(f"{path}: expected ")


def test_a_path_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a Python file, got none"):
        grade(tmp_path / "nowhere.py")
    with pytest.raises(ValueError, match="expected a Python file, got a folder"):
        grade(tmp_path)


def test_the_summary_says_each_thing_once(tmp_path: Path) -> None:
    path = _patched(tmp_path, "coordinates", ("[dx * factor_x,", "[-dx * factor_x,"))
    grades = grade(path)
    text = summary(grades)
    lines = text.splitlines()
    assert lines[0].split() == ["operation", "values", "gradient", "verdict"]
    for line, aligned in zip(lines[1:3], (True, False), strict=True):
        assert line.startswith(f"unnormalize, align_corners={aligned}  ")
        assert line.endswith(" wrong gradient")
    assert [g.findings[0].cause for g in grades[:2]] == ["sign", "sign"]
    assert text.count("error[sign]") == 1
    assert str(grades[0].findings[0]) in text
    assert "missing: affine_grid, flow_grid," in text
    assert lines[-1] == "0 of 1 functions right, 18 missing"
