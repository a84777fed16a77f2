"""VGG: Simonyan and Zisserman, "Very deep convolutional networks" (2015), for small images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

__all__ = ["VGG", "vgg11", "vgg13", "vgg16", "vgg19"]


class VGG(nn.Module):
    """3×3 convolutions with batch normalisation in five stages, each halved by a pool.

    Images (N, C, 32, 32) to logits (N, classes). One linear layer instead of three, since 32×32
    pixels leave a single one.

    Parameters
    ----------
    depths
        How many convolutions each stage has.
    """

    def __init__(self, depths: Sequence[int], in_channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        for width, depth in zip((64, 128, 256, 512, 512), depths, strict=True):
            self.stages.append(_stage(in_channels, width, depth))
            in_channels = width
        self.fc = nn.Linear(512, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        for stage in self.stages:
            x = F.max_pool2d(stage(x), 2)  # width, H / 2, W / 2
        x = F.adaptive_avg_pool2d(x, 1)  # 512, 1, 1
        return self.fc(F.flatten(x, 1))  # classes


def _stage(in_channels: int, width: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [
            nn.Conv2d(width if i else in_channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)  # width, H, W


def vgg11(in_channels: int = 3, classes: int = 10) -> VGG:
    """Make VGG-11: 9.2 million parameters."""
    return VGG((1, 1, 2, 2, 2), in_channels, classes)


def vgg13(in_channels: int = 3, classes: int = 10) -> VGG:
    """Make VGG-13: 9.4 million parameters."""
    return VGG((2, 2, 2, 2, 2), in_channels, classes)


def vgg16(in_channels: int = 3, classes: int = 10) -> VGG:
    """Make VGG-16: 14.7 million parameters."""
    return VGG((2, 2, 3, 3, 3), in_channels, classes)


def vgg19(in_channels: int = 3, classes: int = 10) -> VGG:
    """Make VGG-19: 20 million parameters."""
    return VGG((2, 2, 4, 4, 4), in_channels, classes)
