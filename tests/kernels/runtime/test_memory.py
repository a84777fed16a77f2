"""Freed arrays are reused: no page faults in a loop that makes and drops large arrays."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.processes import python
from tinygrad_cnn.kernels.runtime import memory, plans

ROOT = Path(__file__).parents[3]

FAULTS = """
import resource
import numpy as np
import tinygrad_cnn

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    arrays = [np.ones(1 << 22, np.float32) for _ in range(3)]  # 16 MB each
    return sum(float(a[0]) for a in arrays)

use()
before = faults()
for _ in range(5):
    use()
print(faults() - before)
"""


def faults(**environment: str) -> int:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    return int(python("-c", FAULTS, env={**clean, **environment}).stdout)


glibc = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="this asks something of the GNU C library",
)


@glibc
def test_large_arrays_are_made_from_freed_memory():
    assert faults() < 100  # the arrays have 61,000 pages


@glibc
@pytest.mark.parametrize(
    "setting",
    [{"TINYGRAD_CNN_KEEP_MEMORY": "0"}, {"MALLOC_MMAP_THRESHOLD_": "131072"}],
    ids=["switched off", "user's own setting"],
)
def test_it_leaves_the_allocator_alone_when_told_so(setting):
    assert faults(**setting) > 100


@pytest.mark.parametrize("shape", [(100, 500), (0, 3), (), (3, 4)])
def test_large_arrays_begin_at_a_cache_line(shape):
    for _ in range(5):
        x = memory.aligned_empty(shape, np.dtype(np.float32))
        assert x.shape == shape
        assert x.dtype == np.float32
        assert x.flags.c_contiguous
        assert x.flags.writeable
        assert x.size < 50 or x.ctypes.data % 64 == 0


def test_a_plan_is_made_once_until_plans_are_cleared():
    asked: list[int] = []

    @plans.planned
    def square(x: int) -> int:
        asked.append(x)
        return x * x

    assert [square(3), square(3), square(4)] == [9, 9, 16]
    assert asked == [3, 4]
    plans.clear()
    assert square(3) == 9
    assert asked == [3, 4, 3]
