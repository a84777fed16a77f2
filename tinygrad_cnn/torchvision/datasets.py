"""``torchvision.datasets``: see `tinygrad_cnn.data.datasets`."""

from tinygrad_cnn.data.datasets import *
from tinygrad_cnn.data.datasets import __all__ as __all__
from tinygrad_cnn.torchvision.absent import absent

__getattr__ = absent(
    "torchvision.datasets",
    {
        "QMNIST": "MNIST and EMNIST are",
        "USPS": "MNIST is",
        "ImageNet": "ImageFolder reads its folders",
        "Imagenette": "ImageFolder reads its folders",
    },
    "ImageFolder reads a folder a class; for the rest write __len__ and __getitem__",
)
