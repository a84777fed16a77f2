"""BLAS held to one thread while ours share the work: both would wait for each other."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from functools import lru_cache
from typing import Any

__all__ = ["limit_this_thread", "single_threaded_blas"]

# Functions that ask for and set the number of a library's threads.
Ask = Callable[[], int | None]
Set = Callable[[int], object]


@lru_cache(maxsize=1)
def _libraries() -> list[tuple[Ask, Set]]:
    """Return what asks for the number of each library's threads, and what sets it.

    Asking and setting through these, kept for good, takes 2 µs, an entry of threadpoolctl's
    `ThreadpoolController.limit` 8.
    """
    # Imported here, since `import tinygrad_cnn` has to be quick; it ships no types.
    import threadpoolctl

    controllers = threadpoolctl.ThreadpoolController().lib_controllers
    return [_functions(each) for each in controllers if each.user_api == "blas"]


def _functions(library: Any) -> tuple[Ask, Set]:
    """Return what asks for, and what sets, the number of a library's threads, whoever calls.

    With threadpoolctl 3.8 the first thread that sets OpenBLAS's number keeps that right while it
    lives, and others are ignored. Here one thread may limit BLAS and another, the last to leave,
    lift that: so OpenBLAS's own functions are called, which takes half the time besides.
    """
    symbol = getattr(library, "_get_symbol", None)
    if library.internal_api == "openblas" and library.threading_layer != "openmp" and symbol:
        ask, set_ = symbol("openblas_get_num_threads"), symbol("openblas_set_num_threads")
        if ask is not None and set_ is not None:
            return ask, set_
    return library.get_num_threads, library.set_num_threads


def limit_this_thread() -> None:
    """Set the limit for a worker, within a stay: BLAS on OpenMP keeps a number for each thread."""
    for _, set_threads in _libraries():
        set_threads(1)


_lock = threading.RLock()  # a stay may end by itself in the midst of another's
_inside: dict[int, weakref.ref[_Stay]] = {}
_before: list[tuple[Set, int]] = []  # while anybody does: what sets a library's number, and to what


class _Stay:
    """One stay within the limit. The first one sets it, and the last one lifts it.

    A stay ends with the `with` block, or else with this object: Ctrl-C raises between any two
    lines, also in the first one of `__exit__`, after which nobody calls that again. But the object
    dies with the block's frame.
    """

    __slots__ = ("__weakref__",)

    def __enter__(self) -> None:
        libraries = _libraries()
        with _lock:
            _inside[id(self)] = weakref.ref(self, _end)
            if not _before:
                for get_threads, set_threads in libraries:
                    threads = get_threads()
                    if threads is not None and threads > 1:
                        _before.append((set_threads, threads))
                        set_threads(1)

    def __exit__(self, *_: object) -> None:
        with _lock:
            if len(_inside) == 1:
                _lift()
            # Last, so that a stay whose end is interrupted before this ends with its object.
            _inside.pop(id(self), None)


def _end(_: object) -> None:
    """End the stays that an interrupt kept from ending: nothing holds them any more."""
    with _lock:
        if not any(stay() for stay in _inside.values()):
            _lift()
            _inside.clear()


def _lift() -> None:
    while _before:
        set_threads, threads = _before[-1]
        set_threads(threads)
        _before.pop()  # after it: an interrupt in between leaves it to be done again


def _start_afresh() -> None:
    """Be as if nobody had entered; in the child of a fork the other threads are gone."""
    global _lock
    _lock = threading.RLock()
    _inside.clear()
    _lift()


if hasattr(os, "register_at_fork"):
    # Nobody sets a library's threads while the process forks: the library holds a lock meanwhile.
    os.register_at_fork(
        before=lambda: _lock.acquire(),
        after_in_parent=lambda: _lock.release(),
        after_in_child=_start_afresh,
    )


def single_threaded_blas() -> _Stay:
    """Return a context within which BLAS uses one thread; nests, and many threads may be inside."""
    return _Stay()
