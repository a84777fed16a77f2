"""AlexNet: Krizhevsky et al., "ImageNet classification with deep convolutional networks" (2012)."""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

__all__ = ["AlexNet"]


class AlexNet(nn.Module):
    """Five convolutions and three linear layers with dropout, its windows made for small images.

    Images (N, C, 32, 32) to logits (N, classes): 4.6 million parameters.
    """

    def __init__(self, in_channels: int = 3, classes: int = 10, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1)
        self.conv2 = nn.Conv2d(64, 192, 3, padding=1)
        self.conv3 = nn.Conv2d(192, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 256, 3, padding=1)
        self.conv5 = nn.Conv2d(256, 256, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(256 * 4 * 4, 512)
        self.fc2 = nn.Linear(512, 512)
        self.fc3 = nn.Linear(512, classes)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # 64, 16, 16
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # 192, 8, 8
        x = F.relu(self.conv3(x))  # 384, 8, 8
        x = F.relu(self.conv4(x))  # 256, 8, 8
        x = F.max_pool2d(F.relu(self.conv5(x)), 2)  # 256, 4, 4
        x = F.flatten(x, 1)  # 4096
        x = F.relu(self.fc1(self.dropout(x)))  # 512
        x = F.relu(self.fc2(self.dropout(x)))  # 512
        return self.fc3(x)  # classes
