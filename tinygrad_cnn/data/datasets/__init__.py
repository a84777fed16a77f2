"""Data sets with torchvision's names: samples are images of Pillow and classes, one by one.

`digits` has MNIST and its kin, `cifar` CIFAR-10 and -100, `folders` what lies in a folder a class,
`vision` what they have in common. The functions `tinygrad_cnn.data.mnist` and `fashion_mnist` give
the same images as arrays, which is quicker: see there.

>>> from tinygrad_cnn.data import DataLoader
>>> from tinygrad_cnn.data.transforms import ToTensor
>>> noise = FakeData(4, image_size=(3, 8, 8), transform=ToTensor())
>>> [images.shape for images, labels in DataLoader(noise, batch_size=4)]
[(4, 3, 8, 8)]
"""

from tinygrad_cnn.data.datasets.cifar import CIFAR10, CIFAR100
from tinygrad_cnn.data.datasets.digits import EMNIST, KMNIST, MNIST, FashionMNIST
from tinygrad_cnn.data.datasets.folders import (
    IMG_EXTENSIONS,
    DatasetFolder,
    ImageFolder,
    default_loader,
    open_image,
)
from tinygrad_cnn.data.datasets.vision import FakeData, VisionDataset

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "EMNIST",
    "IMG_EXTENSIONS",
    "KMNIST",
    "MNIST",
    "DatasetFolder",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "VisionDataset",
    "default_loader",
    "open_image",
]
