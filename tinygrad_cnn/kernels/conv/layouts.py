"""Layouts: how the windows of a convolution become the rows of a matrix, and its weights another.

Which one is quickest depends on the numbers of channels and the sizes; `choose_layout` compares
estimates. Weights are (KH, KW, C, O) here.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.conv.products import product_cost
from tinygrad_cnn.kernels.runtime.memory import aligned_empty
from tinygrad_cnn.kernels.runtime.rows import ROW, repeated

__all__ = [
    "SLACK",
    "Layout",
    "Window",
    "choose_layout",
    "fold_weights",
    "possible_layouts",
    "repeated_bias",
    "spread_weights",
]

Array = npt.NDArray[Any]
Pair = tuple[int, int]

# Pixels that ungathered windows may read behind an image; also the most products they make of one.
SLACK = 128
# ns to add one value of a further product. Rows of 64 values, added out of order: (32, 4, 16, 16)
# by (4, 4, 3, 3), by row 149 µs, otherwise 124, at 0.12 by row seemed the better.
_ADD = 0.2
# ns to spread the weights for a span, or to fold them; as much to add products by row, and twice as
# much for tiles that are not gathered.
# One image, 32×32, 1 → 1 channel, 5×5, by spans of 16 49 µs, by tap 27.
_SETUP = 5_000
# Below this BLAS reads transposed weights at least as quickly: 8192 windows of 9 values, 4
# channels, 20 µs -> 11; 6272 windows, 16 channels, 19 -> 25.
_NARROW = 16


# Positions up to which a bias is added as it is: 512 of 8 channels take 5 µs, along a row 8.
_FEW = 512


class Window(NamedTuple):
    """How windows lie over an input.

    Tap (kh, kw) of the window of output (oh, ow) is the input element at row
    ``oh * stride[0] + kh * dilation[0] - origin[0]``, and likewise its column. Elements outside
    the input are zeros, so `origin` is the padding on top and on the left; negative crops.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    origin: Pair

    def extent(self, axis: int, length: int) -> int:
        """Return how many input rows (axis 0) or columns (1) `length` outputs read."""
        reach = (self.kernel[axis] - 1) * self.dilation[axis]
        return (length - 1) * self.stride[axis] + reach + 1


class Layout(NamedTuple):
    """How windows become the rows of a matrix.

    One row serves `span` neighbouring outputs: it holds the `length` input columns, `step`
    apart, that their windows cover, and the weights are spread into a band matrix of `span`·O
    columns. If `by_row`, the rows hold one input row each and KH products are added; otherwise
    they hold all KH rows of the window. `cost` is an estimate in ns for one output position.

    With a `pitch` nothing is gathered. Rows of the padded input stand `pitch` columns apart, and
    the window row of a position begins at it: KW·C values, which overlap with its neighbour's.
    BLAS takes matrices whose rows do not overlap: every m-th position, m ≥ KW, so m products
    replace one. The positions between two rows of outputs are computed and thrown away.

    If `by_tap`, the matrix is stored transposed: a row of memory holds one tap of all positions.
    """

    span: int
    length: int
    step: int
    by_row: bool
    cost: float
    pitch: int = 0
    by_tap: bool = False


@lru_cache(maxsize=1024)
def choose_layout(
    width: int,
    out_size: tuple[int, int, int],
    channels: Pair,
    window: Window,
    sums: bool = True,
    by_window: bool = False,
) -> Layout:
    """Choose the cheapest layout for inputs of `width`, (N, OH, OW) outputs, (C, O) `channels`.

    `sums` says whether the KH products of a layout by row have to be added: for the weight's
    gradient they need not, each belongs to weights of its own. `by_window` asks for a matrix of
    which each row is the window of one output.

    Few channels make short rows and narrow products: spans help (28×28, 1 → 16 channels, 3×3:
    1.5 ms at span 1, 0.9 at 2). Many channels make copying dear: then one input row at a time,
    copied once instead of KH times, is better (32×32, 16 → 16: 11.5 ms against 8.2).
    """
    layouts = possible_layouts(width, out_size, channels, window, sums)
    if by_window:
        layouts = [layout for layout in layouts if layout.span == 1 and not layout.by_row]
    return min(layouts, key=lambda layout: layout.cost)


