"""The operations. Three close under differentiation: each one's rules are the other two.

With x (N, C, *sizes), w (O, C/G, *kernel), y (N, O, *out sizes)::

    y[n, o, i] = Σ_c Σ_k  w[o, c, k] · x[n, c, i·stride + k·dilation − padding]

``conv(x, w)``, ``conv_transpose(y, w)`` (its adjoint in x) and ``conv_weight(x, y)`` (its adjoint
in w) are the one trilinear form ⟨conv(x, w), y⟩ seen from three sides, for any number of spatial
dimensions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.deferring import After, Computation, is_large, private
from tinygrad_cnn.joining import First
from tinygrad_cnn.kernels.conv import convolution as kernels
from tinygrad_cnn.kernels.pool.max_pool import max_pool
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.reduce import sum as sum_over
from tinygrad_cnn.types import Shape

__all__: list[str] = []


class _Convolution(Op):
    """What the three share: how windows lie over the input, and in how many groups channels are."""

    __slots__ = ("_known", "groups", "window")

    def __init__(self, window: Window, groups: int) -> None:
        self.window = window
        self.groups = groups
        # The shapes asked for last, and the answer: small images take little longer than asking.
        self._known: tuple[Shape, Shape, Shape, bool] | None = None

    def result_of(self, image: Shape, weight: Shape) -> tuple[Shape, bool]:
        """Return the shape of a convolution's result, and whether it is large."""
        known = self._known
        if known is None or known[0] != image or known[1] != weight:
            shape = image[0], weight[0], *self.window.out_size(image[2:])
            known = self._known = image, weight, shape, is_large(shape)
        return known[2:]

    def settings(self) -> dict[str, Any]:
        """Return the settings by name, those of the window that the weights do not show."""
        _, stride, padding, dilation = self.window
        own = super().settings()
        del own["window"]
        return {"dilation": dilation, **own, "padding": padding, "stride": stride}


