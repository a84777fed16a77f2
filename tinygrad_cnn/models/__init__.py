"""The networks, one family a file; begin with `resnet`, or with `lenet`.

- ``notebooks`` five small CNNs for the digits, PyTorch's MNIST example, ResNet-20
- ``lenet``, ``alexnet``, ``vgg``, ``resnet``, ``densenet``, ``squeezenet``, ``mobilenet``,
  ``efficientnet``, ``convnext`` classifiers of images of 32×32
- ``unet`` a class for every pixel; ``dcgan``, ``vae`` images out of nothing
- ``catalogue`` the classifiers by name, with what training them needs

Shapes in comments leave out the batch.
"""

from tinygrad_cnn.models.alexnet import AlexNet
from tinygrad_cnn.models.catalogue import (
    ARCHITECTURES,
    NETWORKS,
    Network,
    half_squared_error,
    network_of,
)
from tinygrad_cnn.models.convnext import ConvNeXt, convnext_tiny
from tinygrad_cnn.models.dcgan import Discriminator, Generator
from tinygrad_cnn.models.densenet import DenseNet
from tinygrad_cnn.models.efficientnet import EfficientNetB0
from tinygrad_cnn.models.lenet import LeNet5
from tinygrad_cnn.models.mobilenet import MobileNetV2, MobileNetV3
from tinygrad_cnn.models.notebooks import (
    BatchNorm,
    MnistExample,
    Momentum,
    Regression,
    ResidualBlock,
    ResNet20,
    Sigmoid,
    Softmax,
)
from tinygrad_cnn.models.resnet import ResNet, resnet18, resnet34, resnet50
from tinygrad_cnn.models.squeezenet import SqueezeNet
from tinygrad_cnn.models.unet import UNet
from tinygrad_cnn.models.vae import VAE, vae_loss
from tinygrad_cnn.models.vgg import VGG, vgg11, vgg13, vgg16, vgg19

__all__ = [
    "ARCHITECTURES",
    "NETWORKS",
    "VAE",
    "VGG",
    "AlexNet",
    "BatchNorm",
    "ConvNeXt",
    "DenseNet",
    "Discriminator",
    "EfficientNetB0",
    "Generator",
    "LeNet5",
    "MnistExample",
    "MobileNetV2",
    "MobileNetV3",
    "Momentum",
    "Network",
    "Regression",
    "ResNet",
    "ResNet20",
    "ResidualBlock",
    "Sigmoid",
    "Softmax",
    "SqueezeNet",
    "UNet",
    "convnext_tiny",
    "half_squared_error",
    "network_of",
    "resnet18",
    "resnet34",
    "resnet50",
    "vae_loss",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
]
