"""Writing to a part of an array: what an in-place operation is in the graph.

The part is a view by some operations, one after the other, and of that view the elements that a key
names. Two operations, both linear: `Write` overwrites the part, `AddAt` adds to it. Called like any
other they return a new array; the memory itself is written to by `writing`, which records them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.elementwise import mul
from tinygrad_cnn.ops.index import Key, add_at, picking, repeats
from tinygrad_cnn.types import Array

__all__: list[str] = []  # what writes to tensors uses them: `inplace` and `assigning`


class Path(tuple[Op, ...]):
    """The views that lead to a part, from the whole on; brief in text."""

    __slots__ = ()

    def __str__(self) -> str:
        return " ".join(f".{op.describe()}" for op in self) or "the tensor"

    def __call__(self, x: Any) -> Any:
        """Walk from an array or tensor to its part."""
        for op in self:
            x = op(x)
        return x

    def view(self, x: Array) -> Array:
        """Walk from an array to its part, which lies in its memory."""
        for op in self:
            x = op.forward(x)
        return x


class _InPlace(Op):
    """What the two share: where they write, and how the array lies in memory."""

    __slots__ = ("_order", "key", "path")

    def __init__(self, path: Path, key: Key, order: tuple[int, ...] | None = None) -> None:
        self.path = path
        self.key = key
        self._order = order  # the dimensions from the outermost in memory on; None: row by row

    def laid_out(self, x: Array) -> Array:
        """Copy an array so that it lies in memory as the one written to: parts are views then."""
        if self._order is None:
            return np.array(x, order="C")
        out = np.empty([x.shape[i] for i in self._order], x.dtype)
        out = out.transpose(np.argsort(self._order))
        out[...] = x
        return out


def order_of(array: Array) -> tuple[int, ...] | None:
    """Return how an array lies in memory, for `Write` and `AddAt`.

    >>> order_of(np.zeros((2, 3, 4)).transpose(2, 0, 1))
    (1, 2, 0)
    """
    if array.flags.c_contiguous:
        return None
    return tuple(sorted(range(array.ndim), key=lambda i: (-abs(array.strides[i]), i)))


class Write(_InPlace):
    """x with a value in a part; where an index repeats, NumPy's last one wins."""

    __slots__ = ()

    def forward(self, x: Any, value: Any) -> Any:
        out = self.laid_out(np.asarray(x))
        self.path.view(out)[self.key] = value
        return out

    def backward(self, g: Any, out: Any, x: Any, value: Any, *, needs: Any) -> tuple[Any, ...]:
        gx = Write(self.path, self.key, self._order)(g, 0.0) if needs[0] else None
        if not needs[1]:
            return gx, None
        part = self.path(g)
        return gx, _winning(picking(self.key)(part), self.key, part.shape)

    def backward_owned(self, g: Array, needs: Sequence[bool]) -> tuple[Any, ...]:
        """Set the part of g to zero in place; its values before are the value's gradient."""
        part = self.path.view(g)
        gv = None
        if needs[1]:
            gv = _winning(np.array(part[self.key]), self.key, part.shape)
        if not needs[0]:
            return None, gv
        part[self.key] = 0
        return g, gv


def _winning(g: Any, key: Key, shape: tuple[int, ...]) -> Any:
    """Set to zero what was overwritten by a later element of the same write."""
    if not repeats(key):
        return g
    places = np.empty(shape, np.intp)  # only those named by the key are ever read
    numbers = np.arange(g._data.size if hasattr(g, "_data") else g.size).reshape(g.shape)
    places[key] = numbers
    won = places[key] == numbers
    return g if won.all() else mul(g, won)


class AddAt(_InPlace):
    """x with a value added to a part; where an index repeats, all are added."""

    __slots__ = ()

    def forward(self, x: Any, value: Any) -> Any:
        out = self.laid_out(np.asarray(x))
        add_at(self.path.view(out), self.key, value)
        return out

    def backward(self, g: Any, out: Any, x: Any, value: Any, *, needs: Any) -> tuple[Any, ...]:
        return g if needs[0] else None, picking(self.key)(self.path(g)) if needs[1] else None

    def backward_owned(self, g: Array, needs: Sequence[bool]) -> tuple[Any, ...]:
        """Hand g on; its part, copied, is the value's gradient."""
        gv = np.array(self.path.view(g)[self.key]) if needs[1] else None
        return g if needs[0] else None, gv
