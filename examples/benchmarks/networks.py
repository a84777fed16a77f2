"""The networks that are timed, described once for all frameworks.

A description calls the operations of whichever framework it is given: `op.conv(x, "conv1")` finds
its weights by name; in PyTorch these are modules, as its users write them. This project runs its
own modules from `tinygrad_cnn.models` instead, whose parameters have the same names, so that all
frameworks start from the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn import models


@dataclass(frozen=True)
class Network:
    """A network, and how it is trained.

    Attributes
    ----------
    model
        Makes this project's module.
    describe
        ``describe(op, x)``: the same forward pass in the operations of any framework.
    image
        (C, H, W).
    loss
        "cross_entropy", or "mse", or "half_mse" for ½ of it.
    optimizer
        "sgd" (momentum 0), "momentum" or "adam".
    """

    model: Callable[[], Any]
    describe: Callable[[Any, Any], Any]
    image: tuple[int, int, int]
    loss: str = "cross_entropy"
    optimizer: str = "momentum"

    def batch(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Make images and targets."""
        rng = np.random.default_rng(0)
        images = rng.random((size, *self.image), dtype=np.float32)
        if self.loss == "cross_entropy":
            return images, rng.integers(0, 10, size)
        return images, rng.random((size, 1), dtype=np.float32)


def _momentum(op: Any, x: Any) -> Any:
    x = op.relu(op.conv(x, "conv1", stride=2, padding=1))
    x = op.relu(op.conv(x, "conv2", padding=1))
    return op.linear(op.flatten(x), "linear")


def _batchnorm(op: Any, x: Any) -> Any:
    x = op.relu(op.batch_norm(op.conv(x, "conv1", padding=1), "bn1"))
    x = op.max_pool(x)
    x = op.relu(op.batch_norm(op.conv(x, "conv2", padding=1), "bn2"))
    x = op.relu(op.batch_norm(op.linear(op.flatten(x), "linear1"), "bn3"))
    return op.linear(x, "linear2")


def _regression(op: Any, x: Any) -> Any:
    x = op.relu(op.conv(x, "conv", stride=2, padding=1))
    return op.linear(op.linear(op.flatten(x), "linear1"), "linear2")


def _sigmoid(op: Any, x: Any) -> Any:
    x = op.max_pool(op.relu(op.conv(x, "conv", padding=2)))
    return op.sigmoid(op.linear(op.flatten(x), "linear"))


def _softmax(op: Any, x: Any) -> Any:
    return op.linear(op.flatten(op.max_pool(op.conv(x, "conv"))), "linear")


def _mnist(op: Any, x: Any) -> Any:
    x = op.relu(op.conv(x, "conv1"))
    x = op.max_pool(op.relu(op.conv(x, "conv2")))
    return op.linear(op.relu(op.linear(op.flatten(x), "fc1")), "fc2")


def _resnet20(op: Any, x: Any) -> Any:
    x = op.relu(op.batch_norm(op.conv(x, "conv1", padding=1), "bn1"))
    for stage in (1, 2, 3):
        for block in range(3):
            name = f"layer{stage}.{block}."
            halves = stage > 1 and block == 0
            y = op.conv(x, name + "conv1", stride=2 if halves else 1, padding=1)
            y = op.relu(op.batch_norm(y, name + "bn1"))
            y = op.batch_norm(op.conv(y, name + "conv2", padding=1), name + "bn2")
            if halves:
                x = op.shortcut(x, 4 * 2**stage)
            x = op.relu(y + x)
    return op.linear(op.mean_pool(x), "fc")


NETWORKS = {
    "momentum": Network(models.Momentum, _momentum, (1, 32, 32)),
    "batchnorm": Network(models.BatchNorm, _batchnorm, (1, 28, 28), optimizer="sgd"),
    "regression": Network(models.Regression, _regression, (1, 32, 32), "mse", "adam"),
    "sigmoid": Network(models.Sigmoid, _sigmoid, (1, 32, 32), "half_mse", "sgd"),
    "softmax": Network(models.Softmax, _softmax, (1, 28, 28), optimizer="sgd"),
    "mnist": Network(models.MnistExample, _mnist, (1, 28, 28)),
    "resnet20": Network(models.ResNet20, _resnet20, (3, 32, 32)),
}
"""By name; "mnist" is the network of PyTorch's MNIST example without its dropout."""

SIZES = [
    ("mnist", 64),
    ("resnet20", 128),
    ("batchnorm", 128),
    ("batchnorm", 1000),
    ("momentum", 32),
    ("regression", 32),
    ("softmax", 1),
    ("sigmoid", 1),
]
"""Which networks are timed, and at which batch."""

LEARNING_RATE = 1e-3


def weights_of(network: Network) -> dict[str, np.ndarray]:
    """Return this project's initial parameters and buffers, by name."""
    import tinygrad_cnn

    tinygrad_cnn.manual_seed(0)
    return {name: np.array(a) for name, a in network.model().state_dict().items()}
