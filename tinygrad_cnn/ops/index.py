"""Picking elements by a key, with NumPy's semantics, and the adjoints of it.

Each op is linear, and two by two they are each other's rule: `Slice` and `Unslice` for keys that
name each element at most once, `Gather` and `ScatterAdd` for keys with arrays, which may repeat.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.pointwise.elementwise import embed
from tinygrad_cnn.kernels.reduce.scatter import add_rows
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.types import Array, Operand

__all__ = ["getitem"]

# np.add.at takes about 7 ns an element; counting positions costs 1 ns an element of both arrays.
_SPARSE = 8


class Key(tuple[Any, ...]):
    """A key as an op keeps it: ints, slices, None, Ellipsis, arrays of its own; brief in text."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"[{', '.join(map(_brief, self))}]"


def _brief(part: Any) -> str:
    if isinstance(part, np.ndarray):
        return f"{part.dtype}{list(part.shape)}"
    if isinstance(part, slice):
        text = ":".join("" if bound is None else str(bound) for bound in (part.start, part.stop))
        return text if part.step is None else f"{text}:{part.step}"
    return "..." if part is Ellipsis else str(part)


class Slice(Op):
    """x[key] for ints, slices, None and Ellipsis; a view."""

    __slots__ = ("key",)
    views = True

    def __init__(self, key: Key) -> None:
        self.key = key

    def forward(self, x: Any) -> Any:
        out = x[self.key]
        return out if type(out) is np.ndarray else x[(*self.key, ...)]  # no number: it is a view

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (Unslice(self.key, x.shape)(g),)

    def add_into(self, whole: Array, g: Array) -> None:
        """Add a gradient to the part of an array that was picked."""
        whole[self.key] += g


class Unslice(Op):
    """Zeros of a shape with y at [key]: the adjoint of `Slice`."""

    __slots__ = ("key", "shape")

    def __init__(self, key: Key, shape: tuple[int, ...]) -> None:
        self.key = key
        self.shape = shape

    def forward(self, y: Any) -> Any:
        return embed(y, self.shape, self.key)

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (Slice(self.key)(g),)


class Gather(Op):
    """x[key] for keys with integer or boolean arrays; a copy."""

    __slots__ = ("key",)

    def __init__(self, key: Key) -> None:
        self.key = key

    def forward(self, x: Any) -> Any:
        return x[self.key]

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (ScatterAdd(self.key, x.shape)(g),)

    def add_into(self, whole: Array, g: Array) -> None:
        """Add a gradient to the elements of an array that were picked, repeats adding up."""
        add_at(whole, self.key, g)


class ScatterAdd(Op):
    """Zeros of a shape with y added at [key], repeats adding up: the adjoint of `Gather`."""

    __slots__ = ("key", "shape")

    def __init__(self, key: Key, shape: tuple[int, ...]) -> None:
        self.key = key
        self.shape = shape

    def forward(self, y: Any) -> Any:
        key, shape = self.key, self.shape
        if _picks_rows(key) and len(shape) > 1:
            rows = y.reshape(len(y), math.prod(shape[1:]))
            return add_rows(rows, key[0] % max(1, shape[0]), shape[0]).reshape(shape)
        x = np.zeros(shape, y.dtype)
        if not repeats(key):
            x[key] = y
        elif len(shape) == 1 or _SPARSE * y.size < x.size:
            np.add.at(x, key, y)
        else:
            indices = np.arange(x.size).reshape(shape)[key]
            np.add.at(x.reshape(-1), indices.reshape(-1), y.reshape(-1))
        return x

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (Gather(self.key)(g),)


def _picks_rows(key: Key) -> bool:
    """Whether a key is one vector of indices along the first axis."""
    indices = key[0] if len(key) == 1 else None
    return isinstance(indices, np.ndarray) and indices.ndim == 1 and indices.dtype.kind in "iu"


def repeats(key: Key) -> bool:
    """Whether a key may name an element several times; masks alone do not."""
    return any(isinstance(part, np.ndarray) and part.dtype != np.bool_ for part in key)


def add_at(x: Array, key: Key, value: Any) -> None:
    """Add to x[key] in place, repeats adding up."""
    if repeats(key):
        np.add.at(x, key, value)
    else:
        x[key] += value


def picking(key: Key) -> Slice | Gather:
    """Return the operation that picks by a plain key."""
    arrays = any(isinstance(part, np.ndarray) for part in key)
    return Gather(key) if arrays else Slice(key)


def getitem(input: Operand, key: Any) -> Any:
    """Pick elements: ``input[key]``, exactly as NumPy does.

    An element that is picked several times gets the sum of the gradients.

    Parameters
    ----------
    input
        Any shape.
    key
        An integer, a slice, None (a new dimension of size 1), an Ellipsis, an array, tensor or
        list of integers or booleans, or a tuple of these. Arrays are copied.

    Raises
    ------
    IndexError
        If an index is of another type, is out of range, or there are too many of them.

    >>> getitem(np.arange(6.0).reshape(2, 3), (slice(None), [0, 0, 2]))
    array([[0., 0., 2.],
           [3., 3., 5.]])
    """
    plain = plain_key(key, "getitem")
    try:
        return picking(plain)(input)
    except (IndexError, ValueError) as error:
        raise type(error)(f"getitem: {error}; the shape is {np.shape(input)}") from None


def plain_key(key: Any, name: str = "setitem") -> Key:
    """Return a key that NumPy understands: tensors replaced by arrays, arrays and lists copied.

    >>> print(plain_key((slice(2), None, ..., [0, 1])))
    [:2, None, ..., int64[2]]
    """
    parts = key if isinstance(key, tuple) else (key,)
    return Key([p if type(p) is int else _plain_part(p, name) for p in parts])


def _plain_part(part: Any, name: str) -> Any:
    if part is None or part is Ellipsis:
        return part
    if isinstance(part, slice):
        return slice(*(_bound(b, name) for b in (part.start, part.stop, part.step)))
    try:
        array = np.array(part._data if isinstance(part, TensorBase) else part)
    except (ValueError, TypeError) as error:
        raise IndexError(f"{name}: the index does not make an array: {error}") from None
    kind = array.dtype.kind
    if kind in "iu":
        return array if array.ndim else int(array)
    if kind == "b":
        return array
    if not array.size and isinstance(part, (list, tuple)):  # NumPy takes [] for floats
        return array.astype(np.intp)
    raise IndexError(
        f"{name}: an index is an integer, a slice, None, an Ellipsis or an array of integers or "
        f"booleans, got {type(part).__name__} of {array.dtype}"
    )


def _bound(bound: Any, name: str) -> int | None:
    """Return a slice's bound as an integer: a tensor there could change later."""
    try:
        return None if bound is None else operator.index(bound)
    except TypeError:
        raise IndexError(
            f"{name}: the bounds of a slice are integers or None, got {type(bound).__name__}"
        ) from None
