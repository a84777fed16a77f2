"""Modules that add borders to signals, images and volumes; negative widths crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.ops.arguments import ntuple

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    """Borders around the last `dims` dimensions of (N, C, …) or (C, …).

    Attributes
    ----------
    padding
        Widths, the last dimension first: (left, right), (left, right, top, bottom), or with
        (…, front, back); an int for all of them.
    """

    dims: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: int | Sequence[int]) -> None:
        self.padding = ntuple(type(self).__name__, "padding", padding, 2 * self.dims, -(1 << 62))

    def forward(self, input: Any) -> Any:
        """Apply `functional.pad`."""
        if input.ndim not in (self.dims + 1, self.dims + 2):
            sizes = ("L", "H, W", "D, H, W")[self.dims - 1]
            raise ValueError(
                f"{type(self).__name__}: expects (N, C, {sizes}) or (C, {sizes}), got "
                f"{tuple(input.shape)}"
            )
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """Borders of a number."""

    mode = "constant"

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        """Apply `functional.pad`."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"padding={self.padding}, value={self.value}"


class CircularPad1d(_Pad):
    """Add borders to signals: the elements of the other end.

    >>> import numpy as np
    >>> CircularPad1d(1)(np.array([[1.0, 2.0, 3.0]]))
    array([[3., 1., 2., 3., 1.]])
    """

    dims = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """Add borders to images: the elements of the other end.

    >>> import numpy as np
    >>> CircularPad2d(1)(np.zeros((1, 2, 2))).shape
    (1, 4, 4)
    """

    dims = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """Add borders to volumes: the elements of the other end.

    >>> import numpy as np
    >>> CircularPad3d(1)(np.zeros((1, 2, 2, 2))).shape
    (1, 4, 4, 4)
    """

    dims = 3
    mode = "circular"


class ConstantPad1d(_ConstantPad):
    """Add borders to signals: a number.

    >>> import numpy as np
    >>> ConstantPad1d(1, 7.0)(np.array([[1.0, 2.0, 3.0]]))
    array([[7., 1., 2., 3., 7.]])
    """

    dims = 1


class ConstantPad2d(_ConstantPad):
    """Add borders to images: a number.

    >>> import numpy as np
    >>> ConstantPad2d(1, 7.0)(np.zeros((1, 2, 2))).shape
    (1, 4, 4)
    """

    dims = 2


class ConstantPad3d(_ConstantPad):
    """Add borders to volumes: a number.

    >>> import numpy as np
    >>> ConstantPad3d(1, 7.0)(np.zeros((1, 2, 2, 2))).shape
    (1, 4, 4, 4)
    """

    dims = 3


class ReflectionPad1d(_Pad):
    """Add borders to signals: the elements mirrored at the outermost one.

    >>> import numpy as np
    >>> ReflectionPad1d(1)(np.array([[1.0, 2.0, 3.0]]))
    array([[2., 1., 2., 3., 2.]])
    """

    dims = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """Add borders to images: the elements mirrored at the outermost one.

    >>> import numpy as np
    >>> ReflectionPad2d(1)(np.zeros((1, 2, 2))).shape
    (1, 4, 4)
    """

    dims = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """Add borders to volumes: the elements mirrored at the outermost one.

    >>> import numpy as np
    >>> ReflectionPad3d(1)(np.zeros((1, 2, 2, 2))).shape
    (1, 4, 4, 4)
    """

    dims = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Add borders to signals: the outermost element.

    >>> import numpy as np
    >>> ReplicationPad1d(1)(np.array([[1.0, 2.0, 3.0]]))
    array([[1., 1., 2., 3., 3.]])
    """

    dims = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """Add borders to images: the outermost element.

    >>> import numpy as np
    >>> ReplicationPad2d(1)(np.zeros((1, 2, 2))).shape
    (1, 4, 4)
    """

    dims = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """Add borders to volumes: the outermost element.

    >>> import numpy as np
    >>> ReplicationPad3d(1)(np.zeros((1, 2, 2, 2))).shape
    (1, 4, 4, 4)
    """

    dims = 3
    mode = "replicate"


class ZeroPad1d(_ConstantPad):
    """Add borders to signals: zeros.

    >>> import numpy as np
    >>> ZeroPad1d(1)(np.array([[1.0, 2.0, 3.0]]))
    array([[0., 1., 2., 3., 0.]])
    """

    dims = 1

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"{self.padding}"


class ZeroPad2d(_ConstantPad):
    """Add borders to images: zeros.

    >>> import numpy as np
    >>> ZeroPad2d(1)(np.zeros((1, 2, 2))).shape
    (1, 4, 4)
    """

    dims = 2

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"{self.padding}"


class ZeroPad3d(_ConstantPad):
    """Add borders to volumes: zeros.

    >>> import numpy as np
    >>> ZeroPad3d(1)(np.zeros((1, 2, 2, 2))).shape
    (1, 4, 4, 4)
    """

    dims = 3

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"{self.padding}"
