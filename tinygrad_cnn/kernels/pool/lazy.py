"""The gradient behind a max-pool, not computed yet: zeros, but for one number a window.

Where a ReLU and a pool follow a normalisation the pool is computed first, see `deferring`: the ReLU
has fewer elements to look at. In the backward pass, too, it is worth to wait: what the rules of the
ReLU and of the normalisation multiply and sum up is as small as the pool's result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.pointwise.activation import relu_gradient
from tinygrad_cnn.kernels.pool.max_pool import put_argmax
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.types import Array, Shape

__all__ = ["LazyGradient"]


@dataclass(slots=True, frozen=True)
class LazyGradient:
    """The gradient of a ReLU's result, or of its input, of which a max-pool chose some elements.

    `g` is the gradient of the pool's result `pooled`, which is behind the ReLU; `argmax` is what
    the pool chose before the ReLU, and `shape` is that of its input. As gradient of the ReLU's
    input it is not 0 only where that is an element of `pooled`.

    >>> window = Window((2,), (2,), ((0, 0),), (1,))
    >>> argmax, pooled = np.array([[[0, 1]]], np.uint8), np.array([[[0.0, 2.0]]])
    >>> g = LazyGradient(np.array([[[3.0, 4.0]]]), argmax, pooled, (1, 1, 4), window)
    >>> g.array(), g.before_relu().array()
    (array([[[3., 0., 0., 4.]]]), array([[[0., 0., 0., 4.]]]))
    """

    g: Array
    argmax: Array
    pooled: Array
    shape: Shape
    window: Window
    is_before_relu: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype."""
        return self.g.dtype

    def before_relu(self) -> LazyGradient:
        """Return the gradient of the ReLU's input, this being that of its result."""
        return replace(self, g=relu_gradient(self.g, self.pooled), is_before_relu=True)

    def array(self) -> Array:
        """Compute it: a new array each time."""
        argmax = self.argmax
        if not self.is_before_relu:
            first = argmax.dtype.type(0)  # of zeros alone the first is the maximum
            argmax = np.where(self.pooled == 0, first, argmax)
        return put_argmax(self.g, argmax, self.shape, self.window)
