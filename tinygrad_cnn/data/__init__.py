"""Data: real digits at hand, MNIST and Fashion-MNIST on request, batches and transforms.

Everything here is plain NumPy; functions and modules of the package take its arrays as they are.

>>> train, test = digits()
>>> transform = Compose(ToFloat(), AddChannel())
>>> images, labels = next(iter(DataLoader(train, batch_size=125, transform=transform)))
>>> images.shape, images.dtype, labels.shape
((125, 1, 28, 28), dtype('float32'), (125,))
"""

from tinygrad_cnn.data.download import DownloadError
from tinygrad_cnn.data.embedded import digits
from tinygrad_cnn.data.folder import load_folder
from tinygrad_cnn.data.idx import IdxError, read_idx, write_idx
from tinygrad_cnn.data.images import ImageDataset, Splits
from tinygrad_cnn.data.loader import DataLoader, default_collate
from tinygrad_cnn.data.sources import cache_folder, fashion_mnist, load, mnist
from tinygrad_cnn.data.transforms import (
    AddChannel,
    Compose,
    Normalize,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    ToFloat,
    one_hot,
)

__all__ = [
    "AddChannel",
    "Compose",
    "DataLoader",
    "DownloadError",
    "IdxError",
    "ImageDataset",
    "Normalize",
    "Pad",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Splits",
    "ToFloat",
    "cache_folder",
    "default_collate",
    "digits",
    "fashion_mnist",
    "load",
    "load_folder",
    "mnist",
    "one_hot",
    "read_idx",
    "write_idx",
]
