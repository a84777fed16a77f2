"""Activations that are flat in places, as modules."""

from __future__ import annotations

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.applying import Applies, AppliesInPlace
from tinygrad_cnn.nn.module import Module

__all__ = [
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "ReLU6",
    "Softshrink",
    "Threshold",
]


class Hardshrink(Applies, Module):
    """Set what is at most lambd in magnitude to 0.

    >>> import numpy as np
    >>> Hardshrink()(np.array([-1.0, 0.25]))
    array([-1.,  0.])
    """

    function = staticmethod(F.hardshrink)
    settings = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd


class Hardsigmoid(AppliesInPlace, Module):
    """Apply relu6(x + 3) / 6.

    >>> import numpy as np
    >>> Hardsigmoid()(np.array([-4.0, 0.0]))
    array([0. , 0.5])
    """

    function = staticmethod(F.hardsigmoid)


class Hardswish(AppliesInPlace, Module):
    """Apply x · relu6(x + 3) / 6.

    >>> import numpy as np
    >>> Hardswish()(np.array([0.0, 4.0]))
    array([0., 4.])
    """

    function = staticmethod(F.hardswish)


class Hardtanh(AppliesInPlace, Module):
    """Limit to [min_val, max_val]; the derivative at both ends is 0.

    >>> import numpy as np
    >>> Hardtanh()(np.array([-2.0, 0.5]))
    array([-1. ,  0.5])
    """

    function = staticmethod(F.hardtanh)
    settings = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        if min_val > max_val:
            raise ValueError(f"Hardtanh: expects min_val <= max_val, got {min_val} and {max_val}")
        self.min_val = min_val
        self.max_val = max_val


class ReLU6(AppliesInPlace, Module):
    """Keep the positive part, at most 6.

    >>> import numpy as np
    >>> ReLU6()(np.array([-1.0, 2.0, 8.0]))
    array([0., 2., 6.])
    """

    function = staticmethod(F.relu6)


class Softshrink(Applies, Module):
    """Move towards 0 by lambd.

    >>> import numpy as np
    >>> Softshrink()(np.array([-1.0, 0.25]))
    array([-0.5,  0. ])
    """

    function = staticmethod(F.softshrink)
    settings = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        if not lambd >= 0:
            raise ValueError(f"Softshrink: lambd expects a number >= 0, got {lambd}")
        self.lambd = lambd


class Threshold(AppliesInPlace, Module):
    """Keep what is greater than a threshold; elsewhere put a value.

    >>> import numpy as np
    >>> Threshold(0.5, -9.0)(np.array([0.5, 2.0]))
    array([-9.,  2.])
    """

    function = staticmethod(F.threshold)
    settings = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value
