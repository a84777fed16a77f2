"""A subject along one direction of all its inputs: a function of the distance alone.

A million parameters are moved at once, and only those that are being read exist as moved ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.slopes import dot
from tinygrad_cnn.verify.subjects.subject import Pull, Subject

Key = TypeVar("Key")


class Moved(Mapping[Key, Array]):
    """Arrays, each moved along its direction when it is read."""

    def __init__(self, base: Mapping[Key, Array], directions: Mapping[Key, Array], t: float):
        self.base, self.directions, self.t = base, directions, t

    def __getitem__(self, key: Key) -> Array:
        return np.asarray(self.base[key] + self.t * self.directions[key])

    def __iter__(self) -> Iterator[Key]:
        return iter(self.base)

    def __len__(self) -> int:
        return len(self.base)


class LineSubject(Subject):
    """A function of several arrays along a line, with the rule's gradient along it."""

    name = "line"
    wanted = (0,)
    names = ("t",)

    def __init__(
        self,
        run: Callable[[Mapping[Any, Array]], Array],
        pull: Callable[[Array], Sequence[Array]],
        base: Mapping[Any, Array],
        directions: Mapping[Any, Array],
    ) -> None:
        self.inputs = [np.zeros(())]
        self.run, self.pull, self.base, self.directions = run, pull, base, directions

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result at a distance."""
        return self.run(Moved(self.base, self.directions, float(inputs[0])))

    def record(
        self,
        inputs: Sequence[Any],
        wanted: Sequence[int] | None = None,  # noqa: ARG002  # there is one
    ) -> tuple[Array, Pull]:
        """Return the result, and the gradient along the line."""

        def along(g: Array) -> list[Any]:
            shares = [
                dot(a, d) for a, d in zip(self.pull(g), self.directions.values(), strict=True)
            ]
            return [np.asarray(sum(shares))]

        return self.forward(inputs), along
