"""The paper's networks for distorted MNIST: FCN, CNN, and both behind a spatial transformer.

The paper leaves widths open; they are options here. Max pooling comes before relu, which
gives the same values as the other order for a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from stnref.nn import AvgPool2d, Conv2d, Flatten, Layer, Linear, MaxPool2d, Relu, Sequential
from stnref.spatial_transformer import SpatialTransformer
from stnref.validation import expect_choice, expect_sizes

MODELS = ("cnn", "st-cnn", "fcn", "st-fcn")
"""Names that `build_network` knows."""

TRANSFORMER = "st"
"""Name of the spatial transformer's layer in the networks that have one."""


def build_network(
    model: str,
    in_shape: Sequence[int],
    *,
    classes: int = 10,
    filters: int = 32,
    hidden: int = 256,
    transform: str = "affine",
) -> Sequential:
    """Build one of the paper's networks.

    Parameters
    ----------
    model : "cnn", "st-cnn", "fcn" or "st-fcn"
    in_shape : (H, W, C)
    classes : int
        Number of logits.
    filters : int
        Filters of each convolution of the CNN.
    hidden : int
        Units of each hidden layer of the FCN.
    transform : str
        What the transformer predicts, see `get_transform`.

    Returns
    -------
    Sequential
        From U (B, H, W, C) to logits (B, classes).

    Raises
    ------
    ValueError
        The model is unknown, or the picture is too small for it.

    Examples
    --------
    >>> list(build_network("st-fcn", (28, 28, 1)).layers)
    ['st', 'flatten', 'fc1', 'relu1', 'fc2', 'relu2', 'classifier']
    """
    expect_choice("model", model, MODELS)
    H, W, C = expect_sizes("in_shape", in_shape, (3,))
    convolutional = model.endswith("cnn")
    layers: dict[str, Layer] = {}
    if model.startswith("st-"):
        localise = _localise_by_convolution if convolutional else _localise_densely
        layers[TRANSFORMER] = SpatialTransformer(
            *localise(H, W, C), out_shape=(H, W), transform=transform
        )
    classify = (
        _cnn(H, W, C, filters, classes) if convolutional else _fcn(H * W * C, hidden, classes)
    )
    return Sequential(**layers, **classify)


def _cnn(H: int, W: int, C: int, filters: int, classes: int) -> dict[str, Layer]:
    """Conv 9x9, max pool 2, conv 7x7, max pool 2, classifier; stride 1, no padding."""
    _expect_rows_and_columns(24, H, W, C)
    h, w = (((n - 8) // 2 - 6) // 2 for n in (H, W))
    return {
        "conv1": Conv2d(C, filters, 9),
        "pool1": MaxPool2d(2),
        "relu1": Relu(),
        "conv2": Conv2d(filters, filters, 7),
        "pool2": MaxPool2d(2),
        "relu2": Relu(),
        "flatten": Flatten(),
        "classifier": Linear(h * w * filters, classes),
    }


def _expect_rows_and_columns(least: int, H: int, W: int, C: int) -> None:
    if min(H, W) < least:
        raise ValueError(f"in_shape: expected at least {least} rows and columns, got {(H, W, C)}")


def _fcn(pixels: int, hidden: int, classes: int) -> dict[str, Layer]:
    """Two hidden layers and a classifier."""
    return {**_dense(pixels, hidden, hidden), "classifier": Linear(hidden, classes)}


def _dense(*sizes: int) -> dict[str, Layer]:
    """Linear layers from each size to the next, each with a relu."""
    layers: dict[str, Layer] = {"flatten": Flatten()}
    for number, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
        layers |= {f"fc{number}": Linear(n_in, n_out), f"relu{number}": Relu()}
    return layers


def _localise_by_convolution(H: int, W: int, C: int) -> tuple[Sequential, int]:
    """Half the size, conv 5x5x20, max pool 2, conv 5x5x20, 20 units."""
    _expect_rows_and_columns(28, H, W, C)
    h, w = ((n // 2 - 4) // 2 - 4 for n in (H, W))
    net = Sequential(
        half=AvgPool2d(2),
        conv1=Conv2d(C, 20, 5),
        pool1=MaxPool2d(2),
        relu1=Relu(),
        conv2=Conv2d(20, 20, 5),
        relu2=Relu(),
        flatten=Flatten(),
        fc=Linear(h * w * 20, 20),
        relu3=Relu(),
    )
    return net, 20


def _localise_densely(H: int, W: int, C: int) -> tuple[Sequential, int]:
    """Three layers of 32 units."""
    return Sequential(**_dense(H * W * C, 32, 32, 32)), 32
