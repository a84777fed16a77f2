"""A subject at one point: its result, its gradients for several cotangents, guarded calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.elements import random_direction
from tinygrad_cnn.verify.numeric.slopes import EPS, EPS16, EPS32, laid_out
from tinygrad_cnn.verify.subjects.subject import Pull, RuleError, Subject

_HEAVY = 60_000  # elements of results and differentiated inputs


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
    heavy
        Whether each call takes long: then less is tried, by fewer cotangents.
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
        self.heavy = elements_of(subject, self.out) > _HEAVY
        given = cotangents or _cotangents(rng, self.out.shape)
        self.cotangents = [laid_out(g, self.out) for g in given]
        if cotangents is None and subject.recorded is not None:
            recorded = np.asarray(subject.recorded, np.float64)
            if recorded.any() and np.isfinite(recorded).all():
                self.cotangents.append(laid_out(recorded, self.out))
        if self.heavy and cotangents is None:
            self.cotangents = [self.cotangents[0], self.cotangents[-1]]
        if cotangents is None and np.isinf(self.out).any():  # masked by −∞: no gradient comes back
            self.cotangents = [np.where(np.isfinite(self.out), g, 0.0) for g in self.cotangents]
        self.analytic = [self.gradient(g) for g in self.cotangents]

    @cached_property
    def eps(self) -> float:
        """To what results are rounded: a forward pass may compute in float32 inside, or less.

        Where it does, its results are numbers of float32, or do not follow a tiny move at all.
        """
        far = self._moved(1e-3)
        if far is None:
            return EPS
        there = np.isfinite(far) & np.isfinite(self.out) & (far != self.out)
        some = far[there]
        fine = some * 1024 != np.round(some * 1024)  # other than counts and the like
        with np.errstate(all="ignore"):
            for dtype, eps in ((np.float16, EPS16), (np.float32, EPS32)):
                if fine.any() and (some.astype(dtype) == some).all():
                    return eps
        if not self._stands_still(1e-10, far, there):
            return EPS
        return EPS16 if self._stands_still(1e-5, far, there) else EPS32

    def _stands_still(self, size: float, far: Array, there: Array) -> bool:
        """Whether most results do not change at all where they should."""
        near = self._moved(size)
        if near is None:
            return False
        expected = np.abs(far - self.out) * (size / 1e-3)
        visible = there & np.isfinite(near) & (expected > 64 * EPS * np.abs(self.out))
        still = np.count_nonzero(visible & (near == self.out))
        return bool(still > np.count_nonzero(visible) / 2)

    def _moved(self, size: float) -> Array | None:
        """Return the result with all inputs moved a little, always the same way."""
        try:
            out = self.forward(shifted(self, size, np.random.default_rng(0)))
        except RuleError:
            return None
        return out if out.shape == self.out.shape else None

    def copies(self) -> list[Any]:
        """Return the inputs with private arrays."""
        return [np.array(a) if isinstance(a, np.ndarray) else a for a in self.inputs]

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result at other inputs, in float64.

        Called most of all: it leaves NumPy's warnings to the checks, which turn them off once.
        """
        try:
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

    def record_for(self, inputs: Sequence[Any], wanted: Sequence[int]) -> tuple[Array, Pull]:
        """Run the function as where only some inputs want a gradient."""
        try:
            with np.errstate(all="ignore"):
                return self.subject.record(inputs, wanted)
        except RuleError:
            raise
        except Exception as error:
            raise RuleError(f"forward raised {type(error).__name__}: {error}") from error

    def gradient(self, g: Array) -> list[Any]:
        """Call the rule; gradients as float64 arrays of the inputs' shapes, None for constants."""
        if self.pull is None or self.mutates:
            self.pull = self.record(self.copies())[1]
        return self.checked(self.pull, g)

    def checked(self, pull: Pull, g: Array, wanted: Sequence[int] | None = None) -> list[Any]:
        """Call a rule with a copy of the cotangent and check what it returns."""
        try:
            with np.errstate(all="ignore"):
                found = pull(np.array(g))
        except RuleError:
            raise
        except Exception as error:
            raise RuleError(f"the rule raised {type(error).__name__}: {error}") from error
        gradients: list[Any] = [None] * len(self.inputs)
        for index in self.subject.wanted if wanted is None else wanted:
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
                index,
            )
        if array.shape != shape:
            raise RuleError(
                f"the gradient of {self.subject.names[index]} has shape {array.shape}, "
                f"expected {shape}",
                "shape",
                index,
            )
        return np.array(array, np.float64)


def elements_of(subject: Subject, out: Array) -> int:
    """Return of how many elements the result and the differentiated inputs are."""
    return int(out.size + sum(np.size(subject.inputs[index]) for index in subject.wanted))


def shifted(point: Point, size: float, rng: np.random.Generator, upward: bool = False) -> list[Any]:
    """Return the inputs, each moved at random by about ``size`` of its own size.

    Constants are moved too, those of floating point: kinks may be met because of them.
    """
    moved = point.copies()
    for index, x in enumerate(moved):
        if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size:
            finite = np.abs(x[np.isfinite(x)])
            scale = float(np.sqrt(np.mean(np.square(finite)))) if finite.any() else 1.0
            step = size * scale * random_direction(rng, x.shape)
            moved[index] = np.asarray(x + (np.abs(step) if upward else step))
    return moved


def _cotangents(rng: np.random.Generator, shape: tuple[int, ...]) -> list[Array]:
    return [
        np.asarray(rng.standard_normal(shape)),
        np.asarray(random_direction(rng, shape)),
        np.asarray(random_direction(rng, shape)) * 0.1,
    ]
