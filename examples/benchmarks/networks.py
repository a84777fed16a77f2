"""The networks that are timed, described once for all frameworks.

A description calls the operations of whichever framework it is given, imperatively, as users write
them: `op.conv(x, "conv1")` finds its weights by name. Where `tinygrad_cnn.models` has the network,
"ours" is that module, whose parameters have the same names, so that all frameworks start from the
same numbers, and "ours imperative" is the description.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_cnn import models


@dataclass(frozen=True)
class Network:
    """A network, and how it is trained.

    Attributes
    ----------
    model
        Makes this project's module; None where there is the description alone.
    describe
        ``describe(op, x)``: the same forward pass in the operations of any framework.
    image
        (C, H, W).
    loss
        "cross_entropy", or "mse", or "half_mse" for ½ of it.
    optimizer
        "sgd" (momentum 0), "momentum" or "adam".
    shapes
        Of the weights, by layer, where there is no module: (C,) of a normalisation.
    target
        The shape of an example's target: (H, W) where each pixel has a class.
    """

    model: Callable[[], Any] | None
    describe: Callable[[Any, Any], Any]
    image: tuple[int, int, int]
    loss: str = "cross_entropy"
    optimizer: str = "momentum"
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    target: tuple[int, ...] = ()

    def batch(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Make images and targets."""
        rng = np.random.default_rng(0)
        images = rng.random((size, *self.image), dtype=np.float32)
        if self.loss == "cross_entropy":
            return images, rng.integers(0, 10, (size, *self.target))
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


def _vgg(op: Any, x: Any) -> Any:
    for stage in (1, 2, 3):
        for layer in "ab":
            name = f"{stage}{layer}"
            x = op.relu(op.batch_norm(op.conv(x, f"conv{name}", padding=1), f"bn{name}"))
        x = op.max_pool(x)
    return op.linear(op.flatten(x), "linear")


def _double(op: Any, x: Any, name: str) -> Any:
    for layer in "ab":
        x = op.conv(x, f"{name}_conv_{layer}", padding=1)
        x = op.relu(op.batch_norm(x, f"{name}_bn_{layer}"))
    return x


def _unet(op: Any, x: Any) -> Any:
    first = _double(op, x, "down1")
    second = _double(op, op.max_pool(first), "down2")
    x = _double(op, op.max_pool(second), "middle")
    x = _double(op, op.cat(op.conv_transpose(x, "up2", stride=2), second), "join2")
    x = _double(op, op.cat(op.conv_transpose(x, "up1", stride=2), first), "join1")
    return op.conv(x, "head")


# Of each inverted residual: channels that come in, between, and out, and the stride.
_INVERTED = [(16, 16, 16, 1), (16, 96, 24, 2), (24, 144, 24, 1), (24, 144, 32, 2), (32, 192, 32, 1)]


def _mobilenet(op: Any, x: Any) -> Any:
    x = op.relu6(op.batch_norm(op.conv(x, "stem", stride=2, padding=1), "stem_bn"))
    for index, (inputs, width, outputs, stride) in enumerate(_INVERTED):
        y, name = x, f"block{index}"
        if width != inputs:
            y = op.relu6(op.batch_norm(op.conv(y, f"{name}_widen"), f"{name}_bn1"))
        y = op.conv(y, f"{name}_depthwise", stride=stride, padding=1, groups=width)
        y = op.relu6(op.batch_norm(y, f"{name}_bn2"))
        y = op.batch_norm(op.conv(y, f"{name}_narrow"), f"{name}_bn3")
        x = y + x if stride == 1 and inputs == outputs else y
    x = op.relu6(op.batch_norm(op.conv(x, "head"), "head_bn"))
    return op.linear(op.mean_pool(x), "linear")


def _vgg_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"linear": (10, 96 * 16)}
    inputs = 3
    for stage, width in enumerate((24, 48, 96), 1):
        for layer in "ab":
            shapes[f"conv{stage}{layer}"] = (width, inputs, 3, 3)
            shapes[f"bn{stage}{layer}"] = (width,)
            inputs = width
    return shapes


def _unet_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"head": (10, 16, 1, 1)}
    shapes |= {"up2": (64, 32, 2, 2), "up1": (32, 16, 2, 2)}  # transposed: inputs come first
    widths = {"down1": (3, 16), "down2": (16, 32), "middle": (32, 64)}
    for name, (inputs, width) in {**widths, "join2": (64, 32), "join1": (32, 16)}.items():
        for layer in "ab":
            shapes[f"{name}_conv_{layer}"] = (width, inputs, 3, 3)
            shapes[f"{name}_bn_{layer}"] = (width,)
            inputs = width
    return shapes


def _mobilenet_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"stem": (16, 3, 3, 3), "stem_bn": (16,)}
    for index, (inputs, width, outputs, _) in enumerate(_INVERTED):
        name = f"block{index}"
        if width != inputs:
            shapes |= {f"{name}_widen": (width, inputs, 1, 1), f"{name}_bn1": (width,)}
        shapes |= {f"{name}_depthwise": (width, 1, 3, 3), f"{name}_bn2": (width,)}
        shapes |= {f"{name}_narrow": (outputs, width, 1, 1), f"{name}_bn3": (outputs,)}
    return shapes | {"head": (128, 32, 1, 1), "head_bn": (128,), "linear": (10, 128)}


NETWORKS = {
    "momentum": Network(models.Momentum, _momentum, (1, 32, 32)),
    "batchnorm": Network(models.BatchNorm, _batchnorm, (1, 28, 28), optimizer="sgd"),
    "regression": Network(models.Regression, _regression, (1, 32, 32), "mse", "adam"),
    "sigmoid": Network(models.Sigmoid, _sigmoid, (1, 32, 32), "half_mse", "sgd"),
    "softmax": Network(models.Softmax, _softmax, (1, 28, 28), optimizer="sgd"),
    "mnist": Network(models.MnistExample, _mnist, (1, 28, 28)),
    "resnet20": Network(models.ResNet20, _resnet20, (3, 32, 32)),
    "vgg": Network(None, _vgg, (3, 32, 32), shapes=_vgg_shapes()),
    "unet": Network(None, _unet, (3, 64, 64), shapes=_unet_shapes(), target=(64, 64)),
    "mobilenet": Network(None, _mobilenet, (3, 64, 64), shapes=_mobilenet_shapes()),
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
    ("vgg", 50),
    ("unet", 8),
    ("mobilenet", 32),
]
"""Which networks are timed, and at which batch."""

LEARNING_RATE = 1e-3


def weights_of(network: Network) -> dict[str, np.ndarray]:
    """Return the initial parameters and buffers, by name."""
    if network.model is None:
        return _drawn(network.shapes)
    import tinygrad_cnn

    tinygrad_cnn.manual_seed(0)
    return {name: np.array(a) for name, a in network.model().state_dict().items()}


def _drawn(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Draw weights; layers before a normalisation have no bias, nor has a convolution at all."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            ones, zeros = np.ones(shape, np.float32), np.zeros(shape, np.float32)
            arrays |= {f"{name}.weight": ones, f"{name}.bias": zeros}
            arrays |= {f"{name}.running_mean": zeros.copy(), f"{name}.running_var": ones.copy()}
            arrays[f"{name}.num_batches_tracked"] = np.array(0)
        else:
            scale = np.sqrt(2 / np.prod(shape[1:]))
            weight = rng.standard_normal(shape, dtype=np.float32)
            arrays[f"{name}.weight"] = weight * np.float32(scale)
    return arrays
