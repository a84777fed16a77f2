"""MNIST and Fashion-MNIST, fetched on request, and one entry point to every data set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt
import platformdirs

from tinygrad_cnn.data.class_folders import has_class_folders, load_class_folders
from tinygrad_cnn.data.download import download as fetch
from tinygrad_cnn.data.embedded import digits
from tinygrad_cnn.data.folder import (
    PARTS,
    existing_files,
    load_folder,
    missing_parts,
    splits_from_arrays,
)
from tinygrad_cnn.data.idx import IdxError, idx_digest, read_idx
from tinygrad_cnn.data.images import Splits

__all__ = ["DATA_FOLDER_VARIABLE", "Source", "cache_folder", "fashion_mnist", "load", "mnist"]

DATA_FOLDER_VARIABLE = "TINYGRAD_CNN_DATA"

# The larger files hold 60,000 images of 28×28 bytes; compression adds at worst a few kilobytes.
_MAX_BYTES = 60_000 * 28 * 28
_MAX_FILE_BYTES = _MAX_BYTES + (1 << 16)


def cache_folder() -> Path:
    """Return where downloads are kept.

    It is the folder that the environment variable ``TINYGRAD_CNN_DATA`` names, else
    ``tinygrad-cnn`` in the platform's cache folder. Each data set has a folder of its own in it.
    """
    if folder := os.environ.get(DATA_FOLDER_VARIABLE):
        return Path(folder)
    return platformdirs.user_cache_path("tinygrad-cnn", appauthor=False)


@dataclass(frozen=True)
class Source:
    """A published data set: where its four files are, and how to know them.

    Parameters
    ----------
    name
        Its name on the command line and in the cache folder.
    classes
        The names of its classes.
    md5
        For each of the four parts the MD5 of the decompressed file, in hexadecimal.
    mirrors
        Addresses of folders with the files, the first one tried first.
    system_folders
        Where system packages put the files; used, where present, before any download.
    """

    name: str
    classes: tuple[str, ...]
    md5: Mapping[str, str]
    mirrors: tuple[str, ...]
    system_folders: tuple[Path, ...] = ()

    def load(
        self,
        root: str | os.PathLike[str] | None,
        download: bool,
        mirrors: Sequence[str] | None,
        timeout: float,
        progress: bool,
    ) -> Splits:
        """Read the data set from the first place that holds it; see `mnist`."""
        if isinstance(mirrors, str):
            raise TypeError(f"{self.name}: mirrors must be a sequence of addresses, got a string")
        if root is not None and not missing_parts(Path(root)):
            return self._read_folder(Path(root))
        for folder in self.system_folders:
            if not missing_parts(folder):
                try:
                    return self._read_folder(folder)
                except IdxError as error:
                    warnings.warn(f"{folder} is passed over: {error}", stacklevel=3)
        folder = (cache_folder() if root is None else Path(root)) / self.name
        arrays = {}
        for part in PARTS:
            cached = self._read_cached(folder, part, download)
            if cached is None:
                cached = self.fetch_part(folder, part, mirrors, timeout, progress)
            arrays[part] = cached
        return splits_from_arrays(arrays, self.classes, self.name)

    def _read_folder(self, folder: Path) -> Splits:
        arrays = {part: self._read(existing_files(folder, part)[0], part) for part in PARTS}
        return splits_from_arrays(arrays, self.classes, self.name)

    def _read_cached(self, folder: Path, part: str, download: bool) -> npt.NDArray[Any] | None:
        """Return the part from the cache, or None if it is to be fetched."""
        for file in existing_files(folder, part):
            try:
                return self._read(file, part)
            except IdxError as error:
                if not download:
                    raise
                warnings.warn(f"{error}; fetching it again", stacklevel=4)
        if not download:
            raise FileNotFoundError(
                f"{self.name}: {folder} lacks {part}.gz; with download=True it is fetched"
            )
        return None

    def _read(self, file: Path, part: str) -> npt.NDArray[Any]:
        """Read a file and compare its content with the published one."""
        array = read_idx(file, max_bytes=_MAX_BYTES)
        if not self.published(array, part):
            raise IdxError(
                f"{self.name}: {file} is not the published {part}: the MD5 of its decompressed "
                f"bytes is {idx_digest(array, 'md5')}, expected {self.md5[part]}"
            )
        return array

    def published(self, array: npt.NDArray[Any], part: str) -> bool:
        """Whether an array is the published one of that part."""
        return idx_digest(array, "md5") == self.md5[part]

    def fetch_part(
        self,
        folder: Path,
        part: str,
        mirrors: Sequence[str] | None = None,
        timeout: float = 30.0,
        progress: bool = True,
    ) -> npt.NDArray[Any]:
        """Download a part to a folder, and read it."""
        file = folder / f"{part}.gz"
        fetch(
            self.mirrors if mirrors is None else mirrors,
            file,
            partial(self._read, part=part),
            max_bytes=_MAX_FILE_BYTES,
            timeout=timeout,
            progress=progress,
        )
        return self._read(file, part)


MNIST = Source(
    name="mnist",
    classes=tuple("0123456789"),
    md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
)

FASHION_MNIST = Source(
    name="fashion-mnist",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    md5={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    system_folders=(Path("/usr/share/datasets/fashion-mnist"),),
)


def mnist(
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    *,
    mirrors: Sequence[str] | None = None,
    timeout: float = 30.0,
    progress: bool = True,
) -> Splits:
    """Load MNIST: 60,000 training and 10,000 test images of handwritten digits, 28×28.

    Every file, wherever it is from, is compared with the MD5 of the published one.

    Parameters
    ----------
    root
        A folder that holds the four files (named as `load_folder` expects them): it is used as
        it is, and never written to. Any other folder: the files are kept in its subfolder
        ``mnist``. None: the same within `cache_folder`.
    download
        Fetch what is missing or damaged; otherwise that is an error.
    mirrors
        Addresses of folders to fetch from, in place of the known ones.
    timeout
        Seconds to wait for a connection, and for each piece of data.
    progress
        Show a progress bar, where standard error is a terminal.

    Returns
    -------
    The training part, images (60000, 28, 28) of uint8 and labels (60000,), and the test part,
    (10000, 28, 28) and (10000,).

    Raises
    ------
    FileNotFoundError
        If a file is missing and `download` is false.
    IdxError
        If a file in `root` is damaged or not MNIST's, or one in the cache is and `download` is
        false. (With `download`, a damaged file in the cache is a warning, and is replaced.)
    DownloadError
        If no mirror served a file; the message gives each one's reason.

    Notes
    -----
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document
    recognition, Proceedings of the IEEE 86 (1998) 2278-2324.

    Examples
    --------
    >>> mnist("no/such/folder", download=False)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    FileNotFoundError: mnist: ... lacks train-images-idx3-ubyte.gz; with download=True it is fetched
    """
    return MNIST.load(root, download, mirrors, timeout, progress)


def fashion_mnist(
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    *,
    mirrors: Sequence[str] | None = None,
    timeout: float = 30.0,
    progress: bool = True,
) -> Splits:
    """Load Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28×28.

    Arguments, results and errors are those of `mnist`; the subfolder's name is
    ``fashion-mnist``. Where Debian's package ``dataset-fashion-mnist`` is installed, its files
    are used, and nothing is downloaded.

    Notes
    -----
    H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms, arXiv:1708.07747 (2017).
    """
    return FASHION_MNIST.load(root, download, mirrors, timeout, progress)


def load(name_or_path: str | os.PathLike[str]) -> Splits:
    """Load a data set by its name, or from a folder of idx files or of pictures.

    Parameters
    ----------
    name_or_path
        ``digits``, ``mnist``, ``fashion-mnist``, or the path of a folder as `load_folder` or
        `load_class_folders` reads it (``./mnist`` for a folder of that name).

    Raises
    ------
    ValueError
        If it is neither a known name nor a folder. Further errors are those of the loaders.

    Examples
    --------
    >>> load("digits").train
    ImageDataset(5,000 images of 28×28, 10 classes)
    >>> load("digit")
    Traceback (most recent call last):
        ...
    ValueError: load: expected digits, mnist, fashion-mnist or a folder of data, got 'digit'
    """
    loaders = {"digits": digits, "mnist": mnist, "fashion-mnist": fashion_mnist}
    name = os.fspath(name_or_path)
    if name in loaders:
        return loaders[name]()
    if name and Path(name).is_dir():  # Path("") would be the working folder
        pictures = has_class_folders(Path(name))
        return load_class_folders(name) if pictures else load_folder(name)
    raise ValueError(f"load: expected {', '.join(loaders)} or a folder of data, got {str(name)!r}")
