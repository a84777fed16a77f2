"""A subject at one point: its result, its gradients for several cotangents, guarded calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.verify.numeric.elements import random_direction
from tinygrad_cnn.verify.subjects.subject import Pull, RuleError, Subject

Array = npt.NDArray[Any]


class Point:
    """A subject recorded at given inputs, with cotangents and the gradients that the rule gives.

    Attributes
    ----------
    inputs
        The point; never handed out, only copies of it.
    out
        The result in float64.
    cotangents
        Signed random ones, and the recorded one where it is known. Never all ones: sums of rows
        that cancel would not show.
    analytic
        For each cotangent, the gradients of all inputs (None for constants).
    """

    def __init__(
        self,
        subject: Subject,
        inputs: Sequence[Any],
        rng: np.random.Generator,
        cotangents: Sequence[Array] | None = None,
    ) -> None:
        self.subject = subject
        self.inputs = list(inputs)
        self.mutates = False
        self.pull: Pull | None = None
        self.out = self.forward(self.inputs)
        self.cotangents = list(cotangents or _cotangents(rng, self.out.shape))
        if cotangents is None and subject.recorded is not None:
            recorded = np.asarray(subject.recorded, np.float64)
            if recorded.any() and np.isfinite(recorded).all():
                self.cotangents.append(recorded)
        self.analytic = [self.gradient(g) for g in self.cotangents]

    def copies(self) -> list[Any]:
        """Return the inputs with private arrays."""
        return [np.array(a) if isinstance(a, np.ndarray) else a for a in self.inputs]

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result at other inputs, in float64."""
        try:
            with np.errstate(all="ignore"):
                return np.asarray(self.subject.forward(inputs), np.float64)
        except RuleError:
            raise
        except Exception as error:
            raise RuleError(f"forward raised {type(error).__name__}: {error}") from error

    def record(self, inputs: Sequence[Any]) -> tuple[Array, Pull]:
        """Run the function as an ordinary forward pass does."""
        try:
            with np.errstate(all="ignore"):
                return self.subject.record(inputs)
        except RuleError:
            raise
        except Exception as error:
            raise RuleError(f"forward raised {type(error).__name__}: {error}") from error

    def gradient(self, g: Array) -> list[Any]:
        """Call the rule; gradients as float64 arrays of the inputs' shapes, None for constants."""
        if self.pull is None or self.mutates:
            self.pull = self.record(self.copies())[1]
        return self.checked(self.pull, g)

    def checked(self, pull: Pull, g: Array) -> list[Any]:
        """Call a rule with a copy of the cotangent and check what it returns."""
        try:
            with np.errstate(all="ignore"):
                found = pull(np.array(g))
        except RuleError:
            raise
        except Exception as error:
            raise RuleError(f"the rule raised {type(error).__name__}: {error}") from error
        gradients: list[Any] = [None] * len(self.inputs)
        for index in self.subject.wanted:
            gradients[index] = self._fitting(index, found[index])
        return gradients

    def _fitting(self, index: int, gradient: Any) -> Array:
        shape = self.inputs[index].shape
        if gradient is None:
            return np.zeros(shape)
        array = np.asarray(gradient)
        if array.dtype.kind not in "fiub":
            raise RuleError(
                f"the gradient of {self.subject.names[index]} is made of {array.dtype}, "
                "expected floating-point numbers",
                "shape",
            )
        if array.shape != shape:
            raise RuleError(
                f"the gradient of {self.subject.names[index]} has shape {array.shape}, "
                f"expected {shape}",
                "shape",
            )
        return np.array(array, np.float64)


def _cotangents(rng: np.random.Generator, shape: tuple[int, ...]) -> list[Array]:
    return [
        np.asarray(rng.standard_normal(shape)),
        np.asarray(random_direction(rng, shape)),
        np.asarray(random_direction(rng, shape)) * 0.1,
    ]
