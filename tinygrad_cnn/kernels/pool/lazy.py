"""The gradient that a max-pool hands to the ReLU before it, not computed yet.

Where both follow a convolution the pool is computed first, see `deferring`: the ReLU has fewer
elements to look at. So it has in the backward pass, if the pool's gradient waits for its rule.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.kernels.pool.argmax import put_argmax
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.types import Array, Shape

__all__ = ["LazyGradient"]


class LazyGradient:
    """The gradient of a ReLU's result, of which a max-pool chose some elements.

    Parameters
    ----------
    g
        Gradient of the pool's result, shape (N, C, *out sizes).
    argmax
        What the pool chose before the ReLU, as `max_pool` returns it.
    pooled
        The pool's result, behind the ReLU.
    shape, window
        Of the pool's input, and of the pool.

    Examples
    --------
    >>> x, window = np.array([[[-1.0, -2.0, 1.0, 2.0]]]), Window((2,), (2,), ((0, 0),), (1,))
    >>> argmax, pooled = np.array([[[0, 1]]], np.uint8), np.array([[[0.0, 2.0]]])
    >>> g = LazyGradient(np.array([[[3.0, 4.0]]]), argmax, pooled, x.shape, window)
    >>> g.array(), g.before_relu()
    (array([[[3., 0., 0., 4.]]]), array([[[0., 0., 0., 4.]]]))
    """

    __slots__ = ("_argmax", "_array", "_g", "_pooled", "_window", "dtype", "shape")

    def __init__(
        self, g: Array, argmax: Array, pooled: Array, shape: Shape, window: Window
    ) -> None:
        self._g, self._argmax, self._pooled, self._window = g, argmax, pooled, window
        self.shape, self.dtype = shape, g.dtype
        self._array: Array | None = None

    def array(self) -> Array:
        """Compute it, once."""
        if self._array is None:
            first = self._argmax.dtype.type(0)  # of zeros alone the first is the maximum
            argmax = np.where(self._pooled == 0, first, self._argmax)
            self._array = put_argmax(self._g, argmax, self.shape, self._window)
        return self._array

    def before_relu(self) -> Array:
        """Return the gradient of the ReLU's input instead."""
        return put_argmax(self._g, self._argmax, self.shape, self._window, self._pooled)
