"""Convolutions. Three ops close under differentiation: each one's rules are the other two.

With x (N, C, H, W), w (O, C/G, KH, KW), y (N, O, OH, OW)::

    y[n, o, i, j] = Σ_c Σ_u Σ_v  w[o, c, u, v] · x[n, c, i·stride + u·dilation − padding, …]

``conv2d(x, w)``, ``conv_transpose2d(y, w)`` (its adjoint in x) and ``conv2d_weight(x, y)`` (its
adjoint in w) are the one trilinear form ⟨conv2d(x, w), y⟩ seen from three sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from tinygrad_cnn.kernels.conv import convolution as kernels
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import channels_last_hint, pair, single
from tinygrad_cnn.ops.elementwise import add
from tinygrad_cnn.ops.reduce import sum as sum_over
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Operand, Pair

__all__ = ["conv1d", "conv2d", "conv_transpose2d"]
Pads = tuple[Pair, Pair]  # ((top, bottom), (left, right))


class _Convolution(Op):
    """What the three share: how windows lie over the input, and in how many groups channels are."""

    __slots__ = ("groups", "window")

    def __init__(self, window: Window, groups: int) -> None:
        self.window = window
        self.groups = groups

    def settings(self) -> dict[str, Any]:
        """Return the settings by name, those of the window that the weights do not show."""
        _, stride, padding, dilation = self.window
        own = super().settings()
        del own["window"]
        return {"dilation": dilation, **own, "padding": padding, "stride": stride}


class Conv2d(_Convolution):
    """y = conv2d(x, w) + b."""

    __slots__ = ()
    saves = {"x": ("w",), "w": ("x",)}
    optional = True

    def forward(self, x: Any, w: Any, b: Any) -> Any:
        x, w, b = same_dtype(x, w, b)
        return kernels.convolve(x, w, b, self.window, self.groups)

    def backward(self, g: Any, out: Any, x: Any, w: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        settings = self.window, self.groups
        if needs[1] and type(g) is np.ndarray:  # nothing is recorded: threads start once for all
            g, x, filters = same_dtype(g, x, w if needs[0] else None)
            return kernels.gradients(g, x, filters, w.shape, *settings, bias=needs[2])
        return (
            ConvTranspose2d(x.shape[1:], *settings)(g, w) if needs[0] else None,
            Conv2dWeight(w.shape, *settings)(x, g) if needs[1] else None,
            sum_over(g, (0, 2, 3)) if needs[2] else None,
        )


class ConvTranspose2d(_Convolution):
    """x = the adjoint of conv2d in its input, applied to y: the input gradient of conv2d."""

    __slots__ = ("image_shape",)
    saves = {"y": ("w",), "w": ("y",)}

    def __init__(self, image_shape: tuple[int, ...], window: Window, groups: int) -> None:
        super().__init__(window, groups)
        self.image_shape = image_shape  # (C, H, W) of the result

    def forward(self, y: Any, w: Any) -> Any:
        y, w = same_dtype(y, w)
        shape = (len(y), *self.image_shape)
        return kernels.input_gradient(y, w, shape, self.window, self.groups)

    def backward(self, g: Any, out: Any, y: Any, w: Any, *, needs: Any) -> tuple[Any, ...]:
        settings = self.window, self.groups
        return (
            Conv2d(*settings)(g, w, None) if needs[0] else None,
            Conv2dWeight(w.shape, *settings)(g, y) if needs[1] else None,
        )


class Conv2dWeight(_Convolution):
    """w = the adjoint of conv2d in its weight, applied to y: the weight gradient of conv2d."""

    __slots__ = ("weight_shape",)
    saves = {"x": ("y",), "y": ("x",)}

    def __init__(self, weight_shape: tuple[int, ...], window: Window, groups: int) -> None:
        super().__init__(window, groups)
        self.weight_shape = weight_shape

    def forward(self, x: Any, y: Any) -> Any:
        x, y = same_dtype(x, y)
        return kernels.weight_gradient(x, y, self.weight_shape, self.window, self.groups)

    def backward(self, g: Any, out: Any, x: Any, y: Any, *, needs: Any) -> tuple[Any, ...]:
        settings = self.window, self.groups
        return (
            ConvTranspose2d(x.shape[1:], *settings)(y, g) if needs[0] else None,
            Conv2d(*settings)(x, g, None) if needs[1] else None,
        )


def conv2d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | Literal["same", "valid"] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Any:
    """Convolve images with filters (cross-correlation, as everywhere in this field).

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    weight
        (O, C/groups, KH, KW).
    bias
        (O,), added to each channel; or None.
    stride, dilation
        Steps between windows and between the taps of a window, in pixels; int or (vertical,
        horizontal).
    padding
        Zeros around the image, in pixels: int, (vertical, horizontal), 'valid' (none), or 'same'
        (the output has the input's size; stride 1 only; an odd total puts the extra row or column
        at the bottom or right).
    groups
        Channels are cut into this many groups that do not see each other; ``groups == C`` is
        depthwise.

    Returns
    -------
    (N, O, OH, OW) with ``OH = (H + 2·padding − dilation·(KH − 1) − 1) // stride + 1``; without N
    for one image.

    Raises
    ------
    ValueError
        If shapes or settings do not fit each other.

    Notes
    -----
    Large convolutions of stride 1 use Winograd's minimal filtering, see `conv.winograd`. Its
    rounding errors are about 2.4 times those of direct sums; outputs that would be equal may differ
    by that. A NaN or an infinity makes NaNs of a few rows of outputs beside those whose window it
    is in, in its own image.

    >>> conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))).shape
    (1, 1, 2, 2)
    """
    if input.ndim == 3:
        batch = reshape(input, 1, *input.shape)
        return _drop_batch(conv2d(batch, weight, bias, stride, padding, dilation, groups))
    settings = conv2d_settings(stride, padding, dilation)
    op = checked_conv2d(tuple(input.shape), tuple(weight.shape), *settings, groups)
    if bias is not None:
        check_bias(weight, bias)
    return op(input, weight, bias)


def conv2d_settings(
    stride: int | Sequence[int], padding: int | Sequence[int] | str, dilation: int | Sequence[int]
) -> tuple[Pair, Pair | str, Pair]:
    """Return stride, padding and dilation as pairs, a padding's name as it is, or raise."""
    steps, taps = pair("conv2d", "stride", stride), pair("conv2d", "dilation", dilation)
    pads = padding if isinstance(padding, str) else pair("conv2d", "padding", padding, smallest=0)
    return steps, pads, taps


