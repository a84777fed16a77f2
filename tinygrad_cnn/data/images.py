"""The two types that every source of images returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["ImageDataset", "Splits"]


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class ImageDataset:
    """Images with a label each.

    Parameters
    ----------
    images
        uint8 pixels of shape (N, H, W) or (N, C, H, W), 0 to 255.
    labels
        int64 class numbers of shape (N,), each an index into `classes`.
    classes
        The classes' names.

    Raises
    ------
    TypeError
        If the images are not uint8 or the labels not int64.
    ValueError
        If the shapes do not match or a label has no class.

    Examples
    --------
    >>> images = np.zeros((3, 28, 28), dtype=np.uint8)
    >>> dataset = ImageDataset(images, np.array([0, 1, 0]), ("cat", "dog"))
    >>> dataset
    ImageDataset(3 images of 28×28, 2 classes)
    >>> image, label = dataset[1]
    >>> image.shape, int(label)
    ((28, 28), 1)
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or labels.dtype != np.int64:
            raise TypeError(
                "ImageDataset: expected uint8 images and int64 labels, "
                f"got {images.dtype} and {labels.dtype}"
            )
        if images.ndim not in (3, 4) or labels.shape != images.shape[:1]:
            raise ValueError(
                "ImageDataset: expected images (N, H, W) or (N, C, H, W) and labels (N,), "
                f"got shapes {images.shape} and {labels.shape}"
            )
        if labels.size and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise ValueError(
                f"ImageDataset: expected labels from 0 to {len(self.classes) - 1}, one for each "
                f"class, got labels from {labels.min()} to {labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> tuple[npt.NDArray[np.uint8], Any]:
        """Return the images and labels at a NumPy index: an integer, a slice, an array."""
        return self.images[index], self.labels[index]

    def __repr__(self) -> str:
        size = "×".join(map(str, self.images.shape[1:]))
        return f"ImageDataset({len(self):,} images of {size}, {len(self.classes)} classes)"


class Splits(NamedTuple):
    """A data set in its two parts: ``train, test = digits()``."""

    train: ImageDataset
    test: ImageDataset
