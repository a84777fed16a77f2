"""Network `batchnorm` vectorised in NumPy, and the notebook's full-batch training of it.

A second independent oracle, fast enough for a thousand images: windows and matrix products where
`loops.py` has loops. Arrays inside are channels-last, (N, H, W, C), and kernels (KH, KW, C, O);
parameters and gradients go in and out as the package names and lays them out (OIHW, (out, in)).

The notebook's convolution returned a zero input gradient, so its first convolution and batch norm
never learned. `train(..., freeze_first=True)` is the training as it was; `False` has the true
gradients.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]
Parameters = dict[str, Array]

EPS = 1e-5
FIRST_STAGE = ("conv1.weight", "bn1.weight", "bn1.bias")
IMAGES_A_CHUNK = 20  # keeps the windows' copies (7 MB at the second convolution) near the cache


class Record(NamedTuple):
    """Losses and accuracies before one update."""

    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float


def _window_rows(
    x: Array, kernel_size: tuple[int, int], padding: int
) -> Iterator[tuple[slice, Array]]:
    """Yield, chunk by chunk, the images' slice and their windows as rows (n·OH·OW, KH·KW·C)."""
    for start in range(0, len(x), IMAGES_A_CHUNK):
        images = slice(start, start + IMAGES_A_CHUNK)
        p = (padding, padding)
        padded = np.pad(x[images], ((0, 0), p, p, (0, 0)))
        windows = sliding_window_view(padded, kernel_size, axis=(1, 2))  # (n, OH, OW, C, KH, KW)
        rows = windows.transpose(0, 1, 2, 4, 5, 3)  # (n, OH, OW, KH, KW, C)
        yield images, rows.reshape(-1, x.shape[3] * kernel_size[0] * kernel_size[1])


def _convolve(x: Array, kernel: Array, padding: int) -> Array:
    KH, KW, C, O = kernel.shape
    N, H, W, _ = x.shape
    out = np.empty((N, H + 2 * padding - KH + 1, W + 2 * padding - KW + 1, O))
    matrix = kernel.reshape(KH * KW * C, O)
    for images, rows in _window_rows(x, (KH, KW), padding):
        np.matmul(rows, matrix, out=out[images].reshape(-1, O))
    return out


def _kernel_gradient(g: Array, x: Array, kernel: Array, padding: int) -> Array:
    KH, KW, C, O = kernel.shape
    total = np.zeros((KH * KW * C, O))
    for images, rows in _window_rows(x, (KH, KW), padding):
        total += rows.T @ g[images].reshape(-1, O)
    return total.reshape(KH, KW, C, O)


def _input_gradient(g: Array, kernel: Array, padding: int) -> Array:
    """At stride 1 it is the convolution of g with the kernel turned by 180°, channels swapped."""
    turned = kernel[::-1, ::-1].swapaxes(2, 3)  # (KH, KW, O, C)
    return _convolve(g, turned, padding=kernel.shape[0] - 1 - padding)


def _normalise(x: Array) -> tuple[Array, Array]:
    """Return (x − mean) / √(variance + eps) over all axes but the last, and 1/√(variance + eps)."""
    rows = x.reshape(-1, x.shape[-1])
    centred = rows - rows.mean(axis=0)
    inverse_deviation = 1 / np.sqrt(np.einsum("mc,mc->c", centred, centred) / len(rows) + EPS)
    centred *= inverse_deviation
    return centred.reshape(x.shape), inverse_deviation


def _normalise_backward(
    g: Array, normalised: Array, inverse_deviation: Array, gamma: Array
) -> tuple[Array, Array, Array]:
    """Return the gradients of input, gamma and beta.

    In terms of the normalised values x̂ and m values a channel, the input's is
    (gamma / deviation) · (g − mean g − x̂ · mean(g · x̂)).
    """
    g_rows = g.reshape(-1, g.shape[-1])
    x_rows = normalised.reshape(g_rows.shape)
    grad_beta = g_rows.sum(axis=0)
    grad_gamma = np.einsum("mc,mc->c", g_rows, x_rows)
    grad_x = x_rows * (-grad_gamma / len(g_rows))
    grad_x += g_rows
    grad_x -= grad_beta / len(g_rows)
    grad_x *= gamma * inverse_deviation
    return grad_x.reshape(g.shape), grad_gamma, grad_beta


