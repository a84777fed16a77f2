"""``torchvision.io``: files of images as tensors (C, H, W) of uint8, read with Pillow."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.data.datasets import open_image
from tinygrad_cnn.data.transforms.functional import pil_to_tensor, to_pil_image
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.torchvision.absent import absent

__all__ = ["ImageReadMode", "read_image", "write_jpeg", "write_png"]

__getattr__ = absent(
    "torchvision.io", {}, "read_image, write_png and write_jpeg are; videos are not read"
)


class ImageReadMode(enum.Enum):
    """Which channels an image is read with."""

    UNCHANGED = None
    GRAY = "L"
    GRAY_ALPHA = "LA"
    RGB = "RGB"
    RGB_ALPHA = "RGBA"


def read_image(
    path: str | os.PathLike[str], mode: ImageReadMode | str = ImageReadMode.UNCHANGED
) -> Tensor:
    """Read a file as a tensor (C, H, W) of uint8.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is no image.
    """
    chosen = ImageReadMode[mode] if isinstance(mode, str) else mode
    return pil_to_tensor(open_image(path, chosen.value))


def write_png(input: Any, filename: str | os.PathLike[str], compression_level: int = 6) -> None:
    """Write a tensor (C, H, W) of uint8 as a file, whole or not at all."""
    _write(input, filename, "PNG", compress_level=compression_level)


def write_jpeg(input: Any, filename: str | os.PathLike[str], quality: int = 75) -> None:
    """Write a tensor (C, H, W) of uint8 as a file, whole or not at all."""
    _write(input, filename, "JPEG", quality=quality)


def _write(image: Any, filename: str | os.PathLike[str], kind: str, **options: Any) -> None:
    if image.dtype != np.uint8:
        raise TypeError(f"write_{kind.lower()}: expects pixels of uint8, got {image.dtype}")
    picture = to_pil_image(image)
    with atomic_file(Path(filename)) as file:
        picture.save(file, format=kind, **options)
