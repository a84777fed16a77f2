"""Convolutions and pools: windows, with ONNX's ways of padding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.operators.base import Call, Run, array, integers, named, operator
from tinygrad_cnn.ops.conv.trilinear import KINDS

__all__ = ["Convolution", "conv"]

Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]

_MOST_SIZES = 64  # of images whose windows are kept
_AUTO = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


class Windows:
    """The settings that convolutions and pools share."""

    def __init__(self, call: Call) -> None:
        self.kernel: Ints | None = call.ints("kernel_shape")
        self.strides: Ints | None = call.ints("strides")
        self.dilations: Ints | None = call.ints("dilations")
        self.pads: Ints | None = call.ints("pads")
        self.auto = named("auto_pad", call.text("auto_pad", "NOTSET"), _AUTO)
        self.ceil = bool(call.integer("ceil_mode"))
        self.op_type = call.op_type
        self._known: dict[tuple[Ints, Ints], Window] = {}

    def over(self, x: Any, kernel: Sequence[int]) -> Window:
        """Return how windows of this kernel lie over an input's spatial axes."""
        key = tuple(x.shape[2:]), tuple(kernel)
        window = self._known.get(key)
        if window is None:
            if len(self._known) >= _MOST_SIZES:
                self._known.clear()
            window = self._known[key] = self._checked(x, kernel)
        return window

    def _checked(self, x: Any, kernel: Sequence[int]) -> Window:
        spatial = tuple(x.shape[2:])
        dims = len(spatial)
        strides = self.strides or (1,) * dims
        dilations = self.dilations or (1,) * dims
        if not len(kernel) == len(strides) == len(dilations) == dims:
            raise OnnxError(
                f"{self.op_type}: kernel {tuple(kernel)}, strides {strides} and dilations "
                f"{dilations} do not fit an input of shape {tuple(x.shape)}"
            )
        if min(*kernel, *strides, *dilations) < 1:
            raise OnnxError(f"{self.op_type}: kernel, strides and dilations must be positive")
        pads = self._padding(spatial, kernel, strides, dilations)
        window = Window(tuple(kernel), strides, pads, dilations)
        if min(window.out_size(spatial, self.ceil)) < 1:
            raise OnnxError(
                f"{self.op_type}: a window of {tuple(kernel)} does not fit an input of shape "
                f"{tuple(x.shape)} with pads {pads}"
            )
        return window

    def _padding(
        self, spatial: Ints, kernel: Sequence[int], strides: Ints, dilations: Ints
    ) -> Pads:
        dims = len(spatial)
        if self.auto == "VALID":
            return ((0, 0),) * dims
        if self.auto == "NOTSET":
            pads = self.pads or (0,) * (2 * dims)
            if len(pads) != 2 * dims:
                raise OnnxError(f"{self.op_type}: pads {pads} are not two for each of {dims} axes")
            return tuple(zip(pads[:dims], pads[dims:], strict=True))
        totals = [
            max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
            for size, k, s, d in zip(spatial, kernel, strides, dilations, strict=True)
        ]
        return tuple(_split(total, self.auto) for total in totals)


def _split(total: int, auto: str) -> tuple[int, int]:
    """Return so much padding on both sides; what is odd goes to the end with SAME_UPPER."""
    small, large = total // 2, total - total // 2
    return (small, large) if auto == "SAME_UPPER" else (large, small)


def _check_rank(call: Call, x: Any, weight: Any = None) -> int:
    """Return the number of spatial axes, 1 to 3."""
    dims = x.ndim - 2
    if dims not in (1, 2, 3) or (weight is not None and weight.ndim != x.ndim):
        shape = "" if weight is None else f" and {tuple(weight.shape)}"
        raise OnnxError(f"{call.op_type} of shapes {tuple(x.shape)}{shape}: expects 3 to 5 axes")
    return int(dims)


