"""Data sets that are folders of files, a folder a class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tinygrad_cnn.data.datasets.vision import VisionDataset
from tinygrad_cnn.data.transforms.kinds import pillow
from tinygrad_cnn.npz import require_file

__all__ = ["IMG_EXTENSIONS", "DatasetFolder", "ImageFolder", "default_loader", "open_image"]

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""How the names of images end."""

_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")


def default_loader(path: str | os.PathLike[str]) -> Any:
    """Read an image file, as one of Pillow in red, green and blue; see `open_image`."""
    return open_image(path, "RGB")


def open_image(path: str | os.PathLike[str], mode: str | None = None) -> Any:
    """Read an image file, as one of Pillow in one of Pillow's modes, or in the file's own.

    Raises
    ------
    ValueError
        If it is damaged, or no image of the types that `IMG_EXTENSIONS` names.
    ImportError
        If Pillow is not installed.
    """
    Image = pillow("open_image")
    source = Path(path)
    try:
        require_file(source)
        with source.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
            return image.convert(mode or image.mode)
    except FileNotFoundError:
        raise
    except Exception as error:  # of damaged bytes Pillow raises all kinds
        raise ValueError(f"{source} cannot be read as an image: {error}") from error


class DatasetFolder(VisionDataset):
    """Files in folders ``root/CLASS/…``, to any depth.

    Parameters
    ----------
    root
        The folder of folders; their names, in order, are the classes.
    loader
        Reads a file, given its path.
    extensions
        How the names of files end that belong to it, in small letters.
    transform, target_transform
        Called with what was read, and with the class's number.
    is_valid_file
        Says whether a file belongs to it, given its path, in place of `extensions`.
    allow_empty
        Whether a class may be without files.

    Attributes
    ----------
    samples, targets
        Pairs of path and class, and the classes alone.
    classes, class_to_idx
        The classes' names, and their numbers by name.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, no folder in it, or a class without files.
    ValueError
        If it is not said, or said twice, which files belong to it.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        loader: Callable[[str], Any],
        extensions: Sequence[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        if (extensions is None) == (is_valid_file is None):
            raise ValueError(
                f"{type(self).__name__}: give extensions or is_valid_file, one of them"
            )
        self.loader = loader
        self.extensions = extensions
        self.classes, self.class_to_idx = self.find_classes(str(self.root))
        endings = tuple(extensions or ())
        belongs = is_valid_file or (lambda path: path.lower().endswith(endings))
        self.samples = [
            (str(path), number)
            for name, number in self.class_to_idx.items()
            for path in _files_below(Path(str(self.root)) / name)
            if belongs(str(path))
        ]
        self.targets = [number for _, number in self.samples]
        empty = {*self.class_to_idx.values()} - {*self.targets}
        if empty and not allow_empty:
            names = ", ".join(self.classes[number] for number in sorted(empty)[:5])
            looked = f" that end in {', '.join(endings)}" if endings else ""
            raise FileNotFoundError(f"{type(self).__name__}: no files{looked} for class {names}")

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        """Return the classes' names, those of the folders, and their numbers by name."""
        folder = Path(directory)
        if not folder.is_dir():
            raise FileNotFoundError(f"{type(self).__name__}: there is no folder {folder}")
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
        if not names:
            raise FileNotFoundError(
                f"{type(self).__name__}: {folder} holds no folders, one a class"
            )
        return names, {name: number for number, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self.prepared(self.loader(path), target)


def _files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and those in it, in order of their names; links are followed."""
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        found += [Path(place) / name for name in sorted(names)]
    return found


class ImageFolder(DatasetFolder):
    """Images in folders ``root/CLASS/…``, a folder a class: see `DatasetFolder`.

    Notes
    -----
    Images are read with Pillow, which must be installed, in the types that `IMG_EXTENSIONS` names.

    >>> ImageFolder("no/such/folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: ImageFolder: there is no folder no/such/folder
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(
            root, loader, extensions, transform, target_transform, is_valid_file, allow_empty
        )
        self.imgs = self.samples
