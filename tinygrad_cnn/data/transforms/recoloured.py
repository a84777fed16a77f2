"""Transforms that draw for every image how to change its colours, or blur it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn.data.transforms import functional as F
from tinygrad_cnn.data.transforms.chance import Chance, happens, uniform
from tinygrad_cnn.data.transforms.kinds import channels_of
from tinygrad_cnn.random import default_generator

__all__ = [
    "ColorJitter",
    "GaussianBlur",
    "RandomAdjustSharpness",
    "RandomAutocontrast",
    "RandomEqualize",
    "RandomGrayscale",
    "RandomInvert",
    "RandomPosterize",
    "RandomSolarize",
]


@dataclass
class RandomGrayscale(Chance):
    """Take an image's colours, with probability `p`; it keeps its number of channels."""

    p: float = 0.1

    def __call__(self, img: Any) -> Any:
        """Return the image, grey or not."""
        if not happens(self.p):
            return img
        return F.rgb_to_grayscale(img, channels_of(img, "RandomGrayscale"))


@dataclass
class RandomInvert(Chance):
    """Return the negative of an image, with probability `p`."""

    p: float = 0.5

    def __call__(self, img: Any) -> Any:
        """Return the image or its negative."""
        return F.invert(img) if happens(self.p) else img


@dataclass
class RandomPosterize(Chance):
    """Keep the highest bits of an image's values, with probability `p`."""

    bits: int
    p: float = 0.5

    def __call__(self, img: Any) -> Any:
        """Return the image with all bits or fewer."""
        return F.posterize(img, self.bits) if happens(self.p) else img


@dataclass
class RandomAdjustSharpness(Chance):
    """Move an image away from its blurred self by a factor, with probability `p`."""

    sharpness_factor: float
    p: float = 0.5

    def __call__(self, img: Any) -> Any:
        """Return the image, sharper or blurred or as it was."""
        return F.adjust_sharpness(img, self.sharpness_factor) if happens(self.p) else img


@dataclass
class RandomAutocontrast(Chance):
    """Stretch each channel's values to the whole range, with probability `p`."""

    p: float = 0.5

    def __call__(self, img: Any) -> Any:
        """Return the image with the contrast that it can have, or as it was."""
        return F.autocontrast(img) if happens(self.p) else img


@dataclass
class RandomEqualize(Chance):
    """Make an image's values about equally frequent, with probability `p`."""

    p: float = 0.5

    def __call__(self, img: Any) -> Any:
        """Return the equalised image, or the image as it was."""
        return F.equalize(img) if happens(self.p) else img


@dataclass
class RandomSolarize(Chance):
    """Invert what is at least as bright as the threshold, with probability `p`."""

    threshold: float
    p: float = 0.5

    def __call__(self, img: Any) -> Any:
        """Return the image, solarised or not."""
        return F.solarize(img, self.threshold) if happens(self.p) else img


def _range_of(
    name: str, value: float | Sequence[float], middle: float, bound: float
) -> tuple[float, float] | None:
    """Return from where to where a factor is drawn; None where it would always be the middle."""
    if isinstance(value, (int, float)):
        low, high = middle - value, middle + value
        if value < 0:
            raise ValueError(f"ColorJitter: {name} must be at least 0, got {value}")
        low = max(low, 0.0) if middle else low
    else:
        low, high = value
    least = 0.0 if middle else -bound
    if not least <= low <= high <= bound:
        raise ValueError(f"ColorJitter: {name} must lie within {least} and {bound}, got {value}")
    return None if low == high == middle else (float(low), float(high))


class ColorJitter:
    """Change brightness, contrast, saturation and hue, each by a factor drawn, in random order.

    Parameters
    ----------
    brightness, contrast, saturation
        A number v for factors from max(0, 1 − v) to 1 + v, or a pair of factors.
    hue
        A number v of at most 0.5 for turns from −v to v of the colour wheel, or a pair.

    Raises
    ------
    ValueError
        If a range is not within 0 and ∞, or −0.5 and 0.5.
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ) -> None:
        self.brightness = _range_of("brightness", brightness, 1.0, math.inf)
        self.contrast = _range_of("contrast", contrast, 1.0, math.inf)
        self.saturation = _range_of("saturation", saturation, 1.0, math.inf)
        self.hue = _range_of("hue", hue, 0.0, 0.5)

    def __call__(self, img: Any) -> Any:
        """Return the image in other colours."""
        changes = [
            (F.adjust_brightness, self.brightness),
            (F.adjust_contrast, self.contrast),
            (F.adjust_saturation, self.saturation),
            (F.adjust_hue, self.hue),
        ]
        for i in default_generator().permutation(4):
            change, between = changes[i]
            if between is not None:
                img = change(img, uniform(*between))
        return img

    def __repr__(self) -> str:
        return (
            f"ColorJitter(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


@dataclass
class GaussianBlur:
    """Blur an image with a standard deviation drawn from a pair, or always the same number."""

    kernel_size: int | Sequence[int]
    sigma: float | Sequence[float] = (0.1, 2.0)

    def __call__(self, img: Any) -> Any:
        """Return the blurred image."""
        low, high = (self.sigma,) * 2 if isinstance(self.sigma, (int, float)) else self.sigma
        return F.gaussian_blur(img, self.kernel_size, uniform(low, high))
