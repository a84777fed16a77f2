"""DCGAN, two networks that learn from each other.

Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial
networks" (2016). One makes images of noise, the other tells them from real ones.
"""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """Noise (N, noise) to images (N, C, 32, 32) from -1 to 1."""

    def __init__(self, noise: int = 100, channels: int = 1, width: int = 32) -> None:
        super().__init__()
        w = width
        self.conv1 = nn.ConvTranspose2d(noise, 4 * w, 4, bias=False)
        self.norm1 = nn.BatchNorm2d(4 * w)
        self.conv2 = nn.ConvTranspose2d(4 * w, 2 * w, 4, stride=2, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * w)
        self.conv3 = nn.ConvTranspose2d(2 * w, w, 4, stride=2, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(w)
        self.conv4 = nn.ConvTranspose2d(w, channels, 4, stride=2, padding=1)
        _draw(self)

    def forward(self, z: Any) -> Any:
        """Make images."""
        x = F.unsqueeze(F.unsqueeze(z, -1), -1)  # noise, 1, 1
        x = F.relu(self.norm1(self.conv1(x)))  # 4w, 4, 4
        x = F.relu(self.norm2(self.conv2(x)))  # 2w, 8, 8
        x = F.relu(self.norm3(self.conv3(x)))  # w, 16, 16
        return F.tanh(self.conv4(x))  # C, 32, 32


class Discriminator(nn.Module):
    """Images (N, C, 32, 32) to logits (N,): positive for real ones."""

    def __init__(self, channels: int = 1, width: int = 32) -> None:
        super().__init__()
        w = width
        self.conv1 = nn.Conv2d(channels, w, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(w, 2 * w, 4, stride=2, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * w)
        self.conv3 = nn.Conv2d(2 * w, 4 * w, 4, stride=2, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(4 * w)
        self.conv4 = nn.Conv2d(4 * w, 1, 4)
        _draw(self)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = F.leaky_relu(self.conv1(x), 0.2)  # w, 16, 16
        x = F.leaky_relu(self.norm2(self.conv2(x)), 0.2)  # 2w, 8, 8
        x = F.leaky_relu(self.norm3(self.conv3(x)), 0.2)  # 4w, 4, 4
        return F.flatten(self.conv4(x), 0)  # one number an image


def _draw(network: nn.Module) -> None:
    """Draw weights from N(0, 0.02²), as published."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