def possible_layouts(
    width: int,
    out_size: tuple[int, int, int],
    channels: Pair,
    window: Window,
    sums: bool,
) -> list[Layout]:
    """Return the layouts that `choose_layout` chooses from."""
    (N, OH, OW), (C, out_channels) = out_size, channels
    KH, KW = window.kernel
    setup = _SETUP / (N * OH * OW)
    layouts = []
    for span in (t for t in range(1, min(OW, 16) + 1) if OW % t == 0):
        step = window.dilation[1] if span == 1 else 1
        length = KW if span == 1 else window.extent(1, span)
        copied, columns = length * C, span * out_channels
        copy = 1.5 + 0.115 * copied  # one block of memory, see `copies`
        once = setup if span > 1 else 0.0
        cost = once + (KH * copy + product_cost(KH * copied, columns)) / span
        layouts.append(Layout(span, length, step, False, cost))
        if KH > 1 and window.stride[0] == 1:
            rows = window.extent(0, OH) / OH
            products = KH * (product_cost(copied, columns) + (_ADD * columns if sums else 0.0))
            cost = once + setup + (rows * copy + products) / span
            layouts.append(Layout(span, length, step, True, cost))
    if C == 1:
        layouts.append(_by_tap(OW, out_channels, window))
    if KH > 1 and KW > 1 and window.stride == (1, 1) and window.dilation[1] == 1:
        layout = _ungathered(width, (OH, OW), channels, window, sums)
        layouts.append(layout._replace(cost=2 * setup + layout.cost))
    return layouts


# One image, 28×28, 1 → 8 channels, 3×3: 21 µs by window, 17 by tap; 128 of them, 1 → 16: 1.35 ms
# and 0.86, the weight's gradient 0.98 and 0.72. 32 of them, 32×32, 1 → 4, stride 2, take 60 µs
# either way, but what follows reads planes in half the time: a step of `regression` 482 µs -> 443.
def _by_tap(OW: int, out_channels: int, window: Window) -> Layout:
    KH, KW = window.kernel
    taps = KH * KW
    copy = 6.5 * taps / OW  # a line of OW values is copied in 6.5 ns, whatever its length
    product = product_cost(taps, out_channels)
    if out_channels < _NARROW:
        product = 0.035 * taps * out_channels
    return Layout(1, KW, window.dilation[1], False, copy + product, by_tap=True)


# Two threads, forward and weight gradient, gathered and not: (128, 16, 32, 32) → 16, 3×3, 5.5 and
# 4.5 ms, 4.2 and 3.6; (128, 32, 16, 16) → 32 the same within 5 %.
def _ungathered(width: int, out_size: Pair, channels: Pair, window: Window, sums: bool) -> Layout:
    (OH, OW), (C, out_channels) = out_size, channels
    KH, KW = window.kernel
    left, padded = window.origin[1], window.extent(1, OW)
    # Zeros right of a row of the input serve as those left of the next.
    pitch = padded - max(0, min(left, padded - left - width, SLACK // 2))
    wasteful = ((OH - 1) * pitch + OW) / (OH * OW)
    product = product_cost(KW * C, out_channels) + (0.12 * out_channels if sums else 0.0)
    copied = C if sums else C + out_channels  # the gradient by the output is padded as well
    copies = window.extent(0, OH) / OH * (1.0 + 0.13 * copied)
    return Layout(1, KW, 1, True, copies + KH * wasteful * product, pitch)


def _band(spread: Array, window: Window, layout: Layout, out_channels: int) -> Array:
    """View the places in `spread` (KH, length, C, span, O) that hold weights.

    The view's shape is (KH, KW, span, C, O): tap kw of output t lies at column
    ``t * stride + kw * dilation`` of the row.
    """
    KH, KW = window.kernel
    row, column, channel, output, _ = spread.strides
    tap = column if layout.span == 1 else window.dilation[1] * column
    return np.ndarray(
        (KH, KW, layout.span, spread.shape[2], out_channels),
        spread.dtype,
        spread,
        strides=(row, tap, output + window.stride[1] * column, channel, spread.itemsize),
    )


def spread_weights(w: Array, window: Window, layout: Layout) -> Array:
    """Arrange weights (KH, KW, C, O) for the layout's rows.

    Returns (KH or 1, depth, span·O), with the first axis as long as the products to be added.
    """
    KH, _, C, out_channels = w.shape
    if layout.by_tap and out_channels < _NARROW:
        spread = w
    elif layout.span == 1:
        spread = aligned_empty(w.shape, w.dtype)
        spread[...] = w
    else:
        spread = np.zeros((KH, layout.length, C, layout.span, out_channels), w.dtype)
        _band(spread, window, layout, out_channels)[...] = w[:, :, None]
    return spread.reshape(KH if layout.by_row else 1, -1, layout.span * out_channels)


def fold_weights(spread: Array, channels: Pair, window: Window, layout: Layout) -> Array:
    """Add up what `spread_weights` spread: its adjoint. Returns (KH, KW, C, O)."""
    C, out_channels = channels
    if layout.span == 1:
        return spread.reshape(*window.kernel, C, out_channels)
    spread = np.ascontiguousarray(spread).reshape(
        window.kernel[0], layout.length, C, layout.span, out_channels
    )
    folded: Array = _band(spread, window, layout, out_channels).sum(axis=2)
    return folded


def repeated_bias(bias: Array, out_shape: tuple[int, ...]) -> Array:
    """Repeat a bias (O,) along a row, for outputs of shape (N, OH, OW, O), where there are many."""
    positions = math.prod(out_shape[:-1])
    if positions <= _FEW or bias.size == 1:
        return bias
    return repeated(bias, min(positions, -(-ROW // bias.size)), bias.dtype)
