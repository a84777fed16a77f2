"""Five small CNNs, the network of PyTorch's MNIST example, and ResNet-20.

Each of the five comes from a notebook whose backward pass was written by hand and was wrong
somewhere; here only the forward pass is written. Shapes in comments leave out the batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn


class Momentum(nn.Module):
    """Two convolutions and a linear layer: N(0, 0.01²) everywhere, for SGD with momentum.

    From weights this small the loss lies on a plateau at log 10. On pixels of mean 0 and deviation
    1 momentum leaves it within a few epochs; on pixels from 0 to 1 it takes more than forty.

    Images (N, 1, 32, 32) to logits (N, 10).
    """

    def __init__(self, generator: np.random.Generator | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding="same")
        self.linear = nn.Linear(1024, 10)
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0.0, 0.01, generator=generator)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = F.relu(self.conv1(x))  # 4, 16, 16
        x = F.relu(self.conv2(x))  # 4, 16, 16
        return self.linear(F.flatten(x, 1))  # 10


class BatchNorm(nn.Sequential):
    """Two convolutions with batch normalisation: the default network.

    Images (N, 1, 28, 28) to logits (N, 10).
    """

    def __init__(self, generator: np.random.Generator | None = None) -> None:
        super().__init__(
            {
                "conv1": nn.Conv2d(1, 16, 3, padding=1, bias=False),
                "bn1": nn.BatchNorm2d(16),
                "relu1": nn.ReLU(),  # 16, 28, 28
                "pool": nn.MaxPool2d(2),  # 16, 14, 14
                "conv2": nn.Conv2d(16, 18, 4, padding=1, bias=False),
                "bn2": nn.BatchNorm2d(18),
                "relu2": nn.ReLU(),  # 18, 13, 13
                "flatten": nn.Flatten(),
                "linear1": nn.Linear(3042, 20, bias=False),
                "bn3": nn.BatchNorm1d(20),
                "relu3": nn.ReLU(),  # 20
                "linear2": nn.Linear(20, 10),
            }
        )
        for layer in self:
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(layer.weight, 0.0, 0.1, generator=generator)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


class Regression(nn.Module):
    """One strided convolution and two linear layers that predict a number.

    Images (N, 1, 32, 32) to numbers (N, 1).
    """

    def __init__(self, generator: np.random.Generator | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.linear1 = nn.Linear(1024, 10)
        self.linear2 = nn.Linear(10, 1)
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0.0, 1.0, generator=generator)
        nn.init.zeros_(self.linear1.bias)
        nn.init.zeros_(self.linear2.bias)

    def forward(self, x: Any) -> Any:
        """Compute predictions."""
        x = F.relu(self.conv(x))  # 4, 16, 16
        return self.linear2(self.linear1(F.flatten(x, 1)))  # 1


class Sigmoid(nn.Module):
    """One 5×5 convolution and one logistic output, for one digit against the others.

    Images (N, 1, 32, 32) to probabilities (N, 1).
    """

    def __init__(self, generator: np.random.Generator | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 5, padding="same")
        self.linear = nn.Linear(256, 1)
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0.0, 0.01, generator=generator)

    def forward(self, x: Any) -> Any:
        """Compute probabilities."""
        x = F.max_pool2d(F.relu(self.conv(x)), 2)  # 1, 16, 16
        return F.sigmoid(self.linear(F.flatten(x, 1)))  # 1


class Softmax(nn.Module):
    """One 3×3 convolution and one linear layer, trained image by image.

    Images (N, 1, 28, 28) to logits (N, 10).
    """

    def __init__(self, generator: np.random.Generator | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, bias=False)
        self.linear = nn.Linear(1352, 10)
        nn.init.normal_(self.conv.weight, 0.0, 1 / 9, generator=generator)
        nn.init.normal_(self.linear.weight, 0.0, 1 / 1352, generator=generator)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = F.max_pool2d(self.conv(x), 2)  # 8, 13, 13
        return self.linear(F.flatten(x, 1))  # 10


class MnistExample(nn.Sequential):
    """The network of PyTorch's MNIST example, without its dropout.

    Images (N, 1, 28, 28) to logits (N, 10).
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "conv1": nn.Conv2d(1, 32, 3),
                "relu1": nn.ReLU(),  # 32, 26, 26
                "conv2": nn.Conv2d(32, 64, 3),
                "relu2": nn.ReLU(),  # 64, 24, 24
                "pool": nn.MaxPool2d(2),  # 64, 12, 12
                "flatten": nn.Flatten(),
                "fc1": nn.Linear(9216, 128),
                "relu3": nn.ReLU(),
                "fc2": nn.Linear(128, 10),
            }
        )


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with batch normalisation around a shortcut.

    A block that halves the image carries the shortcut over with every second pixel, and with zeros
    in the new channels (option A of the paper): it has no parameters.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.added = out_channels - in_channels

    def forward(self, x: Any) -> Any:
        """Add what two convolutions make of the images to what the shortcut carries over."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))

    def shortcut(self, x: Any) -> Any:
        """Carry the input over."""
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.added:
            x = F.pad(x, (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))
        return x


class ResNet20(nn.Sequential):
    """ResNet-20 for images of 32×32: 0.27 million parameters.

    Images (N, 3, 32, 32) to logits (N, classes). Source: He et al., "Deep Residual Learning for
    Image Recognition" (2016), section 4.2.
    """

    def __init__(self, in_channels: int = 3, classes: int = 10) -> None:
        super().__init__(
            {
                "conv1": nn.Conv2d(in_channels, 16, 3, padding=1, bias=False),
                "bn1": nn.BatchNorm2d(16),
                "relu": nn.ReLU(),  # 16, 32, 32
                "layer1": _stage(16, 16),  # 16, 32, 32
                "layer2": _stage(16, 32, 2),  # 32, 16, 16
                "layer3": _stage(32, 64, 2),  # 64, 8, 8
                "pool": nn.AdaptiveAvgPool2d(1),  # 64, 1, 1
                "flatten": nn.Flatten(),
                "fc": nn.Linear(64, classes),
            }
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def _stage(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Make three blocks, the first of which may halve the image."""
    blocks = (ResidualBlock(out_channels, out_channels) for _ in range(2))
    return nn.Sequential(ResidualBlock(in_channels, out_channels, stride), *blocks)
