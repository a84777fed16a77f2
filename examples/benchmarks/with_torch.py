"""The workloads in PyTorch, in both of its memory formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as TF

from benchmarks.layers import arrays, small_arrays
from benchmarks.networks import LEARNING_RATE, Network, weights_of

Run = Callable[[], Any]

FORMATS = {"torch": torch.contiguous_format, "torch cl": torch.channels_last}


class _Operations:
    """PyTorch's functions under the names of `networks`."""

    def __init__(self, network: Network, memory_format: torch.memory_format, training: bool):
        self.training = training
        self.tensors = {}
        for name, array in weights_of(network).items():
            t = torch.tensor(array)
            if t.ndim == 4:
                t = t.contiguous(memory_format=memory_format)
            is_parameter = "running" not in name and t.is_floating_point()
            self.tensors[name] = t.requires_grad_(is_parameter)

    def parameters(self) -> list[torch.Tensor]:
        return [t for t in self.tensors.values() if t.requires_grad]

    def conv(self, x: Any, name: str, stride: int = 1, padding: int = 0) -> Any:
        bias = self.tensors.get(name + ".bias")
        return TF.conv2d(x, self.tensors[name + ".weight"], bias, stride, padding)

    def batch_norm(self, x: Any, name: str) -> Any:
        names = ("running_mean", "running_var", "weight", "bias")
        return TF.batch_norm(x, *[self.tensors[f"{name}.{n}"] for n in names], self.training)

    def linear(self, x: Any, name: str) -> Any:
        return TF.linear(x, self.tensors[name + ".weight"], self.tensors.get(name + ".bias"))

    def shortcut(self, x: Any, added: int) -> Any:
        return TF.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, added // 2, added // 2))

    def max_pool(self, x: Any) -> Any:
        return TF.max_pool2d(x, 2)

    def mean_pool(self, x: Any) -> Any:
        return torch.flatten(TF.adaptive_avg_pool2d(x, 1), 1)

    def flatten(self, x: Any) -> Any:
        return torch.flatten(x, 1)

    relu = staticmethod(TF.relu)
    sigmoid = staticmethod(torch.sigmoid)


def _loss(network: Network, output: Any, target: Any) -> Any:
    if network.loss == "cross_entropy":
        return TF.cross_entropy(output, target)
    loss = TF.mse_loss(output, target)
    return 0.5 * loss if network.loss == "half_mse" else loss


def _optimizer(network: Network, parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    if network.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=LEARNING_RATE)
    momentum = 0.9 if network.optimizer == "momentum" else 0.0
    return torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=momentum)


def train_step(network: Network, size: int, variant: str) -> Run:
    """Return a function that does one step of training and returns the loss."""
    op = _Operations(network, FORMATS[variant], training=True)
    images, targets = network.batch(size)
    x, y = torch.tensor(images).contiguous(memory_format=FORMATS[variant]), torch.tensor(targets)
    optimizer = _optimizer(network, op.parameters())

    def step() -> float:
        optimizer.zero_grad()
        loss = _loss(network, network.describe(op, x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def inference(network: Network, size: int, variant: str) -> Run:
    """Return a function that computes the network's answers without recording."""
    op = _Operations(network, FORMATS[variant], training=False)
    x = torch.tensor(network.batch(size)[0]).contiguous(memory_format=FORMATS[variant])

    def run() -> Any:
        with torch.no_grad():
            return network.describe(op, x)

    return run


def layer(name: str, variant: str) -> Run:
    """Return a function that does a layer's forward pass and both gradients."""
    tensors = {}
    for key, array in arrays(name).items():
        t = torch.tensor(array).contiguous(memory_format=FORMATS[variant])
        tensors[key] = t.requires_grad_(key != "g")
    x, w, g = tensors["x"], tensors["w"], tensors["g"]
    forwards: dict[str, Run] = {
        "depthwise-separable": lambda: TF.conv2d(
            TF.relu(TF.conv2d(x, w, padding=1, groups=x.shape[1])), tensors["w2"]
        ),
        "strided 5×5": lambda: TF.conv2d(x, w, stride=2, padding=2),
        "dilated 3×3": lambda: TF.conv2d(x, w, padding=2, dilation=2),
        "transposed": lambda: TF.conv_transpose2d(x, w, stride=2, padding=1),
    }
    forward = forwards[name]

    def run() -> None:
        for t in tensors.values():
            t.grad = None
        forward().backward(g)

    return run


def chain(length: int) -> Run:
    """Chain elementwise operations on 8 numbers, and go back."""
    x = torch.ones(8, requires_grad=True)

    def run() -> None:
        x.grad = None
        y = x
        for _ in range(length // 2):
            y = y * 1.0001 + 0.0001
        y.sum().backward()

    return run


def fan_out(width: int) -> Run:
    """Use one value many times, and sum."""
    x = torch.ones(8, requires_grad=True)

    def run() -> None:
        x.grad = None
        total = x
        for _ in range(width):
            total = total + x
        total.sum().backward()

    return run


def gradient_check() -> Run:
    """Verify a convolution and a tanh in float64."""
    x, w = (torch.tensor(a, requires_grad=True) for a in small_arrays())
    return lambda: torch.autograd.gradcheck(lambda x, w: torch.tanh(TF.conv2d(x, w)), (x, w))
