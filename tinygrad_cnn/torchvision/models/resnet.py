"""Residual networks: He et al. (2016); ResNeXt, Xie et al. (2017); wide ones, Zagoruyko (2016)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.torchvision.models.weights import WeightsEnum, weights_enum, with_weights

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNeXt50_32X4D_Weights",
    "ResNeXt101_32X8D_Weights",
    "ResNet",
    "ResNet18_Weights",
    "ResNet34_Weights",
    "ResNet50_Weights",
    "ResNet101_Weights",
    "ResNet152_Weights",
    "Wide_ResNet50_2_Weights",
    "Wide_ResNet101_2_Weights",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut."""

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock: groups is 1 and base_width 64")
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Any) -> Any:
        """Add what the convolutions make of the input to the shortcut."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A 3×3 convolution between two of 1×1, around a shortcut."""

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__()
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = nn.Conv2d(inplanes, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Any) -> Any:
        """Add what the convolutions make of the input to the shortcut."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """A stem, four stages of blocks, and a linear layer: images (N, 3, H, W) to logits (N, K).

    Parameters
    ----------
    block
        `BasicBlock` or `Bottleneck`.
    layers
        How many blocks each stage has.
    num_classes
        The number of classes K.
    zero_init_residual
        Begin with blocks that are the identity.
    groups, width_per_group
        Of the 3×3 convolutions in bottlenecks.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
    ) -> None:
        super().__init__()
        self.inplanes = 64
        self.groups, self.base_width = groups, width_per_group
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], stride=2)
        self.layer3 = self._make_layer(block, 256, layers[2], stride=2)
        self.layer4 = self._make_layer(block, 512, layers[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)
            elif zero_init_residual and isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)

    def _make_layer(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
    ) -> nn.Sequential:
        """Make a stage; its first block projects its shortcut where the shape changes."""
        downsample = None
        out = planes * block.expansion
        if stride != 1 or self.inplanes != out:
            downsample = nn.Sequential(
                nn.Conv2d(self.inplanes, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )
        made = [block(self.inplanes, planes, stride, downsample, self.groups, self.base_width)]
        self.inplanes = out
        made += [
            block(out, planes, groups=self.groups, base_width=self.base_width)
            for _ in range(1, blocks)
        ]
        return nn.Sequential(*made)

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


ResNet18_Weights = weights_enum("ResNet18_Weights", "resnet18-f37072fd.pth")
ResNet34_Weights = weights_enum("ResNet34_Weights", "resnet34-b627a593.pth")
ResNet50_Weights = weights_enum(
    "ResNet50_Weights", "resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth"
)
ResNet101_Weights = weights_enum(
    "ResNet101_Weights", "resnet101-63fe2227.pth", "resnet101-cd907fc2.pth"
)
ResNet152_Weights = weights_enum(
    "ResNet152_Weights", "resnet152-394f9c45.pth", "resnet152-f82ba261.pth"
)
ResNeXt50_32X4D_Weights = weights_enum(
    "ResNeXt50_32X4D_Weights", "resnext50_32x4d-7cdf4587.pth", "resnext50_32x4d-1a0047aa.pth"
)
ResNeXt101_32X8D_Weights = weights_enum(
    "ResNeXt101_32X8D_Weights", "resnext101_32x8d-8ba56ff5.pth", "resnext101_32x8d-110c445d.pth"
)
Wide_ResNet50_2_Weights = weights_enum(
    "Wide_ResNet50_2_Weights", "wide_resnet50_2-95faca4d.pth", "wide_resnet50_2-9ba9bcbe.pth"
)
Wide_ResNet101_2_Weights = weights_enum(
    "Wide_ResNet101_2_Weights", "wide_resnet101_2-32ee1156.pth", "wide_resnet101_2-d733dc28.pth"
)


def _maker(
    name: str,
    block: type[BasicBlock] | type[Bottleneck],
    layers: Sequence[int],
    kind: type[WeightsEnum],
    **settings: int,
) -> Callable[..., ResNet]:
    def make(*, weights: Any = None, pretrained: bool = False, **kwargs: Any) -> ResNet:
        network = ResNet(block, layers, **{**settings, **kwargs})
        return with_weights(network, kind, weights, pretrained)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"Make {name}; ``weights`` as for `with_weights`."
    return make


_50, _101, _152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
resnet18 = _maker("resnet18", BasicBlock, (2, 2, 2, 2), ResNet18_Weights)
resnet34 = _maker("resnet34", BasicBlock, _50, ResNet34_Weights)
resnet50 = _maker("resnet50", Bottleneck, _50, ResNet50_Weights)
resnet101 = _maker("resnet101", Bottleneck, _101, ResNet101_Weights)
resnet152 = _maker("resnet152", Bottleneck, _152, ResNet152_Weights)
resnext50_32x4d = _maker(
    "resnext50_32x4d", Bottleneck, _50, ResNeXt50_32X4D_Weights, groups=32, width_per_group=4
)
resnext101_32x8d = _maker(
    "resnext101_32x8d", Bottleneck, _101, ResNeXt101_32X8D_Weights, groups=32, width_per_group=8
)
wide_resnet50_2 = _maker(
    "wide_resnet50_2", Bottleneck, _50, Wide_ResNet50_2_Weights, width_per_group=128
)
wide_resnet101_2 = _maker(
    "wide_resnet101_2", Bottleneck, _101, Wide_ResNet101_2_Weights, width_per_group=128
)
