"""Memory: where large arrays come from, and where in a cache line they begin."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.types import Array, Shape

__all__ = ["aligned_empty", "keep_freed_memory"]

_ENVIRONMENT_VARIABLE = "TINYGRAD_CNN_KEEP_MEMORY"

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Ask glibc to keep up to 1 GB of freed memory for later arrays; return whether it does.

    A training step makes and drops the same large arrays again and again. By itself glibc gives
    each back to the system, which then has to clear every page of the next one. Nothing is asked of
    another C library, nor where ``TINYGRAD_CNN_KEEP_MEMORY=0`` is set or the user has settings of
    his own for glibc (``MALLOC_…_THRESHOLD_``, ``GLIBC_TUNABLES``).
    """
    if os.environ.get(_ENVIRONMENT_VARIABLE) == "0" or not sys.platform.startswith("linux"):
        return False
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    library.mallopt(_TRIM_THRESHOLD, tuning.LARGEST_KEPT[0])
    return any(library.mallopt(_MMAP_THRESHOLD, size) for size in tuning.LARGEST_KEPT)


_LINE = 64  # bytes of a cache line, and of an AVX-512 register


def aligned_empty(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Make an array like `numpy.empty` that begins at a cache line, unless it is small."""
    size = dtype.itemsize * math.prod(shape)
    if size <= tuning.SMALL_ARRAY:
        return np.empty(shape, dtype)
    memory = np.empty(size + _LINE, np.uint8)
    return np.ndarray(shape, dtype, memory, -memory.ctypes.data % _LINE)
