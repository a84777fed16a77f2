"""The old constructors: ``Tensor(2, 3)``, ``FloatTensor([1, 2])``, ``LongTensor(…)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn import creation
from tinygrad_cnn import tensor as make
from tinygrad_cnn.dtypes import float_type
from tinygrad_cnn.sizes import Size
from tinygrad_cnn.tensor import Tensor as Core
from tinygrad_cnn.nn.parameter import Parameter

__all__ = [
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "Tensor",
]


class _Kind(type):
    """What makes tensors when called, and says of every tensor of its dtype that it is its own."""

    made_dtype: Any

    def __instancecheck__(cls, value: object) -> bool:
        own = isinstance(value, Core)
        return own and (cls.made_dtype is None or value.dtype == cls.made_dtype)  # type: ignore[attr-defined]

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, Core)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        dtype = cls.made_dtype
        kwargs.pop("device", None)
        if not args and not kwargs:
            return creation.empty(0, dtype=dtype)
        if all(isinstance(a, (int, np.integer)) for a in args) and not kwargs:
            return creation.zeros(*args, dtype=dtype)  # PyTorch leaves what is found in memory
        if len(args) == 1 and isinstance(args[0], Size):
            return creation.zeros(args[0], dtype=dtype)
        if dtype is None:
            dtype = float_type(None)
        return make(*args, dtype=dtype, **kwargs)


class Tensor(Core, metaclass=_Kind):
    """Every tensor is one; called with sizes it gives zeros, with data floats.

    >>> Tensor(2).tolist(), Tensor([1, 2]).tolist(), isinstance(Parameter([1.0]), Tensor)
    ([0.0, 0.0], [1.0, 2.0], True)
    """

    __slots__ = ()
    made_dtype = None


def _typed(name: str, dtype: Any) -> Any:
    text = f"A tensor of {np.dtype(dtype).name}, by its old name."
    body = {"__slots__": (), "made_dtype": np.dtype(dtype), "__doc__": text, "__module__": __name__}
    return _Kind(name, (Core,), body)


FloatTensor = _typed("FloatTensor", np.float32)
DoubleTensor = _typed("DoubleTensor", np.float64)
HalfTensor = _typed("HalfTensor", np.float16)
LongTensor = _typed("LongTensor", np.int64)
IntTensor = _typed("IntTensor", np.int32)
ShortTensor = _typed("ShortTensor", np.int16)
CharTensor = _typed("CharTensor", np.int8)
ByteTensor = _typed("ByteTensor", np.uint8)
BoolTensor = _typed("BoolTensor", np.bool_)
