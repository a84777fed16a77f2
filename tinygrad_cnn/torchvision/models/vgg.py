"""VGG: Simonyan and Zisserman, "Very deep convolutional networks" (2015)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.torchvision.models.weights import WeightsEnum, weights_enum, with_weights

__all__ = [
    "VGG",
    "VGG11_BN_Weights",
    "VGG11_Weights",
    "VGG13_BN_Weights",
    "VGG13_Weights",
    "VGG16_BN_Weights",
    "VGG16_Weights",
    "VGG19_BN_Weights",
    "VGG19_Weights",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

VGG11_Weights = weights_enum("VGG11_Weights", "vgg11-8a719046.pth")
VGG11_BN_Weights = weights_enum("VGG11_BN_Weights", "vgg11_bn-6002323d.pth")
VGG13_Weights = weights_enum("VGG13_Weights", "vgg13-19584684.pth")
VGG13_BN_Weights = weights_enum("VGG13_BN_Weights", "vgg13_bn-abd245e5.pth")
VGG16_Weights = weights_enum("VGG16_Weights", "vgg16-397923af.pth")
VGG16_BN_Weights = weights_enum("VGG16_BN_Weights", "vgg16_bn-6c64b313.pth")
VGG19_Weights = weights_enum("VGG19_Weights", "vgg19-dcbb9e9d.pth")
VGG19_BN_Weights = weights_enum("VGG19_BN_Weights", "vgg19_bn-c79401a0.pth")


class VGG(nn.Module):
    """3×3 convolutions in stages and three linear layers: images (N, 3, H, W) to logits (N, K).

    Parameters
    ----------
    features
        The convolutions, giving 512 channels.
    num_classes
        The number of classes K.
    init_weights
        Draw weights as the paper did; False leaves those that the layers have.
    dropout
        With which probability the linear layers drop.
    """

    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        for module in self.modules() if init_weights else ():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def _features(layers: int, norm: bool) -> nn.Sequential:
    """Make the convolutions of a network of so many layers, with batch normalisation or without."""
    made: list[nn.Module] = []
    channels = 3
    for width, depth in zip((64, 128, 256, 512, 512), _DEPTHS[layers], strict=True):
        for _ in range(depth):
            made.append(nn.Conv2d(channels, width, kernel_size=3, padding=1))
            if norm:
                made.append(nn.BatchNorm2d(width))
            made.append(nn.ReLU(inplace=True))
            channels = width
        made.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*made)


def _maker(layers: int, norm: bool, kind: type[WeightsEnum]) -> Callable[..., VGG]:
    def make(*, weights: Any = None, pretrained: bool = False, **kwargs: Any) -> VGG:
        return with_weights(VGG(_features(layers, norm), **kwargs), kind, weights, pretrained)

    make.__name__ = make.__qualname__ = f"vgg{layers}{'_bn' if norm else ''}"
    make.__doc__ = f"Make VGG-{layers}, {'with' if norm else 'without'} batch normalisation."
    return make


vgg11, vgg11_bn = _maker(11, False, VGG11_Weights), _maker(11, True, VGG11_BN_Weights)
vgg13, vgg13_bn = _maker(13, False, VGG13_Weights), _maker(13, True, VGG13_BN_Weights)
vgg16, vgg16_bn = _maker(16, False, VGG16_Weights), _maker(16, True, VGG16_BN_Weights)
vgg19, vgg19_bn = _maker(19, False, VGG19_Weights), _maker(19, True, VGG19_BN_Weights)
