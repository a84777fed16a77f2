"""Folders of pictures, one folder a class, as CIFAR-10 and many others are handed round."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.data.images import ImageDataset, Splits

__all__ = ["has_class_folders", "load_class_folders"]

_PARTS = ("train", "test")
_FORMATS = ("PNG", "JPEG")  # Pillow knows dozens, some of which start other programs
_ENDINGS = {".png", ".jpg", ".jpeg"}
_MOST_BYTES = 1 << 26  # of a file
_MOST_SIDE = 1 << 10
_MOST_PIXELS = 1 << 31  # of all pictures


def has_class_folders(folder: Path) -> bool:
    """Whether a folder has a folder for each of the parts."""
    return all((folder / part).is_dir() for part in _PARTS)


def load_class_folders(path: str | os.PathLike[str]) -> Splits:
    """Read a data set from a folder of pictures: ``train/CLASS/*.png`` and ``test/CLASS/*.png``.

    Parameters
    ----------
    path
        A folder with the folders ``train`` and ``test``, in each of which there is a folder of
        pictures (PNG or JPEG) for each class. All pictures have one size.

    Returns
    -------
    The training and the test part: images (N, 3, H, W) of uint8, or (N, H, W) if all are grey,
    labels (N,). The classes are the folders' names in order; files come in the order of theirs.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it lacks a part.
    ValueError
        If the parts have other classes, or a file is no picture or of another size than the first.
    ImportError
        If Pillow, which reads pictures, is not installed.

    Examples
    --------
    >>> load_class_folders("no/such/folder")
    Traceback (most recent call last):
    FileNotFoundError: load_class_folders: no/such/folder has no folders train and test
    """
    folder = Path(path)
    if not has_class_folders(folder):
        raise FileNotFoundError(f"load_class_folders: {folder} has no folders train and test")
    classes = [_classes(folder / part) for part in _PARTS]
    if classes[0] != classes[1]:
        alone = sorted(set(classes[0]) ^ set(classes[1]))
        raise ValueError(
            f"load_class_folders: train and test in {folder} have other classes: {alone[0]!r} is "
            "in one of them alone"
        )
    if not classes[0]:
        raise ValueError(f"load_class_folders: {folder / 'train'} has no folders of classes")
    parts = [_read(folder / part, classes[0]) for part in _PARTS]
    shapes = {images.shape[1:] for images, _ in parts}
    if len(shapes) > 1:
        raise ValueError(
            f"load_class_folders: train and test in {folder} have pictures of other sizes: "
            f"{' and '.join(map(str, sorted(shapes)))}"
        )
    if all((images == images[:, :1]).all() for images, _ in parts):
        parts = [(images[:, 0], labels) for images, labels in parts]
    return Splits(*(ImageDataset(*part, tuple(classes[0])) for part in parts))


def _classes(part: Path) -> list[str]:
    return sorted(entry.name for entry in part.iterdir() if entry.is_dir())


def _read(part: Path, classes: list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the pictures (N, 3, H, W) and labels (N,) of a part."""
    files = [
        (file, label)
        for label, name in enumerate(classes)
        for file in sorted((part / name).iterdir())
        if not file.name.startswith(".")
    ]
    if not files:
        raise ValueError(f"load_class_folders: {part} has no pictures")
    pictures: list[npt.NDArray[np.uint8]] = []
    for file, _ in files:
        picture = _picture(file)
        if pictures and picture.shape != pictures[0].shape:
            raise ValueError(
                f"load_class_folders: {file} has {_size(picture)} pixels, {files[0][0]} has "
                f"{_size(pictures[0])}: all need the same"
            )
        if picture.size * len(files) > _MOST_PIXELS:
            raise ValueError(
                f"load_class_folders: {part} has {len(files):,} pictures of {_size(picture)}; "
                f"at most {_MOST_PIXELS:,} bytes are read"
            )
        pictures.append(picture)
    stacked = np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2))
    return stacked, np.array([label for _, label in files], np.int64)


def _size(picture: npt.NDArray[Any]) -> str:
    return f"{picture.shape[1]}×{picture.shape[0]}"


def _picture(file: Path) -> npt.NDArray[np.uint8]:
    """Read a picture: (H, W, 3)."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            f"load_class_folders: reading {file} needs Pillow: pip install 'tinygrad-cnn[plots]'"
        ) from None
    if file.suffix.lower() not in _ENDINGS or not file.is_file():
        raise ValueError(
            f"load_class_folders: {file} is no picture: expected {', '.join(sorted(_ENDINGS))}"
        )
    if file.stat().st_size > _MOST_BYTES:
        raise ValueError(f"load_class_folders: {file} is larger than {_MOST_BYTES:,} bytes")
    try:
        with Image.open(io.BytesIO(file.read_bytes()), formats=_FORMATS) as image:
            if max(image.size) > _MOST_SIDE:
                raise ValueError(f"it has a side of more than {_MOST_SIDE:,} pixels")
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # of damaged pictures Pillow raises all kinds
        raise ValueError(f"load_class_folders: {file} cannot be read: {error}") from error
