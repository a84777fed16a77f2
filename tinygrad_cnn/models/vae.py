"""Variational autoencoder: Kingma and Welling, "Auto-encoding variational Bayes" (2014)."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.random import default_generator

__all__ = ["VAE", "vae_loss"]


class VAE(nn.Module):
    """Images to a few numbers each, with their uncertainty, and back.

    Images (N, C, 28, 28) from 0 to 1 to a triple: logits of the images (N, C, 28, 28), means and
    logarithms of variances (N, latent).
    """

    def __init__(self, channels: int = 1, latent: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 4, stride=2, padding=1)
        self.mean = nn.Linear(64 * 7 * 7, latent)
        self.log_variance = nn.Linear(64 * 7 * 7, latent)
        self.fc = nn.Linear(latent, 64 * 7 * 7)
        self.conv3 = nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)
        self.conv4 = nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1)

    def encode(self, x: Any) -> tuple[Any, Any]:
        """Return means and logarithms of variances."""
        x = F.relu(self.conv1(x))  # 32, 14, 14
        x = F.relu(self.conv2(x))  # 64, 7, 7
        x = F.flatten(x, 1)  # 3136
        return self.mean(x), self.log_variance(x)  # latent, latent

    def decode(self, z: Any) -> Any:
        """Return logits of images."""
        x = F.relu(self.fc(z))  # 3136
        x = F.relu(self.conv3(F.reshape(x, -1, 64, 7, 7)))  # 32, 14, 14
        return self.conv4(x)  # C, 28, 28

    def forward(self, x: Any) -> tuple[Any, Any, Any]:
        """Encode, draw, decode; in evaluation the means are decoded."""
        mean, log_variance = self.encode(x)  # latent, latent
        z = mean
        if self.training:
            noise = default_generator().standard_normal(mean.shape, np.float32)
            z = mean + F.exp(0.5 * log_variance) * noise.astype(mean.dtype)
        return self.decode(z), mean, log_variance


def vae_loss(output: tuple[Any, Any, Any], images: Any) -> Any:
    """Compute the negative evidence lower bound, a mean over images.

    Binary cross-entropy of the pixels plus ``KL = −½ Σ (1 + log σ² − μ² − σ²)``.
    """
    logits, mean, log_variance = output
    pixels = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
    divergence = -0.5 * (1 + log_variance - mean * mean - F.exp(log_variance)).sum()
    return (pixels + divergence) / len(mean)
