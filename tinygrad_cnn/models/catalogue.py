"""The networks by name, each with what training it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.models import notebooks
from tinygrad_cnn.models.alexnet import AlexNet
from tinygrad_cnn.models.convnext import convnext_tiny
from tinygrad_cnn.models.densenet import DenseNet
from tinygrad_cnn.models.efficientnet import EfficientNetB0
from tinygrad_cnn.models.lenet import LeNet5
from tinygrad_cnn.models.mobilenet import MobileNetV2, MobileNetV3
from tinygrad_cnn.models.resnet import resnet18, resnet34, resnet50
from tinygrad_cnn.models.squeezenet import SqueezeNet
from tinygrad_cnn.models.vgg import vgg11, vgg16

__all__ = ["ARCHITECTURES", "NETWORKS", "Network", "half_squared_error", "network_of"]


@dataclass(frozen=True)
class Network:
    """A network with what training it needs.

    Attributes
    ----------
    build
        Makes the module; takes a generator, or where it is for `any_images` the channels of the
        images and the number of classes.
    image_size
        Height and width of the images; 28 is the digits' own size, 32 is padded.
    target
        What it learns: "class", "value" (the digit as a number) or "is_digit" (0 or 1).
    loss
        ``loss(output, target)``, a number.
    about
        One line for people.
    any_images
        Whether images may have several channels, and classes be as many as there are.
    command
        The words of the command that trains it, if that is not ``train`` with its name.
    """

    build: Callable[..., nn.Module]
    image_size: int
    target: str
    loss: Callable[[Any, Any], Any]
    about: str
    any_images: bool = False
    command: tuple[str, ...] = ()

    def make(self, channels: int = 1, classes: int = 10) -> nn.Module:
        """Build the module for such images, its weights drawn from the default generator."""
        return self.build(channels, classes) if self.any_images else self.build()


def half_squared_error(prediction: Any, target: Any) -> Any:
    """Compute ½ (prediction − target)², averaged over the batch."""
    return F.mse_loss(prediction, target) * 0.5


NETWORKS: dict[str, Network] = {
    "momentum": Network(
        *(notebooks.Momentum, 32, "class", F.cross_entropy),
        "two convolutions, softmax, SGD with momentum",
    ),
    "batchnorm": Network(
        *(notebooks.BatchNorm, 28, "class", F.cross_entropy),
        "two convolutions with batch normalisation",
    ),
    "regression": Network(
        *(notebooks.Regression, 32, "value", F.mse_loss),
        "a strided convolution predicts the digit's value",
    ),
    "sigmoid": Network(
        *(notebooks.Sigmoid, 32, "is_digit", half_squared_error),
        "a 5×5 convolution, one logistic output",
    ),
    "softmax": Network(
        notebooks.Softmax, 28, "class", F.cross_entropy, "a 3×3 convolution, one linear layer"
    ),
}
"""The five networks of the notebooks, made for the digits."""


def _classifier(build: Callable[..., nn.Module], about: str) -> Network:
    return Network(build, 32, "class", F.cross_entropy, about, any_images=True)


ARCHITECTURES: dict[str, Network] = {
    "lenet5": _classifier(LeNet5, "two convolutions, three linear layers (1998)"),
    "alexnet": _classifier(AlexNet, "five convolutions, three linear layers (2012)"),
    "vgg11": _classifier(vgg11, "eight 3×3 convolutions in five stages (2015)"),
    "vgg16": _classifier(vgg16, "thirteen 3×3 convolutions in five stages (2015)"),
    "resnet20": _classifier(notebooks.ResNet20, "nine thin residual blocks (2016)"),
    "resnet18": _classifier(resnet18, "eight residual blocks (2016)"),
    "resnet34": _classifier(resnet34, "sixteen residual blocks (2016)"),
    "resnet50": _classifier(resnet50, "sixteen bottleneck blocks (2016)"),
    "squeezenet": _classifier(SqueezeNet, "eight fire modules (2016)"),
    "densenet": _classifier(DenseNet, "three dense blocks, 40 layers (2017)"),
    "mobilenetv2": _classifier(MobileNetV2, "seventeen inverted residuals (2018)"),
    "mobilenetv3": _classifier(MobileNetV3, "eleven inverted residuals, excited (2019)"),
    "efficientnet-b0": _classifier(EfficientNetB0, "sixteen excited inverted residuals (2019)"),
    "convnext-tiny": _classifier(convnext_tiny, "eighteen 7×7 depthwise blocks (2022)"),
}
"""Networks of the literature that tell classes of small images apart."""


def network_of(name: str) -> Network:
    """Return one of `NETWORKS` or `ARCHITECTURES`.

    Raises
    ------
    KeyError
        If there is none of that name.

    >>> network_of("resnet18").about
    'eight residual blocks (2016)'
    """
    return NETWORKS[name] if name in NETWORKS else ARCHITECTURES[name]
