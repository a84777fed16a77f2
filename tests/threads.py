"""A number of threads for part of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinygrad_cnn import get_num_threads, set_num_threads


@contextmanager
def num_threads(number: int | None = None) -> Iterator[None]:
    """Let kernels use so many threads, by default as many as now; afterwards as many as before."""
    before = get_num_threads()
    set_num_threads(before if number is None else number)
    try:
        yield
    finally:
        set_num_threads(before)
