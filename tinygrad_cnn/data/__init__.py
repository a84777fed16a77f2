"""Data: real digits at hand, more on request, batches of tensors, transforms.

`DataLoader` makes batches, `dataset` and `samplers` are what it takes; `batchwise` transforms whole
batches, `transforms` single images; `datasets` gives single
images. Both have torchvision's names.

>>> train, test = digits()
>>> prepare = batchwise.Compose([batchwise.ToFloat(), batchwise.AddChannel()])
>>> images, labels = next(iter(DataLoader(train, batch_size=125, transform=prepare)))
>>> images.shape, images.dtype, labels.shape
((125, 1, 28, 28), dtype('float32'), (125,))
"""

import importlib
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.data import batchwise
from tinygrad_cnn.data.batchwise import one_hot
from tinygrad_cnn.data.class_folders import load_class_folders
from tinygrad_cnn.data.collate import default_collate, default_convert
from tinygrad_cnn.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from tinygrad_cnn.data.download import DownloadError
from tinygrad_cnn.data.embedded import digits
from tinygrad_cnn.data.folder import load_folder
from tinygrad_cnn.data.idx import IdxError, read_idx, write_idx
from tinygrad_cnn.data.images import ImageDataset, Splits
from tinygrad_cnn.data.loader import DataLoader
from tinygrad_cnn.data.samplers import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinygrad_cnn.data.sources import cache_folder, fashion_mnist, load, mnist
from tinygrad_cnn.data.workers import WorkerInfo, get_worker_info

if TYPE_CHECKING:
    from tinygrad_cnn.data import datasets, transforms
    from tinygrad_cnn.data.grids import make_grid, save_image

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "DownloadError",
    "IdxError",
    "ImageDataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Splits",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "batchwise",
    "cache_folder",
    "datasets",
    "default_collate",
    "default_convert",
    "digits",
    "fashion_mnist",
    "get_worker_info",
    "load",
    "load_class_folders",
    "load_folder",
    "make_grid",
    "mnist",
    "one_hot",
    "random_split",
    "read_idx",
    "save_image",
    "transforms",
    "write_idx",
]

_LATE = {"datasets": "", "transforms": "", "make_grid": "grids", "save_image": "grids"}
"""What is imported when it is first used, and from where: it takes as long as all the rest."""


def __getattr__(name: str) -> Any:
    """Import `datasets` and `transforms`, and what stands on them, when they are first used."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _LATE[name]
    module = importlib.import_module(f"{__name__}.{home or name}")
    return getattr(module, name) if home else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
