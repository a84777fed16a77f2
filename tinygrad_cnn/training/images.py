"""From a data set's images to a network's input."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.data import ImageDataset, Splits
from tinygrad_cnn.data.batchwise import Compose, Normalize, Pad, RandomCrop, ToFloat
from tinygrad_cnn.models import network_of
from tinygrad_cnn.training.errors import RunError
from tinygrad_cnn.training.recipes import Settings

__all__ = ["CLASSES", "ToNetwork", "check_splits"]

CLASSES = 10
"""The most classes that the networks for digits tell apart."""


class ToNetwork:
    """Turn uint8 images (N, H, W) or (N, C, H, W) into a network's input (N, C, S, S).

    Pixels become floats from 0 to 1, images that are smaller than the network's size S get a
    border of zeros, and then the settings' mean and standard deviation are applied. With `training`
    they are first moved, each on its own, as the settings say.

    >>> ToNetwork(Settings.of("momentum"))(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 1, 32, 32)
    """

    def __init__(self, settings: Settings, training: bool = False) -> None:
        self.network = settings.network
        network = network_of(settings.network)
        self.size = network.image_size
        self.any_images = network.any_images
        self.normalize = Normalize(settings.mean, settings.std)
        self.shift = settings.shift if training else 0

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether images of a shape (N, H, W) or (N, C, H, W) can be turned into input."""
        one_channel = len(shape) == 3 or shape[1] == 1
        return (one_channel or self.any_images) and all(
            0 < side <= self.size and (self.size - side) % 2 == 0 for side in shape[-2:]
        )

    def __call__(
        self, images: npt.NDArray[Any], generator: np.random.Generator | None = None
    ) -> npt.NDArray[Any]:
        """Return the input of float32."""
        N, H, W = len(images), *images.shape[-2:]
        channels = images.shape[1] if images.ndim == 4 else 1
        if self.shift:
            images = RandomCrop((H, W), self.shift)(images, generator)
        border = ((self.size - H) // 2, (self.size - W) // 2)
        transform = Compose([ToFloat(), Pad(border), self.normalize])
        return transform(images.reshape(N, channels, H, W), generator)  # (N, C, S, S)


def check_splits(splits: Splits, settings: Settings) -> None:
    """Raise a RunError unless the network can learn from the data."""
    for part, dataset in zip(("training", "test"), splits, strict=True):
        _check_dataset(dataset, ToNetwork(settings), f"{settings.data}: the {part} part")


def _check_dataset(dataset: ImageDataset, transform: ToNetwork, part: str) -> None:
    if not len(dataset):
        raise RunError(f"{part} has no images")
    if not transform.fits(dataset.images.shape):
        size = "×".join(map(str, dataset.images.shape[1:]))
        channels = "" if transform.any_images else "one channel of "
        raise RunError(
            f"{part} has images of {size}; {transform.network} takes {channels}"
            f"{transform.size}×{transform.size}, or smaller by an even number of pixels"
        )
    if len(dataset.classes) > CLASSES and not transform.any_images:
        raise RunError(
            f"{part} has {len(dataset.classes)} classes; {transform.network} takes {CLASSES}"
        )