class Convolution:
    """What computes a Conv node."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.windows, self.groups = Windows(call), call.integer("group", 1)

    def __call__(self, x: Any, weight: Any, bias: Any = None) -> Any:
        """Convolve an input with filters."""
        dims, groups = _check_rank(self.call, x, weight), self.groups
        if groups < 1 or x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
            raise OnnxError(
                f"Conv: weight of shape {tuple(weight.shape)} with group {groups} does not fit an "
                f"input of shape {tuple(x.shape)}"
            )
        if x.dtype.kind != "f":
            raise OnnxError(f"Conv expects floating-point numbers, got {x.dtype}")
        window = self.windows.over(x, weight.shape[2:])
        return KINDS[dims].conv(window, groups)(x, weight, bias)


@operator("Conv", weights=(1, 2))
def conv(call: Call) -> Run:
    """Convolve, in one to three dimensions."""
    return Convolution(call)


@operator("ConvTranspose", weights=(1, 2))
def conv_transpose(call: Call) -> Run:
    """Spread through filters: the adjoint of a convolution."""
    windows, groups = Windows(call), call.integer("group", 1)
    extra_setting, shape_setting = call.ints("output_padding"), call.ints("output_shape")

    def run(x: Any, weight: Any, bias: Any = None) -> Any:
        dims = _check_rank(call, x, weight)
        strides, dilations = windows.strides or (1,) * dims, windows.dilations or (1,) * dims
        extra = extra_setting or (0,) * dims
        kernel = tuple(weight.shape[2:])
        full = [
            (size - 1) * s + (k - 1) * d + 1 + e
            for size, k, s, d, e in zip(x.shape[2:], kernel, strides, dilations, extra, strict=True)
        ]
        if shape_setting is not None:
            wanted = list(shape_setting[-dims:])
            pads = _cut(full, wanted, windows.auto)
        elif windows.auto in ("SAME_UPPER", "SAME_LOWER"):
            wanted = [size * s for size, s in zip(x.shape[2:], strides, strict=True)]
            pads = _cut(full, wanted, windows.auto)
        else:
            given = windows.pads if windows.auto == "NOTSET" else None
            flat = given or (0,) * (2 * dims)
            pads = tuple(zip(flat[:dims], flat[dims:], strict=True))
        sizes = [f - before - after for f, (before, after) in zip(full, pads, strict=True)]
        if min(sizes) < 1 or weight.shape[0] != x.shape[1] or x.shape[1] % groups:
            raise OnnxError(
                f"ConvTranspose: weight of shape {tuple(weight.shape)} with group {groups} and "
                f"pads {pads} does not fit an input of shape {tuple(x.shape)}"
            )
        # The convolution that this one turns round maps the output's size to the input's.
        back = tuple((b, a - e) for (b, a), e in zip(pads, extra, strict=True))
        window = Window(kernel, strides, back, dilations)
        channels = weight.shape[1] * groups
        y = KINDS[dims].transposed((channels, *sizes), window, groups)(x, weight)
        return y if bias is None else F.add(y, F.reshape(bias, 1, channels, *(1,) * dims))

    return run


def _cut(full: Sequence[int], wanted: Sequence[int], auto: str) -> Pads:
    """Return what to take away on both sides; ConvTranspose's SAME_UPPER has the odd one first."""
    pads = []
    for size, want in zip(full, wanted, strict=True):
        small, large = (size - want) // 2, (size - want) - (size - want) // 2
        pads.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return tuple(pads)


# ------------------------------------------------------------------ pools


def _padded(x: Any, window: Window, ceil: bool, value: float) -> tuple[Any, Window]:
    """Return the input with its padding in it, also what ceil_mode reads behind, and windows."""
    spatial = tuple(x.shape[2:])
    counts = window.out_size(spatial, ceil)
    flat: list[int] = []
    for axis in reversed(range(len(spatial))):
        before, after = window.padding[axis]
        reach = window.extent(axis, counts[axis]) - before - spatial[axis]
        flat += [before, max(after, reach)]
    plain = window._replace(padding=((0, 0),) * len(spatial))
    return (F.pad(x, flat, value=value) if any(flat) else x), plain


def _symmetric(window: Window) -> bool:
    """Whether PyTorch's pools take these windows."""
    return all(
        before == after and before <= length // 2
        for (before, after), length in zip(window.padding, window.kernel, strict=True)
    )


_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@operator("MaxPool")
def max_pool(call: Call) -> Run:
    """Take the largest of each window, and with a second output say where it was."""
    windows, places = Windows(call), call.wants(1)
    by_columns = bool(call.integer("storage_order"))
    kernel = windows.kernel
    if kernel is None:
        raise OnnxError("MaxPool expects kernel_shape")

    def run(x: Any) -> Any:
        dims = _check_rank(call, x)
        if x.dtype.kind != "f":
            return array(run(array(x).astype(np.float32))).astype(x.dtype)
        window, spatial = windows.over(x, kernel), tuple(x.shape[2:])
        ceil = windows.ceil
        if _symmetric(window):
            widths = tuple(before for before, _ in window.padding)
            padded, rest = x, (widths, window.dilation, ceil)
        else:
            padded, plain = _padded(x, window, ceil, -math.inf)
            rest = ((0,) * dims, plain.dilation, False)
        out = _MAX[dims](padded, window.kernel, window.stride, *rest, return_indices=places)
        if not places:
            return out
        values, indices = out
        offset = (0,) * dims if padded is x else tuple(before for before, _ in window.padding)
        found = _flat_places(array(indices), padded.shape[2:], offset, spatial, by_columns)
        return values, found + _image_starts(tuple(x.shape))

    return run


