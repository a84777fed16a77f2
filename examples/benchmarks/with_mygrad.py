"""The networks in MyGrad, the other framework in Python and NumPy alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, sigmoid
from mygrad.nnet.layers import batchnorm, conv_nd, max_pool
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.networks import LEARNING_RATE, Network, weights_of

Run = Callable[[], Any]


class _Operations:
    """MyGrad's functions under the names of `networks`."""

    def __init__(self, network: Network) -> None:
        self.tensors = {
            name: mg.tensor(a, constant="running" in name or a.dtype.kind != "f")
            for name, a in weights_of(network).items()
        }

    def conv(self, x: Any, name: str, stride: int = 1, padding: int = 0) -> Any:
        weight = self.tensors[name + ".weight"]
        if stride > 1:  # it takes exact fits alone: the padding below and on the right is unused
            x = np.pad(x, ((0, 0), (0, 0), (padding, 0), (padding, 0)))
            padding = 0
        y = conv_nd(x, weight, stride=stride, padding=padding)
        bias = self.tensors.get(name + ".bias")
        return y if bias is None else y + bias.reshape(-1, 1, 1)

    def batch_norm(self, x: Any, name: str) -> Any:
        gamma, beta = self.tensors[name + ".weight"], self.tensors[name + ".bias"]
        return batchnorm(x, gamma=gamma, beta=beta, eps=1e-5)

    def linear(self, x: Any, name: str) -> Any:
        y = x @ self.tensors[name + ".weight"].T
        bias = self.tensors.get(name + ".bias")
        return y if bias is None else y + bias

    def shortcut(self, x: Any, added: int) -> Any:
        x = x[:, :, ::2, ::2]
        zeros = np.zeros((len(x), added // 2, *x.shape[2:]), x.dtype)
        return mg.concatenate((zeros, x, zeros), axis=1)

    def max_pool(self, x: Any) -> Any:
        whole = tuple(slice(size // 2 * 2) for size in x.shape[2:])  # it takes exact fits alone
        return max_pool(x[(..., *whole)], (2, 2), 2)

    def mean_pool(self, x: Any) -> Any:
        return x.mean(axis=(2, 3))

    def flatten(self, x: Any) -> Any:
        return x.reshape(len(x), -1)

    relu = staticmethod(relu)
    sigmoid = staticmethod(sigmoid)


def _loss(network: Network, output: Any, target: Any) -> Any:
    if network.loss == "cross_entropy":
        return softmax_crossentropy(output, target)
    loss = ((output - target) ** 2).mean()
    return loss * 0.5 if network.loss == "half_mse" else loss


def train_step(network: Network, size: int) -> Run:
    """Return a function that does one step of training and returns the loss.

    MyGrad has no optimisers; whatever the network asks for, this one is SGD with momentum.
    """
    op = _Operations(network)
    x, y = network.batch(size)
    parameters = [t for t in op.tensors.values() if not t.constant]
    velocities = [np.zeros_like(p.data) for p in parameters]

    def step() -> float:
        loss = _loss(network, network.describe(op, x), y)
        loss.backward()
        for p, v in zip(parameters, velocities, strict=True):
            v *= 0.9
            v += p.grad
            p.data -= LEARNING_RATE * v
        return float(loss)

    return step


def inference(network: Network, size: int) -> Run:
    """Return a function that computes the network's answers without recording."""
    op = _Operations(network)
    x, _ = network.batch(size)

    def run() -> Any:
        with mg.no_autodiff:
            return network.describe(op, x)

    return run
