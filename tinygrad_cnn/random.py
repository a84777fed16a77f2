"""The package's one default random generator, its seed and its state.

Everything random takes a `numpy.random.Generator`; what is given none draws from the default
generator of this module. It is one object for the life of the process: seeding or restoring it
changes it in place, so that a loader or a layer that holds it follows. A thread may be lent another
in its place for a while, as those that prepare batches are (`drawing_from`).
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

__all__ = ["default_generator", "drawing_from", "get_rng_state", "manual_seed", "set_rng_state"]


@cache
def _kind() -> type[np.random.Generator]:
    class DefaultGenerator(np.random.Generator):
        """The default generator: a copy of what holds it holds it too, in a process of its own."""

        def __reduce__(self) -> Any:
            return default_generator, ()

    return DefaultGenerator


# Made when first asked for, since numpy.random is slow to import.
@cache
def _own() -> np.random.Generator:
    return _kind()(np.random.PCG64())


_lent = threading.local()


def default_generator() -> np.random.Generator:
    """Return the generator that draws where no other is given.

    Until `manual_seed` it is seeded by the operating system, so two processes differ.

    >>> default_generator() is default_generator()
    True
    """
    generator: np.random.Generator | None = getattr(_lent, "generator", None)
    return _own() if generator is None else generator


@contextmanager
def drawing_from(generator: np.random.Generator) -> Iterator[None]:
    """Let `generator` be this thread's default one within the block.

    >>> with drawing_from(np.random.default_rng(0)):
    ...     int(default_generator().integers(1000))
    850
    """
    before = getattr(_lent, "generator", None)
    _lent.generator = generator
    try:
        yield
    finally:
        _lent.generator = before


# A thread that draws holds the generator's lock. A child that is forked meanwhile would wait for
# it for ever, so nobody draws while a process forks.
def _hold_still() -> None:
    if _own.cache_info().currsize:
        _own().bit_generator.lock.acquire()


def _go_on() -> None:
    if _own.cache_info().currsize:
        _own().bit_generator.lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_still, after_in_parent=_go_on, after_in_child=_go_on)


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the default generator in place and return it.

    Parameters
    ----------
    seed
        A non-negative integer of any size. The same seed gives the same numbers as
        ``numpy.random.default_rng(seed)``.

    Raises
    ------
    TypeError
        If the seed is not an integer.
    ValueError
        If the seed is negative.

    Examples
    --------
    >>> int(manual_seed(7).integers(1000)) == int(manual_seed(7).integers(1000))
    True
    """
    try:
        value = operator.index(seed)
    except TypeError:
        raise TypeError(
            f"manual_seed: expected an integer, got {seed!r} of type {type(seed).__name__}"
        ) from None
    if value < 0:
        raise ValueError(f"manual_seed: expected a non-negative integer, got {value}")
    generator = default_generator()
    generator.bit_generator.state = np.random.PCG64(value).state
    return generator


def get_rng_state() -> dict[str, Any]:
    """Return the default generator's state: a dictionary of strings and integers.

    It passes through JSON unchanged (its integers have up to 128 bits, which Python's `json`
    keeps), so a checkpoint can hold it.

    >>> state = get_rng_state()
    >>> before = default_generator().random()
    >>> set_rng_state(state)
    >>> default_generator().random() == before
    True
    """
    return dict(default_generator().bit_generator.state)


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the default generator, in place, into a state that `get_rng_state` returned.

    Raises
    ------
    ValueError
        If `state` is not such a dictionary; the generator then stays as it was.
    """
    try:  # NumPy reads the whole state before it changes anything
        default_generator().bit_generator.state = state
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            "set_rng_state: expected the state of a PCG64 generator as get_rng_state returns it, "
            f"got {state!r}"
        ) from error
