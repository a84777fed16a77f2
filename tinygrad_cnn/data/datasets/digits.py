"""MNIST and its kin: grey images of 28×28 in idx files, in torchvision's folders."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.data.datasets.vision import VisionDataset, picture_of
from tinygrad_cnn.data.folder import PARTS, existing_files
from tinygrad_cnn.data.idx import IdxError, read_idx
from tinygrad_cnn.data.sources import FASHION_MNIST, Source
from tinygrad_cnn.data.sources import MNIST as MNIST_SOURCE
from tinygrad_cnn.tensor import Tensor, as_tensor
from tinygrad_cnn.types import Array

__all__ = ["EMNIST", "KMNIST", "MNIST", "FashionMNIST"]

_MOST_BYTES = 1 << 30  # EMNIST's largest split has 550 million


class MNIST(VisionDataset):
    """Handwritten digits: 60,000 images to learn from and 10,000 to test with.

    A sample is an image, of Pillow's if that is installed and else an array (28, 28), and an int.

    Parameters
    ----------
    root
        Files are looked for in ``root/MNIST/raw``, where torchvision puts them, compressed or not.
    train
        Whether to take the training part.
    transform, target_transform
        Called with the image and with the class.
    download
        Fetch files that are missing.

    Attributes
    ----------
    data, targets
        All images (N, 28, 28) of uint8 and all classes (N,), tensors.
    classes, class_to_idx
        The classes' names, and their numbers by name.

    Raises
    ------
    FileNotFoundError
        If files are missing and `download` is false.
    IdxError
        If one is damaged. One that is sound and not the published one is a warning, and is used.
    DownloadError
        If no mirror served a file.

    >>> MNIST("no/such/folder")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    FileNotFoundError: MNIST: no...raw lacks train-images-idx3-ubyte; download=True fetches it
    """

    source: ClassVar[Source | None] = MNIST_SOURCE
    classes: ClassVar[list[str]] = [
        f"{digit} - {name}"
        for digit, name in enumerate(
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        )
    ]

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        images, labels = self._read(download)
        if images.ndim != 3 or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise IdxError(
                f"{type(self).__name__}: {self.raw_folder} holds images of {images.dtype} and "
                f"shape {images.shape} with labels of shape {labels.shape}"
            )
        self.data = as_tensor(images)
        self.targets = as_tensor(labels.astype(np.int64))

    @property
    def raw_folder(self) -> str:
        """The folder that the files are in."""
        return str(Path(self.root or ".") / type(self).__name__ / "raw")

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The classes' numbers by name."""
        return {name: number for number, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = picture_of(_entry(self.data, index))
        return self.prepared(image, int(_entry(self.targets, index)))

    def extra_repr(self) -> str:
        """Return which part it is."""
        return f"Split: {'Train' if self.train else 'Test'}"

    def _names(self) -> tuple[str, str]:
        """Return the names of the files of images and labels."""
        return PARTS[:2] if self.train else PARTS[2:]

    def _read(self, download: bool) -> tuple[Array, Array]:
        images, labels = (self._part(name, download) for name in self._names())
        source = self.source
        found = dict(zip(self._names(), (images, labels), strict=True))
        other = (
            [] if source is None else [n for n, a in found.items() if not source.published(a, n)]
        )
        if other:
            warnings.warn(
                f"{type(self).__name__}: {self.raw_folder} holds {' and '.join(other)} that are "
                "sound, but not the published ones; they are used",
                stacklevel=3,
            )
        return images, labels

    def _part(self, name: str, download: bool) -> Array:
        owner, folder = type(self).__name__, Path(self.raw_folder)
        files = existing_files(folder, name)
        if not files and download and self.source is not None:
            return self.source.fetch_part(folder, name)
        if not files:
            hint = "; download=True fetches it" if self.source is not None else ""
            if download and self.source is None:
                hint = f"; {owner} is not downloaded here: put its files there, as published"
            raise FileNotFoundError(f"{owner}: {folder} lacks {name}{hint}")
        return read_idx(files[0], max_bytes=_MOST_BYTES)


def _entry(values: Any, index: int) -> Any:
    """Return an entry of what may be replaced by a part of it, a list or an array."""
    return values._data[index] if isinstance(values, Tensor) else values[index]


class FashionMNIST(MNIST):
    """Clothes in the form of MNIST; arguments and errors are those of `MNIST`.

    Notes
    -----
    H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST (2017), arXiv:1708.07747.
    """

    source = FASHION_MNIST
    classes: ClassVar[list[str]] = list(FASHION_MNIST.classes)


class KMNIST(MNIST):
    """Cursive Japanese in the form of MNIST, read from ``root/KMNIST/raw``; it is not downloaded.

    Notes
    -----
    T. Clanuwat et al.: Deep learning for classical Japanese literature (2018), arXiv:1812.01718.
    """

    source = None
    classes: ClassVar[list[str]] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


_DIGITS, _CAPITALS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Of the letters that look alike, small and large ones are one class.
_MERGED = "abdefghnqrt"


class EMNIST(MNIST):
    """Handwritten letters and digits, read from ``root/EMNIST/raw``; it is not downloaded.

    Parameters
    ----------
    root
        The folder; the files keep the names that they have in NIST's ``gzip.zip``.
    split
        "byclass", "bymerge", "balanced", "letters", "digits" or "mnist". In "letters" the classes
        begin with 1. Images lie on their side, as published.
    train, transform, target_transform, download
        As for `MNIST`.

    Notes
    -----
    G. Cohen et al.: EMNIST: an extension of MNIST to handwritten letters (2017), arXiv:1702.05373.
    """

    source = None
    splits: ClassVar[dict[str, str]] = {
        "byclass": _DIGITS + _CAPITALS + _CAPITALS.lower(),
        "bymerge": _DIGITS + _CAPITALS + _MERGED,
        "balanced": _DIGITS + _CAPITALS + _MERGED,
        "letters": " " + _CAPITALS.lower(),
        "digits": _DIGITS,
        "mnist": _DIGITS,
    }

    def __init__(self, root: str | os.PathLike[str], split: str, **kwargs: Any) -> None:
        if split not in self.splits:
            raise ValueError(f"EMNIST: split is {', '.join(self.splits)}, got {split!r}")
        self.split = split
        super().__init__(root, **kwargs)

    @property
    def classes(self) -> list[str]:  # type: ignore[override]
        """The classes' names."""
        names = list(self.splits[self.split])
        return ["N/A", *names[1:]] if names[0] == " " else names

    def _names(self) -> tuple[str, str]:
        part = f"emnist-{self.split}-{'train' if self.train else 'test'}"
        return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
