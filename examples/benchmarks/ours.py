"""The workloads in this project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_cnn
import tinygrad_cnn.functional as F
from benchmarks.frameworks import CAPTURED, IMPERATIVE, OURS
from benchmarks.imperative import Imperative
from benchmarks.layers import arrays, forward, small_arrays
from benchmarks.networks import LEARNING_RATE, Network, weights_of
from tinygrad_cnn import models, optim, tensor
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.verify import gradcheck
from tinygrad_cnn.viz.cost import multiply_adds

Run = Callable[[], Any]

LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "cross_entropy": F.cross_entropy,
    "mse": F.mse_loss,
    "half_mse": models.half_squared_error,
}


def optimizer_of(network: Network, parameters: Any) -> optim.Optimizer:
    """Make the optimiser that a network is trained with."""
    if network.optimizer == "adam":
        return optim.Adam(parameters, lr=LEARNING_RATE)
    momentum = 0.9 if network.optimizer == "momentum" else 0.0
    return optim.SGD(parameters, lr=LEARNING_RATE, momentum=momentum)


def model_of(network: Network, variant: str = OURS) -> Any:
    """Return the module of a network with its initial weights."""
    if network.model is None or variant == IMPERATIVE:
        return Imperative(network)
    model = network.model()
    model.load_state_dict(weights_of(network))
    return model


def train_step(network: Network, size: int, variant: str = OURS) -> Run:
    """Return a function that does one step of training and returns the loss."""
    model = model_of(network, variant)
    x, y = map(tensor, network.batch(size))
    loss_of, optimizer = LOSSES[network.loss], optimizer_of(network, model.parameters())

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def inference(network: Network, size: int, variant: str = OURS) -> Run:
    """Return a function that computes the network's answers without recording."""
    model = model_of(network, variant).eval()
    images, _ = network.batch(size)
    if variant == CAPTURED:
        captured = tinygrad_cnn.capture(model, images)
        return lambda: captured(images)
    x = tensor(images)

    def run() -> Any:
        with tinygrad_cnn.no_grad():
            return model(x)

    return run


def operations(network: Network, size: int) -> tuple[int, int]:
    """Count the floating-point operations of a forward pass, and of a step of training.

    A product of matrices that takes m multiply-adds takes m more for each gradient wanted of its
    two factors.
    """
    x, y = network.batch(size)
    loss = LOSSES[network.loss](model_of(network)(tensor(x)), y)
    forward = step = 0
    for node in nodes_below(loss):
        count = multiply_adds(node) or 0
        forward += 2 * count
        step += 2 * count * (1 + sum(edge is not None for edge in node.edges[:2]))
    return forward, step


def _channels_last(array: np.ndarray) -> np.ndarray:
    """Lay images out as the operations before them leave them; weights stay."""
    if array.ndim != 4 or 1 in array.shape:
        return array
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def layer(name: str) -> Run:
    """Return a function that does a layer's forward pass and both gradients."""
    given = {key: _channels_last(array) for key, array in arrays(name).items()}
    leaves = {key: tensor(a, requires_grad=True) for key, a in given.items() if key != "g"}
    g = tensor(given["g"])

    def run() -> None:
        for leaf in leaves.values():
            leaf.grad = None
        forward(name, F, leaves).backward(g)

    return run


def chain(length: int) -> Run:
    """Chain elementwise operations on 8 numbers, and go back."""
    x = tensor(np.ones(8, np.float32), requires_grad=True)

    def run() -> None:
        x.grad = None
        y = x
        for _ in range(length // 2):
            y = y * 1.0001 + 0.0001
        y.sum().backward()

    return run


def fan_out(width: int) -> Run:
    """Use one value many times, and sum."""
    x = tensor(np.ones(8, np.float32), requires_grad=True)

    def run() -> None:
        x.grad = None
        total = x
        for _ in range(width):
            total = total + x
        total.sum().backward()

    return run


def gradient_check() -> Run:
    """Verify a convolution and a tanh in float64."""
    return lambda: gradcheck(lambda x, w: F.tanh(F.conv2d(x, w)), small_arrays())
