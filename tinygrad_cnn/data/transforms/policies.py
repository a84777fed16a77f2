"""Transforms that choose among many: AutoAugment, RandAugment, TrivialAugmentWide."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms import functional as F
from tinygrad_cnn.data.transforms.kinds import size_of
from tinygrad_cnn.data.transforms.resampling import InterpolationMode
from tinygrad_cnn.random import default_generator

__all__ = ["AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide"]

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
    "Invert": lambda img, _: F.invert(img),
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
    return _applied(img, name, magnitude, mode, fill)


def _applied(img: Any, name: str, magnitude: float, mode: Any, fill: Fill) -> Any:
    """Apply a change; of those that have two directions, either is equally likely."""
    if name in _SIGNED and default_generator().random() < 0.5:
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


class AutoAugmentPolicy(enum.Enum):
    """For which data set a policy was found."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


# Pairs of changes, each with its probability and its strength from 0 to 9, as published.
_POLICIES = {
    AutoAugmentPolicy.IMAGENET: (
        "Posterize 0.4 8 Rotate 0.6 9; Solarize 0.6 5 AutoContrast 0.6 -; "
        "Equalize 0.8 - Equalize 0.6 -; Posterize 0.6 7 Posterize 0.6 6; "
        "Equalize 0.4 - Solarize 0.2 4; Equalize 0.4 - Rotate 0.8 8; "
        "Solarize 0.6 3 Equalize 0.6 -; Posterize 0.8 5 Equalize 1 -; "
        "Rotate 0.2 3 Solarize 0.6 8; Equalize 0.6 - Posterize 0.4 6; "
        "Rotate 0.8 8 Color 0.4 0; Rotate 0.4 9 Equalize 0.6 -; Equalize 0 - Equalize 0.8 -; "
        "Invert 0.6 - Equalize 1 -; Color 0.6 4 Contrast 1 8; Rotate 0.8 8 Color 1 2; "
        "Color 0.8 8 Solarize 0.8 7; Sharpness 0.4 7 Invert 0.6 -; "
        "ShearX 0.6 5 Equalize 1 -; Color 0.4 0 Equalize 0.6 -; "
        "Equalize 0.4 - Solarize 0.2 4; Solarize 0.6 5 AutoContrast 0.6 -; "
        "Invert 0.6 - Equalize 1 -; Color 0.6 4 Contrast 1 8; Equalize 0.8 - Equalize 0.6 -"
    ),
    AutoAugmentPolicy.CIFAR10: (
        "Invert 0.1 - Contrast 0.2 6; Rotate 0.7 2 TranslateX 0.3 9; "
        "Sharpness 0.8 1 Sharpness 0.9 3; ShearY 0.5 8 TranslateY 0.7 9; "
        "AutoContrast 0.5 - Equalize 0.9 -; ShearY 0.2 7 Posterize 0.3 7; "
        "Color 0.4 3 Brightness 0.6 7; Sharpness 0.3 9 Brightness 0.7 9; "
        "Equalize 0.6 - Equalize 0.5 -; Contrast 0.6 7 Sharpness 0.6 5; "
        "Color 0.7 7 TranslateX 0.5 8; Equalize 0.3 - AutoContrast 0.4 -; "
        "TranslateY 0.4 3 Sharpness 0.2 6; Brightness 0.9 6 Color 0.2 8; "
        "Solarize 0.5 2 Invert 0 -; Equalize 0.2 - AutoContrast 0.6 -; "
        "Equalize 0.2 - Equalize 0.6 -; Color 0.9 9 Equalize 0.6 -; "
        "AutoContrast 0.8 - Solarize 0.2 8; Brightness 0.1 3 Color 0.7 0; "
        "Solarize 0.4 5 AutoContrast 0.9 -; TranslateY 0.9 9 TranslateY 0.7 9; "
        "AutoContrast 0.9 - Solarize 0.8 3; Equalize 0.8 - Invert 0.1 -; "
        "TranslateY 0.7 9 AutoContrast 0.9 -"
    ),
    AutoAugmentPolicy.SVHN: (
        "ShearX 0.9 4 Invert 0.2 -; ShearY 0.9 8 Invert 0.7 -; "
        "Equalize 0.6 - Solarize 0.6 6; Invert 0.9 - Equalize 0.6 -; "
        "Equalize 0.6 - Rotate 0.9 3; ShearX 0.9 4 AutoContrast 0.8 -; "
        "ShearY 0.9 8 Invert 0.4 -; ShearY 0.9 5 Solarize 0.2 6; "
        "Invert 0.9 - AutoContrast 0.8 -; Equalize 0.6 - Rotate 0.9 3; "
        "ShearX 0.9 4 Solarize 0.3 3; ShearY 0.8 8 Invert 0.7 -; "
        "Equalize 0.9 - TranslateY 0.6 6; Invert 0.9 - Equalize 0.6 -; "
        "Contrast 0.3 3 Rotate 0.8 4; Invert 0.8 - TranslateY 0 2; "
        "ShearY 0.7 6 Solarize 0.4 8; Invert 0.6 - Rotate 0.8 4; "
        "ShearY 0.3 7 TranslateX 0.9 3; ShearX 0.1 6 Invert 0.6 -; "
        "Solarize 0.7 2 TranslateY 0.6 7; ShearY 0.8 4 Invert 0.8 -; "
        "ShearX 0.7 9 TranslateY 0.8 3; ShearY 0.8 5 AutoContrast 0.7 -; "
        "ShearX 0.7 2 Invert 0.1 -"
    ),
}


def _pairs(policy: AutoAugmentPolicy) -> list[list[tuple[str, float, int | None]]]:
    """Return a policy's pairs of name, probability and strength."""
    pairs = []
    for pair in _POLICIES[policy].split("; "):
        words = pair.split()
        triples = (words[i : i + 3] for i in range(0, len(words), 3))
        pairs.append([(n, float(p), None if s == "-" else int(s)) for n, p, s in triples])
    return pairs


class AutoAugment:
    """Apply a pair of changes, each with a probability of its own, chosen among 25 pairs.

    Parameters
    ----------
    policy
        The data set for which the pairs were found: one of `AutoAugmentPolicy`.
    interpolation, fill
        As for `functional.affine`.

    Notes
    -----
    E. D. Cubuk et al.: AutoAugment: learning augmentation strategies from data (2019).
    """

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Fill = None,
    ) -> None:
        self.policy = policy
        self.interpolation = interpolation
        self.fill = fill
        self.policies = _pairs(policy)

    def __call__(self, img: Any) -> Any:
        """Return the changed image."""
        H, W = size_of(img, "AutoAugment")
        part = 150 / 331
        values = _magnitudes(10, 0.3, part * W, part * H, 30, 0.9, 4)
        draws = default_generator()
        for name, p, strength in self.policies[draws.integers(len(self.policies))]:
            if draws.random() < p:
                magnitude = 0.0 if strength is None else float(values[name][strength])
                img = _applied(img, name, magnitude, self.interpolation, self.fill)
        return img

    def __repr__(self) -> str:
        return f"AutoAugment(policy={self.policy})"
