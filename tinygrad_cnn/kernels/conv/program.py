"""Programs: lists of NumPy calls that are made again and again on memory of one layout.

To slice arrays for a tile takes as much Python as to call what works on it, and while one thread
runs Python all others wait. So the calls of a convolution are listed once for its geometry, with
where in memory their arguments lie, and only bound to new memory after that.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.runtime.memory import aligned_empty

__all__ = ["Calls", "Program", "Programs", "Scratch", "clear", "do"]

Array = npt.NDArray[Any]
Calls = list[tuple[Callable[..., object], tuple[Any, ...]]]

_LINE = 64  # bytes of a cache line
_LARGE = 1 << 10  # elements of an array that is no constant


@np.errstate(invalid="ignore", over="ignore")
def do(calls: Calls) -> None:
    """Make the calls. Sums of infinities are NaN, without a warning."""
    for function, arguments in calls:
        function(*arguments)


def clear(part: Array) -> tuple[Callable[..., object], tuple[Any, ...]]:
    """Return the call that sets part of an array to 0."""
    return np.copyto, (part, 0)


class Scratch:
    """Makes arrays for intermediate results, and remembers them."""

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self.used = 0

    def begin_again(self, kept: int = 0) -> None:
        """Let the next arrays have the memory of earlier ones, all but the first `kept`."""
        self.used = kept

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Make an array as `aligned_empty` does."""
        size = math.prod(shape) * dtype.itemsize
        if self.used == len(self.arrays) or self.arrays[self.used].nbytes < size:
            self.arrays.insert(self.used, aligned_empty((size,), np.uint8))
        self.used += 1
        array: Array = np.ndarray(shape, dtype, self.arrays[self.used - 1])
        return array


class _View(NamedTuple):
    """An array in somebody's memory."""

    owner: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    strides: tuple[int, ...]


class Program:
    """Calls that can be made for other arrays of the same shapes.

    Parameters
    ----------
    calls
        Of two arguments or more each.
    given
        What is to be replaced: C-contiguous arrays, in which arguments may lie, and other objects
        that may be arguments; None is left as it is.
    scratch
        What made the arrays for intermediate results.

    Examples
    --------
    >>> x, y, out = np.arange(4.0), np.ones(4), np.empty(4)
    >>> program = Program([(np.add, (x[:2], 1.0, out[:2]))], [x, out], Scratch())
    >>> do(program.bind(None, [y, out]))
    >>> out[:2]
    array([2., 2.])
    """

    def __init__(self, calls: Calls, given: Sequence[Any], scratch: Scratch) -> None:
        self.size = 0  # bytes of scratch
        self.length = len(calls)
        self._owners: list[tuple[int, int, int, int]] = []  # first and last byte, place, offset
        for place, thing in enumerate(given, 1):
            if isinstance(thing, np.ndarray):
                assert thing.flags.c_contiguous, "a buffer of its own"
                self._owners.append((*_bytes(thing), place, 0))
        for array in scratch.arrays:
            self._owners.append((*_bytes(array), 0, self.size))
            self.size += -(-array.nbytes // _LINE) * _LINE
        self._views: list[_View] = []
        # Views come first, then what is given, then what never changes.
        places = {id(thing): ("given", i) for i, thing in enumerate(given) if thing is not None}
        self._constants: list[Any] = []
        listed = []
        for function, arguments in calls:
            wheres = []
            for argument in arguments:
                where = places.get(id(argument))
                if where is None:
                    where = places[id(argument)] = self._place(argument)
                wheres.append(where)
            listed.append((function, wheres))
        starts = {"view": 0, "given": len(self._views), "constant": len(self._views) + len(given)}
        self._calls = [
            (function, itemgetter(*(starts[kind] + index for kind, index in wheres)))
            for function, wheres in listed
        ]

    def _place(self, argument: Any) -> tuple[str, int]:
        if isinstance(argument, np.ndarray) and argument.size:
            first, last = _bytes(argument)
            for low, high, owner, offset in self._owners:
                if low <= first and last <= high:
                    at = offset + argument.ctypes.data - low
                    view = _View(owner, argument.shape, argument.dtype, at, argument.strides)
                    self._views.append(view)
                    return "view", len(self._views) - 1
        assert np.size(argument) < _LARGE, "an array that is neither given nor scratch"
        self._constants.append(argument)
        return "constant", len(self._constants) - 1

    def bind(self, block: Array | None, given: Sequence[Any]) -> Calls:
        """Return the calls for other things than those given; `block` has `size` bytes."""
        owners = (block, *given)
        new = np.ndarray
        things = [
            new(shape, dtype, owners[owner], offset, strides)
            for owner, shape, dtype, offset, strides in self._views
        ]
        things += given
        things += self._constants
        return [(function, arguments(things)) for function, arguments in self._calls]


def _bytes(array: Array) -> tuple[int, int]:
    """Return the addresses of the first byte and of the one behind the last."""
    return np.lib.array_utils.byte_bounds(array)


class Programs:
    """Programs by what they depend on: those used last, of `most_calls` together at most."""

    def __init__(self, most_calls: int) -> None:
        self._most_calls = most_calls
        self.start_afresh()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.start_afresh)

    def start_afresh(self) -> None:
        """Forget all; a lock may be held by another thread when the process is forked."""
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Program | None] = OrderedDict()
        self._calls = 0

    def get(self, key: Hashable, make: Callable[[], Program | None]) -> Program | None:
        """Return what was made for a key before, or make it; None is remembered too."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        program = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = program
                self._calls += _weight(program)
                while self._calls > self._most_calls:
                    self._calls -= _weight(self._kept.popitem(last=False)[1])
        return program


def _weight(program: Program | None) -> int:
    return 1 if program is None else 1 + program.length
