"""The layers that are timed alone: shapes, and how many multiply-adds they take."""

from __future__ import annotations

import math

import numpy as np

Shape = tuple[int, ...]

# (N, C, H, W) and (O, C / groups, KH, KW); "g" is the gradient of the result.
SHAPES: dict[str, dict[str, Shape]] = {
    "depthwise-separable": {
        "x": (64, 64, 28, 28),
        "w": (64, 1, 3, 3),
        "w2": (128, 64, 1, 1),
        "g": (64, 128, 28, 28),
    },
    "strided 5×5": {"x": (64, 32, 28, 28), "w": (64, 32, 5, 5), "g": (64, 64, 14, 14)},
    "dilated 3×3": {"x": (64, 32, 28, 28), "w": (64, 32, 3, 3), "g": (64, 64, 28, 28)},
    "transposed": {"x": (64, 64, 14, 14), "w": (64, 32, 4, 4), "g": (64, 32, 28, 28)},
    "depthwise 7×7": {"x": (8, 96, 32, 32), "w": (96, 1, 7, 7), "g": (8, 96, 32, 32)},
    "group norm": {"x": (32, 64, 56, 56), "w": (64,), "b": (64,), "g": (32, 64, 56, 56)},
    "bilinear ×2": {"x": (8, 64, 64, 64), "g": (8, 64, 128, 128)},
    "nearest ×2": {"x": (8, 64, 64, 64), "g": (8, 64, 128, 128)},
}

# What is limited by memory: no multiply-adds worth counting.
BY_MEMORY = ("group norm", "bilinear ×2", "nearest ×2")


def arrays(name: str) -> dict[str, np.ndarray]:
    """Make a layer's input, weights and gradient."""
    rng = np.random.default_rng(0)
    return {k: rng.standard_normal(s, dtype=np.float32) for k, s in SHAPES[name].items()}


def operations(name: str) -> float | None:
    """Count the floating-point operations of the forward pass and both gradients."""
    if name in BY_MEMORY:
        return None
    shapes = SHAPES[name]
    x, w, g = math.prod(shapes["x"]), math.prod(shapes["w"][1:]), math.prod(shapes["g"])
    products = {"depthwise-separable": x * 9 + g * 64, "transposed": x * w}.get(name, g * w)
    return 6.0 * products


def small_arrays() -> tuple[np.ndarray, np.ndarray]:
    """Make an input and weights in float64, small enough to check a gradient numerically."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, 2, 6, 6)), rng.standard_normal((3, 2, 3, 3))
