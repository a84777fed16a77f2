"""The types of elements by name, and which one is made where nothing says another."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.devices import check_device
from tinygrad_cnn.op import TensorBase

__all__ = [
    "bool",
    "double",
    "float",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "half",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "long",
    "set_default_dtype",
    "short",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

float16 = half = np.dtype(np.float16)
float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = int = np.dtype(np.int32)
int64 = long = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
uint16 = np.dtype(np.uint16)
uint32 = np.dtype(np.uint32)
uint64 = np.dtype(np.uint64)
bool = np.dtype(np.bool_)


def get_default_dtype() -> np.dtype[Any]:
    """Return the floating-point type that numbers become where nothing says another.

    >>> get_default_dtype()
    dtype('float32')
    """
    return TensorBase.floating


def set_default_dtype(d: npt.DTypeLike) -> None:
    """Let Python's floats, drawn numbers and new layers be of another type than float32.

    Raises
    ------
    TypeError
        If the type is not floating-point.

    >>> from tinygrad_cnn import tensor
    >>> set_default_dtype(float64)
    >>> tensor([1.0]).dtype
    dtype('float64')
    >>> set_default_dtype(float32)
    """
    wanted = np.dtype(d)
    if wanted.kind != "f" or d is None:
        raise TypeError(f"set_default_dtype: expects a floating-point type, got {d!r}")
    TensorBase.floating = wanted


def float_type(dtype: npt.DTypeLike | None) -> np.dtype[Any]:
    """Return a type of elements; the default one for None."""
    return TensorBase.floating if dtype is None else np.dtype(dtype)


def factory(dtype: npt.DTypeLike | None, device: Any) -> np.dtype[Any]:
    """Return the type of a new layer's parameters; raise for another device than the processor.

    >>> factory(None, "cpu")
    dtype('float32')
    """
    check_device(device)
    return float_type(dtype)
