"""The mistakes of five hand-written networks, each written afresh as a small NumPy function.

Every pair is a forward pass and a backward pass for `check_backward`; a `right_…` function is the
forward pass that was meant, where the mistake is there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# ------------------------------------------------------------------------------- convolution


def convolve(x: Array, w: Array) -> Array:
    """x (H, W), w (F, K, K) to (OH, OW, F): windows in the notebooks' layout."""
    K = w.shape[1]
    OH, OW = x.shape[0] - K + 1, x.shape[1] - K + 1
    y = np.zeros((OH, OW, len(w)))
    for i in range(OH):
        for j in range(OW):
            y[i, j] = (w * x[i : i + K, j : j + K]).sum((1, 2))
    return y


def input_gradient(g: Array, x: Array, w: Array) -> Array:
    K = w.shape[1]
    gx = np.zeros_like(x)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            gx[i : i + K, j : j + K] += (g[i, j][:, None, None] * w).sum(0)
    return gx


def filter_gradient(g: Array, x: Array, w: Array) -> Array:
    K = w.shape[1]
    gw = np.zeros_like(w)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            gw += g[i, j][:, None, None] * x[i : i + K, j : j + K]
    return gw


def convolve_backward(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    return input_gradient(g, x, w), filter_gradient(g, x, w)


def convolve_backward_last_window(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """The filter's gradient is assigned at each window instead of added."""
    K = w.shape[1]
    gw = np.zeros_like(w)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            gw = g[i, j][:, None, None] * x[i : i + K, j : j + K]
    return input_gradient(g, x, w), gw


def convolve_backward_other_array(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """The input's gradient is added into one array, and another, of zeros, is returned."""
    padded = np.zeros_like(x)
    gx = np.zeros_like(x)
    padded += input_gradient(g, x, w)
    return gx, filter_gradient(g, x, w)


def convolve_backward_cropped(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """The input's gradient is cropped as if the forward pass had padded."""
    return input_gradient(g, x, w)[1:-1, 1:-1], filter_gradient(g, x, w)


def convolve_backward_flipped(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """The filter's gradient is indexed the other way round than the forward pass."""
    return input_gradient(g, x, w), filter_gradient(g, x, w)[:, ::-1, ::-1]


def convolve_over_filter_size(x: Array, w: Array) -> Array:
    """The loops run over the filter's size instead of the output's."""
    K = w.shape[1]
    y = np.zeros((x.shape[0] - K + 1, x.shape[1] - K + 1, len(w)))
    for i in range(K):
        for j in range(K):
            y[i, j] = (w * x[i : i + K, j : j + K]).sum((1, 2))
    return y


def convolve_backward_misspelt(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """A name that does not exist: the function was never run."""
    return input_gradient(gradient, x, w), filter_gradient(g, x, w)  # type: ignore[name-defined]  # noqa: F821  # the mistake


def convolve_backward_unwritten(_g: Array, _x: Array, _w: Array) -> None:
    """The backward pass of the layer was never written."""


# ------------------------------------------------------------------------------- relu, pool


def relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def relu_backward(g: Array, x: Array) -> tuple[Array]:
    return (g * (x > 0),)


def relu_backward_mask_of_gradient(g: Array, _x: Array) -> tuple[Array]:
    """The mask is taken from the gradient's sign instead of the input's."""
    return (np.where(g > 0, g, 0.0),)


def max_pool(x: Array) -> Array:
    """x (H, W, F) to (H/2, W/2, F)."""
    H, W, F = x.shape
    return x.reshape(H // 2, 2, W // 2, 2, F).max(axis=(1, 3))


def max_pool_backward_every_tie(g: Array, x: Array) -> tuple[Array]:
    """Every element that equals the maximum gets the whole gradient."""
    largest = max_pool(x).repeat(2, axis=0).repeat(2, axis=1)
    return (g.repeat(2, axis=0).repeat(2, axis=1) * (x == largest),)


def max_pool_backward(g: Array, x: Array) -> tuple[Array]:
    gx = np.zeros_like(x)
    for i, j, f in np.ndindex(g.shape):
        window = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, f]
        u, v = np.unravel_index(np.argmax(window), window.shape)
        gx[2 * i + u, 2 * j + v, f] += g[i, j, f]
    return (gx,)


def max_pool_sides_exchanged(x: Array) -> Array:
    """The loops have height and width exchanged."""
    H, W, F = x.shape
    y = np.zeros((W // 2, H // 2, F))
    for i in range(W // 2):
        for j in range(H // 2):
            y[i, j] = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(0, 1))
    return y


# ------------------------------------------------------------------------------- softmax, losses


def softmax_without_maximum(z: Array) -> Array:
    e = np.exp(z)
    return np.asarray(e / e.sum())


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max())
    return np.asarray(e / e.sum())


def softmax_backward(g: Array, z: Array) -> tuple[Array]:
    p = softmax(z)
    return (p * (g - (g * p).sum()),)


def softmax_backward_without_maximum(g: Array, z: Array) -> tuple[Array]:
    p = softmax_without_maximum(z)
    return (p * (g - (g * p).sum()),)


def mean_squared_error(prediction: Array, target: Array) -> Any:
    return ((prediction - target) ** 2).mean()


def mean_squared_error_backward(g: float, prediction: Array, target: Array) -> tuple[Array, Array]:
    gradient = 2 * g * (prediction - target) / prediction.size
    return gradient, -gradient


def mean_squared_error_backward_without_target(
    g: float, prediction: Array, target: Array
) -> tuple[Array, Array]:
    """2·y instead of 2·(y − target)/m: it trains towards 0 whatever the target."""
    return 2 * g * prediction, 2 * g * (target - prediction) / target.size


def linear_loss(x: Array, w: Array, b: Array, target: Array) -> Any:
    """x (m, I), w (I,), b (1,): the mean squared error of a linear layer."""
    return ((x @ w + b - target) ** 2).mean()


def linear_loss_backward_partly_divided(
    g: float, x: Array, w: Array, b: Array, target: Array
) -> tuple[Array, Array, Array, None]:
    """Some gradients are divided by m, others not: the layers learn at different rates."""
    m = len(x)
    error = 2 * g * (x @ w + b - target)
    return error[:, None] * w / m, x.T @ error, error.sum(keepdims=True) / m, None


# ------------------------------------------------------------------------------- no gradients


def batch_norm_of_test_images(x: Array) -> Array:
    """Normalise (N, C) by the batch at hand, in evaluation too: no running statistics."""
    return np.asarray((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5))


def momentum_step(weight: Array, _velocity: Array, gradient: Array) -> Array:
    """The momentum is multiplied with the weight and added to it."""
    return weight + 0.95 * weight - 0.009 * gradient


def right_momentum_step(weight: Array, velocity: Array, gradient: Array) -> Array:
    return weight + 0.95 * velocity - 0.009 * gradient
