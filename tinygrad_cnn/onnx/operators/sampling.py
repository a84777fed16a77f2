"""Images sampled at places of a grid, put together of patches, and boxes that do not overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.operators.base import Call, Run, array, integers, named, number, operator
from tinygrad_cnn.types import Array

__all__: list[str] = []

_MODES = {"bilinear": "bilinear", "linear": "bilinear", "nearest": "nearest"}
_MODES |= {"bicubic": "bicubic", "cubic": "bicubic"}
_PADDING = ("zeros", "border", "reflection")


@operator("GridSample")
def grid_sample(call: Call) -> Run:
    """Sample images at places from -1 to 1."""
    mode = _MODES[named("GridSample: mode", call.text("mode", "linear"), _MODES)]
    padding = named("GridSample: padding_mode", call.text("padding_mode", "zeros"), _PADDING)
    corners = bool(call.integer("align_corners"))
    return lambda x, grid: F.grid_sample(x, grid, mode, padding, corners)


@operator("AffineGrid", sizes=(1,))
def affine_grid(call: Call) -> Run:
    """Make the places of a grid that is turned and moved."""
    corners = bool(call.integer("align_corners"))
    return lambda theta, size: F.affine_grid(theta, integers(size), corners)


@operator("Col2Im", sizes=(1, 2))
def columns_to_image(call: Call) -> Run:
    """Add patches up to images: the adjoint of cutting images into patches."""
    dilations, strides = call.ints("dilations"), call.ints("strides")
    pads = call.ints("pads")

    def run(x: Any, image: Any, block: Any) -> Any:
        sizes, kernel = integers(image), integers(block)
        dims = len(sizes)
        gaps, steps = dilations or (1,) * dims, strides or (1,) * dims
        borders = pads or (0,) * (2 * dims)
        places, whole = [], []
        for axis in range(dims):
            before, after = borders[axis], borders[axis + dims]
            length = sizes[axis] + before + after
            count = (length - gaps[axis] * (kernel[axis] - 1) - 1) // steps[axis] + 1
            offsets = np.arange(kernel[axis])[:, None] * gaps[axis]
            places.append(offsets + np.arange(count) * steps[axis])  # (K, O)
            whole.append(length)
        flat = _flat(places, whole)  # (∏K, ∏O)
        N, rows, columns = x.shape
        channels = rows // len(flat)
        if flat.shape[1] != columns:
            raise OnnxError(f"Col2Im: {columns} patches, and the image has {flat.shape[1]}")
        values = F.reshape(x, N * channels, flat.size)
        target = np.zeros((N * channels, int(np.prod(whole))), x.dtype)
        index = np.broadcast_to(flat.ravel(), values.shape)
        y = F.reshape(F.scatter_add(target, 1, index, values), N, channels, *whole)
        inner = tuple(slice(borders[axis], borders[axis] + sizes[axis]) for axis in range(dims))
        return F.getitem(y, (slice(None), slice(None), *inner))

    return run


def _flat(places: list[Array], sizes: list[int]) -> Array:
    """Return for each element of the window and each patch its place in the flattened image."""
    flat = np.zeros((1, 1), np.int64)
    for along, size in zip(places, sizes, strict=True):
        joined = flat[:, None, :, None] * size + along[None, :, None, :]
        flat = joined.reshape(len(flat) * len(along), -1)
    return flat


@operator("NonMaxSuppression", any_shape=True)
def non_max_suppression(call: Call) -> Run:
    """Choose boxes of high scores that do not overlap one of a higher score; no gradient."""
    centred = bool(call.integer("center_point_box"))

    def run(
        boxes: Any, scores: Any, most: Any = None, overlap: Any = None, least: Any = None
    ) -> Any:
        limit = 0 if most is None else int(number(most))
        worst = 0.0 if overlap is None else float(number(overlap))
        threshold = None if least is None else float(number(least))
        corners, points = _corners(array(boxes), centred), array(scores)
        found = [
            (image, kind, place)
            for image in range(points.shape[0])
            for kind in range(points.shape[1])
            for place in _chosen(corners[image], points[image, kind], limit, worst, threshold)
        ]
        return np.array(found, np.int64).reshape(-1, 3)

    return run


def _corners(boxes: Array, centred: bool) -> Array:
    """Return boxes (N, B, 4) as least and largest y and x."""
    if centred:
        x, y, width, height = np.moveaxis(boxes, -1, 0)
        sides = y - height / 2, x - width / 2, y + height / 2, x + width / 2
        return np.stack(sides, -1)
    a, b = boxes[..., :2], boxes[..., 2:]
    return np.concatenate((np.minimum(a, b), np.maximum(a, b)), -1)


def _chosen(
    boxes: Array, scores: Array, limit: int, worst: float, threshold: float | None
) -> list[int]:
    """Return the places of the boxes (B, 4) that are kept, best first."""
    order = np.argsort(-scores, kind="stable")
    if threshold is not None:
        order = order[scores[order] > threshold]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while len(order) and len(kept) < limit:
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0), -1)
        union = areas[best] + areas[rest] - shared
        share = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        order = rest[share <= worst]
    return kept
