"""`Protocols`: what Python asks of a tensor: numbers, text, length, truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from tinygrad_cnn.graph import warn_left
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.operators import Operators


class Protocols(Operators):
    """Python's protocols; `Tensor` inherits them."""

    __slots__ = ()

    def item(self) -> Any:
        """Return the only element as a Python number."""
        if self._data.size != 1:
            raise ValueError(f"item: expects a single element, got shape {self.shape}")
        return self._data.item()

    def tolist(self) -> Any:
        """Return nested lists of Python numbers."""
        return self._data.tolist()

    def __repr__(self) -> str:
        text = np.array2string(self._data, separator=", ", prefix="tensor(", threshold=1000)
        parts = [text]
        if self._data.dtype not in (np.float32, np.int64, np.bool_):
            parts.append(f"dtype={self._data.dtype.name}")
        if self._name is not None:
            parts.append(f"name={self._name!r}")
        if self._node is not None:
            parts.append(f"grad_fn={self._node.op.name}")
        elif self._requires_grad:
            parts.append("requires_grad=True")
        return f"tensor({', '.join(parts)})"

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self._data)

    def __iter__(self) -> Iterator[Self]:
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self._data)))

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(f"the truth of a tensor of shape {self.shape} is ambiguous")
        return bool(self._data)

    def __float__(self) -> float:
        if self._requires_grad:
            warn_left("float()", "item() or detach() says so on purpose, F.stack() keeps it")
        return float(self.item())

    def __int__(self) -> int:
        if self._requires_grad:
            warn_left("int()", "item() or detach() says so on purpose")
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(float(self))

    def __index__(self) -> int:
        if self._data.dtype.kind not in "iu" or self._data.size != 1:
            raise TypeError("only a single integer can be used as an index")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item() if self._data.size == 1 and spec else str(self), spec)

    def __contains__(self, value: Any) -> bool:
        return bool((self._data == (value._data if isinstance(value, TensorBase) else value)).any())
