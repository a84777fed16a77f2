"""LeNet-5: LeCun et al., "Gradient-based learning applied to document recognition" (1998)."""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

__all__ = ["LeNet5"]


class LeNet5(nn.Module):
    """Two convolutions and three linear layers: 61,706 parameters with one channel.

    Images (N, C, 32, 32) to logits (N, classes). As published, but for the output layer and the
    channels that the second convolution leaves out.
    """

    def __init__(self, in_channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = F.avg_pool2d(F.tanh(self.conv1(x)), 2)  # 6, 14, 14
        x = F.avg_pool2d(F.tanh(self.conv2(x)), 2)  # 16, 5, 5
        x = F.flatten(x, 1)  # 400
        x = F.tanh(self.fc1(x))  # 120
        x = F.tanh(self.fc2(x))  # 84
        return self.fc3(x)  # classes
