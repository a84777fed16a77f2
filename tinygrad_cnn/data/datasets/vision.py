"""What data sets of images have in common, and one of noise."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.data.dataset import Dataset
from tinygrad_cnn.types import Array

__all__ = ["FakeData", "VisionDataset", "picture_of"]

Change = Callable[[Any], Any]


def picture_of(pixels: Array) -> Any:
    """Return pixels (H, W) or (H, W, 3) of uint8 as an image of Pillow, if that is installed.

    Otherwise they are returned as they are: the transforms take either.
    """
    try:
        from PIL import Image
    except ImportError:
        return pixels
    return Image.fromarray(pixels)


class VisionDataset(Dataset[Any]):
    """A data set of images with a target each, and what is made of both when they are asked for.

    Parameters
    ----------
    root
        The folder that the data are in.
    transforms
        Called as ``transforms(image, target)``, returns both; in place of the other two.
    transform
        Called with the image.
    target_transform
        Called with the target.

    Raises
    ------
    ValueError
        If `transforms` comes with one of the others.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        transform: Change | None = None,
        target_transform: Change | None = None,
    ) -> None:
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError(
                f"{type(self).__name__}: transforms says what transform and target_transform say"
            )
        self.root = None if root is None else str(Path(root).expanduser())
        self.transforms = transforms
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__}: write __len__(self)")

    def prepared(self, image: Any, target: Any) -> tuple[Any, Any]:
        """Return an image and its target after the transforms."""
        if self.transforms is not None:
            return self.transforms(image, target)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def extra_repr(self) -> str:
        """Return a line more for `repr`."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines += self.extra_repr().splitlines()
        changes = {"Transforms": self.transforms, "Transform": self.transform}
        changes["Target transform"] = self.target_transform
        for name, change in changes.items():
            if change is not None:
                lines += f"{name}: {change!r}".splitlines()
        return "\n    ".join([f"Dataset {type(self).__name__}", *lines])


class FakeData(VisionDataset):
    """Images of noise and random targets, the same at every call, for trying things out.

    Parameters
    ----------
    size
        How many there are.
    image_size
        Channels (1 or 3), height and width.
    num_classes
        Targets are from 0 to one less.
    transform, target_transform
        As for `VisionDataset`.
    random_offset
        Other numbers give other images.

    >>> noise = FakeData(3, image_size=(1, 4, 4))
    >>> len(noise), noise[2][1] == noise[2][1]
    (3, True)
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Change | None = None,
        target_transform: Change | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        if image_size[0] not in (1, 3):
            raise ValueError(f"FakeData: images have 1 or 3 channels, got {image_size[0]}")
        self.size = size
        self.image_size = image_size
        self.num_classes = num_classes
        self.random_offset = random_offset

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < self.size:
            raise IndexError(f"FakeData: index {index} of {self.size} images")
        generator = np.random.default_rng(self.random_offset + index)
        channels, height, width = self.image_size
        pixels = generator.integers(256, size=(height, width, channels), dtype=np.uint8)
        target = int(generator.integers(self.num_classes))
        return self.prepared(picture_of(pixels[..., 0] if channels == 1 else pixels), target)