def check_bias(weight: Operand, bias: Operand) -> None:
    """Raise unless there is one bias an output channel."""
    if tuple(bias.shape) != (weight.shape[0],):
        raise ValueError(
            f"conv2d: bias expects shape ({weight.shape[0]},), got {tuple(bias.shape)}"
        )


# Each geometry is checked once: 6 of the 26 µs that (1, 1, 28, 28) by (8, 1, 3, 3) takes. Typed,
# so that groups=1.0 is refused though it equals 1.
@lru_cache(maxsize=1024, typed=True)
def checked_conv2d(
    image: tuple[int, ...],
    weight: tuple[int, ...],
    steps: Pair,
    padding: Pair | str,
    taps: Pair,
    groups: int,
) -> Conv2d:
    """Return the operation for these shapes and settings, checked."""
    _check_channels("conv2d", image, weight, groups)
    pads = _pads("conv2d", padding, steps, taps, (weight[2], weight[3]))
    for axis, (before, after) in enumerate(pads):
        size = image[2 + axis] + before + after
        extent = taps[axis] * (weight[2 + axis] - 1) + 1
        if size < extent:
            raise ValueError(
                f"conv2d: a window of {extent} pixels does not fit the padded input's {size} "
                f"(input {image}, weight {weight})"
            )
    return Conv2d(Window((weight[2], weight[3]), steps, pads, taps), groups)


def conv1d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | Literal["same", "valid"] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Any:
    """Convolve signals with filters; the arguments are those of `conv2d` with one dimension.

    Parameters
    ----------
    input
        (N, C, L), or one signal (C, L).
    weight
        (O, C/groups, K).

    Returns
    -------
    (N, O, OL), without N for one signal.

    >>> conv1d(np.ones((1, 1, 5)), np.ones((1, 1, 3)))
    array([[[3., 3., 3.]]])
    """
    if input.ndim == 2:
        batch = reshape(input, 1, *input.shape)
        return _drop_batch(conv1d(batch, weight, bias, stride, padding, dilation, groups))
    if input.ndim != 3 or weight.ndim != 3:
        raise ValueError(
            "conv1d: expects input (N, C, L) and weight (O, C/groups, K), "
            f"got shapes {tuple(input.shape)} and {tuple(weight.shape)}"
        )
    step, tap = single("conv1d", "stride", stride), single("conv1d", "dilation", dilation)
    if not isinstance(padding, str):
        padding = (0, single("conv1d", "padding", padding, smallest=0))
    images = reshape(input, (*input.shape[:2], 1, input.shape[2]))  # (N, C, 1, L)
    filters = reshape(weight, (*weight.shape[:2], 1, weight.shape[2]))  # (O, C/groups, 1, K)
    y = conv2d(images, filters, bias, (1, step), padding, (1, tap), groups)
    return reshape(y, (*y.shape[:2], y.shape[3]))  # (N, O, OL)


