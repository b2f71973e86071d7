"""Draw the figure of the README from the run that ``make train`` leaves in runs/st-cnn."""

from __future__ import annotations

from pathlib import Path

from stnref import viz
from stnref.experiments.run import load_run

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write docs/figures/digits.png: ten test digits before and after the transformer."""
    run = load_run(ROOT / "runs" / "st-cnn")
    images = run.some_of_each(1)
    outputs, grids = run.transformed(images)
    target = ROOT / "docs" / "figures" / "digits.png"
    target.parent.mkdir(exist_ok=True)
    viz.save_figure(viz.plot_sheet(images, grids, outputs), target, dpi=100)
    print(f"wrote {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
