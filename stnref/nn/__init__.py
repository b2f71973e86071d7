"""The small network kit: each operation a forward/backward pair, each layer a thin wrapper."""

from stnref.nn.activations import (
    Flatten,
    Relu,
    Tanh,
    flatten_backward,
    flatten_forward,
    relu_backward,
    relu_forward,
    tanh_backward,
    tanh_forward,
)
from stnref.nn.conv import Conv2d, conv2d_backward, conv2d_forward
from stnref.nn.layer import Layer, Params
from stnref.nn.linear import Linear, linear_backward, linear_forward
from stnref.nn.loss import softmax_cross_entropy_backward, softmax_cross_entropy_forward
from stnref.nn.optimizers import SGD, Adam, clip_gradient_norm, gradient_norm, group_rates
from stnref.nn.pooling import (
    AvgPool2d,
    MaxPool2d,
    avg_pool2d_backward,
    avg_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from stnref.nn.schedules import SCHEDULES
from stnref.nn.sequential import Sequential

__all__ = [
    "SCHEDULES",
    "SGD",
    "Adam",
    "AvgPool2d",
    "Conv2d",
    "Flatten",
    "Layer",
    "Linear",
    "MaxPool2d",
    "Params",
    "Relu",
    "Sequential",
    "Tanh",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "clip_gradient_norm",
    "conv2d_backward",
    "conv2d_forward",
    "flatten_backward",
    "flatten_forward",
    "gradient_norm",
    "group_rates",
    "linear_backward",
    "linear_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "relu_backward",
    "relu_forward",
    "softmax_cross_entropy_backward",
    "softmax_cross_entropy_forward",
    "tanh_backward",
    "tanh_forward",
]