def _scale_shift_relu(normalised: Array, gamma: Array, beta: Array) -> Array:
    out = normalised * gamma
    out += beta
    return np.maximum(out, 0, out=out)


def _corners(x: Array) -> list[Array]:
    """Return the four positions of every 2×2 window, in reading order."""
    return [x[:, u::2, v::2] for u in (0, 1) for v in (0, 1)]


def _pool(x: Array) -> Array:
    a, b, c, d = _corners(x)
    return np.maximum(np.maximum(a, b), np.maximum(c, d))


def _pool_backward(g: Array, x: Array, pooled: Array) -> Array:
    grad_x = np.zeros(x.shape)
    unclaimed = g.copy()
    for corner, grad_corner in zip(_corners(x), _corners(grad_x), strict=True):
        np.copyto(grad_corner, unclaimed, where=corner == pooled)
        unclaimed[corner == pooled] = 0  # the first maximum takes it all
    return grad_x


def _channels_last(weight: Array) -> Array:
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0))  # (KH, KW, C, O)


class _FirstStage(NamedTuple):
    """What conv 1, batch norm 1, ReLU and pool leave behind for their backward pass."""

    images: Array
    normalised: Array
    inverse_deviation: Array
    activated: Array
    pooled: Array


def _first_stage(params: Parameters, images: Array) -> _FirstStage:
    x = images.transpose(0, 2, 3, 1)  # (N, H, W, 1)
    normalised, inverse = _normalise(_convolve(x, _channels_last(params["conv1.weight"]), 1))
    activated = _scale_shift_relu(normalised, params["bn1.weight"], params["bn1.bias"])
    return _FirstStage(x, normalised, inverse, activated, _pool(activated))


def _first_stage_backward(params: Parameters, stage: _FirstStage, g: Array) -> Parameters:
    g = _pool_backward(g, stage.activated, stage.pooled)
    g *= stage.activated > 0
    g, grad_gamma, grad_beta = _normalise_backward(
        g, stage.normalised, stage.inverse_deviation, params["bn1.weight"]
    )
    kernel = _channels_last(params["conv1.weight"])
    grad_kernel = _kernel_gradient(g, stage.images, kernel, 1)
    return {
        "conv1.weight": grad_kernel.transpose(3, 2, 0, 1),
        "bn1.weight": grad_gamma,
        "bn1.bias": grad_beta,
    }


class _SecondStage(NamedTuple):
    """What the layers after the pool leave behind for their backward pass."""

    normalised2: Array
    inverse2: Array
    features: Array
    normalised3: Array
    inverse3: Array
    hidden: Array
    log_probabilities: Array