def conv_transpose2d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Any:
    """Spread images through filters: the adjoint of `conv2d`, also called deconvolution.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    weight
        (C, O/groups, KH, KW).
    bias
        (O,), or None.
    stride, padding, dilation, groups
        Those of the convolution that this one turns round.
    output_padding
        Rows and columns added at the bottom and right of the output, less than stride or
        dilation: a strided convolution maps several sizes to one, and this chooses among them.

    Returns
    -------
    (N, O, OH, OW) with
    ``OH = (H − 1)·stride − 2·padding + dilation·(KH − 1) + output_padding + 1``.

    Raises
    ------
    ValueError
        If shapes or settings do not fit each other.

    >>> conv_transpose2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), stride=2).shape
    (1, 1, 4, 4)
    """
    name = "conv_transpose2d"
    if input.ndim == 3:
        batch = reshape(input, 1, *input.shape)
        y = conv_transpose2d(batch, weight, bias, stride, padding, output_padding, groups, dilation)
        return _drop_batch(y)
    steps, taps = pair(name, "stride", stride), pair(name, "dilation", dilation)
    pads = pair(name, "padding", padding, smallest=0)
    extra = pair(name, "output_padding", output_padding, smallest=0)
    if input.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            f"{name}: expects input (N, C, H, W) and weight (C, O/groups, KH, KW), "
            f"got shapes {tuple(input.shape)} and {tuple(weight.shape)}"
        )
    if input.shape[1] != weight.shape[0] or groups < 1 or weight.shape[0] % groups:
        raise ValueError(
            f"{name}: weight of shape {tuple(weight.shape)} with groups={groups} expects "
            f"{weight.shape[0]} input channels, got input of shape {tuple(input.shape)}"
            + channels_last_hint(tuple(input.shape), weight.shape[0])
        )
    sizes = []
    for axis in range(2):
        if extra[axis] >= max(steps[axis], taps[axis]):
            raise ValueError(
                f"{name}: output_padding {extra} must be smaller than stride {steps} or "
                f"dilation {taps}"
            )
        span = (input.shape[2 + axis] - 1) * steps[axis] - 2 * pads[axis]
        sizes.append(span + taps[axis] * (weight.shape[2 + axis] - 1) + extra[axis] + 1)
    if min(sizes) < 1:
        raise ValueError(f"{name}: the output would have size {tuple(sizes)}")
    O = weight.shape[1] * groups
    if bias is not None and tuple(bias.shape) != (O,):
        raise ValueError(f"{name}: bias expects shape ({O},), got {tuple(bias.shape)}")
    both_sides = ((pads[0], pads[0]), (pads[1], pads[1]))
    window = Window((weight.shape[2], weight.shape[3]), steps, both_sides, taps)
    op = ConvTranspose2d((O, sizes[0], sizes[1]), window, groups)
    y = op(input, weight)
    return y if bias is None else add(y, reshape(bias, 1, O, 1, 1))


def _pads(function: str, padding: Pair | str, stride: Pair, dilation: Pair, kernel: Pair) -> Pads:
    """Return the padding of each side of each axis."""
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        if padding != "same":
            raise ValueError(
                f"{function}: padding expects ints, 'same' or 'valid', got {padding!r}"
            )
        if stride != (1, 1):
            raise ValueError(f"{function}: padding='same' needs stride 1, got {stride}")
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        vertical, horizontal = [(total // 2, total - total // 2) for total in totals]
        return vertical, horizontal
    top, left = padding
    return (top, top), (left, left)


def _check_channels(
    function: str, image: tuple[int, ...], weight: tuple[int, ...], groups: int
) -> None:
    if len(image) != 4 or len(weight) != 4:
        raise ValueError(
            f"{function}: expects input (N, C, H, W) or (C, H, W) and weight "
            f"(O, C/groups, KH, KW), got shapes {image} and {weight}"
        )
    O, I = weight[:2]
    if not isinstance(groups, (int, np.integer)) or groups < 1 or O % groups:
        raise ValueError(
            f"{function}: groups expects a positive int that divides the {O} output channels, "
            f"got {groups}"
        )
    if image[1] != I * groups:
        raise ValueError(
            f"{function}: weight expects {I * groups} input channels, got input of shape {image}"
            + channels_last_hint(image, I * groups)
        )
    if 0 in weight:
        raise ValueError(f"{function}: weight of shape {weight} is empty")


def same_dtype(*arrays: Any) -> tuple[Any, ...]:
    """Bring operands to one floating dtype; integers (pixels) follow the others."""
    first = arrays[0].dtype
    if first.kind == "f":
        for a in arrays:
            if a is not None and a.dtype is not first:
                break
        else:
            return arrays
    floats = [a.dtype for a in arrays if a is not None and a.dtype.kind == "f"]
    dtype = np.result_type(*floats) if floats else np.dtype(np.float32)
    return tuple(a if a is None else a.astype(dtype, copy=False) for a in arrays)


def _drop_batch(y: Any) -> Any:
    return reshape(y, y.shape[1:])
