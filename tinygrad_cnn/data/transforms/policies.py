"""Transforms that choose among many: RandAugment and TrivialAugmentWide."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms import functional as F
from tinygrad_cnn.data.transforms.kinds import size_of
from tinygrad_cnn.data.transforms.resampling import InterpolationMode
from tinygrad_cnn.random import default_generator

__all__ = ["RandAugment", "TrivialAugmentWide"]

Fill = float | Sequence[float] | None


def _moved(img: Any, x: float, y: float, mode: Any, fill: Fill) -> Any:
    return F.affine(img, 0, [int(x), int(y)], 1, [0, 0], mode, fill)


def _sheared(img: Any, x: float, y: float, mode: Any, fill: Fill) -> Any:
    slant = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    return F.affine(img, 0, [0, 0], 1, slant, mode, fill, center=[0, 0])


_PLACES: dict[str, Callable[[Any, float, Any, Fill], Any]] = {
    "ShearX": lambda img, m, mode, fill: _sheared(img, m, 0, mode, fill),
    "ShearY": lambda img, m, mode, fill: _sheared(img, 0, m, mode, fill),
    "TranslateX": lambda img, m, mode, fill: _moved(img, m, 0, mode, fill),
    "TranslateY": lambda img, m, mode, fill: _moved(img, 0, m, mode, fill),
    "Rotate": lambda img, m, mode, fill: F.rotate(img, m, mode, fill=fill),
}
_COLOURS: dict[str, Callable[[Any, float], Any]] = {
    "Identity": lambda img, _: img,
    "Brightness": lambda img, m: F.adjust_brightness(img, 1 + m),
    "Color": lambda img, m: F.adjust_saturation(img, 1 + m),
    "Contrast": lambda img, m: F.adjust_contrast(img, 1 + m),
    "Sharpness": lambda img, m: F.adjust_sharpness(img, 1 + m),
    "Posterize": lambda img, m: F.posterize(img, int(m)),
    "Solarize": F.solarize,
    "AutoContrast": lambda img, _: F.autocontrast(img),
    "Equalize": lambda img, _: F.equalize(img),
}
_SIGNED = {*_PLACES, "Brightness", "Color", "Contrast", "Sharpness"}


def _magnitudes(
    bins: int, shear: float, across: float, down: float, degrees: float, factor: float, bits: int
) -> dict[str, Any]:
    """Return the magnitudes of each change, from weak to strong; None where there are none."""

    def up_to(most: float) -> Any:
        return np.linspace(0.0, most, bins)

    return {
        "Identity": None,
        **dict.fromkeys(("ShearX", "ShearY"), up_to(shear)),
        "TranslateX": up_to(across),
        "TranslateY": up_to(down),
        "Rotate": up_to(degrees),
        **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), up_to(factor)),
        "Posterize": 8 - np.rint(np.arange(bins) / ((bins - 1) / bits)),
        "Solarize": np.linspace(255.0, 0.0, bins),
        "AutoContrast": None,
        "Equalize": None,
    }


def _changed(
    img: Any, magnitudes: dict[str, Any], strength: int | None, mode: Any, fill: Fill
) -> Any:
    """Apply one of the changes, of a strength given or drawn, in either direction."""
    draws = default_generator()
    name = list(magnitudes)[draws.integers(len(magnitudes))]
    values = magnitudes[name]
    magnitude = 0.0
    if values is not None:
        chosen = int(draws.integers(len(values))) if strength is None else strength
        magnitude = float(values[chosen])
        if name in _SIGNED and draws.random() < 0.5:
            magnitude = -magnitude
    if name in _PLACES:
        return _PLACES[name](img, magnitude, mode, fill)
    return _COLOURS[name](img, magnitude)


@dataclass
class RandAugment:
    """Apply changes chosen at random, all of one strength.

    Parameters
    ----------
    num_ops
        How many changes.
    magnitude, num_magnitude_bins
        The strength, from 0 to one less than the number of bins.
    interpolation, fill
        As for `functional.affine`.

    Raises
    ------
    ValueError
        If there is no such strength.

    Notes
    -----
    E. D. Cubuk et al.: RandAugment: practical automated data augmentation (2020).
    """

    num_ops: int = 2
    magnitude: int = 9
    num_magnitude_bins: int = 31
    interpolation: Any = InterpolationMode.NEAREST
    fill: Fill = None

    def __post_init__(self) -> None:
        if not 0 <= self.magnitude < self.num_magnitude_bins:
            raise ValueError(
                f"RandAugment: magnitude is from 0 to {self.num_magnitude_bins - 1}, "
                f"got {self.magnitude}"
            )

    def __call__(self, img: Any) -> Any:
        """Return the changed image."""
        H, W = size_of(img, "RandAugment")
        part = 150 / 331
        values = _magnitudes(self.num_magnitude_bins, 0.3, part * W, part * H, 30, 0.9, 4)
        for _ in range(self.num_ops):
            img = _changed(img, values, self.magnitude, self.interpolation, self.fill)
        return img


@dataclass
class TrivialAugmentWide:
    """Apply one change chosen at random, of a strength drawn from a wide range.

    The arguments are as for `RandAugment`.

    Notes
    -----
    S. G. Müller, F. Hutter: TrivialAugment: tuning-free yet state-of-the-art data augmentation
    (2021).
    """

    num_magnitude_bins: int = 31
    interpolation: Any = InterpolationMode.NEAREST
    fill: Fill = None

    def __call__(self, img: Any) -> Any:
        """Return the changed image."""
        values = _magnitudes(self.num_magnitude_bins, 0.99, 32, 32, 135, 0.99, 6)
        return _changed(img, values, None, self.interpolation, self.fill)
