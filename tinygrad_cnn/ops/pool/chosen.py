"""Elements that are named by their positions: taken, put back, and pools that are made of both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.pool import chosen as kernels
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import names_operands, values_of, without_graph
from tinygrad_cnn.ops.batching import takes_one_example
from tinygrad_cnn.ops.conv.arguments import SIZES, per_axis
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.pool.arguments import Size, check_image
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.types import Array, Operand, Shape

__all__ = ["fractional_max_pool2d", "max_unpool1d", "max_unpool2d", "max_unpool3d"]


class ChosenMaximum(Op):
    """The maximum of each of some regions: a derived class says where it is."""

    __slots__ = ()
    has_aux = True  # the positions

    @abstractmethod
    def find(self, x: Any) -> Array:
        """Return the position of each region's maximum."""

    def forward(self, x: Any) -> Any:
        indices = self.find(x)
        return kernels.take_at(x, indices), indices

    def choice(self, x: Any) -> Any:
        return self.find(x)

    def backward(self, g: Any, out: Any, x: Any, *, aux: Any) -> tuple[Any, ...]:
        return (PutAt(aux, x.shape[2:])(g),)


def with_indices(op: ChosenMaximum, input: Operand, return_indices: bool) -> Any:
    """Apply a pool, and return also the positions if they are wanted."""
    y = op(input)
    return (y, without_graph(input, op.find(values_of(input)))) if return_indices else y


class TakeAt(Op):
    """The elements at these positions of the last axes."""

    __slots__ = ("indices",)

    def __init__(self, indices: Array) -> None:
        self.indices = indices

    def forward(self, x: Any) -> Any:
        return kernels.take_at(x, self.indices)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (PutAt(self.indices, x.shape[2:])(g),)


class PutAt(Op):
    """Elements added up where their positions are: the adjoint of taking them."""

    __slots__ = ("indices", "sizes")

    def __init__(self, indices: Array, sizes: Shape) -> None:
        self.indices = indices
        self.sizes = sizes

    def forward(self, y: Any) -> Any:
        return kernels.put_at(y, self.indices, self.sizes)

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (TakeAt(self.indices)(g),)


def _max_unpool(
    dims: int,
    input: Operand,
    indices: Operand,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    output_size: Sequence[int] | None,
) -> Any:
    function = f"max_unpool{dims}d"
    if input.ndim == dims + 1:
        batch = reshape(input, 1, *input.shape), reshape(indices, 1, *indices.shape)
        y = _max_unpool(dims, *batch, kernel_size, stride, padding, output_size)
        return reshape(y, y.shape[1:])
    shape = tuple(input.shape)
    check_image(function, dims, shape, input.dtype)
    kernel = per_axis(function, "kernel_size", kernel_size, dims)
    steps = kernel if stride is None else per_axis(function, "stride", stride, dims)
    widths = per_axis(function, "padding", padding, dims, smallest=0)
    axes = zip(shape[2:], kernel, steps, widths, strict=True)
    sizes = tuple((n - 1) * step - 2 * width + k for n, k, step, width in axes)
    if output_size is not None:
        wanted = tuple(output_size)[-dims:]
        sizes = _near(function, wanted, sizes, steps)
    index = np.asarray(values_of(indices))
    if index.shape != shape or index.dtype.kind not in "iu":
        raise ValueError(
            f"{function}: indices expects integers of the input's shape {shape}, got "
            f"{index.dtype} of shape {index.shape}"
        )
    count = int(np.prod(sizes))
    if index.size and not 0 <= index.min() <= index.max() < count:
        raise ValueError(
            f"{function}: indices expects positions in an output of {sizes}, 0 to {count - 1}, "
            f"got {index.min()} to {index.max()}"
        )
    last = kernels.last_writers(index, count)
    return PutAt(index, sizes)(input if last.all() else where(last, input, 0.0))


def _near(function: str, wanted: Shape, default: Shape, stride: Shape) -> Shape:
    fits = len(wanted) == len(default) and all(
        size - step < asked < size + step
        for asked, size, step in zip(wanted, default, stride, strict=True)
    )
    if not fits:
        raise ValueError(
            f"{function}: output_size expects {SIZES[len(default)]} less than a stride {stride} "
            f"away from {default}, got {wanted}"
        )
    return tuple(int(size) for size in wanted)


