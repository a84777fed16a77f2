"""Max-pooling: picks by index; taking by it and putting back by it are each other's adjoints."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_cnn.deferring import After, Computation
from tinygrad_cnn.joining import join
from tinygrad_cnn.kernels.pool import max_pool as kernels
from tinygrad_cnn.kernels.pool.lazy import LazyGradient
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.activation import Relu
from tinygrad_cnn.ops.arguments import are_plain, values_of, without_graph
from tinygrad_cnn.ops.batching import takes_one_example
from tinygrad_cnn.ops.pool.arguments import Size, window_of
from tinygrad_cnn.types import Array, Operand, Shape

__all__ = ["max_pool1d", "max_pool2d", "max_pool3d"]


class _MaxPool(Op):
    """The maximum of each window; the first one, row by row, takes the whole gradient."""

    __slots__ = ("_tiles", "ceil_mode", "window")
    has_aux = True  # which element of each window was chosen

    def __init__(self, window: Window, ceil_mode: bool) -> None:
        self.window = window
        self.ceil_mode = ceil_mode
        # Whether windows of images lie side by side, none over an edge.
        kernel, stride, padding, dilation = window
        plain = padding == ((0, 0), (0, 0)) and dilation == (1, 1)
        self._tiles = plain and kernel == stride and not ceil_mode

    def settings(self) -> dict[str, Any]:
        """Return the settings by name."""
        return {"ceil_mode": self.ceil_mode, **by_name(self.window)}

    def forward(self, x: Any) -> Any:
        return kernels.max_pool(x, self.window, self.ceil_mode)

    def infer(self, x: Any) -> Any:
        return kernels.max_pool_values(x, self.window, self.ceil_mode)

    def choice(self, x: Any) -> Any:
        return self.forward(x)[1]

    def join(self, computation: Computation) -> Any:
        pool, adds, activation = computation.after
        if not self._tiles or pool is not None or adds or not _keeps_order(activation):
            return None
        N, C, height, width = computation.shape
        down, across = self.window.kernel
        return After(self, False, activation), (N, C, height // down, width // across)

    def backward(self, g: Any, out: Any, x: Any, *, aux: Any) -> tuple[Any, ...]:
        if type(aux) is tuple:  # it was computed before the ReLU that it was called after
            aux, unkept = aux
            if type(g) is np.ndarray and unkept.pooled is not None:
                return (LazyGradient(g, aux, unkept.pooled, x.shape, self.window),)
            aux = self.choice(unkept.value())
        return (PutArgmax(aux, x.shape, self.window)(g),)


def _keeps_order(activation: Op | None) -> bool:
    """Whether an activation may as well come after the pool."""
    return activation is None or type(activation) is Relu  # whose rule knows of it


def by_name(window: Window) -> dict[str, Any]:
    """Return a pool's settings by name, as its function takes them."""
    kernel, stride, padding, dilation = window
    sides = tuple(before for before, _ in padding)
    return {"dilation": dilation, "kernel_size": kernel, "padding": sides, "stride": stride}


class MaxPool1d(_MaxPool):
    """The maximum of each window of signals."""

    __slots__ = ()


class MaxPool2d(_MaxPool):
    """The maximum of each window of images."""

    __slots__ = ()


class MaxPool3d(_MaxPool):
    """The maximum of each window of volumes."""

    __slots__ = ()


KINDS: dict[int, type[_MaxPool]] = {1: MaxPool1d, 2: MaxPool2d, 3: MaxPool3d}


class _ByArgmax(Op):
    """One chosen element a window, by its number in the window."""

    __slots__ = ("argmax", "image_shape", "window")

    def __init__(self, argmax: Array, image_shape: Shape, window: Window) -> None:
        self.argmax = argmax
        self.image_shape = image_shape
        self.window = window

    def settings(self) -> dict[str, Any]:
        """Return the settings by name."""
        own = super().settings()
        del own["window"]
        return {**own, **by_name(self.window)}


class PutArgmax(_ByArgmax):
    """Write each window's value to the position of its maximum, adding where windows overlap."""

    __slots__ = ()

    def forward(self, y: Any) -> Any:
        return kernels.put_argmax(y, self.argmax, self.image_shape, self.window)

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (TakeArgmax(self.argmax, self.image_shape, self.window)(g),)


class TakeArgmax(_ByArgmax):
    """Read the chosen element of each window."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        return kernels.take_argmax(x, self.argmax, self.window)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (PutArgmax(self.argmax, self.image_shape, self.window)(g),)


def checked_max_pool(
    dims: int,
    shape: Shape,
    dtype: Any,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
) -> Any:
    """Return the operation for inputs (N, C, *sizes) of this shape and dtype, or raise."""
    settings = kernel_size, stride, padding, dilation, ceil_mode
    return _operation(
        dims, window_of(f"max_pool{dims}d", dims, shape, dtype, *settings), bool(ceil_mode)
    )


_looked_up = lru_cache(maxsize=1024, typed=True)(checked_max_pool)


@lru_cache(maxsize=1024)
def _operation(dims: int, window: Window, ceil_mode: bool) -> Any:
    return KINDS[dims](window, ceil_mode)


def _max_pool(dims: int, input: Operand, return_indices: bool, *settings: Any) -> Any:
    waits = getattr(input, "deferred", False)
    like = input if waits else values_of(input)
    check = _looked_up if are_plain(settings) else checked_max_pool
    op = check(dims, tuple(like.shape), like.dtype, *settings)
    if not return_indices:
        y = join(op, input) if waits else None
        return op(input) if y is None else y
    y = op(input)
    x = values_of(input)
    indices = kernels.flat_indices(op.choice(x), x.shape[2:], op.window)
    return y, without_graph(input, indices)


@takes_one_example(ndim=4)
def max_pool2d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the maximum of each window; a NaN in a window is its maximum.

    At ties the first element, row by row, takes the whole gradient.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    kernel_size, stride, padding, dilation
        In pixels, int or (vertical, horizontal); stride defaults to kernel_size; padding, at most
        half of the kernel, is never chosen.
    ceil_mode
        Keep a last window that hangs over the edge.
    return_indices
        Return also the chosen positions, as ``row · W + column`` of the input.

    Returns
    -------
    (N, C, OH, OW), and with return_indices int64 positions of that shape: a tensor where the
    input is one.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> import numpy as np
    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    settings = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool(2, input, return_indices, *settings)


@takes_one_example(ndim=3)
def max_pool1d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the maximum of each window of signals; arguments as for `max_pool2d`.

    Parameters
    ----------
    input
        (N, C, L), or one signal (C, L).
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As for `max_pool2d`, with one dimension.

    Returns
    -------
    (N, C, OL), and with return_indices int64 positions of that shape.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> import numpy as np
    >>> max_pool1d(np.array([[[1.0, 4.0, 2.0, 3.0]]]), 2)
    array([[[4., 3.]]])
    """
    settings = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool(1, input, return_indices, *settings)


@takes_one_example(ndim=5)
def max_pool3d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the maximum of each window of volumes; arguments as for `max_pool2d`.

    Parameters
    ----------
    input
        (N, C, D, H, W), or one volume (C, D, H, W).
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As for `max_pool2d`, with three dimensions.

    Returns
    -------
    (N, C, OD, OH, OW), and with return_indices int64 positions of that shape.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> import numpy as np
    >>> max_pool3d(np.arange(8.0).reshape(1, 1, 2, 2, 2), 2).item()
    7.0
    """
    settings = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool(3, input, return_indices, *settings)
