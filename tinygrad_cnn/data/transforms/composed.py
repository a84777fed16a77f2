"""Transforms made of transforms, in order, by chance or in any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_cnn.random import default_generator

__all__ = ["Compose", "Lambda", "RandomApply", "RandomChoice", "RandomOrder"]

Transform = Callable[[Any], Any]


class _Several:
    """Holds transforms, and shows them a line each."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        name = type(self).__name__
        if callable(transforms) and not hasattr(transforms, "__iter__"):
            raise TypeError(f"{name}: expects a list of transforms: {name}([ToTensor(), …])")
        for transform in transforms:
            if not callable(transform):
                raise TypeError(f"{name}: each transform must be callable, got {transform!r}")
        self.transforms = transforms

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"{type(self).__name__}({lines}\n)"


class Compose(_Several):
    """Apply transforms one after the other.

    Parameters
    ----------
    transforms
        A list of them.

    Raises
    ------
    TypeError
        If it is no list, or one cannot be called.

    >>> Compose([str.strip, str.upper])(" digit ")
    'DIGIT'
    """

    def __call__(self, img: Any) -> Any:
        """Return the image after every transform."""
        for transform in self.transforms:
            img = transform(img)
        return img


class Lambda:
    """Apply a function.

    >>> Lambda(lambda x: x + 1)(2)
    3
    """

    def __init__(self, lambd: Transform) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: expects a function, got {lambd!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        """Return what the function makes of the image."""
        return self.lambd(img)

    def __repr__(self) -> str:
        return "Lambda()"


class RandomApply(_Several):
    """Apply all of the transforms, or with probability 1 − p none."""

    def __init__(self, transforms: Sequence[Transform], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p = p

    def __call__(self, img: Any) -> Any:
        """Return the image, transformed or not."""
        if default_generator().random() < self.p:
            for transform in self.transforms:
                img = transform(img)
        return img


class RandomChoice(_Several):
    """Apply one of the transforms, each equally likely or with the probabilities `p`."""

    def __init__(self, transforms: Sequence[Transform], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and len(p) != len(transforms):
            raise ValueError(f"RandomChoice: {len(transforms)} transforms, {len(p)} probabilities")
        self.p = p

    def __call__(self, img: Any) -> Any:
        """Return the image after one transform."""
        weights = None if self.p is None else [p / sum(self.p) for p in self.p]
        return self.transforms[default_generator().choice(len(self.transforms), p=weights)](img)


class RandomOrder(_Several):
    """Apply all of the transforms, in a new order each time."""

    def __call__(self, img: Any) -> Any:
        """Return the image after every transform."""
        for i in default_generator().permutation(len(self.transforms)):
            img = self.transforms[i](img)
        return img
