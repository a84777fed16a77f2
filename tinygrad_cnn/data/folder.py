"""Folders that hold a data set as the four idx files of MNIST."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.data.idx import IdxError, read_idx
from tinygrad_cnn.data.images import ImageDataset, Splits

__all__ = ["PARTS", "existing_files", "load_folder", "missing_parts", "splits_from_arrays"]

# The files' usual names, without the ending that shows compression.
PARTS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

_MOST_CLASSES = 1 << 16
_MOST_LABELS = 1 << 27  # bytes of a file of labels; as int64, which they become, 1 GiB


def existing_files(folder: Path, part: str) -> list[Path]:
    """Return the files in `folder` that bear a usual name of `part`, one of `PARTS`.

    The usual names have ``-`` or ``.`` before ``idx``, and end in ``.gz`` or not.
    """
    dotted = part.replace("-idx", ".idx")
    names = (f"{part}.gz", part, f"{dotted}.gz", dotted)
    return [folder / name for name in names if (folder / name).is_file()]


def missing_parts(folder: Path) -> list[str]:
    """Return those of `PARTS` that `folder` holds under none of their usual names."""
    return [part for part in PARTS if not existing_files(folder, part)]


def load_folder(path: str | os.PathLike[str]) -> Splits:
    """Read a data set from a folder of four idx files, named as MNIST's are.

    Parameters
    ----------
    path
        A folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``; each may have ``.idx`` in the
        place of ``-idx``, and may be gzip-compressed, with or without ``.gz`` in its name.

    Returns
    -------
    The training and the test part: images (N, H, W) of uint8, labels (N,). The classes are
    named by their numbers.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it lacks one of the files.
    IdxError
        If a file is not a sound idx file, or the files do not fit each other.

    Examples
    --------
    >>> load_folder("no/such/folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: load_folder: there is no folder no/such/folder
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"load_folder: there is no folder {folder}")
    if missing := missing_parts(folder):
        names = sorted(entry.name for entry in folder.iterdir())
        listing = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
        raise FileNotFoundError(
            f"load_folder: {folder} lacks {', '.join(missing)} (each may end in .gz); "
            f"it holds {listing or 'nothing'}"
        )
    arrays: dict[str, npt.NDArray[Any]] = {}
    most = 0
    for images, labels in (PARTS[:2], PARTS[2:]):
        arrays[images] = read_idx(existing_files(folder, images)[0])
        file = existing_files(folder, labels)[0]
        count = len(arrays[images]) if arrays[images].size else 0
        arrays[labels] = read_idx(file, max_bytes=min(8 * count, _MOST_LABELS))
        most = max(most, int(arrays[labels].max(initial=0)))
        if most >= _MOST_CLASSES:
            raise IdxError(
                f"load_folder: {file}: there is a label {most}; labels are numbers of classes, "
                f"and at most {_MOST_CLASSES:,} are read"
            )
    return splits_from_arrays(arrays, tuple(map(str, range(most + 1))), f"load_folder: {folder}")


def splits_from_arrays(
    arrays: Mapping[str, npt.NDArray[Any]], classes: tuple[str, ...], origin: str
) -> Splits:
    """Join the arrays of the four `PARTS`; raise IdxError, begun with `origin`, on a mismatch."""
    datasets = []
    for images_part, labels_part in (PARTS[:2], PARTS[2:]):
        images, labels = arrays[images_part], arrays[labels_part]
        if labels.dtype.kind not in "ui":
            raise IdxError(f"{origin}: {labels_part}: expected integers, got {labels.dtype}")
        try:
            datasets.append(ImageDataset(images, labels.astype(np.int64), classes))
        except (TypeError, ValueError) as error:
            raise IdxError(f"{origin}: {images_part} and {labels_part}: {error}") from error
    return Splits(*datasets)
