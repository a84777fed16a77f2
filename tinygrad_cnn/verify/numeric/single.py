"""Inputs moved element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.slopes import EPS

if TYPE_CHECKING:
    from tinygrad_cnn.verify.numeric.probe import Prober

_MOST_KINKED = 48  # single elements looked at with all means


@dataclass(frozen=True)
class ElementTable:
    """Numeric derivatives by single elements: a row for each cotangent, a column an element.

    Attributes
    ----------
    numeric, bar
        ⟨g, derivative⟩ and its error bar.
    low, high
        The sums of the smaller and of the larger one-sided slopes.
    """

    numeric: Array
    bar: Array
    low: Array
    high: Array


def move_elements(prober: Prober, flat_indices: Array) -> None:
    """Move elements one at a time: two evaluations each, more only where these disagree."""
    prober.counts.elements += len(flat_indices)
    suspects = screen(prober, flat_indices)
    if len(suspects) > _MOST_KINKED:
        chosen = np.linspace(0, len(suspects) - 1, _MOST_KINKED).astype(int)
        suspects = suspects[chosen]
    for flat in suspects:
        direction = np.zeros(prober.base.shape)
        direction.reshape(-1)[flat] = 1.0
        prober.compare_along(direction, range(len(prober.point.cotangents)))


def element_table(prober: Prober, flat_indices: Array) -> ElementTable:
    """Differentiate by single elements with error bars and one-sided slopes."""
    G = np.stack([g.reshape(-1) for g in prober.point.cotangents])
    G = np.where(prober.finite.reshape(-1), G, 0.0)
    shape = (len(G), len(flat_indices))
    table = ElementTable(*(np.empty(shape) for _ in range(4)))
    direction = np.zeros(prober.base.shape)
    for column, place in enumerate(flat_indices):
        direction.reshape(-1)[place] = 1.0
        slopes = prober.measure(direction, prober.h)
        direction.reshape(-1)[place] = 0.0
        with np.errstate(invalid="ignore"):
            value, error = slopes.value.reshape(-1), slopes.error.reshape(-1)
            noise = slopes.noise.reshape(-1)
            left, right = G * slopes.left.reshape(-1), G * slopes.right.reshape(-1)
            table.numeric[:, column] = G @ value
            table.bar[:, column] = np.sqrt(np.square(G) @ np.square(error + noise))
            table.low[:, column] = np.minimum(left, right).sum(axis=1)
            table.high[:, column] = np.maximum(left, right).sum(axis=1)
    return table


def screen(prober: Prober, flat_indices: Array) -> Array:
    """Return those elements whose plain central difference does not agree with the rule."""
    numeric, noise = central(prober, flat_indices)
    analytic = np.stack([a[prober.index].reshape(-1)[flat_indices] for a in prober.point.analytic])
    size = np.abs(numeric) + np.abs(analytic)
    coarse = 1e-6 if prober.eps == EPS else 1e-4
    agree = np.abs(numeric - analytic) <= coarse * size + noise
    prober.seen = prober.seen or bool((agree & (np.abs(numeric) > 2 * noise)).any())
    suspects: Array = flat_indices[~agree.all(axis=0)]
    return suspects


def central(prober: Prober, flat_indices: Array) -> tuple[Array, Array]:
    """Return ⟨g, D(h)⟩ for each cotangent (row) and element, and its rounding.

    Results that an element does not move have no rounding to speak of.
    """
    G = np.stack([g.reshape(-1) for g in prober.point.cotangents])
    squares = np.square(G)
    moved = np.array(prober.base, order="C")
    flat = moved.reshape(-1)
    numeric = np.empty((len(G), len(flat_indices)))
    noise = np.empty(numeric.shape)
    h = prober.h
    for column, place in enumerate(flat_indices):
        x = flat[place]
        flat[place] = x + h
        above = prober.at(moved).reshape(-1)
        if np.may_share_memory(above, moved):
            above = above.copy()
        flat[place] = x - h
        below = prober.at(moved).reshape(-1)
        if np.may_share_memory(below, moved):
            below = below.copy()
        flat[place] = x
        with np.errstate(invalid="ignore"):
            difference = np.where(prober.finite.reshape(-1), above - below, 0.0)
            numeric[:, column] = G @ difference
            size = np.where(difference == 0, 0.0, np.maximum(np.abs(above), np.abs(below)))
            noise[:, column] = np.sqrt(squares @ np.square(size))
    with np.errstate(invalid="ignore"):
        return numeric / (2 * h), noise * (16 * prober.eps / h)
