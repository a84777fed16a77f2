"""What an optimiser keeps with a parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_cnn.graph import Array


class Slot:
    """What an optimiser keeps with a parameter: its state, and flat views to work on."""

    __slots__ = ("data", "flat", "flat_state", "numbers", "scratch", "state", "step", "strides")

    def __init__(self) -> None:
        self.step = 0
        self.numbers: dict[str, float] = {}  # what changes from step to step and is one number
        self.state: dict[str, Array] = {}  # arrays of the parameter's shape, by name
        self.data: Any = None  # the parameter's array when the views below were made
        self.strides: tuple[int, ...] = ()
        self.flat: Any = None  # that array in the order of memory, (size,)
        self.flat_state: dict[str, Array] = {}  # the same of the state
        self.scratch: list[Array] = []

    def __getstate__(self) -> dict[str, Any]:
        # Views would become arrays of their own in a copy: they are made again at the first step.
        return {"step": self.step, "numbers": self.numbers, "state": self.state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]  # the views
        for name, value in state.items():
            setattr(self, name, value)

    def look_at(self, data: Array) -> None:
        """Make the views of a parameter's array; the state follows it to its dtype and layout."""
        self.data, self.strides, self.flat = data, data.strides, data.ravel("K")
        self.state = {name: laid_out(array, data) for name, array in self.state.items()}
        self.flat_state = {name: array.ravel("K") for name, array in self.state.items()}

    def add_state(self, names: Iterable[str], fill: float = 0.0) -> None:
        """Add arrays of one number under those names that are not there yet."""
        for name in names:
            if name not in self.state:
                self.state[name] = np.full_like(self.data, fill)
                self.flat_state[name] = self.state[name].ravel("K")

    def asdict(self) -> dict[str, Any]:
        """Return what PyTorch's ``state[p]`` holds: the step, the numbers, the arrays."""
        return {"step": self.step, **self.numbers, **self.state} if self.step else {**self.state}


def laid_out(array: Array, like: Array) -> Array:
    """Return a copy with the dtype of another array and its order of memory."""
    copy = np.empty_like(like)
    copy[...] = array
    return copy
