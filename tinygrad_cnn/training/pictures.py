"""Images from files, made to look like the digits that the networks learnt from.

Those of MNIST were made like this: a digit, light on dark, is scaled to fit a box of 20×20 pixels
with its proportions kept, and laid into a field of 28×28 so that its centre of mass is in the
middle (Y. LeCun, C. Cortes, C. Burges: The MNIST database of handwritten digits). A picture is
turned grey, a transparent one is laid on white, dark on light is inverted, the paper's shade, which
on a photograph changes from place to place, is taken off, and the ink that is left is cropped,
scaled and centred like that. A picture of 28×28 pixels is taken as it is. Images from idx files are
data already: they are only scaled, if they are of another size. What was done is said.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.data import IdxError, read_idx
from tinygrad_cnn.npz import require_file
from tinygrad_cnn.training.errors import RunError, one_line
from tinygrad_cnn.training.ink import Ink, find_ink, scale, shrink
from tinygrad_cnn.types import Array

__all__ = ["FORMATS", "MOST_PIXELS", "Picture", "read_pictures"]


SIDE = 28
FORMATS = ("PNG", "JPEG")
"""The kinds of pictures that are read; Pillow knows dozens, some of which start other programs."""
MOST_PIXELS = 1 << 26
"""The most pixels of a picture, 64 million (8192×8192): 256 MiB once it is unpacked."""
_MOST_SIDE = 1 << 14
_MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class Picture:
    """An image with what is to be said of it.

    Attributes
    ----------
    name
        The file, with the image's number where the file holds several.
    pixels
        (28, 28) of uint8, light on dark.
    changes
        What was done to it, such as "inverted", in order.
    doubt
        Why an answer to it cannot be trusted, such as "blank"; None where nothing speaks against.
    """

    name: str
    pixels: Array
    changes: tuple[str, ...]
    doubt: str | None = None


def read_pictures(path: Path) -> Iterator[Picture]:
    """Read a file of one picture (PNG, JPEG) or an idx file of images, compressed or not.

    Raises
    ------
    RunError
        If it is neither, is too large, or reading it needs a package that is not installed.
    OSError
        If it cannot be opened.
    """
    try:
        require_file(path)
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"there is no file {path}") from None
    except ValueError as error:
        raise RunError(str(error)) from None
    with path.open("rb") as file:
        start = file.read(3)
    if start[:2] == b"\x1f\x8b" or (start[:2] == b"\0\0" and start[2:] >= b"\x08"):
        return _idx(path)
    return iter([_picture(str(path), _read_grey(path))])


def _idx(path: Path) -> Iterator[Picture]:
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
    N, H, W = images.shape
    _check_size(path, W, H)
    said = () if (H, W) == (SIDE, SIDE) else (f"scaled from {W}×{H} to {SIDE}×{SIDE}",)
    return (_image(f"{path}[{i}]", images[i], said) for i in range(N))


def _image(name: str, image: Array, said: tuple[str, ...]) -> Picture:
    blank = "blank" if image.min() == image.max() else None
    return Picture(name, scale(_square(image), SIDE, SIDE) if said else image, said, blank)


def _square(image: Array) -> Array:
    """Lay an image in the middle of a square of the usual shade of its edges."""
    H, W = image.shape
    side = max(H, W)
    edges = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    square = np.full((side, side), int(np.median(edges)), np.uint8)
    top, left = (side - H) // 2, (side - W) // 2
    square[top : top + H, left : left + W] = image
    return square


def _check_size(path: Path, W: int, H: int) -> None:
    if W * H > MOST_PIXELS or max(W, H) > _MOST_SIDE:
        raise RunError(
            f"{path} has {W}×{H} pixels; at most {MOST_PIXELS:,} are read, {_MOST_SIDE:,} a side"
        )


def _read_grey(path: Path) -> Array:
    """Read a picture through Pillow: (H, W) of uint8."""
    pillow = _pillow(path)
    if path.stat().st_size > _MOST_BYTES:
        raise RunError(f"{path} is larger than the {_MOST_BYTES:,} bytes that are read")
    # Of a file Pillow asks for as many bytes as a damaged one says it has, and Python makes room
    # for them first; of bytes that are there already, for those that are.
    content = io.BytesIO(path.read_bytes())
    try:
        with warnings.catch_warnings(), pillow.open(content, formats=FORMATS) as image:
            warnings.simplefilter("ignore")  # of odd but harmless bytes
            _check_size(path, *image.size)
            return _grey(image, pillow)
    except pillow.UnidentifiedImageError:
        raise RunError(
            f"{path} is neither a picture ({', '.join(FORMATS)}) nor an idx file"
        ) from None
    except (RunError, MemoryError):
        raise
    except Exception as error:  # of damaged pictures Pillow raises all kinds
        raise RunError(f"{path} cannot be read as a picture: {one_line(error)}") from error


def _grey(image: Any, pillow: Any) -> Array:
    """Turn a picture grey; what is far larger than needed becomes smaller as early as can be."""
    from PIL import ImageOps

    if image.mode.startswith("I"):  # up to 16 bits a pixel, which convert("L") would clip
        wide = shrink(np.asarray(image))
        return np.asarray(np.clip(wide // 257, 0, 255), np.uint8)
    image.draft("L", (1024, 1024))  # JPEG can be unpacked at a fraction of its size
    clear = image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info
    if image.mode not in ("L", "RGB") or clear:
        image = image.convert("RGBA" if clear else "L")
    factor = max(image.size) // 512
    reduced = image.reduce(factor) if factor > 1 else image
    turned = ImageOps.exif_transpose(reduced)  # as the camera was held
    if clear:
        turned = pillow.alpha_composite(pillow.new("RGBA", turned.size, "white"), turned)
    return np.asarray(turned.convert("L"))


def _pillow(path: Path) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise RunError(
            f"reading the picture {path} needs Pillow: pip install 'tinygrad-cnn[plots]' "
            "(idx files need nothing)"
        ) from None
    return Image


def _picture(name: str, grey: Array) -> Picture:
    """Make a picture look like MNIST's digits."""
    H, W = grey.shape
    ink = find_ink(grey)
    changes = ("inverted, since it is dark on light",) if ink.inverted else ()
    if ink.box is None:
        return Picture(name, np.zeros((SIDE, SIDE), np.uint8), (), "blank")
    if (H, W) == (SIDE, SIDE):
        return Picture(name, 255 - grey if ink.inverted else grey, changes, ink.doubt)
    changes = (*changes, f"cropped to the ink and scaled from {W}×{H} to {SIDE}×{SIDE}")
    return Picture(name, _laid_out(ink), changes, ink.doubt)


def _laid_out(ink: Ink) -> Array:
    """Scale ink to a box of 20×20, its centre of mass in the middle of 28×28."""
    assert ink.box is not None
    cut = ink.strength[ink.box]  # (h, w)
    h, w = cut.shape
    longer = max(h, w)
    small = scale(cut, max(1, round(20 * h / longer)), max(1, round(20 * w / longer)))
    small = np.minimum(small.astype(float) * 255 / small.max(), 255)
    field = np.zeros((SIDE, SIDE))
    corner = []
    for axis, size in enumerate(small.shape):
        at = np.arange(size) + 0.5
        centre = float(small.sum(1 - axis) @ at / small.sum())
        corner.append(min(max(ceil(SIDE / 2 - centre), 0), SIDE - size))  # as all of MNIST
    top, left = corner
    field[top : top + small.shape[0], left : left + small.shape[1]] = small
    return np.rint(field).astype(np.uint8)
