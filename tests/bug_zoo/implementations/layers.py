"""The layers of a small network, channels last."""

import numpy as np


def linear_forward(X, W, b):
    Y = X @ W + b
    return Y, (X, W)


def linear_backward(dY, cache):
    X, W = cache
    dX = dY @ W.T
    dW = X.T @ dY
    db = dY.sum(axis=0)
    return dX, dW, db


def conv2d_forward(X, W, b, *, stride=1, padding=0):
    k, _, _, F = W.shape
    padded = np.pad(X, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows = (padded.shape[1] - k) // stride + 1
    columns = (padded.shape[2] - k) // stride + 1
    Y = np.zeros((len(X), rows, columns, F))
    for i in range(rows):
        for j in range(columns):
            seen = padded[:, i * stride : i * stride + k, j * stride : j * stride + k]
            Y[:, i, j] = np.tensordot(seen, W, axes=3) + b
    return Y, (X.shape, padded, W, stride, padding)


def conv2d_backward(dY, cache):
    (_, height, width, _), padded, W, stride, padding = cache
    k = len(W)
    dpadded, dW = np.zeros_like(padded), np.zeros_like(W)
    for i in range(dY.shape[1]):
        for j in range(dY.shape[2]):
            d = dY[:, i, j]  # (B, F)
            n, m = i * stride, j * stride
            window = padded[:, n : n + k, m : m + k]  # (B, k, k, C)
            dW += np.tensordot(window, d, axes=([0], [0]))
            part = np.tensordot(d, W, axes=([1], [3]))  # (B, k, k, C)
            dpadded[:, n : n + k, m : m + k] += part
    top, left = padding, padding
    dX = dpadded[:, top : top + height, left : left + width]
    db = dY.sum(axis=(0, 1, 2))
    return dX, dW, db


def max_pool2d_forward(X, size):
    B, H, W, C = X.shape
    h, w = H // size, W // size
    squares = X[:, : h * size, : w * size].reshape(B, h, size, w, size, C)
    squares = squares.transpose(0, 1, 3, 5, 2, 4).reshape(B, h, w, C, size * size)
    winner = squares.argmax(axis=-1)
    return squares.max(axis=-1), (X.shape, size, winner)


def max_pool2d_backward(dY, cache):
    shape, size, winner = cache
    b, i, j, c = np.indices(winner.shape)
    u, v = winner // size, winner % size
    dX = np.zeros(shape)
    dX[b, i * size + u, j * size + v, c] = dY
    return dX


def avg_pool2d_forward(X, size):
    B, H, W, C = X.shape
    h, w = H // size, W // size
    squares = X[:, : h * size, : w * size].reshape(B, h, size, w, size, C)
    return squares.mean(axis=(2, 4)), (X.shape, size)


def avg_pool2d_backward(dY, cache):
    shape, size = cache
    _, h, w, _ = dY.shape
    dX = np.zeros(shape)
    for u in range(size):
        for v in range(size):
            dX[:, u : h * size : size, v : w * size : size] = dY / size**2
    return dX


def relu_forward(X):
    Y = np.maximum(X, 0)
    return Y, (X, Y)


def relu_backward(dY, cache):
    X, _ = cache
    mask = X > 0
    dX = dY * mask
    return dX


def tanh_forward(X):
    Y = np.tanh(X)
    return Y, (Y,)


def tanh_backward(dY, cache):
    (Y,) = cache
    dX = dY * (1 - Y**2)
    return dX


def flatten_forward(X):
    return X.reshape(len(X), -1), X.shape


def flatten_backward(dY, cache):
    dX = dY.reshape(cache)
    return dX


def softmax_cross_entropy_forward(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)  # (B, K)
    loss = -np.log(p[np.arange(len(labels)), labels]).mean()
    return loss, (p, labels)


def softmax_cross_entropy_backward(dloss, cache):
    p, labels = cache
    n = len(labels)
    dlogits = p.copy()
    dlogits[np.arange(n), labels] -= 1
    return dloss * dlogits / n
