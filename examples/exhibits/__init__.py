"""Gradients that public projects had wrong, each written afresh in a few lines, with its source.

An `Exhibit` is a forward pass on NumPy arrays and a rule that is right or wrong as it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn import data

Array = npt.NDArray[Any]
Draw = Callable[[np.random.Generator], list[Any]]


@dataclass(frozen=True)
class Exhibit:
    """A mistake.

    Attributes
    ----------
    name
        What is wrong, in a few words.
    source
        Where it was so: address of the report or of its mending.
    forward
        ``forward(*inputs)``.
    rule
        ``rule(g, *inputs, wrong=…)`` returns a gradient for each input, None for integers.
    draw
        Inputs as they occur: digits, activations with their zeros, labels.
    true
        The hints of the verifier that would be true of it.
    """

    name: str
    source: str
    forward: Callable[..., Any]
    rule: Callable[..., tuple[Any, ...]]
    draw: Draw
    true: frozenset[str]


EXHIBITS: list[Exhibit] = []


def exhibit(
    name: str, source: str, forward: Callable[..., Any], draw: Draw, *true: str
) -> Callable[[Any], Any]:
    """Enter a rule among the exhibits."""

    def enter(rule: Any) -> Any:
        address = f"https://github.com/{source}"
        EXHIBITS.append(Exhibit(name, address, forward, rule, draw, frozenset(true)))
        return rule

    return enter


def digits(rng: np.random.Generator, count: int, channels: int = 1, size: int = 8) -> Array:
    """Return the middles of handwritten digits (count, channels, size, size), from 0 to 1."""
    images = data.digits().train.images
    chosen = images[rng.choice(len(images), count * channels, replace=False)]
    start = (28 - size) // 2
    part = chosen[:, start : start + size, start : start + size].astype(np.float64) / 255
    return part.reshape(count, channels, size, size)


def features(rng: np.random.Generator, count: int, width: int) -> Array:
    """Return what a linear layer and a ReLU make of digits (count, width): some are exactly 0."""
    pixels = digits(rng, count, 1, 14).reshape(count, -1)
    weights = rng.standard_normal((pixels.shape[1], width)) / np.sqrt(pixels.shape[1])
    return np.maximum(pixels @ weights, 0.0)


def logits(rng: np.random.Generator, count: int, classes: int = 10) -> list[Any]:
    """Return scores of digits (count, classes), and labels (count,)."""
    scores = features(rng, count, 16) @ rng.standard_normal((16, classes))
    return [scores, rng.integers(0, classes, count)]
