"""Residual networks: He et al., "Deep Residual Learning for Image Recognition" (2016).

ResNet-18, -34 and -50 with the first layers made for images of 32×32: a 3×3 convolution and no
pool. The parts bear torchvision's names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "resnet18", "resnet34", "resnet50"]


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut, which is projected where the shape changes.

    (N, in_channels, H, W) to (N, width, H / stride, W / stride).
    """

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(in_channels, width, stride)

    def forward(self, x: Any) -> Any:
        """Add what the convolutions make of the input to the shortcut."""
        y = F.relu(self.bn1(self.conv1(x)))  # width, H / stride, W / stride
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.downsample(x))


class Bottleneck(nn.Module):
    """A 3×3 convolution between two of 1×1, around a shortcut.

    (N, in_channels, H, W) to (N, 4 · width, H / stride, W / stride).
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _projection(in_channels, 4 * width, stride)

    def forward(self, x: Any) -> Any:
        """Add what the convolutions make of the input to the shortcut."""
        y = F.relu(self.bn1(self.conv1(x)))  # width, H, W
        y = F.relu(self.bn2(self.conv2(y)))  # width, H / stride, W / stride
        y = self.bn3(self.conv3(y))  # 4 · width, H / stride, W / stride
        return F.relu(y + self.downsample(x))


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Make a shortcut: the input itself, or a 1×1 convolution of it where the shape changes."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )


class ResNet(nn.Module):
    """A convolution, four stages of blocks, the mean over the image, and a linear layer.

    Images (N, C, 32, 32) to logits (N, classes).

    Parameters
    ----------
    block
        `BasicBlock` or `Bottleneck`.
    depths
        How many blocks each stage has.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        in_channels: int = 3,
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        e = block.expansion
        self.layer1 = _stage(block, 64, 64, depths[0])
        self.layer2 = _stage(block, 64 * e, 128, depths[1], stride=2)
        self.layer3 = _stage(block, 128 * e, 256, depths[2], stride=2)
        self.layer4 = _stage(block, 256 * e, 512, depths[3], stride=2)
        self.fc = nn.Linear(512 * e, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Any) -> Any:
        """Compute logits; e is the blocks' expansion, 1 or 4."""
        x = F.relu(self.bn1(self.conv1(x)))  # 64, 32, 32
        x = self.layer1(x)  # 64e, 32, 32
        x = self.layer2(x)  # 128e, 16, 16
        x = self.layer3(x)  # 256e, 8, 8
        x = self.layer4(x)  # 512e, 4, 4
        x = F.adaptive_avg_pool2d(x, 1)  # 512e, 1, 1
        return self.fc(F.flatten(x, 1))  # classes


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    in_channels: int,
    width: int,
    depth: int,
    stride: int = 1,
) -> nn.Sequential:
    """Make so many blocks, the first of which may halve the image."""
    others = (block(width * block.expansion, width) for _ in range(depth - 1))
    return nn.Sequential(block(in_channels, width, stride), *others)


def resnet18(in_channels: int = 3, classes: int = 10) -> ResNet:
    """Make ResNet-18: 11.2 million parameters."""
    return ResNet(BasicBlock, (2, 2, 2, 2), in_channels, classes)


def resnet34(in_channels: int = 3, classes: int = 10) -> ResNet:
    """Make ResNet-34: 21.3 million parameters."""
    return ResNet(BasicBlock, (3, 4, 6, 3), in_channels, classes)


def resnet50(in_channels: int = 3, classes: int = 10) -> ResNet:
    """Make ResNet-50: 23.5 million parameters."""
    return ResNet(Bottleneck, (3, 4, 6, 3), in_channels, classes)
