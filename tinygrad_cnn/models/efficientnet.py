"""EfficientNet-B0: Tan and Le, "EfficientNet: Rethinking model scaling" (2019)."""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.models.mobilenet import SqueezeExcitation

__all__ = ["EfficientNetB0", "MBConv"]


class MBConv(nn.Module):
    """An inverted residual that is excited by the input's channels and now and then left out.

    (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride).

    Parameters
    ----------
    expansion
        How many times wider it is in between.
    kernel, stride
        Of the depthwise convolution.
    drop
        The probability that an image takes the shortcut alone, in training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: int,
        kernel: int,
        stride: int,
        drop: float,
    ) -> None:
        super().__init__()
        width = expansion * in_channels
        self.widen = nn.Conv2d(in_channels, width, 1, bias=False) if expansion > 1 else None
        self.norm1 = nn.BatchNorm2d(width) if expansion > 1 else None
        self.depthwise = nn.Conv2d(
            width, width, kernel, stride, kernel // 2, groups=width, bias=False
        )
        self.norm2 = nn.BatchNorm2d(width)
        self.excite = SqueezeExcitation(width, max(1, in_channels // 4), F.silu, F.sigmoid)
        self.narrow = nn.Conv2d(width, out_channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(out_channels)
        self.drop = nn.StochasticDepth(drop, "row")
        self.is_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Any) -> Any:
        """Apply the convolutions, and add the input where the shape stays."""
        y = x
        if self.widen is not None and self.norm1 is not None:
            y = F.silu(self.norm1(self.widen(y)))  # width, H, W
        y = F.silu(self.norm2(self.depthwise(y)))  # width, H / stride, W / stride
        y = self.norm3(self.narrow(self.excite(y)))  # out_channels, H / stride, W / stride
        return self.drop(y) + x if self.is_residual else y


class EfficientNetB0(nn.Module):
    """Sixteen blocks in seven stages: 4 million parameters.

    Images (N, C, 32, 32) to logits (N, classes). The strides of the stem and of the second stage
    are left out for images of this size.
    """

    # Expansion, channels, blocks, kernel, stride of the first.
    STAGES = (
        (1, 16, 1, 3, 1),
        (6, 24, 2, 3, 1),
        (6, 40, 2, 5, 2),
        (6, 80, 3, 3, 2),
        (6, 112, 3, 5, 1),
        (6, 192, 4, 5, 2),
        (6, 320, 1, 3, 1),
    )

    def __init__(self, in_channels: int = 3, classes: int = 10, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 32, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(32)
        total = sum(depth for _, _, depth, _, _ in self.STAGES)
        blocks: list[nn.Module] = []
        width = 32
        for expansion, channels, depth, kernel, stride in self.STAGES:
            for i in range(depth):
                drop = 0.2 * len(blocks) / total  # the deeper, the likelier
                step = 1 if i else stride
                blocks.append(MBConv(width, channels, expansion, kernel, step, drop))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(320, 1280, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(1280)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1280, classes)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = F.silu(self.norm1(self.stem(x)))  # 32, 32, 32
        x = self.blocks(x)  # 320, 4, 4
        x = F.silu(self.norm2(self.head(x)))  # 1280, 4, 4
        x = F.flatten(F.adaptive_avg_pool2d(x, 1), 1)  # 1280
        return self.fc(self.dropout(x))  # classes
