"""MobileNets: depthwise convolutions between two of 1×1, the shortcut around the narrow ends.

Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks" (2018); Howard et al.,
"Searching for MobileNetV3" (2019). The first strides are left out for images of 32×32.
"""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

__all__ = ["InvertedResidual", "MobileNetV2", "MobileNetV3", "SqueezeExcitation"]


class SqueezeExcitation(nn.Module):
    """Scale each channel by what the means of all channels tell: (N, C, H, W) to the same.

    Hu et al., "Squeeze-and-excitation networks" (2018).

    Parameters
    ----------
    channels, squeezed
        C, and to how many the means are squeezed.
    activation, gate
        Functions of the squeezed and of the excited.
    """

    def __init__(
        self, channels: int, squeezed: int, activation: Any = F.relu, gate: Any = F.hardsigmoid
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = activation
        self.gate = gate

    def forward(self, x: Any) -> Any:
        """Multiply each channel."""
        s = F.adaptive_avg_pool2d(x, 1)  # C, 1, 1
        s = self.activation(self.fc1(s))  # squeezed, 1, 1
        return x * self.gate(self.fc2(s))  # C, H, W


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow again, without an activation at the end.

    (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride).

    Parameters
    ----------
    width
        Channels in between.
    kernel, stride
        Of the convolution in between.
    activation
        A function.
    squeezed
        To how many channels a `SqueezeExcitation` squeezes; 0 for none.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        activation: Any = F.relu6,
        squeezed: int = 0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.widen = _conv_norm(in_channels, width, 1) if width != in_channels else None
        self.depthwise = _conv_norm(width, width, kernel, stride, groups=width)
        self.excite = SqueezeExcitation(width, squeezed) if squeezed else None
        self.narrow = _conv_norm(width, out_channels, 1)
        self.is_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Any) -> Any:
        """Apply the convolutions, and add the input where the shape stays."""
        y = x if self.widen is None else self.activation(self.widen(x))  # width, H, W
        y = self.activation(self.depthwise(y))  # width, H / stride, W / stride
        if self.excite is not None:
            y = self.excite(y)
        y = self.narrow(y)  # out_channels, H / stride, W / stride
        return y + x if self.is_residual else y


def _conv_norm(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, 1, groups, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class MobileNetV2(nn.Module):
    """Seventeen inverted residuals: 2.2 million parameters.

    Images (N, C, 32, 32) to logits (N, classes).
    """

    # Expansion, channels, blocks, stride of the first.
    STAGES = (
        (1, 16, 1, 1),
        (6, 24, 2, 1),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, in_channels: int = 3, classes: int = 10, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = _conv_norm(in_channels, 32, 3)
        blocks, width = [], 32
        for expansion, channels, depth, stride in self.STAGES:
            for i in range(depth):
                step = 1 if i else stride
                blocks.append(InvertedResidual(width, expansion * width, channels, stride=step))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = _conv_norm(320, 1280, 1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1280, classes)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = F.relu6(self.stem(x))  # 32, 32, 32
        x = self.blocks(x)  # 320, 4, 4
        x = F.relu6(self.head(x))  # 1280, 4, 4
        x = F.flatten(F.adaptive_avg_pool2d(x, 1), 1)  # 1280
        return self.fc(self.dropout(x))  # classes


class MobileNetV3(nn.Module):
    """MobileNetV3-Small: eleven inverted residuals, hard swishes: 1.5 million parameters.

    Images (N, C, 32, 32) to logits (N, classes).
    """

    # Kernel, width, channels, channels squeezed to (0 for none), activation, stride.
    BLOCKS = (
        (3, 16, 16, 8, F.relu, 1),
        (3, 72, 24, 0, F.relu, 2),
        (3, 88, 24, 0, F.relu, 1),
        (5, 96, 40, 24, F.hardswish, 2),
        (5, 240, 40, 64, F.hardswish, 1),
        (5, 240, 40, 64, F.hardswish, 1),
        (5, 120, 48, 32, F.hardswish, 1),
        (5, 144, 48, 40, F.hardswish, 1),
        (5, 288, 96, 72, F.hardswish, 2),
        (5, 576, 96, 144, F.hardswish, 1),
        (5, 576, 96, 144, F.hardswish, 1),
    )

    def __init__(self, in_channels: int = 3, classes: int = 10, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = _conv_norm(in_channels, 16, 3)
        blocks, before = [], 16
        for kernel, width, channels, squeezed, activation, stride in self.BLOCKS:
            shape = before, width, channels, kernel, stride
            blocks.append(InvertedResidual(*shape, activation, squeezed))
            before = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = _conv_norm(96, 576, 1)
        self.fc1 = nn.Linear(576, 1024)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = F.hardswish(self.stem(x))  # 16, 32, 32
        x = self.blocks(x)  # 96, 4, 4
        x = F.hardswish(self.head(x))  # 576, 4, 4
        x = F.flatten(F.adaptive_avg_pool2d(x, 1), 1)  # 576
        x = F.hardswish(self.fc1(x))  # 1024
        return self.fc2(self.dropout(x))  # classes
