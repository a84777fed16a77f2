"""U-Net: Ronneberger et al., "U-Net: Convolutional networks for image segmentation" (2015)."""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

__all__ = ["DoubleConv", "UNet"]


class DoubleConv(nn.Module):
    """Two 3×3 convolutions with batch normalisation: (N, C, H, W) to (N, O, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Any) -> Any:
        """Apply both."""
        x = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(x)))


class UNet(nn.Module):
    """Down to an eighth of the image and up again, each step joined to the one it mirrors.

    Images (N, C, H, W) to logits (N, classes, H, W), H and W divisible by 8; loss:
    `functional.cross_entropy` with a class a pixel. 0.48 million parameters at width 16.
    """

    def __init__(self, in_channels: int = 3, classes: int = 2, width: int = 16) -> None:
        super().__init__()
        w = width
        self.down1 = DoubleConv(in_channels, w)
        self.down2 = DoubleConv(w, 2 * w)
        self.down3 = DoubleConv(2 * w, 4 * w)
        self.middle = DoubleConv(4 * w, 8 * w)
        self.up3 = nn.ConvTranspose2d(8 * w, 4 * w, 2, stride=2)
        self.join3 = DoubleConv(8 * w, 4 * w)
        self.up2 = nn.ConvTranspose2d(4 * w, 2 * w, 2, stride=2)
        self.join2 = DoubleConv(4 * w, 2 * w)
        self.up1 = nn.ConvTranspose2d(2 * w, w, 2, stride=2)
        self.join1 = DoubleConv(2 * w, w)
        self.head = nn.Conv2d(w, classes, 1)

    def forward(self, x: Any) -> Any:
        """Compute logits of every pixel."""
        x1 = self.down1(x)  # w, H, W
        x2 = self.down2(F.max_pool2d(x1, 2))  # 2w, H / 2, W / 2
        x3 = self.down3(F.max_pool2d(x2, 2))  # 4w, H / 4, W / 4
        x = self.middle(F.max_pool2d(x3, 2))  # 8w, H / 8, W / 8
        x = self.join3(F.cat([self.up3(x), x3], 1))  # 4w, H / 4, W / 4
        x = self.join2(F.cat([self.up2(x), x2], 1))  # 2w, H / 2, W / 2
        x = self.join1(F.cat([self.up1(x), x1], 1))  # w, H, W
        return self.head(x)  # classes, H, W
