"""Figures and their files: whole, and nothing is left open."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from stnref import viz
from stnref.viz.figure import axes_of


def test_nothing_is_left_in_pyplot(tmp_path: Path) -> None:
    figure = viz.new_figure(1, 1)
    viz.plot_image(np.zeros((2, 2, 1)), ax=figure.add_subplot())
    viz.save_figure(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert plt.get_fignums() == []


def test_an_animation_has_its_frames_in_order_for_ever(tmp_path: Path) -> None:
    def figures():
        for grey in (0, 0.5, 1):
            figure = viz.new_figure(1, 1)
            figure.set_facecolor(str(grey))
            yield figure

    viz.save_animation(figures(), tmp_path / "a.gif", seconds=0.25, dpi=20)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 3
        assert animation.size == (20, 20)
        assert animation.info["loop"] == 0
        assert animation.info["duration"] == 250
        seen = []
        for k in range(3):
            animation.seek(k)
            seen.append(animation.convert("L").getpixel((0, 0)))
    np.testing.assert_allclose(seen, [0, 127, 255], atol=1)
    with pytest.raises(ValueError, match="figures: expected at least one, got none"):
        viz.save_animation([], tmp_path / "b.gif")
    assert not (tmp_path / "b.gif").exists()


def test_given_axes_are_used_and_new_ones_made() -> None:
    own = viz.new_figure(1, 1).add_subplot()
    assert axes_of(own) is own
    assert axes_of(None) is not axes_of(None)