class _Conv(First, _Convolution):
    """y = conv(x, w) + b."""

    __slots__ = ()
    saves = {"x": ("w",), "w": ("x",)}
    optional = True

    def forward(self, x: Any, w: Any, b: Any) -> Any:
        x, w, b = same_dtype(x, w, b)
        return kernels.convolve(x, w, b, self.window, self.groups)

    def postpone(self, arrays: list[Any], recording: bool, foreign: bool) -> tuple[Any, None]:
        x, w, b = arrays
        dtype = x.dtype
        shape, large = self.result_of(x.shape, w.shape)
        if not large:
            return None, None
        alike = w.dtype is dtype and (b is None or b.dtype is dtype)
        if not alike or dtype.char not in "fd":
            return None, None
        held = private((x, w, b), foreign)
        return Computation(self, held, shape, dtype), None

    def compute_with(
        self,
        arrays: tuple[Any, ...],
        aux: None,
        after: After,
        addend: Any,
        recorded: bool,
    ) -> tuple[Any, Any]:
        x, w, b = arrays
        settings = self.window, self.groups
        if after.pool is None:
            return kernels.convolve(x, w, b, *settings, after.write, addend), None
        if not recorded:
            block = after.pool.window.kernel
            return kernels.convolve(x, w, b, *settings, after.write, block=block), None
        y = kernels.convolve(x, w, b, *settings)
        return max_pool(y, after.pool.window, activation=after.write)

    def rescaled(self, arrays: tuple[Any, ...], scale: Any, shift: Any) -> Any:
        x, w, b = arrays
        channels = -1, *(1,) * (w.ndim - 1)
        shift = shift if b is None else b * scale + shift
        return x, w * scale.astype(x.dtype).reshape(channels), shift.astype(x.dtype)

    def backward(self, g: Any, out: Any, x: Any, w: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        settings = self.window, self.groups
        if needs[1] and type(g) is np.ndarray:  # nothing is recorded: threads start once for all
            g, x, filters = same_dtype(g, x, w if needs[0] else None)
            return kernels.gradients(g, x, filters, w.shape, *settings, bias=needs[2])
        _, transposed, weight = KINDS[g.ndim - 2]
        return (
            transposed(x.shape[1:], *settings)(g, w) if needs[0] else None,
            weight(w.shape, *settings)(x, g) if needs[1] else None,
            sum_over(g, (0, *range(2, g.ndim))) if needs[2] else None,
        )


class _ConvTranspose(_Convolution):
    """x = the adjoint of conv in its input, applied to y: the input gradient of conv.

    `image_shape` is (C, *sizes) of the result. The window's padding is such that conv makes y's
    sizes of these.
    """

    __slots__ = ("image_shape",)
    saves = {"y": ("w",), "w": ("y",)}

    def __init__(self, image_shape: Shape, window: Window, groups: int) -> None:
        super().__init__(window, groups)
        self.image_shape = image_shape

    def forward(self, y: Any, w: Any) -> Any:
        y, w = same_dtype(y, w)
        shape = len(y), *self.image_shape
        return kernels.input_gradient(y, w, shape, self.window, self.groups)

    def backward(self, g: Any, out: Any, y: Any, w: Any, *, needs: Any) -> tuple[Any, ...]:
        settings = self.window, self.groups
        conv, _, weight = KINDS[g.ndim - 2]
        return (
            conv(*settings)(g, w, None) if needs[0] else None,
            weight(w.shape, *settings)(g, y) if needs[1] else None,
        )


class _ConvWeight(_Convolution):
    """w = the adjoint of conv in its weight, applied to y: the weight gradient of conv."""

    __slots__ = ("weight_shape",)
    saves = {"x": ("y",), "y": ("x",)}

    def __init__(self, weight_shape: Shape, window: Window, groups: int) -> None:
        super().__init__(window, groups)
        self.weight_shape = weight_shape

    def forward(self, x: Any, y: Any) -> Any:
        x, y = same_dtype(x, y)
        return kernels.weight_gradient(x, y, self.weight_shape, self.window, self.groups)

    def backward(self, g: Any, out: Any, x: Any, y: Any, *, needs: Any) -> tuple[Any, ...]:
        settings = self.window, self.groups
        conv, transposed, _ = KINDS[g.ndim - 2]
        return (
            transposed(x.shape[1:], *settings)(y, g) if needs[0] else None,
            conv(*settings)(x, g, None) if needs[1] else None,
        )


class Conv1d(_Conv):
    """Signals with filters."""

    __slots__ = ()


class Conv2d(_Conv):
    """Images with filters."""

    __slots__ = ()


class Conv3d(_Conv):
    """Volumes with filters."""

    __slots__ = ()


class ConvTranspose1d(_ConvTranspose):
    """The adjoint of conv1d in its input."""

    __slots__ = ()


class ConvTranspose2d(_ConvTranspose):
    """The adjoint of conv2d in its input."""

    __slots__ = ()


class ConvTranspose3d(_ConvTranspose):
    """The adjoint of conv3d in its input."""

    __slots__ = ()


class Conv1dWeight(_ConvWeight):
    """The adjoint of conv1d in its weight."""

    __slots__ = ()


class Conv2dWeight(_ConvWeight):
    """The adjoint of conv2d in its weight."""

    __slots__ = ()


class Conv3dWeight(_ConvWeight):
    """The adjoint of conv3d in its weight."""

    __slots__ = ()


class _Kinds(NamedTuple):
    conv: type[_Conv]
    transposed: type[_ConvTranspose]
    weight: type[_ConvWeight]


KINDS = {
    1: _Kinds(Conv1d, ConvTranspose1d, Conv1dWeight),
    2: _Kinds(Conv2d, ConvTranspose2d, Conv2dWeight),
    3: _Kinds(Conv3d, ConvTranspose3d, Conv3dWeight),
}
"""The three operations, by the number of spatial dimensions."""


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