@names_operands
def max_unpool2d(
    input: Operand,
    indices: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Any:
    """Put maxima back where `max_pool2d` found them, zeros elsewhere.

    Where one position is named twice, the last element stays and takes the whole gradient.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    indices
        Integers of that shape: ``row · W + column`` of the output, as ``return_indices`` gives.
    kernel_size, stride, padding
        As `max_pool2d` had them.
    output_size
        (…, OH, OW) where several sizes are pooled to one; by default
        ``(H − 1)·stride − 2·padding + kernel``.

    Returns
    -------
    (N, C, OH, OW), without N for one image.

    Raises
    ------
    ValueError
        If indices have another shape or lie outside, or the output size cannot be.

    >>> import numpy as np
    >>> max_unpool2d(np.array([[[[5.0]]]]), np.array([[[[3]]]]), 2)
    array([[[[0., 0.],
             [0., 5.]]]])
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@names_operands
def max_unpool1d(
    input: Operand,
    indices: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Any:
    """Put maxima back where `max_pool1d` found them; see `max_unpool2d`.

    Parameters
    ----------
    input, indices
        (N, C, L), or (C, L).
    kernel_size, stride, padding, output_size
        As for `max_unpool2d`, with one dimension.

    Returns
    -------
    (N, C, OL), without N for one signal.

    Raises
    ------
    ValueError
        If indices have another shape or lie outside, or the output size cannot be.

    >>> import numpy as np
    >>> max_unpool1d(np.array([[[5.0, 7.0]]]), np.array([[[1, 2]]]), 2)
    array([[[0., 5., 7., 0.]]])
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@names_operands
def max_unpool3d(
    input: Operand,
    indices: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Any:
    """Put maxima back where `max_pool3d` found them; see `max_unpool2d`.

    Parameters
    ----------
    input, indices
        (N, C, D, H, W), or (C, D, H, W).
    kernel_size, stride, padding, output_size
        As for `max_unpool2d`, with three dimensions.

    Returns
    -------
    (N, C, OD, OH, OW), without N for one volume.

    Raises
    ------
    ValueError
        If indices have another shape or lie outside, or the output size cannot be.

    >>> import numpy as np
    >>> max_unpool3d(np.full((1, 1, 1, 1, 1), 5.0), np.full((1, 1, 1, 1, 1), 7), 2).sum()
    np.float64(5.0)
    """
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


class FractionalMaxPool2d(ChosenMaximum):
    """The maximum of windows that begin at steps that vary."""

    __slots__ = ("columns", "kernel_size", "rows")

    def __init__(self, kernel_size: Shape, rows: Array, columns: Array) -> None:
        self.kernel_size = kernel_size
        self.rows = rows  # (N, C, OH): where windows begin
        self.columns = columns  # (N, C, OW)

    def find(self, x: Any) -> Array:
        """Return the position of each window's maximum."""
        return kernels.fractional_max_pool(x, self.kernel_size, [self.rows, self.columns])


@takes_one_example(ndim=4)
def fractional_max_pool2d(
    input: Operand,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Operand | None = None,
    generator: np.random.Generator | None = None,
) -> Any:
    """Take the maximum of windows that begin at random steps: the output may have any size.

    B. Graham, Fractional Max-Pooling, 2014. Along an axis of H elements, window i of n begins at
    ``⌊(i + u)·a⌋ − ⌊u·a⌋`` with ``a = (H − kernel)/(n − 1)`` and u drawn for each channel of each
    image; the last one ends with the axis.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    kernel_size
        int or (KH, KW).
    output_size, output_ratio
        One of them: how many windows, int or (OH, OW); or that as a part of the input's size,
        between 0 and 1.
    return_indices
        Return also the chosen positions, as ``row · W + column`` of the input.
    _random_samples
        The u of width and height, (N, C, 2), from 0 to 1; drawn if None.
    generator
        Draws them; the package's default generator if None.

    Returns
    -------
    (N, C, OH, OW), and with return_indices int64 positions of that shape.

    Raises
    ------
    ValueError
        If not one of output_size and output_ratio is given, or a window does not fit.

    >>> import numpy as np
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> fractional_max_pool2d(x, 2, output_size=2, _random_samples=np.full((1, 1, 2), 0.5))
    array([[[[4., 5.],
             [7., 8.]]]])
    """
    name = "fractional_max_pool2d"
    shape = tuple(input.shape)
    check_image(name, 2, shape, input.dtype)
    kernel = per_axis(name, "kernel_size", kernel_size, 2)
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{name}: expects one of output_size and output_ratio")
    if output_ratio is not None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * 2
        if len(ratios) != 2 or not all(0 < float(ratio) < 1 for ratio in ratios):
            raise ValueError(
                f"{name}: output_ratio expects numbers between 0 and 1, got {output_ratio}"
            )
        pairs = zip(shape[2:], ratios, strict=True)
        output_size = tuple(int(size * float(ratio)) for size, ratio in pairs)
    outputs = per_axis(name, "output_size", output_size, 2)
    for size, length, count in zip(shape[2:], kernel, outputs, strict=True):
        if count + length - 1 > size:
            raise ValueError(
                f"{name}: {outputs} windows of {kernel} do not fit input of shape {shape}"
            )
    if _random_samples is None:
        generator = default_generator() if generator is None else generator
        samples = generator.random((*shape[:2], 2)).astype(input.dtype)
    else:
        samples = np.asarray(values_of(_random_samples), input.dtype)
    if samples.shape != (*shape[:2], 2):
        raise ValueError(
            f"{name}: _random_samples expects shape {(*shape[:2], 2)}, got {samples.shape}"
        )
    axes = zip(shape[2:], kernel, outputs, (samples[..., 1], samples[..., 0]), strict=True)
    rows, columns = (kernels.fractional_starts(*axis) for axis in axes)
    return with_indices(FractionalMaxPool2d(kernel, rows, columns), input, return_indices)
