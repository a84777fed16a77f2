"""CIFAR-10 and CIFAR-100, from their binary archives: labels and pixels, byte after byte.

The archive is read as it is, never unpacked to disk. Nothing in it is trusted: it must be the
published one (by its MD5), its members must have the names and the very sizes that the format asks
for, and what it inflates to is bounded.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from tinygrad_cnn.data.datasets.vision import VisionDataset, picture_of
from tinygrad_cnn.data.download import download as fetch
from tinygrad_cnn.npz import require_file
from tinygrad_cnn.types import Array

__all__ = ["CIFAR10", "CIFAR100", "CifarSource"]

_PIXELS = 3 * 32 * 32
_MOST_TEXT = 1 << 12  # the names of a hundred classes
_MOST_ELSE = 1 << 20  # headers, readme
_MIRRORS = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")


@dataclass(frozen=True)
class CifarSource:
    """A published archive, and what is in it.

    Parameters
    ----------
    archive, md5, size
        Its file name, its MD5 and its bytes.
    folder
        The folder that its members are in.
    train, test
        The names of the members with images.
    names
        The member with the classes' names.
    labels
        Bytes of labels before an image's pixels; the last is the class.
    images
        Images in each member, by name.
    """

    archive: str
    md5: str
    size: int
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    labels: int
    images: dict[str, int]

    def read(self, root: Path, train: bool) -> tuple[Array, Array, list[str]]:
        """Read images (N, 32, 32, 3), classes (N,) and the classes' names.

        Raises
        ------
        FileNotFoundError
            If neither the archive nor the folder is there.
        ValueError
            If it is damaged or another; the message names it.
        """
        wanted = self.train if train else self.test
        folder, archive = root / self.folder, root / self.archive
        if all((folder / name).is_file() for name in (*wanted, self.names)):
            files = {name: self._read_file(folder / name) for name in (*wanted, self.names)}
        elif archive.exists():
            self.verify(archive)
            files = self._read_archive(archive, {*wanted, self.names})
        else:
            raise FileNotFoundError(
                f"{root} holds neither {self.archive} nor {self.folder}; download=True fetches it "
                "(the Python version of the archive, which holds pickles, is not read)"
            )
        records = np.concatenate([self._records(files[name]) for name in wanted])
        pixels = records[:, self.labels :].reshape(-1, 3, 32, 32)
        names = files[self.names].decode("ascii", "replace").split()
        labels = records[:, self.labels - 1].astype(np.int64)
        if labels.max(initial=0) >= len(names):
            raise ValueError(f"{self.archive}: class {labels.max()} of {len(names)}")
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), labels, names

    def verify(self, archive: Path) -> None:
        """Raise a ValueError unless a file is the published archive."""
        require_file(archive)
        size = archive.stat().st_size
        if size != self.size:
            raise ValueError(f"{archive} has {size:,} bytes; the published one has {self.size:,}")
        digest = hashlib.md5(usedforsecurity=False)
        with archive.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
        if digest.hexdigest() != self.md5:
            raise ValueError(f"{archive}: its MD5 is {digest.hexdigest()}, expected {self.md5}")

    def _size(self, name: str) -> int:
        return self.images[name] * (self.labels + _PIXELS)

    def _records(self, content: bytes) -> Array:
        return np.frombuffer(content, np.uint8).reshape(-1, self.labels + _PIXELS)

    def _check_size(self, where: Path, name: str, size: int) -> None:
        if name == self.names:
            if size > _MOST_TEXT:
                raise ValueError(f"{where}: {name} has {size:,} bytes, at most {_MOST_TEXT:,}")
        elif size != self._size(name):
            raise ValueError(
                f"{where}: {name} has {size:,} bytes; {self.images[name]:,} images with their "
                f"labels have {self._size(name):,}"
            )

    def _read_file(self, path: Path) -> bytes:
        require_file(path)
        self._check_size(path.parent, path.name, path.stat().st_size)
        return path.read_bytes()

    def _read_archive(self, archive: Path, wanted: set[str]) -> dict[str, bytes]:
        most = sum(self._size(name) for name in self.images) + _MOST_ELSE
        found: dict[str, bytes] = {}
        try:
            with (
                gzip.open(archive) as inflated,
                _tar(inflated, most) as members,
            ):
                for member in members:
                    name = member.name.removeprefix("./").removeprefix(f"{self.folder}/")
                    if name not in wanted or name in found:
                        continue
                    content = members.extractfile(member)
                    if content is None:
                        raise ValueError(f"{name} is not a file")
                    self._check_size(archive, name, member.size)
                    found[name] = content.read()
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{archive} is damaged: {error}") from error
        if missing := wanted - found.keys():
            raise ValueError(f"{archive} lacks {', '.join(sorted(missing))}")
        return found


def _tar(stream: Any, most: int) -> tarfile.TarFile:
    bounded: Any = _Bounded(stream, most)
    return tarfile.open(fileobj=bounded, mode="r|")


class _Bounded:
    """A stream that gives a number of bytes and no more, whatever is behind it."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream = stream
        self._left = most

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes, in one piece."""
        part = self._stream.read(min(size, self._left + 1))
        self._left -= len(part)
        if self._left < 0:
            raise ValueError("it inflates to more than its images have")
        return part


_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))


class CIFAR10(VisionDataset):
    """Photographs of 32×32 in 10 classes: 50,000 to learn from and 10,000 to test with.

    A sample is an int with an image: Pillow's if that is installed, else an array (32, 32, 3).

    Parameters
    ----------
    root
        The folder with ``cifar-10-binary.tar.gz``, or with its unpacked ``cifar-10-batches-bin``.
    train
        Whether to take the training part.
    transform, target_transform
        Called with the image and with the class.
    download
        Fetch the archive (170 MB) if neither is there.

    Attributes
    ----------
    data
        All images, an array (N, 32, 32, 3) of uint8.
    targets
        All classes, a list.
    classes, class_to_idx
        The classes' names, and their numbers by name.

    Raises
    ------
    FileNotFoundError
        If nothing is there and `download` is false.
    ValueError
        If archive or files are damaged or not the published ones.
    DownloadError
        If no mirror served the archive.

    Notes
    -----
    A. Krizhevsky: Learning multiple layers of features from tiny images (2009).
    """

    source: ClassVar[CifarSource] = CifarSource(
        archive="cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
        size=170_052_171,
        folder="cifar-10-batches-bin",
        train=_TRAIN,
        test=("test_batch.bin",),
        names="batches.meta.txt",
        labels=1,
        images=dict.fromkeys((*_TRAIN, "test_batch.bin"), 10_000),
    )
    mirrors: ClassVar[tuple[str, ...]] = _MIRRORS

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
        folder, source = Path(self.root or "."), self.source
        archive = folder / source.archive
        if download and not archive.exists() and not (folder / source.folder).is_dir():
            fetch(self.mirrors, archive, source.verify, max_bytes=source.size)
        self.data, labels, self.classes = source.read(folder, train)
        self.targets: list[int] = labels.tolist()

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The classes' numbers by name."""
        return {name: number for number, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.prepared(picture_of(self.data[index]), self.targets[index])

    def extra_repr(self) -> str:
        """Return which part it is."""
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """Photographs of 32×32 in 100 classes; arguments and errors are those of `CIFAR10`."""

    source = CifarSource(
        archive="cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
        size=168_513_733,
        folder="cifar-100-binary",
        train=("train.bin",),
        test=("test.bin",),
        names="fine_label_names.txt",
        labels=2,
        images={"train.bin": 50_000, "test.bin": 10_000},
    )
