"""The five networks, forward and backward by hand, on the loops of `loops.py`.

Parameters are dictionaries with the names that the package's models give them in `state_dict`.
Images are (N, 1, H, W), weights OIHW, linear weights (out, in); flattening is in C, H, W order.
Targets are (N,): class numbers for momentum, batchnorm and softmax, real numbers for regression,
0 or 1 for sigmoid. All losses are means over the batch.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.oracles.loops import (
    Array,
    batch_norm,
    batch_norm_backward,
    conv2d,
    conv2d_backward,
    linear,
    linear_backward,
    max_pool2d,
    max_pool2d_backward,
    mean_squared_error,
    relu,
    relu_backward,
    sigmoid_half_squared_error,
    softmax_cross_entropy,
)

Parameters = dict[str, Array]
Targets = npt.NDArray[Any]  # class numbers or real numbers, as the network's loss wants

IMAGE_SIZE = {"momentum": 32, "batchnorm": 28, "regression": 32, "sigmoid": 32, "softmax": 28}

_SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "momentum": {
        "conv1.weight": (4, 1, 3, 3),
        "conv1.bias": (4,),
        "conv2.weight": (4, 4, 3, 3),
        "conv2.bias": (4,),
        "linear.weight": (10, 1024),
        "linear.bias": (10,),
    },
    "batchnorm": {
        "conv1.weight": (16, 1, 3, 3),
        "bn1.weight": (16,),
        "bn1.bias": (16,),
        "conv2.weight": (18, 16, 4, 4),
        "bn2.weight": (18,),
        "bn2.bias": (18,),
        "linear1.weight": (20, 3042),
        "bn3.weight": (20,),
        "bn3.bias": (20,),
        "linear2.weight": (10, 20),
        "linear2.bias": (10,),
    },
    "regression": {
        "conv.weight": (4, 1, 3, 3),
        "conv.bias": (4,),
        "linear1.weight": (10, 1024),
        "linear1.bias": (10,),
        "linear2.weight": (1, 10),
        "linear2.bias": (1,),
    },
    "sigmoid": {
        "conv.weight": (1, 1, 5, 5),
        "conv.bias": (1,),
        "linear.weight": (1, 256),
        "linear.bias": (1,),
    },
    "softmax": {
        "conv.weight": (8, 1, 3, 3),
        "linear.weight": (10, 1352),
        "linear.bias": (10,),
    },
}


def _deviation(network: str, parameter: str) -> float:
    """Return the standard deviation from which a parameter is drawn; 0 for a constant one."""
    if network in ("momentum", "sigmoid"):
        return 0.01
    if network == "regression":
        return 0.0 if parameter in ("linear1.bias", "linear2.bias") else 1.0
    if network == "batchnorm":
        return 0.1 if parameter.endswith("weight") and not parameter.startswith("bn") else 0.0
    return {"conv.weight": 1 / 9, "linear.weight": 1 / 1352, "linear.bias": 0.0}[parameter]


def initial_parameters(name: str, rng: np.random.Generator) -> Parameters:
    """Draw the parameters of a network as its notebook did."""
    params = {}
    for parameter, shape in _SHAPES[name].items():
        scale_of_batch_norm = parameter.startswith("bn") and parameter.endswith("weight")
        constant = 1.0 if scale_of_batch_norm else 0.0
        params[parameter] = constant + _deviation(name, parameter) * rng.standard_normal(shape)
    return params


def _flatten(x: Array) -> Array:
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))  # (N, C·H·W)


def _momentum(p: Parameters, images: Array, labels: Targets) -> tuple[float, Parameters]:
    z1 = conv2d(images, p["conv1.weight"], p["conv1.bias"], stride=2, padding=1)
    a1 = relu(z1)
    z2 = conv2d(a1, p["conv2.weight"], p["conv2.bias"], stride=1, padding=1)
    a2 = relu(z2)
    f = _flatten(a2)
    logits = linear(f, p["linear.weight"], p["linear.bias"])
    loss, g = softmax_cross_entropy(logits, labels)

    grads = {}
    g, grads["linear.weight"], grads["linear.bias"] = linear_backward(g, f, p["linear.weight"])
    g = relu_backward(g.reshape(a2.shape), z2)
    g, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(
        g, a1, p["conv2.weight"], stride=1, padding=1
    )
    g = relu_backward(g, z1)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(
        g, images, p["conv1.weight"], stride=2, padding=1
    )
    return loss, grads


def _batchnorm(p: Parameters, images: Array, labels: Targets) -> tuple[float, Parameters]:
    z1 = conv2d(images, p["conv1.weight"], padding=1)
    n1 = batch_norm(z1, p["bn1.weight"], p["bn1.bias"])
    a1 = relu(n1)
    pooled = max_pool2d(a1, 2)
    z2 = conv2d(pooled, p["conv2.weight"], padding=1)
    n2 = batch_norm(z2, p["bn2.weight"], p["bn2.bias"])
    a2 = relu(n2)
    f = _flatten(a2)
    z3 = linear(f, p["linear1.weight"])
    n3 = batch_norm(z3, p["bn3.weight"], p["bn3.bias"])
    a3 = relu(n3)
    logits = linear(a3, p["linear2.weight"], p["linear2.bias"])
    loss, g = softmax_cross_entropy(logits, labels)

    grads = {}
    g, grads["linear2.weight"], grads["linear2.bias"] = linear_backward(g, a3, p["linear2.weight"])
    g = relu_backward(g, n3)
    g, grads["bn3.weight"], grads["bn3.bias"] = batch_norm_backward(g, z3, p["bn3.weight"])
    g, grads["linear1.weight"], _ = linear_backward(g, f, p["linear1.weight"])
    g = relu_backward(g.reshape(a2.shape), n2)
    g, grads["bn2.weight"], grads["bn2.bias"] = batch_norm_backward(g, z2, p["bn2.weight"])
    g, grads["conv2.weight"], _ = conv2d_backward(g, pooled, p["conv2.weight"], padding=1)
    g = max_pool2d_backward(g, a1, 2)
    g = relu_backward(g, n1)
    g, grads["bn1.weight"], grads["bn1.bias"] = batch_norm_backward(g, z1, p["bn1.weight"])
    _, grads["conv1.weight"], _ = conv2d_backward(g, images, p["conv1.weight"], padding=1)
    return loss, grads


def _regression(p: Parameters, images: Array, targets: Targets) -> tuple[float, Parameters]:
    z = conv2d(images, p["conv.weight"], p["conv.bias"], stride=2, padding=1)
    a = relu(z)
    f = _flatten(a)
    hidden = linear(f, p["linear1.weight"], p["linear1.bias"])
    predictions = linear(hidden, p["linear2.weight"], p["linear2.bias"])
    loss, g = mean_squared_error(predictions, targets)

    grads = {}
    g, grads["linear2.weight"], grads["linear2.bias"] = linear_backward(
        g, hidden, p["linear2.weight"]
    )
    g, grads["linear1.weight"], grads["linear1.bias"] = linear_backward(g, f, p["linear1.weight"])
    g = relu_backward(g.reshape(a.shape), z)
    _, grads["conv.weight"], grads["conv.bias"] = conv2d_backward(
        g, images, p["conv.weight"], stride=2, padding=1
    )
    return loss, grads


def _sigmoid(p: Parameters, images: Array, targets: Targets) -> tuple[float, Parameters]:
    z = conv2d(images, p["conv.weight"], p["conv.bias"], padding=2)
    a = relu(z)
    pooled = max_pool2d(a, 2)
    f = _flatten(pooled)
    logits = linear(f, p["linear.weight"], p["linear.bias"])
    loss, g = sigmoid_half_squared_error(logits, targets)

    grads = {}
    g, grads["linear.weight"], grads["linear.bias"] = linear_backward(g, f, p["linear.weight"])
    g = max_pool2d_backward(g.reshape(pooled.shape), a, 2)
    g = relu_backward(g, z)
    _, grads["conv.weight"], grads["conv.bias"] = conv2d_backward(
        g, images, p["conv.weight"], padding=2
    )
    return loss, grads


def _softmax(p: Parameters, images: Array, labels: Targets) -> tuple[float, Parameters]:
    z = conv2d(images, p["conv.weight"])
    pooled = max_pool2d(z, 2)
    f = _flatten(pooled)
    logits = linear(f, p["linear.weight"], p["linear.bias"])
    loss, g = softmax_cross_entropy(logits, labels)

    grads = {}
    g, grads["linear.weight"], grads["linear.bias"] = linear_backward(g, f, p["linear.weight"])
    g = max_pool2d_backward(g.reshape(pooled.shape), z, 2)
    _, grads["conv.weight"], _ = conv2d_backward(g, images, p["conv.weight"])
    return loss, grads


LOSS_AND_GRADIENTS: dict[str, Callable[[Parameters, Array, Targets], tuple[float, Parameters]]] = {
    "momentum": _momentum,
    "batchnorm": _batchnorm,
    "regression": _regression,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
}


def loss_and_gradients(
    name: str, params: Parameters, images: Array, targets: Targets
) -> tuple[float, Parameters]:
    """Return a network's loss and the gradient of every parameter, under the same names."""
    return LOSS_AND_GRADIENTS[name](params, images, targets)
