"""What happens while a network trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from stnref.validation import Array, expect_array
from stnref.viz.figure import axes_of


def plot_learning_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]], *, ax: Axes | None = None
) -> list[Line2D]:
    """Draw the training error (dashed) and test error (solid) of each run over its epochs.

    Parameters
    ----------
    histories : mapping of str to rows
        Name of the run -> rows with ``epoch``, ``train_error`` and ``test_error``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    list of matplotlib.lines.Line2D
        Of each run the test error, then the training error.
    """
    ax = axes_of(ax)
    drawn = []
    for number, (name, rows) in enumerate(histories.items()):
        epochs = [row["epoch"] for row in rows]
        for key, style, what in (("test_error", "-o", "test"), ("train_error", "--", "training")):
            percent = [100 * row[key] for row in rows]
            drawn += ax.plot(
                epochs, percent, style, color=f"C{number}", ms=3, label=f"{name}, {what}"
            )
    ax.set(xlabel="epoch", ylabel="error (%)", yscale="log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("")
    ax.grid(alpha=0.3, which="both")
    ax.legend()
    return drawn


def plot_transformer(
    history: Sequence[Mapping[str, float]], *, ax: Axes | None = None
) -> list[Line2D]:
    """Draw what `stnref.training.watch` saw over the epochs: shares of samples, and the scale.

    Parameters
    ----------
    history : sequence of mapping of str to float
        Rows with ``epoch``, ``outside``, ``zero_gradient`` and ``scale``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    list of matplotlib.lines.Line2D
        Of the samples outside, those without gradient, and the scale.
    """
    ax = axes_of(ax)
    epochs = [row["epoch"] for row in history]
    kinds = {
        "outside": ("C0-o", "samples outside"),
        "zero_gradient": ("C1-s", "samples without gradient"),
        "scale": ("k--", "scale: 100 shows the whole picture"),
    }
    drawn = []
    for key, (style, label) in kinds.items():
        drawn += ax.plot(epochs, [100 * row[key] for row in history], style, ms=3, label=label)
    ax.set(xlabel="epoch", ylabel="%", ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    ax.legend()
    return drawn


def plot_theta(
    theta: Array, *, names: Sequence[str] | None = None, ax: Axes | None = None
) -> list[Line2D]:
    """Draw the parameters of a transform over training.

    Parameters
    ----------
    theta : (steps, n_params)
        Those of one picture, or a mean, step by step.
    names : sequence of str, optional
        Of the parameters; theta 0, 1, … unless told.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    list of matplotlib.lines.Line2D
        One for each parameter.

    Raises
    ------
    TypeError, ValueError
        The dtype or the shape of theta does not fit, or the names are not as many.
    """
    theta = expect_array("theta", theta, ("steps", "n_params"), real=True)
    labels = names or [f"theta {k}" for k in range(theta.shape[1])]
    if len(labels) != theta.shape[1]:
        raise ValueError(f"names: expected {theta.shape[1]}, got {len(labels)}")
    ax = axes_of(ax)
    drawn = ax.plot(theta)
    styles = ("-", "--", ":", "-.")  # for those who cannot tell the colours apart
    for k, (line, label) in enumerate(zip(drawn, labels, strict=True)):
        line.set(label=label, linestyle=styles[k % len(styles)])
    ax.set(xlabel="step", ylabel="theta")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    ax.legend()
    return drawn
