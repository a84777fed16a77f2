"""The networks in this project as their descriptions: layers are modules, other steps functions."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from benchmarks.networks import Network, weights_of
from tinygrad_cnn import nn, no_grad, tensor


class Imperative(nn.Module):
    """A network whose forward is its description.

    Layers are made as the description asks for them, at a first run.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.describe = network.describe
        self.weights = weights_of(network)
        self.layers: dict[str, nn.Module] = {}
        self.eval()
        with no_grad():
            self(tensor(np.zeros((1, *network.image), np.float32)))
        self.train()

    def forward(self, x: Any) -> Any:
        """Run the description."""
        return self.describe(self, x)

    def _layer(self, x: Any, name: str, **settings: int) -> Any:
        layer = self.layers.get(name)
        if layer is None:
            layer = self.layers[name] = self._made(name, x.ndim, settings)
            self.add_module("layer_" + name.replace(".", "_"), layer)
        return layer(x)

    conv = batch_norm = linear = _layer

    def conv_transpose(self, x: Any, name: str, stride: int) -> Any:
        """Apply a transposed convolution."""
        return self._layer(x, name, transposed=1, stride=stride)

    def _made(self, name: str, dimensions: int, settings: dict[str, int]) -> nn.Module:
        """Make the layer that has these weights; for images, or for rows."""
        prefix = name + "."
        weights = {
            key.removeprefix(prefix): array
            for key, array in self.weights.items()
            if key.startswith(prefix)
        }
        first, *rest = weights["weight"].shape
        bias = "bias" in weights
        layer: nn.Module
        if "running_mean" in weights:
            layer = (nn.BatchNorm2d if dimensions == 4 else nn.BatchNorm1d)(first)
        elif settings.pop("transposed", 0):
            outputs, *size = rest
            layer = nn.ConvTranspose2d(first, outputs, tuple(size), bias=bias, **settings)
        elif len(rest) == 3:
            channels, *size = rest
            channels *= settings.get("groups", 1)
            layer = nn.Conv2d(channels, first, tuple(size), bias=bias, **settings)
        else:
            layer = nn.Linear(*rest, first, bias=bias)
        layer.load_state_dict(weights)
        return layer.eval()  # as the model is when layers are made

    def shortcut(self, x: Any, added: int) -> Any:
        """Take every second pixel, and zeros for the channels that are added."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, added // 2, added // 2))

    def max_pool(self, x: Any) -> Any:
        """Halve the image."""
        return F.max_pool2d(x, 2)

    def mean_pool(self, x: Any) -> Any:
        """Take the mean of each channel."""
        return F.flatten(F.adaptive_avg_pool2d(x, 1), 1)

    def flatten(self, x: Any) -> Any:
        """Make a row of each image."""
        return F.flatten(x, 1)

    def cat(self, *parts: Any) -> Any:
        """Join channels."""
        return F.cat(parts, 1)

    relu = staticmethod(F.relu)
    relu6 = staticmethod(F.relu6)
    sigmoid = staticmethod(F.sigmoid)
