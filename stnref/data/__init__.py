"""Data: digits drawn from strokes, MNIST, and the paper's distortions."""

from stnref.data.digits import Digits as Digits
from stnref.data.digits import draw_digits as draw_digits
from stnref.data.distortions import DISTORTIONS as DISTORTIONS
from stnref.data.distortions import Distorted as Distorted
from stnref.data.distortions import rotate as rotate
from stnref.data.mnist import load_mnist as load_mnist