def _flat_places(
    indices: Any, padded: Sequence[int], offset: Ints, spatial: Ints, by_columns: bool
) -> Any:
    """Return places in padded images as places in the images themselves."""
    found = np.unravel_index(indices, padded)
    at = [axis - shift for axis, shift in zip(found, offset, strict=True)]
    order = "F" if by_columns else "C"
    return np.ravel_multi_index(at, spatial, mode="clip", order=order)  # type: ignore[call-overload]


def _image_starts(shape: Ints) -> Any:
    """Return where each image of each channel begins in the whole input, to be broadcast."""
    N, C, *spatial = shape
    starts = np.arange(N * C, dtype=np.int64) * math.prod(spatial)
    return starts.reshape(N, C, *(1,) * len(spatial))


@operator("AveragePool")
def average_pool(call: Call) -> Run:
    """Take the mean of each window."""
    windows, with_padding = Windows(call), bool(call.integer("count_include_pad"))
    kernel = windows.kernel
    if kernel is None:
        raise OnnxError("AveragePool expects kernel_shape")

    def run(x: Any) -> Any:
        dims = _check_rank(call, x)
        window, ceil = windows.over(x, kernel), windows.ceil
        if _symmetric(window) and max(window.dilation) == 1:
            widths = tuple(before for before, _ in window.padding)
            return _AVG[dims](x, window.kernel, window.stride, widths, ceil, with_padding)
        sums = _window_sums(x, window, ceil)
        ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
        if with_padding:  # zeros of the padding count, what ceil_mode reads behind does not
            flat = [width for pair in reversed(window.padding) for width in pair]
            ones = F.pad(ones, flat, value=1.0)
            window = window._replace(padding=((0, 0),) * dims)
        return F.div(sums, _window_sums(ones, window, ceil))

    return run


def _window_sums(x: Any, window: Window, ceil: bool) -> Any:
    """Add up each window: a convolution with ones, channel by channel."""
    padded, plain = _padded(x, window, ceil, 0.0)
    channels = x.shape[1]
    ones = np.ones((channels, 1, *window.kernel), x.dtype)
    return KINDS[x.ndim - 2].conv(plain, channels)(padded, ones, None)


@operator("LpPool")
def lp_pool(call: Call) -> Run:
    """Take the p-norm of each window."""
    windows, p = Windows(call), float(call.integer("p", 2))
    kernel = windows.kernel
    if kernel is None:
        raise OnnxError("LpPool expects kernel_shape")

    def run(x: Any) -> Any:
        _check_rank(call, x)
        sums = _window_sums(F.pow(F.abs(x), p), windows.over(x, kernel), windows.ceil)
        return F.pow(sums, 1.0 / p)

    return run


def _globally(function: Callable[[Any, Ints], Any]) -> Callable[[Call], Run]:
    """Return an operator over all spatial axes at once."""
    return lambda _: lambda x: function(x, tuple(range(2, x.ndim)))


operator("GlobalAveragePool")(_globally(lambda x, axes: F.mean(x, axes, keepdim=True)))
operator("GlobalMaxPool")(_globally(lambda x, axes: F.amax(x, axes, keepdim=True)))


@operator("GlobalLpPool")
def global_lp_pool(call: Call) -> Run:
    """Take the p-norm of each channel of each image."""
    p = float(call.integer("p", 2))
    return lambda x: F.vector_norm(x, p, tuple(range(2, x.ndim)), keepdim=True)


@operator("MaxUnpool", sizes=(2,))
def max_unpool(call: Call) -> Run:
    """Put values back to where a max-pool found them; zeros elsewhere."""
    windows = Windows(call)
    kernel = windows.kernel
    if kernel is None:
        raise OnnxError("MaxUnpool expects kernel_shape")

    def run(x: Any, places: Any, shape: Any = None) -> Any:
        dims = _check_rank(call, x)
        strides = windows.strides or (1,) * dims
        pads = windows.pads or (0,) * (2 * dims)
        natural = [
            (size - 1) * s + k - pads[axis] - pads[dims + axis]
            for axis, (size, s, k) in enumerate(zip(x.shape[2:], strides, kernel, strict=True))
        ]
        inner = (*x.shape[:2], *natural)
        wanted = inner if shape is None else tuple(integers(shape))
        flat, at = F.reshape(x, -1), array(places).ravel()
        spots = np.ravel_multi_index(np.unravel_index(at, inner), wanted)
        empty = np.zeros(math.prod(wanted), x.dtype)
        return F.reshape(F.scatter(empty, 0, spots, flat), wanted)

    return run
