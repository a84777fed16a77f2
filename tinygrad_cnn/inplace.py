"""In-place changes are noticed: no rule reads what was overwritten after the forward pass.

Optimisers and assignments say what they write to (`changed`). An array that the user holds can be
written to without a word: one that a tensor handed out, or a NumPy array passed to an operation.
From then on its bytes are compared by a CRC-32, which is about as quick as reading them; where no
such array is around it costs nothing.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tinygrad_cnn.graph import tick
from tinygrad_cnn.types import Array


class _Stamps:
    """When each element of an array was last written to, and when the rest of its memory was."""

    __slots__ = ("array", "flat", "itemsize", "rest", "start", "times")

    def __init__(self, array: Array, rest: int) -> None:
        self.array = weakref.ref(array)
        self.start, end = byte_bounds(array)
        self.itemsize = array.itemsize
        self.flat = np.zeros((end - self.start) // self.itemsize, np.int64)
        self.rest = rest
        self.times = self._over(array)  # shaped as the array, and as it lies in memory

    def _over(self, array: Array) -> Array:
        """Return the times of the elements of an array that lies inside."""
        address = array.__array_interface__["data"][0]
        offset = (address - self.start) // self.itemsize * 8
        strides = [stride // self.itemsize * 8 for stride in array.strides]
        return np.ndarray(array.shape, np.int64, self.flat, offset, strides)

    def latest(self, array: Array) -> int:
        """When an array that shares memory was last written to."""
        start, end = byte_bounds(array)
        inside = self.start <= start and end <= self.start + self.flat.size * self.itemsize
        if not inside or array.itemsize != self.itemsize:
            return max(self.rest, int(self.flat.max(initial=0)))
        return max(self.rest, int(self._over(array).max(initial=0)))


class _Watch:
    """What is known of one array: when it last changed, its bytes if a user holds it, its name."""

    __slots__ = ("by", "checksum", "name", "ref", "stamps", "when")

    def __init__(self, ref: weakref.ref[Array]) -> None:
        self.ref = ref
        self.when = 0
        self.by: str | None = None
        self.stamps: _Stamps | None = None  # made when a part of the array is first written to
        self.checksum = 0
        self.name: str | None = None


_watched: dict[int, _Watch] = {}  # by id of the array
exposed: dict[int, _Watch] = {}
"""What is known of the arrays that the user holds."""


pending: dict[int, weakref.ref[Any]] = {}
"""Tensors whose data are not computed yet, weakly: see `deferring`."""


def before_writing(array: Array) -> None:
    """Compute what is pending and reads this memory, before it is written to.

    To be called by whoever calls `changed`, before the write.
    """
    if pending:
        owner = owner_of(array)
        found = True
        while found:  # what is computed may leave something that reads the same
            found = False
            for key, ref in list(pending.items()):
                # What something that is gone was needed for, if anything, is pending itself.
                computation = getattr(ref(), "_computation", None)
                if computation is None:
                    pending.pop(key, None)
                elif computation.reads(owner):
                    computation.value()
                    found = True


class _Changes:
    """The time of the latest change to any array."""

    __slots__ = ("latest",)

    def __init__(self) -> None:
        self.latest = 0


changes = _Changes()


def owner_of(array: Array) -> Array:
    """Return the array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _checksum(array: Array) -> int:
    return zlib.crc32((array if array.flags.c_contiguous else np.ascontiguousarray(array)).data)


def _watch(array: Array) -> _Watch:
    key = id(array)
    watch = _watched.get(key)
    if watch is None:

        def forget(_: object) -> None:
            del _watched[key]
            exposed.pop(key, None)

        watch = _watched[key] = _Watch(weakref.ref(array, forget))
    return watch


def changed(
    array: Array,
    view: Callable[[Array], Array] | None = None,
    key: Any = ...,
    by: str | None = None,
) -> None:
    """Say that the array was written to: a node that kept it before cannot use it any more.

    With ``view``, only ``view(array)[key]`` was: nodes that kept other parts of the memory are not
    concerned. ``by`` is the name of what wrote, for errors.
    """
    owner = array if array.base is None else owner_of(array)
    watch = _watched.get(id(owner)) or _watch(owner)
    before, now = watch.when, tick()
    watch.when = changes.latest = now
    watch.by = by
    stamps = watch.stamps
    if view is None or not array.size:
        if stamps is not None:
            stamps.rest = now
    else:
        if stamps is None:
            stamps = watch.stamps = _Stamps(array, before)
        if stamps.array() is array:
            view(stamps.times)[key] = now
        else:  # laid out otherwise
            stamps.rest = now
    if exposed:
        for a in (owner, array):
            held = exposed.get(id(a))
            if held is not None:
                held.checksum = _checksum(a)


def watch_bytes(array: Array) -> None:
    """Compare the array's bytes from now on: the user holds it."""
    if id(array) not in exposed:
        watch = exposed[id(array)] = _watch(array)
        watch.checksum = _checksum(array)


def expose(array: Array) -> Array:
    """Return a tensor's array to the user, who may write to it, and so to all of its memory."""
    before_writing(array)
    watch_bytes(owner_of(array))
    return array


def _last_change(array: Array, since: int = 0) -> int:
    """When the array last changed, as far as is known or its bytes tell.

    Where that was after ``since``, it is looked at element by element, if that is known.
    """
    when = 0
    owner = owner_of(array)
    for a in (array,) if owner is array else (array, owner):
        watch = _watched.get(id(a))
        if watch is None:
            continue
        if id(a) in exposed:
            checksum = _checksum(a)
            if checksum != watch.checksum:
                watch.checksum = checksum
                watch.when = changes.latest = tick()
                watch.by = None
                if watch.stamps is not None:
                    watch.stamps.rest = watch.when
        latest = watch.when
        if latest > since and watch.stamps is not None:
            latest = watch.stamps.latest(array)
        when = max(when, latest)
    return when


def refresh(arrays: Iterable[Any]) -> None:
    """Bring what is known of arrays up to date, before a node keeps them."""
    for array in arrays:
        if isinstance(array, np.ndarray) and (
            id(array) in exposed or (array.base is not None and id(owner_of(array)) in exposed)
        ):
            _last_change(array)


def was_changed(array: Any, seq: int) -> bool:
    """Whether what a node kept at that time was written to since."""
    return isinstance(array, np.ndarray) and _last_change(array, seq) > seq


def writer_of(array: Array) -> str | None:
    """Return the name of what wrote to the memory of an array last, if it is known."""
    watch = _watched.get(id(owner_of(array)))
    return None if watch is None else watch.by


def give_name(array: Array, name: str | None) -> None:
    """Remember the name of a tensor's array, for pictures: a node keeps arrays, not tensors."""
    _watch(owner_of(array)).name = name


def name_of(array: Array) -> str | None:
    """Return the name given to an array, or to the array it is a view of."""
    watch = _watched.get(id(owner_of(array)))
    return None if watch is None else watch.name
