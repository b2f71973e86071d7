"""Progress on the terminal."""

import io

import pytest

from stnref.training import Step, reported

STEPS = [Step(0, batch, 7, 0.5, 0.25, 0.05) for batch in range(7)]


def test_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    assert list(reported(STEPS, epochs=4, stream=stream)) == STEPS
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[-1] == "epoch 1/4  batch 7/7  loss 0.5000  error 25.00%  rate 5.00e-02"


def test_a_bar_where_there_is_a_terminal_and_tqdm() -> None:
    pytest.importorskip("tqdm", reason="the optional extra 'progress' is not installed")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    assert list(reported(STEPS, epochs=4, stream=stream)) == STEPS
    assert "epoch 1/4" in stream.getvalue()
    assert "loss" in stream.getvalue()
