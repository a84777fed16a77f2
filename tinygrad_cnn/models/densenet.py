"""DenseNet: Huang et al., "Densely connected convolutional networks" (2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

__all__ = ["DenseLayer", "DenseNet", "Transition"]


class DenseLayer(nn.Module):
    """Put `growth` new channels behind those that there are, made of all of them.

    (N, C, H, W) to (N, C + growth, H, W).
    """

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Any) -> Any:
        """Append the new channels."""
        y = self.conv1(F.relu(self.norm1(x)))  # 4 · growth, H, W
        y = self.conv2(F.relu(self.norm2(y)))  # growth, H, W
        return F.cat([x, y], 1)  # C + growth, H, W


class Transition(nn.Module):
    """Halve the channels and the image: (N, C, H, W) to (N, C / 2, H / 2, W / 2)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)

    def forward(self, x: Any) -> Any:
        """Mix the channels, then pool."""
        x = self.conv(F.relu(self.norm(x)))  # C / 2, H, W
        return F.avg_pool2d(x, 2)  # C / 2, H / 2, W / 2


class DenseNet(nn.Module):
    """DenseNet-BC for images of 32×32: three dense blocks with transitions between them.

    Images (N, C, 32, 32) to logits (N, classes). With the defaults, 40 layers deep: 0.18 million
    parameters.

    Parameters
    ----------
    depths
        How many layers each block has.
    growth
        How many channels a layer adds.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 10,
        depths: Sequence[int] = (6, 6, 6),
        growth: int = 12,
    ) -> None:
        super().__init__()
        width = 2 * growth
        self.conv0 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList()
        self.transitions = nn.ModuleList()
        for depth in depths:
            layers = [DenseLayer(width + i * growth, growth) for i in range(depth)]
            self.blocks.append(nn.Sequential(*layers))
            width += depth * growth
            if len(self.blocks) < len(depths):
                self.transitions.append(Transition(width))
                width //= 2
        self.norm = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Any) -> Any:
        """Compute logits; shapes are those of the defaults."""
        x = self.conv0(x)  # 24, 32, 32
        for block, transition in zip(self.blocks, (*self.transitions, None), strict=True):
            x = block(x)  # 96, 32, 32; then 120, 16, 16; then 132, 8, 8
            if transition is not None:
                x = transition(x)  # 48, 16, 16; then 60, 8, 8
        x = F.relu(self.norm(x))
        x = F.adaptive_avg_pool2d(x, 1)  # 132, 1, 1
        return self.fc(F.flatten(x, 1))  # classes
