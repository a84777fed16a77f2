"""ConvNeXt: Liu et al., "A ConvNet for the 2020s" (2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

__all__ = ["ConvNeXt", "ConvNeXtBlock", "convnext_tiny"]


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel: (N, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x: Any) -> Any:
        """Normalise with the channels last."""
        x = F.permute(x, 0, 2, 3, 1)  # H, W, C
        return F.permute(self.norm(x), 0, 3, 1, 2)  # C, H, W


class ConvNeXtBlock(nn.Module):
    """A 7×7 convolution of each channel by itself, then two linear layers a pixel.

    (N, C, H, W) to the same.
    """

    def __init__(self, channels: int, drop: float = 0.0, scale: float = 1e-6) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(np.full(channels, scale, np.float32))
        self.drop = nn.StochasticDepth(drop, "row")

    def forward(self, x: Any) -> Any:
        """Add what the layers make of the input."""
        y = F.permute(self.depthwise(x), 0, 2, 3, 1)  # H, W, C
        y = F.gelu(self.widen(self.norm(y)))  # H, W, 4C
        y = self.scale * self.narrow(y)  # H, W, C
        return x + self.drop(F.permute(y, 0, 3, 1, 2))  # C, H, W


class ConvNeXt(nn.Module):
    """Four stages of blocks; patches of 2×2 instead of 4×4, for images of 32×32.

    Images (N, C, 32, 32) to logits (N, classes).

    Parameters
    ----------
    depths, widths
        Blocks and channels of each stage.
    drop
        The probability with which the last block is left out, in training.
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int],
        in_channels: int = 3,
        classes: int = 10,
        drop: float = 0.1,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, widths[0], 2, stride=2)
        self.norm1 = ChannelNorm(widths[0])
        rates = iter(np.linspace(0, drop, sum(depths)).tolist())
        self.stages = nn.ModuleList()
        self.between = nn.ModuleList()
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            self.stages.append(
                nn.Sequential(*(ConvNeXtBlock(width, next(rates)) for _ in range(depth)))
            )
            if i + 1 < len(depths):
                half = nn.Conv2d(width, widths[i + 1], 2, stride=2)
                self.between.append(nn.Sequential(ChannelNorm(width), half))
        self.norm2 = nn.LayerNorm(widths[-1], eps=1e-6)
        self.fc = nn.Linear(widths[-1], classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Any) -> Any:
        """Compute logits; shapes are those of ConvNeXt-tiny."""
        x = self.norm1(self.stem(x))  # 96, 16, 16
        for stage, halve in zip(self.stages, (*self.between, None), strict=True):
            x = stage(x)
            if halve is not None:
                x = halve(x)  # 192, 8, 8; then 384, 4, 4; then 768, 2, 2
        x = F.flatten(F.adaptive_avg_pool2d(x, 1), 1)  # 768
        return self.fc(self.norm2(x))  # classes


def convnext_tiny(in_channels: int = 3, classes: int = 10) -> ConvNeXt:
    """Make ConvNeXt-tiny: 27.8 million parameters."""
    return ConvNeXt((3, 3, 9, 3), (96, 192, 384, 768), in_channels, classes)
