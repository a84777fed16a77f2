"""The layers that are timed alone: shapes, and how many multiply-adds they take."""

from __future__ import annotations

import math
from typing import Any

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
    "ViT block": {
        "x": (32, 64, 192),
        "norm": (192,),
        "w": (576, 192),
        "out": (192, 192),
        "norm2": (192,),
        "up": (768, 192),
        "down": (192, 768),
        "g": (32, 64, 192),
    },
}

# What is limited by memory: no multiply-adds worth counting.
BY_MEMORY = ("group norm", "bilinear ×2", "nearest ×2")


def arrays(name: str) -> dict[str, np.ndarray]:
    """Make a layer's input, weights and gradient."""
    rng = np.random.default_rng(0)
    made = {k: rng.standard_normal(s, dtype=np.float32) for k, s in SHAPES[name].items()}
    if name == "ViT block":  # as if trained: the softmax would choose a single token
        return {k: a if k in "xg" else a / np.float32(16) for k, a in made.items()}
    return made


def forward(name: str, F: Any, t: dict[str, Any]) -> Any:
    """Compute a layer's result from its tensors with a framework's functions."""
    x, w = t["x"], t.get("w")
    if name == "depthwise-separable":
        return F.conv2d(F.relu(F.conv2d(x, w, padding=1, groups=x.shape[1])), t["w2"])
    if name == "strided 5×5":
        return F.conv2d(x, w, stride=2, padding=2)
    if name == "dilated 3×3":
        return F.conv2d(x, w, padding=2, dilation=2)
    if name == "transposed":
        return F.conv_transpose2d(x, w, stride=2, padding=1)
    if name == "depthwise 7×7":
        return F.conv2d(x, w, padding=3, groups=x.shape[1])
    if name == "group norm":
        return F.group_norm(x, 8, w, t["b"])
    if name == "ViT block":
        return _vit_block(F, t)
    return F.interpolate(x, scale_factor=2, mode=name.split()[0])


def _vit_block(F: Any, t: dict[str, Any], heads: int = 3) -> Any:
    """Attention and a perceptron, each behind a layer norm and around it a sum."""
    x = t["x"]
    N, L, E = x.shape
    y = F.layer_norm(x, (E,), t["norm"])
    q, k, v = F.linear(y, t["w"]).reshape(N, L, 3, heads, E // heads).permute(2, 0, 3, 1, 4)
    attended = F.scaled_dot_product_attention(q, k, v)  # (N, heads, L, E / heads)
    x = x + F.linear(attended.transpose(1, 2).reshape(N, L, E), t["out"])
    y = F.layer_norm(x, (E,), t["norm2"])
    return x + F.linear(F.gelu(F.linear(y, t["up"])), t["down"])


def operations(name: str) -> float | None:
    """Count the floating-point operations of the forward pass and both gradients."""
    if name in BY_MEMORY:
        return None
    shapes = SHAPES[name]
    if name == "ViT block":
        N, L, E = shapes["x"]
        weights = sum(math.prod(shapes[k]) for k in ("w", "out", "up", "down"))
        return 6.0 * N * L * (weights + 2 * L * E)
    x, w, g = math.prod(shapes["x"]), math.prod(shapes["w"][1:]), math.prod(shapes["g"])
    products = {"depthwise-separable": x * 9 + g * 64, "transposed": x * w}.get(name, g * w)
    return 6.0 * products


def small_arrays() -> tuple[np.ndarray, np.ndarray]:
    """Make an input and weights in float64, small enough to check a gradient numerically."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, 2, 6, 6)), rng.standard_normal((3, 2, 3, 3))
