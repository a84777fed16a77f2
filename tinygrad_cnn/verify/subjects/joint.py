"""All differentiated inputs of a subject as one: moved together, a check costs that of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.subjects.subject import Pull, Subject


class JointSubject(Subject):
    """A subject whose differentiated inputs are laid side by side into one vector.

    Attributes
    ----------
    parts
        The place of each input in the vector.
    """

    def __init__(self, subject: Subject, inputs: Sequence[Any]) -> None:
        self.subject = subject
        self.constants = [None if i in subject.wanted else x for i, x in enumerate(inputs)]
        self.shapes = {i: np.shape(inputs[i]) for i in subject.wanted}
        self.parts: dict[int, slice] = {}
        at = 0
        for index, shape in self.shapes.items():
            self.parts[index] = slice(at, at := at + math.prod(shape))
        self.name = subject.name
        self.inputs = [self.joined([inputs[i] for i in subject.wanted])]
        self.wanted = (0,)
        self.names = (", ".join(subject.names[i] for i in subject.wanted),)

    @staticmethod
    def joined(arrays: Sequence[Any]) -> Array:
        """Return arrays side by side."""
        return np.concatenate([np.asarray(a, np.float64).reshape(-1) for a in arrays])

    def apart(self, vector: Array) -> list[Any]:
        """Return the inputs of the subject, the differentiated ones cut out of a vector."""
        given = list(self.constants)
        for index, part in self.parts.items():
            given[index] = np.array(vector[part]).reshape(self.shapes[index])
        return given

    def part(self, vector: Array, index: int) -> Array:
        """Return a vector that is 0 but for one input."""
        kept = np.zeros(vector.shape)
        kept[self.parts[index]] = vector[self.parts[index]]
        return kept

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result."""
        return self.subject.forward(self.apart(inputs[0]))

    def record(
        self,
        inputs: Sequence[Any],
        wanted: Sequence[int] | None = None,  # noqa: ARG002  # there is one
    ) -> tuple[Array, Pull]:
        """Record the subject."""
        out, pull = self.subject.record(self.apart(inputs[0]))

        def pull_joined(g: Array) -> list[Any]:
            found = pull(g)
            return [
                self.joined(
                    [np.zeros(s) if found[i] is None else found[i] for i, s in self.shapes.items()]
                )
            ]

        return out, pull_joined

    def choice(self, inputs: Sequence[Any]) -> Any:
        """Return the subject's choice."""
        return self.subject.choice(self.apart(inputs[0]))
