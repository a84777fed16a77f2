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
    """Limit a new worker for good: BLAS built on OpenMP keeps its number by the thread."""
    for _, set_threads in _libraries():
        set_threads(1)


class _Limit:
    """The limit of one thread, which holds while anybody stays within it."""

    def __init__(self) -> None:
        self._lifts: list[tuple[Set, int]] = []  # the numbers from before
        self.start_afresh()

    def start_afresh(self) -> None:
        """Be as if nobody had entered; in the child of a fork the other threads are gone."""
        self.lock = threading.RLock()  # a stay may end by itself in the midst of another's
        self._inside: dict[int, weakref.ref[_Stay]] = {}
        self._lift()

    def enter(self, stay: _Stay) -> None:
        """Let one in; the first sets the limit."""
        libraries = _libraries()
        with self.lock:
            self._inside[id(stay)] = weakref.ref(stay, self._end)
            if not self._lifts:
                for get_threads, set_threads in libraries:
                    threads = get_threads()
                    if threads is not None and threads > 1:
                        self._lifts.append((set_threads, threads))
                        set_threads(1)

    def leave(self, stay: _Stay) -> None:
        """Let one out; the last lifts the limit."""
        with self.lock:
            if len(self._inside) == 1:
                self._lift()
            # Last, so that a stay whose end is interrupted before this ends with its object.
            self._inside.pop(id(stay), None)

    def _end(self, _: object) -> None:
        """End the stays that an interrupt kept from ending: nothing holds them any more."""
        with self.lock:
            if not any(stay() for stay in self._inside.values()):
                self._lift()
                self._inside.clear()

    def _lift(self) -> None:
        while self._lifts:
            set_threads, threads = self._lifts[-1]
            set_threads(threads)
            self._lifts.pop()  # after it: an interrupt in between leaves it to be done again


_limit = _Limit()

if hasattr(os, "register_at_fork"):
    # Nobody sets a library's threads while the process forks: the library holds a lock meanwhile.
    os.register_at_fork(
        before=lambda: _limit.lock.acquire(),
        after_in_parent=lambda: _limit.lock.release(),
        after_in_child=_limit.start_afresh,
    )


class _Stay:
    """One stay within the limit. It ends with the `with` block, or else with this object.

    Ctrl-C raises between any two lines, also in the first one of `__exit__`, after which nobody
    calls that again. But the object dies with the block's frame, and that ends its stay.
    """

    __slots__ = ("__weakref__",)

    def __enter__(self) -> None:
        _limit.enter(self)

    def __exit__(self, *_: object) -> None:
        _limit.leave(self)


def single_threaded_blas() -> _Stay:
    """Return a context within which BLAS uses one thread; nests, and many threads may be inside."""
    return _Stay()
