"""The workloads in PyTorch, in both of its memory formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as TF
from torch import nn

from benchmarks.described import Described
from benchmarks.layers import arrays, forward, small_arrays
from benchmarks.networks import LEARNING_RATE, Network

Run = Callable[[], Any]

FORMATS = {"torch": torch.contiguous_format, "torch cl": torch.channels_last}


class _Model(Described, nn.Module):
    """A network as PyTorch's users write it."""

    nn, F = nn, TF
    own = staticmethod(torch.tensor)

    def __init__(self, network: Network, memory_format: torch.memory_format, x: Any):
        super().__init__()
        self._describe(network)
        self.eval()
        with torch.no_grad():
            self(x[:1])  # one image: the memory of a batch is a step's own
        self.to(memory_format=memory_format)

    def cat(self, *parts: Any) -> Any:
        return torch.cat(parts, 1)

    relu = staticmethod(TF.relu)
    relu6 = staticmethod(TF.relu6)
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
    images, targets = network.batch(size)
    x, y = torch.tensor(images).contiguous(memory_format=FORMATS[variant]), torch.tensor(targets)
    model = _Model(network, FORMATS[variant], x).train()
    optimizer = _optimizer(network, list(model.parameters()))

    def step() -> float:
        optimizer.zero_grad()
        loss = _loss(network, model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def inference(network: Network, size: int, variant: str) -> Run:
    """Return a function that computes the network's answers without recording."""
    x = torch.tensor(network.batch(size)[0]).contiguous(memory_format=FORMATS[variant])
    model = _Model(network, FORMATS[variant], x)

    def run() -> Any:
        with torch.no_grad():
            return model(x)

    return run


def layer(name: str, variant: str) -> Run:
    """Return a function that does a layer's forward pass and both gradients."""
    tensors = {}
    for key, array in arrays(name).items():
        t = torch.tensor(array)
        if array.ndim == 4:
            t = t.contiguous(memory_format=FORMATS[variant])
        tensors[key] = t.requires_grad_(key != "g")
    g = tensors["g"]

    def run() -> None:
        for t in tensors.values():
            t.grad = None
        forward(name, TF, tensors).backward(g)

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
