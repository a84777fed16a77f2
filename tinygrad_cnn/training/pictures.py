"""Images from files, made to look like the digits that the networks learnt from.

Those are 28×28, grey, light on dark. A picture is turned grey, a transparent one is laid on white,
dark on light is inverted, one that is not square gets bars of its background's shade, and all are
scaled to 28×28. Images from idx files are data already: they are only scaled. What was done is
said.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.data import IdxError, read_idx
from tinygrad_cnn.training.errors import RunError

__all__ = ["Picture", "read_pictures"]

Array = npt.NDArray[Any]

SIDE = 28


@dataclass(frozen=True)
class Picture:
    """An image with what is to be told of it.

    Attributes
    ----------
    name
        The file, with the image's number where the file holds several.
    pixels
        (28, 28) of uint8, light on dark.
    changes
        What was done to it, such as "inverted", in order.
    """

    name: str
    pixels: Array
    changes: tuple[str, ...]


def read_pictures(path: Path) -> list[Picture]:
    """Read a file of one picture (PNG, JPEG, …) or an idx file of images, compressed or not.

    Raises
    ------
    RunError
        If it is neither, or reading it needs a package that is not installed.
    OSError
        If it cannot be opened.
    """
    if not path.is_file():
        raise RunError(f"{path} is not a file" if path.exists() else f"there is no file {path}")
    with path.open("rb") as file:
        start = file.read(3)
    if start[:2] == b"\x1f\x8b" or (start[:2] == b"\0\0" and start[2:] >= b"\x08"):
        return _idx(path)
    grey = _read_grey(path)
    if _background(grey) > 127:
        return [_scaled(str(path), 255 - grey, ("inverted, since it is dark on light",))]
    return [_scaled(str(path), grey, ())]


def _idx(path: Path) -> list[Picture]:
    try:
        images = read_idx(path)
    except IdxError as error:
        raise RunError(str(error)) from error
    if images.ndim == 2:
        images = images[np.newaxis]
    if images.ndim != 3 or images.dtype != np.uint8 or 0 in images.shape:
        raise RunError(
            f"{path} holds {images.dtype} of shape {images.shape}; expected uint8 images (N, H, W)"
        )
    return [_scaled(f"{path}[{i}]", image, ()) for i, image in enumerate(images)]


def _read_grey(path: Path) -> Array:
    """Read a picture through Pillow: (H, W) of uint8."""
    image_module = _pillow(path)
    try:
        with warnings.catch_warnings(), image_module.open(path) as image:
            warnings.simplefilter("error", image_module.DecompressionBombWarning)
            if image.mode.startswith("I;16") or image.mode == "I":  # convert("L") would clip
                return np.asarray(np.clip(np.asarray(image) // 257, 0, 255), np.uint8)
            rgba = image.convert("RGBA")
            paper = image_module.new("RGBA", rgba.size, "white")
            return np.asarray(image_module.alpha_composite(paper, rgba).convert("L"))
    except image_module.UnidentifiedImageError:
        raise RunError(f"{path} is neither a picture that Pillow knows nor an idx file") from None
    except (
        OSError,
        SyntaxError,  # Pillow's for broken PNG files
        ValueError,
        image_module.DecompressionBombWarning,
        image_module.DecompressionBombError,
    ) as error:
        raise RunError(f"{path} cannot be read as a picture: {error}") from error


def _pillow(path: Path) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise RunError(
            f"reading the picture {path} needs Pillow: pip install 'tinygrad-cnn[plots]' "
            "(idx files need nothing)"
        ) from None
    return Image


def _background(grey: Array) -> int:
    """Return the usual shade along the edges."""
    return int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))


def _scaled(name: str, grey: Array, changes: tuple[str, ...]) -> Picture:
    """Scale to 28×28."""
    H, W = grey.shape
    if (H, W) != (SIDE, SIDE):
        changes = (*changes, f"scaled from {W}×{H} to {SIDE}×{SIDE}")
        grey = _scale(_square(grey, _background(grey)), SIDE)
    return Picture(name, grey, changes)


def _square(grey: Array, background: int) -> Array:
    """Lay an image in the middle of a square of its background."""
    H, W = grey.shape
    side = max(H, W)
    square = np.full((side, side), background, np.uint8)
    top, left = (side - H) // 2, (side - W) // 2
    square[top : top + H, left : left + W] = grey
    return square


def _scale(square: Array, side: int) -> Array:
    """Scale a square image: each new pixel is the mean over the area that it covers."""
    weights = _overlaps(len(square), side)  # (side, S)
    scaled = weights @ square.astype(float) @ weights.T  # (side, side)
    return np.asarray(np.rint(scaled), np.uint8)


def _overlaps(size: int, side: int) -> Array:
    """Return how much of each of `side` equal parts of a line each of `size` parts covers."""
    edges = np.arange(side + 1) * size / side
    starts, stops = edges[:-1, np.newaxis], edges[1:, np.newaxis]
    pixels = np.arange(size)
    covered: Array = np.minimum(stops, pixels + 1) - np.maximum(starts, pixels)  # (side, size)
    return covered.clip(0) * side / size
