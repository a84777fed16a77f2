"""What an operation is applied to: which operands are taken, which are watched, which refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.base import TensorBase
from tinygrad_cnn.inplace import refresh, watch_bytes
from tinygrad_cnn.types import Array

if TYPE_CHECKING:
    from tinygrad_cnn.op import Op

_FLOAT64 = np.dtype(np.float64)
_FLOAT16 = np.dtype(np.float16)
_ndarray = np.ndarray


def is_half(arrays: list[Any]) -> bool:
    """Whether half precision is the widest of the arrays' floating-point types."""
    found = False
    for a in arrays:
        if isinstance(a, _ndarray) and a.dtype.kind == "f":
            if a.dtype is not _FLOAT16:
                return False
            found = True
    return found


def widened(array: Any) -> Any:
    """Return an array of half precision in float32, anything else as it is."""
    is_array = isinstance(array, _ndarray) and array.dtype is _FLOAT16
    return array.astype(np.float32) if is_array else array


def watch_foreign(inputs: list[Any], edges: list[Any], op: Op, aux: Any = None) -> None:
    """Watch arrays from outside: they may be written to between forward and backward."""
    for array, edge in zip(inputs, edges, strict=True):
        if edge is None and type(array) is _ndarray and not _is_fixed(array):
            watch_bytes(array)
    if op._outside:
        held = [array for _, array in held_arrays(op, aux)]
        refresh(held)
        for array in held:
            watch_bytes(array)


def _is_fixed(array: Array) -> bool:
    """Whether nobody can write to an array: it has its memory for itself, and is read-only."""
    return array.base is None and not array.flags.writeable


def held_arrays(op: Op, aux: Any) -> Iterator[tuple[str, Array]]:
    """Iterate over the arrays that an operation written elsewhere keeps, with their names.

    The package's own operations copy what they are given; of others nobody knows.
    """
    held = {**op.settings(), **getattr(op, "__dict__", {}), "aux": aux}
    for name, value in held.items():
        for array in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(array, _ndarray):
                yield name, array


def check_real(op: Op, arrays: list[Any]) -> None:
    """Raise if an array does not hold real numbers: those of a tensor always do."""
    for array in arrays:
        if array.__class__ is _ndarray and array.dtype.kind not in "fiub":
            raise TypeError(f"{op.name}: expects real numbers, got an array of {array.dtype}")


def operand(x: Any, op: Op, inputs: tuple[Any, ...]) -> Any:
    """Return the array or Python number for an argument that is neither tensor nor plain array."""
    if isinstance(x, np.generic) and x.dtype.kind in "fiub":
        # np.float64(2) must not turn a float32 tensor into float64; among arrays it is one of them.
        return x.item() if any(isinstance(i, TensorBase) for i in inputs) else np.asarray(x)
    if isinstance(x, (bool, int, float)) or (x is None and op.optional):
        return x
    if isinstance(x, np.ndarray):  # complex, or a subclass, such as np.memmap
        if x.dtype.kind == "c":
            raise TypeError(f"{op.name}: expects real numbers, got an array of {x.dtype}")
        refuse_masked(op.name, x)
        return np.asarray(x)
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        array = np.asarray(x)
        if array.dtype.kind in "fiub":
            return array.astype(np.float32) if array.dtype == _FLOAT64 else array
    raise TypeError(
        f"{op.name}: expects tensors, arrays or numbers, got {type(x).__name__}{instead_of(x)}"
    )


def instead_of(x: Any) -> str:
    """Return what to write instead of something that is no operand, to stand behind a message."""
    library = type(x).__module__.partition(".")[0]
    if x is None:
        return " (a function that returns nothing?)"
    if hasattr(x, "_fields"):  # x - x.max(1) would broadcast the values and their places
        return f": take one of its {', '.join(x._fields)}"
    if isinstance(x, (list, tuple)):
        return ": give tensor(…) of it, or np.array(…)"
    return f" of {library}: give its detach().numpy()" if library == "torch" else ""


def refuse_masked(function: str, array: Any) -> None:
    """Raise for a masked array, which would lose its mask without a word."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            f"{function}: a masked array would lose its mask; give its filled(…) values, or choose "
            "with where()"
        )


def has_float64(arrays: list[Any]) -> bool:
    """Whether float64 is what the user asked for: 0-d floats count only among themselves.

    Numbers alone keep Python's precision: they are constants inside of a rule.
    """
    found = [a for a in arrays if isinstance(a, np.ndarray)]
    floats = [a for a in found if a.dtype.kind == "f"]
    return not found or any(a.dtype == _FLOAT64 for a in [a for a in floats if a.ndim] or floats)
