"""Transforms that draw for every image how to cut, mirror, turn or erase it.

They draw from the package's default generator. In a `DataLoader` that is a generator of the batch's
own, so that the threads do not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms import functional as F
from tinygrad_cnn.data.transforms.chance import Chance, happens, uniform
from tinygrad_cnn.data.transforms.kinds import from_planes, pair_of, planes_of, size_of
from tinygrad_cnn.data.transforms.resampling import InterpolationMode
from tinygrad_cnn.random import default_generator

__all__ = [
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomPerspective",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
]

Size = int | Sequence[int]
Fill = float | Sequence[float]


@dataclass
class RandomCrop:
    """Cut a window at a random place, perhaps of a padded image.

    Parameters
    ----------
    size
        The window's height and width, or one number for both.
    padding, fill, padding_mode
        A border given to the image first; see `functional.pad`.
    pad_if_needed
        Pad an image that is smaller than the window; otherwise that is an error.

    Raises
    ------
    ValueError
        If the window does not fit.

    >>> RandomCrop(32, padding=4)(np.zeros((32, 32, 3))).shape
    (32, 32, 3)
    """

    size: Size
    padding: Size | None = None
    pad_if_needed: bool = False
    fill: Fill = 0
    padding_mode: str = "constant"

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Draw a window: its top, left, height and width."""
        (height, width), (H, W) = output_size, size_of(img, "RandomCrop")
        if height > H or width > W:
            raise ValueError(f"RandomCrop: a window of {height}×{width} in an image of {H}×{W}")
        top = int(default_generator().integers(H - height + 1))
        left = int(default_generator().integers(W - width + 1))
        return top, left, height, width

    def __call__(self, img: Any) -> Any:
        """Return a window."""
        height, width = pair_of(self.size, "RandomCrop")
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        H, W = size_of(img, "RandomCrop")
        if self.pad_if_needed and (height > H or width > W):
            border = (max(width - W, 0), max(height - H, 0))
            img = F.pad(img, border, self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, (height, width)))


@dataclass
class RandomResizedCrop:
    """Cut a window of random area and shape and scale it to one size, as for ImageNet.

    Parameters
    ----------
    size
        The result's height and width, or one number for both.
    scale
        From which to which part of the image's area the window has.
    ratio
        From which to which ratio of width to height, drawn evenly in the logarithm.
    interpolation, antialias
        As for `functional.resize`.

    Notes
    -----
    C. Szegedy et al.: Going deeper with convolutions (2015).
    """

    size: Size
    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    interpolation: Any = InterpolationMode.BILINEAR
    antialias: bool | None = True

    @staticmethod
    def get_params(
        img: Any, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """Draw a window: its top, left, height and width."""
        H, W = size_of(img, "RandomResizedCrop")
        draws = default_generator()
        for _ in range(10):
            area = H * W * uniform(scale[0], scale[1])
            aspect = math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))
            width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < width <= W and 0 < height <= H:
                top = int(draws.integers(H - height + 1))
                return top, int(draws.integers(W - width + 1)), height, width
        aspect = min(max(W / H, min(ratio)), max(ratio))  # nothing fitted: the middle
        width, height = min(W, round(H * aspect)), min(H, round(W / aspect))
        return (H - height) // 2, (W - width) // 2, height, width

    def __call__(self, img: Any) -> Any:
        """Return a scaled window."""
        size = pair_of(self.size, "RandomResizedCrop")
        window = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *window, size, self.interpolation, self.antialias)


@dataclass
class RandomHorizontalFlip(Chance):
    """Mirror an image, left to right, with probability `p`.

    >>> RandomHorizontalFlip(p=1)(np.array([[1, 2, 3]]))
    array([[3, 2, 1]])
    """

    p: float = 0.5

    def __call__(self, img: Any) -> Any:
        """Return the image, mirrored or not."""
        return F.hflip(img) if happens(self.p) else img


@dataclass
class RandomVerticalFlip(Chance):
    """Mirror an image, upside down, with probability `p`."""

    p: float = 0.5

    def __call__(self, img: Any) -> Any:
        """Return the image, mirrored or not."""
        return F.vflip(img) if happens(self.p) else img


def _angles(owner: str, degrees: Fill) -> tuple[float, float]:
    if isinstance(degrees, (int, float)):
        if degrees < 0:
            raise ValueError(f"{owner}: one number of degrees must be at least 0, got {degrees}")
        return -degrees, degrees
    low, high = degrees
    return low, high


@dataclass
class RandomRotation:
    """Turn an image by an angle from −degrees to degrees, or within a pair of them.

    The further arguments are those of `functional.rotate`.
    """

    degrees: Fill
    interpolation: Any = InterpolationMode.NEAREST
    expand: bool = False
    center: Sequence[float] | None = None
    fill: Fill = 0

    def __post_init__(self) -> None:
        self.degrees = _angles("RandomRotation", self.degrees)

    def __call__(self, img: Any) -> Any:
        """Return the turned image."""
        angle = uniform(*_angles("RandomRotation", self.degrees))
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)


