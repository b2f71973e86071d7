"""Data: digits drawn from strokes, MNIST, and the paper's distortions."""

from stnref.data.digits import Digits, draw_digits
from stnref.data.distortions import DISTORTIONS, Distorted, rotate
from stnref.data.mnist import load_mnist

__all__ = ["DISTORTIONS", "Digits", "Distorted", "draw_digits", "load_mnist", "rotate"]
