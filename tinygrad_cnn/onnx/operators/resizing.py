"""Resize and Upsample: a weighted sum of a few inputs along each axis, in all of ONNX's ways.

ONNX knows more ways to place outputs between inputs than `interpolate` does, so the weights are
made here; the sums and their gradient are those of `Resample`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import tinygrad_cnn.functional as F
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.operators.base import Call, Run, array, integers, is_float, named, operator
from tinygrad_cnn.ops.resampling.resample import Resample

__all__: list[str] = []

Row = tuple[tuple[int, float], ...]

_TRANSFORMATIONS = (
    *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"),
    *("tf_half_pixel_for_nn", "tf_crop_and_resize"),
)
_NEAREST: dict[str, Callable[[float], int]] = {
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
    "simple": math.floor,
}
_MODES = {"nearest": 1, "linear": 1, "bilinear": 1, "cubic": 2}
_POLICIES = ("stretch", "not_larger", "not_smaller")


class Weighted(NamedTuple):
    """How an axis is resampled, by the weights of each output's inputs.

    It takes the place of the `Along` that `interpolate` makes.
    """

    kind: str
    size: int
    out_size: int
    weights: tuple[Row, ...]

    @property
    def is_same(self) -> bool:
        """Whether the axis stays as it is."""
        return self.weights == tuple(((i, 1.0),) for i in range(self.size))

    def rows(self) -> tuple[Row, ...]:
        """Return the inputs and weights of each output."""
        return self.weights


class Resizing(NamedTuple):
    """How outputs are placed and weighed, the same along all axes."""

    mode: str
    transformation: str
    nearest: str
    cubic: float
    antialias: bool
    excludes: bool


@lru_cache(maxsize=256)
def weighted(
    resizing: Resizing, size: int, out_size: int, scale: float, roi: tuple[float, float]
) -> tuple[Weighted, tuple[bool, ...]]:
    """Return the weights along an axis, and which outputs lie outside of what is cropped.

    >>> resizing = Resizing("linear", "asymmetric", "floor", -0.75, False, False)
    >>> weighted(resizing, 2, 4, 2.0, (0.0, 1.0))[0].rows()
    (((0, 1.0),), ((0, 0.5), (1, 0.5)), ((1, 1.0),), ((1, 1.0),))
    """
    positions = [
        _position(resizing.transformation, i, size, out_size, scale, roi) for i in range(out_size)
    ]
    crops = resizing.transformation == "tf_crop_and_resize"
    outside = tuple(crops and not 0 <= x <= size - 1 for x in positions)
    if resizing.mode == "nearest":
        nearest = _NEAREST[resizing.nearest]
        rows: list[Row] = [((min(max(nearest(x), 0), size - 1), 1.0),) for x in positions]
    else:
        rows = [_row(resizing, x, size, scale) for x in positions]
    return Weighted(resizing.mode, size, out_size, tuple(rows)), outside


def _position(
    transformation: str, i: int, size: int, out_size: int, scale: float, roi: tuple[float, float]
) -> float:
    """Return where an output lies on the axis of the inputs."""
    if transformation == "align_corners":
        length = scale * size  # as long as the factor says, which need not be whole
        return i * (size - 1) / (length - 1) if out_size > 1 else 0.0
    if transformation == "asymmetric":
        return i / scale
    if transformation == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if transformation == "tf_crop_and_resize":
        start, end = roi
        if out_size == 1:
            return 0.5 * (start + end) * (size - 1)
        return start * (size - 1) + i * (end - start) * (size - 1) / (out_size - 1)
    if transformation == "pytorch_half_pixel" and out_size == 1:
        return 0.0
    offset = 0.0
    if transformation == "half_pixel_symmetric":
        offset = size / 2 * (1 - out_size / (scale * size))
    return offset + (i + 0.5) / scale - 0.5


def _row(resizing: Resizing, x: float, size: int, scale: float) -> Row:
    """Return the inputs of one output with their weights; the outermost stand for all outside."""
    shrink = min(scale, 1.0) if resizing.antialias else 1.0
    reach = _MODES[resizing.mode] / shrink
    weigh = _hat if _MODES[resizing.mode] == 1 else lambda d: _cubic(d, resizing.cubic)
    first, last = math.floor(x - reach) + 1, math.ceil(x + reach) - 1
    taps = [(i, weigh((i - x) * shrink)) for i in range(first, last + 1)]
    if resizing.excludes:
        taps = [(i, w) for i, w in taps if 0 <= i < size]
    if resizing.excludes or resizing.antialias:
        total = sum(w for _, w in taps)
        taps = [(i, w / total) for i, w in taps]
    weights: dict[int, float] = {}
    for i, w in taps:
        inside = min(max(i, 0), size - 1)
        weights[inside] = weights.get(inside, 0.0) + w
    return tuple((i, w) for i, w in weights.items() if w)


def _hat(d: float) -> float:
    return max(0.0, 1 - abs(d))


def _cubic(d: float, a: float) -> float:
    """Weigh by distance: Keys, "Cubic convolution interpolation" (1981), equation 4."""
    d = abs(d)
    if d <= 1:
        return ((a + 2) * d - (a + 3)) * d * d + 1
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a if d < 2 else 0.0


@operator("Resize", sizes=(1, 2, 3))
def resize(call: Call) -> Run:
    """Resample to other sizes, given as factors or as sizes."""
    resizing = _resizing_of(call)
    axes_setting = call.ints("axes")
    policy = named(
        "Resize: keep_aspect_ratio_policy",
        call.text("keep_aspect_ratio_policy", "stretch"),
        _POLICIES,
    )
    fill = call.real("extrapolation_value", 0.0)

    def run(x: Any, *given: Any) -> Any:
        # Opset 10 had the scales alone.
        roi, scales, sizes = (*(given if call.opset > 10 else (None, *given)), None, None, None)[:3]
        axes = tuple(range(x.ndim))
        if axes_setting is not None:
            axes = tuple(axis % x.ndim for axis in axes_setting)
        shape = tuple(x.shape)
        edges = _edges(roi, len(axes))
        if sizes is not None and array(sizes).size:
            out, factors = _from_sizes(shape, axes, integers(sizes), policy)
        elif scales is not None and array(scales).size:
            factors = [float(s) for s in array(scales).ravel()]
            out = [_scaled(shape[a], s, e) for a, s, e in zip(axes, factors, edges, strict=True)]
        else:
            raise OnnxError("Resize expects scales or sizes")
        return _resized(x, axes, out, factors, edges, resizing, fill)

    return run


def _resizing_of(call: Call) -> Resizing:
    usual = "half_pixel" if call.opset > 10 else "asymmetric"
    transformation = call.text("coordinate_transformation_mode", usual)
    nearest = call.text("nearest_mode", "round_prefer_floor" if call.opset > 10 else "floor")
    return Resizing(
        named("Resize: mode", call.text("mode", "nearest"), _MODES),
        named("Resize: coordinate_transformation_mode", transformation, _TRANSFORMATIONS),
        named("Resize: nearest_mode", nearest, _NEAREST),
        call.real("cubic_coeff_a", -0.75),
        bool(call.integer("antialias")),
        bool(call.integer("exclude_outside")),
    )


def _edges(roi: Any, count: int) -> list[tuple[float, float]]:
    """Return what is cropped along each axis, in shares of its size."""
    values = [] if roi is None else array(roi).ravel().tolist()
    if len(values) != 2 * count:
        return [(0.0, 1.0)] * count
    return list(zip(values[:count], values[count:], strict=True))


def _scaled(size: int, scale: float, edge: tuple[float, float]) -> int:
    return math.floor(size * (edge[1] - edge[0]) * scale)


def _from_sizes(
    shape: Sequence[int], axes: Sequence[int], sizes: Sequence[int], policy: str
) -> tuple[list[int], list[float]]:
    """Return the new sizes of the axes, and their factors."""
    if len(sizes) != len(axes):
        raise OnnxError(f"Resize: sizes {list(sizes)} are not one for each of {len(axes)} axes")
    factors = [size / shape[axis] for size, axis in zip(sizes, axes, strict=True)]
    if policy == "stretch":
        return list(sizes), factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [math.floor(factor * shape[axis] + 0.5) for axis in axes], [factor] * len(axes)


def _resized(
    x: Any,
    axes: Sequence[int],
    out: Sequence[int],
    factors: Sequence[float],
    edges: Sequence[tuple[float, float]],
    resizing: Resizing,
    fill: float,
) -> Any:
    if min(*out, *x.shape, *factors) <= 0:
        raise OnnxError(f"Resize: an input of shape {tuple(x.shape)} becomes {tuple(out)}")
    found = [
        (axis, *weighted(resizing, x.shape[axis], size, factor, edge))
        for axis, size, factor, edge in zip(axes, out, factors, edges, strict=True)
    ]
    changed = [(axis, along, outside) for axis, along, outside in found if not along.is_same]
    if not changed:
        return x
    y = F.cast(x, "float64") if not is_float(x) else x
    y = _along(y, [(axis, along) for axis, along, _ in changed])
    for axis, _, outside in changed:
        if any(outside):
            mask = array(outside).reshape(-1, *(1,) * (x.ndim - axis - 1))
            y = F.where(mask, array(fill).astype(y.dtype), y)
    return y if is_float(x) else array(y).astype(x.dtype)


def _along(x: Any, changed: Sequence[tuple[int, Weighted]]) -> Any:
    """Resample axes: those in the last places at once, else each where it is moved to the end."""
    axes = [axis for axis, _ in changed]
    first = min(axes)
    if first > 0 and sorted(axes) == list(range(first, x.ndim)):
        by_axis = dict(changed)
        last = [by_axis[a] for a in range(first, x.ndim)]
        return Resample(tuple(last))(x)  # type: ignore[arg-type]  # Weighted for Along
    for axis, along in changed:
        moved = Resample((along,))(F.movedim(x, axis, -1))  # type: ignore[arg-type]
        x = F.movedim(moved, -1, axis)
    return x


@operator("Upsample", sizes=(1,))
def upsample(call: Call) -> Run:
    """Resample by factors, as before opset 10: an output lies at its place by the factor."""
    mode = named("Upsample: mode", call.text("mode", "nearest"), _MODES)
    resizing = Resizing(mode, "asymmetric", "floor", -0.75, False, False)
    setting = call.attributes.get("scales")

    def run(x: Any, scales: Any = None) -> Any:
        given = array(setting if scales is None else scales).ravel()
        factors = [float(s) for s in given]
        whole = [(0.0, 1.0)] * x.ndim
        out = [_scaled(size, s, whole[0]) for size, s in zip(x.shape, factors, strict=True)]
        return _resized(x, range(x.ndim), out, factors, whole, resizing, 0.0)

    return run