@dataclass
class RandomAffine:
    """Turn, move, scale and shear an image, keeping its middle.

    Parameters
    ----------
    degrees
        A number for angles from −degrees to degrees, or a pair.
    translate
        The largest moves across and down, as parts of width and height; None is none.
    scale
        From which to which factor; None is 1.
    shear
        Degrees along x: a number for −shear to shear, or a pair; or four, along x and along y.
    interpolation, fill, center
        As for `functional.affine`.
    """

    degrees: Fill
    translate: Sequence[float] | None = None
    scale: Sequence[float] | None = None
    shear: Fill | None = None
    interpolation: Any = InterpolationMode.NEAREST
    fill: Fill = 0
    center: Sequence[float] | None = None

    def __post_init__(self) -> None:
        self.degrees = _angles("RandomAffine", self.degrees)
        if self.translate is not None and not all(0 <= part <= 1 for part in self.translate):
            raise ValueError(f"RandomAffine: translate is from 0 to 1, got {self.translate}")
        if self.scale is not None and min(self.scale) <= 0:
            raise ValueError(f"RandomAffine: scale must be positive, got {self.scale}")

    def __call__(self, img: Any) -> Any:
        """Return the image elsewhere."""
        height, width = size_of(img, "RandomAffine")
        angle = uniform(*_angles("RandomAffine", self.degrees))
        most = self.translate or (0.0, 0.0)
        moved = [round(uniform(-p * n, p * n)) for p, n in zip(most, (width, height), strict=True)]
        scale = 1.0 if self.scale is None else uniform(self.scale[0], self.scale[1])
        slant = [0.0, 0.0]
        if self.shear is not None:
            one = isinstance(self.shear, (int, float))
            bounds = list(_angles("RandomAffine", self.shear) if one else self.shear)  # type: ignore[arg-type]
            for i in range(len(bounds) // 2):
                slant[i] = uniform(bounds[2 * i], bounds[2 * i + 1])
        return F.affine(img, angle, moved, scale, slant, self.interpolation, self.fill, self.center)


@dataclass
class RandomPerspective(Chance):
    """Show an image from aside, its corners moved inwards at random, with probability `p`.

    Parameters
    ----------
    distortion_scale
        How far corners move at most, as a part of half the width and height.
    p
        How often.
    interpolation, fill
        As for `functional.perspective`.

    Raises
    ------
    ValueError
        If a number is not from 0 to 1.
    """

    distortion_scale: float = 0.5
    p: float = 0.5
    interpolation: Any = InterpolationMode.BILINEAR
    fill: Fill = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.distortion_scale <= 1:
            raise ValueError(
                f"RandomPerspective: distortion_scale is from 0 to 1, got {self.distortion_scale}"
            )

    @staticmethod
    def get_params(
        width: int, height: int, distortion_scale: float
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Draw where the corners come to lie; return where they are, and that."""
        x, y = (int(distortion_scale * (size // 2)) for size in (width, height))
        right, below = width - 1, height - 1
        start = [[0, 0], [right, 0], [right, below], [0, below]]
        moves = default_generator().integers([x + 1, y + 1], size=(4, 2)).tolist()
        end = [[abs(u - a), abs(v - b)] for (u, v), (a, b) in zip(start, moves, strict=True)]
        return start, end

    def __call__(self, img: Any) -> Any:
        """Return the image, from aside or as it was."""
        if not happens(self.p):
            return img
        height, width = size_of(img, "RandomPerspective")
        start, end = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, start, end, self.interpolation, self.fill)


@dataclass
class RandomErasing(Chance):
    """Put a random window of a tensor to a value, with probability `p`.

    Parameters
    ----------
    p
        How often.
    scale, ratio
        The window's part of the area, and its ratio of height to width: from where to where.
    value
        A number, one for each channel, or "random" for normally distributed ones.
    inplace
        Write to the memory of the tensor.

    Notes
    -----
    Z. Zhong et al.: Random erasing data augmentation (2020).
    """

    p: float = 0.5
    scale: Sequence[float] = (0.02, 0.33)
    ratio: Sequence[float] = (0.3, 3.3)
    value: Any = 0
    inplace: bool = False

    def __call__(self, img: Any) -> Any:
        """Return the image, whole or not."""
        if not happens(self.p):
            return img
        H, W = size_of(img, "RandomErasing")
        draws = default_generator()
        for _ in range(10):
            area = H * W * uniform(self.scale[0], self.scale[1])
            aspect = math.exp(uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if height < H and width < W:
                top = int(draws.integers(H - height + 1))
                left = int(draws.integers(W - width + 1))
                return self._erased(img, top, left, height, width)
        return img

    def _erased(self, img: Any, top: int, left: int, height: int, width: int) -> Any:
        planes = planes_of(img, "RandomErasing")
        value: Any = self.value
        if value == "random":
            drawn = default_generator().standard_normal((planes.shape[-3], height, width))
            value = drawn.astype(planes.dtype)
        elif isinstance(value, (tuple, list)):
            value = np.asarray(value, planes.dtype).reshape(-1, 1, 1)
        out = planes if self.inplace else planes.copy()
        out[..., top : top + height, left : left + width] = value
        return img if self.inplace else from_planes(out, img)
