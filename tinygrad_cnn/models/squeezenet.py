"""SqueezeNet: Iandola et al., "AlexNet-level accuracy with 50x fewer parameters" (2016)."""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

__all__ = ["Fire", "SqueezeNet"]


class Fire(nn.Module):
    """Squeeze to few channels, then expand by 1×1 and by 3×3 convolutions, side by side.

    (N, C, H, W) to (N, 2 · expand, H, W).
    """

    def __init__(self, in_channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Any) -> Any:
        """Join both."""
        x = F.relu(self.squeeze(x))  # squeeze, H, W
        x = F.cat([self.expand1x1(x), self.expand3x3(x)], 1)  # 2 · expand, H, W
        return F.relu(x)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 for images of 32×32: 0.73 million parameters, no linear layer.

    Images (N, C, 32, 32) to logits (N, classes).
    """

    def __init__(self, in_channels: int = 3, classes: int = 10, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1)
        self.fires1 = nn.Sequential(Fire(64, 16, 64), Fire(128, 16, 64))
        self.fires2 = nn.Sequential(Fire(128, 32, 128), Fire(256, 32, 128))
        self.fires3 = nn.Sequential(
            Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)
        )
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(512, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.conv2.weight, 0.0, 0.01)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = F.relu(self.conv1(x))  # 64, 32, 32
        x = self.fires1(F.max_pool2d(x, 2))  # 128, 16, 16
        x = self.fires2(F.max_pool2d(x, 2))  # 256, 8, 8
        x = self.fires3(F.max_pool2d(x, 2))  # 512, 4, 4
        x = self.conv2(self.dropout(x))  # classes, 4, 4
        x = F.adaptive_avg_pool2d(x, 1)  # classes, 1, 1
        return F.flatten(x, 1)  # classes