def _second_stage(params: Parameters, pooled: Array) -> _SecondStage:
    normalised2, inverse2 = _normalise(_convolve(pooled, _channels_last(params["conv2.weight"]), 1))
    activated = _scale_shift_relu(normalised2, params["bn2.weight"], params["bn2.bias"])
    features = activated.transpose(0, 3, 1, 2).reshape(len(activated), -1)  # (N, 18·13·13)
    normalised3, inverse3 = _normalise(features @ params["linear1.weight"].T)
    hidden = _scale_shift_relu(normalised3, params["bn3.weight"], params["bn3.bias"])
    logits = hidden @ params["linear2.weight"].T + params["linear2.bias"]
    logits -= logits.max(axis=1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return _SecondStage(
        normalised2, inverse2, features, normalised3, inverse3, hidden, log_probabilities
    )


def _second_stage_backward(
    params: Parameters, stage: _SecondStage, pooled: Array, labels: Labels
) -> tuple[Parameters, Array]:
    """Return the gradients of the second stage's parameters, and that of batch norm 2's input."""
    grads = {}
    g = np.exp(stage.log_probabilities)
    g[np.arange(len(labels)), labels] -= 1
    g /= len(labels)
    grads["linear2.weight"] = g.T @ stage.hidden
    grads["linear2.bias"] = g.sum(axis=0)
    g = (g @ params["linear2.weight"]) * (stage.hidden > 0)
    g, grads["bn3.weight"], grads["bn3.bias"] = _normalise_backward(
        g, stage.normalised3, stage.inverse3, params["bn3.weight"]
    )
    grads["linear1.weight"] = g.T @ stage.features
    g = (g @ params["linear1.weight"]) * (stage.features > 0)
    N, H, W, C = stage.normalised2.shape
    g = np.ascontiguousarray(g.reshape(N, C, H, W).transpose(0, 2, 3, 1))  # (N, H, W, C)
    g, grads["bn2.weight"], grads["bn2.bias"] = _normalise_backward(
        g, stage.normalised2, stage.inverse2, params["bn2.weight"]
    )
    kernel = _channels_last(params["conv2.weight"])
    grads["conv2.weight"] = _kernel_gradient(g, pooled, kernel, 1).transpose(3, 2, 0, 1)
    return grads, g


def _loss_and_accuracy(log_probabilities: Array, labels: Labels) -> tuple[float, float]:
    loss = -log_probabilities[np.arange(len(labels)), labels].mean()
    accuracy = (log_probabilities.argmax(axis=1) == labels).mean()
    return float(loss), float(accuracy)


def loss_and_accuracy(params: Parameters, images: Array, labels: Labels) -> tuple[float, float]:
    """Evaluate on a batch, normalised by the batch's own statistics."""
    pooled = _first_stage(params, images).pooled
    return _loss_and_accuracy(_second_stage(params, pooled).log_probabilities, labels)


def loss_and_gradients(
    params: Parameters, images: Array, labels: Labels
) -> tuple[float, Parameters]:
    """Return the mean loss and the true gradient of every parameter, under the same names."""
    first = _first_stage(params, images)
    second = _second_stage(params, first.pooled)
    grads, g = _second_stage_backward(params, second, first.pooled, labels)
    g = _input_gradient(g, _channels_last(params["conv2.weight"]), 1)
    grads |= _first_stage_backward(params, first, g)
    return _loss_and_accuracy(second.log_probabilities, labels)[0], grads


def train(
    params: Parameters,
    train_images: Array,
    train_labels: Labels,
    test_images: Array,
    test_labels: Labels,
    iterations: int,
    rate: float,
    freeze_first: bool,
) -> list[Record]:
    """Train by full-batch gradient descent and return the records taken before each update.

    `params` is not changed. Images (N, 1, 28, 28), labels (N,). The test batch is normalised by
    its own statistics. With `freeze_first`, conv1.weight, bn1.weight and bn1.bias get no update,
    as the notebook's mistake had it, so the first stage is computed once.
    """
    params = {name: value.copy() for name, value in params.items()}
    records: list[Record] = []
    for _ in range(iterations):
        if not records or not freeze_first:
            first = _first_stage(params, train_images)
            test_pooled = _first_stage(params, test_images).pooled
        second = _second_stage(params, first.pooled)
        test_log_probabilities = _second_stage(params, test_pooled).log_probabilities
        records.append(
            Record(
                *_loss_and_accuracy(second.log_probabilities, train_labels),
                *_loss_and_accuracy(test_log_probabilities, test_labels),
            )
        )
        grads, g = _second_stage_backward(params, second, first.pooled, train_labels)
        if not freeze_first:
            g = _input_gradient(g, _channels_last(params["conv2.weight"]), 1)
            grads |= _first_stage_backward(params, first, g)
        for name, grad in grads.items():
            params[name] -= rate * grad
    return records
