"""A network as its description, in any framework with PyTorch's names.

Layers with weights are modules, made as the description asks for them, at a first run; other steps
are functions.
"""

from __future__ import annotations

from typing import Any, ClassVar

from benchmarks.networks import Network, weights_of


class Described:
    """What a module inherits, before the framework's own, whose forward is a description.

    Attributes
    ----------
    nn, F
        The framework's layers and functions.
    """

    nn: ClassVar[Any]
    F: ClassVar[Any]

    def _describe(self, network: Network) -> None:
        """Set up what the description asks for."""
        self.describe = network.describe
        self.weights = weights_of(network)
        self.layers: dict[str, Any] = {}

    @staticmethod
    def own(array: Any) -> Any:
        """Return an array of weights as the framework's `load_state_dict` takes it."""
        return array

    def forward(self, x: Any) -> Any:
        """Run the description."""
        return self.describe(self, x)

    def _layer(self: Any, x: Any, name: str, **settings: int) -> Any:
        layer = self.layers.get(name)
        if layer is None:
            layer = self.layers[name] = self._made(name, x.ndim, settings)
            self.add_module("layer_" + name.replace(".", "_"), layer)
        return layer(x)

    conv = batch_norm = linear = _layer

    def conv_transpose(self, x: Any, name: str, stride: int) -> Any:
        """Apply a transposed convolution."""
        return self._layer(x, name, transposed=1, stride=stride)

    def _made(self, name: str, dimensions: int, settings: dict[str, int]) -> Any:
        """Make the layer that has these weights; for images, or for rows."""
        nn, prefix = self.nn, name + "."
        weights = {
            key.removeprefix(prefix): self.own(array)
            for key, array in self.weights.items()
            if key.startswith(prefix)
        }
        first, *rest = weights["weight"].shape
        bias = "bias" in weights
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
        return self.F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, added // 2, added // 2))

    def max_pool(self, x: Any) -> Any:
        """Halve the image."""
        return self.F.max_pool2d(x, 2)

    def mean_pool(self, x: Any) -> Any:
        """Take the mean of each channel."""
        return self.F.adaptive_avg_pool2d(x, 1).flatten(1)

    def flatten(self, x: Any) -> Any:
        """Make a row of each image."""
        return x.flatten(1)
