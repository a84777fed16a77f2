"""Pixels sampled at any places with weights; a product of three, each the others' rule.

``Σ g[n, c, p] · weights[n, k, p] · x[n, c, places[n, k, p]]`` is linear in each of g, the weights
and x: its derivative by each is one of the operations here, whose derivatives are the other two.
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.kernels.resample import pixels as kernels
from tinygrad_cnn.op import Op
from tinygrad_cnn.types import Array

__all__: list[str] = []


class _Pixels(Op):
    """Which pixels belong to which outputs: (N, K, P), an array of its own."""

    __slots__ = ("places",)
    widens = True

    def __init__(self, places: Array) -> None:
        self.places = places


class SamplePixels(_Pixels):
    """Each output a weighted sum of a few pixels: x (N, C, M), weights (N, K, P)."""

    __slots__ = ()
    saves = {"x": ("weights",), "weights": ("x",)}

    def forward(self, x: Any, weights: Any) -> Any:
        return kernels.sample_pixels(x, weights, self.places)  # (N, C, P)

    def backward(self, g: Any, out: Any, x: Any, weights: Any, *, needs: Any) -> tuple[Any, ...]:
        by_x = SpreadPixels(self.places, x.shape[2])(g, weights) if needs[0] else None
        return by_x, MatchPixels(self.places)(g, x) if needs[1] else None


class SpreadPixels(_Pixels):
    """Each output given to its pixels, weighted: y (N, C, P), weights (N, K, P)."""

    __slots__ = ("size",)
    saves = {"y": ("weights",), "weights": ("y",)}

    def __init__(self, places: Array, size: int) -> None:
        super().__init__(places)
        self.size = size

    def forward(self, y: Any, weights: Any) -> Any:
        return kernels.spread_pixels(y, weights, self.places, self.size)  # (N, C, M)

    def backward(self, g: Any, out: Any, y: Any, weights: Any, *, needs: Any) -> tuple[Any, ...]:
        by_y = SamplePixels(self.places)(g, weights) if needs[0] else None
        return by_y, MatchPixels(self.places)(y, g) if needs[1] else None


class MatchPixels(_Pixels):
    """Each output's products with its pixels, channels summed: y (N, C, P), x (N, C, M)."""

    __slots__ = ()
    saves = {"y": ("x",), "x": ("y",)}

    def forward(self, y: Any, x: Any) -> Any:
        return kernels.match_pixels(y, x, self.places)  # (N, K, P)

    def backward(self, g: Any, out: Any, y: Any, x: Any, *, needs: Any) -> tuple[Any, ...]:
        by_y = SamplePixels(self.places)(x, g) if needs[0] else None
        return by_y, SpreadPixels(self.places, x.shape[2])(y, g) if needs[1] else None
