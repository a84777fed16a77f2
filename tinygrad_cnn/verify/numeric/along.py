"""One direction of all inputs of a subject at once: what a comparison costs at the least."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.elements import random_direction
from tinygrad_cnn.verify.numeric.point import Point
from tinygrad_cnn.verify.numeric.probe import Prober, Tolerance
from tinygrad_cnn.verify.numeric.slopes import FIRST_STEP, dot, norm
from tinygrad_cnn.verify.report import Counts
from tinygrad_cnn.verify.subjects.subject import Pull, RuleError, Subject

_UNEVEN = 1e-2  # shares are made equal up to this ratio: beyond, rounding would hide the others


@dataclass(frozen=True)
class Line:
    """What was found along one direction.

    Attributes
    ----------
    prober
        With what it missed.
    shares
        The size of each input's terms in the sum that was compared.
    g, gradients
        The cotangent, and the gradients that the rule gives for it.
    """

    prober: Prober
    shares: dict[int, float]
    g: Array
    gradients: Mapping[int, Array]

    @property
    def settled(self) -> bool:
        """Whether the rule agrees, and a wrong one would not have."""
        prober = self.prober
        sure = not (prober.misses or prober.unsure) and prober.seen
        return sure and bool(prober.finite.all())


class _Line(Subject):
    """A subject along one direction of all its inputs, as a function of the distance.

    Moved inputs exist only while they are read; the rule is asked once for each cotangent.
    """

    name = "line"
    wanted = (0,)
    names = ("t",)

    def __init__(
        self,
        subject: Subject,
        rng: np.random.Generator,
        directions: Mapping[int, Array] | None,
    ) -> None:
        self.subject = subject
        self.inputs = [np.zeros(())]
        shapes = {i: np.shape(subject.inputs[i]) for i in subject.wanted}
        self.out, self.pull = subject.record(list(subject.inputs))
        self.g = random_direction(rng, self.out.shape)
        self.directions = dict(directions or {i: _direction(rng, s) for i, s in shapes.items()})
        self.gradients = self._gradients(self.g)

    def _gradients(self, g: Array) -> dict[int, Array]:
        found = self.pull(g)
        gradients = {}
        for index, d in self.directions.items():
            given = found[index]
            gradient = np.zeros(d.shape) if given is None else np.asarray(given)
            if gradient.shape != d.shape:
                raise RuleError("a gradient of another shape", "shape")
            gradients[index] = gradient
        return gradients

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result at a distance."""
        t, moved = float(inputs[0]), list(self.subject.inputs)
        if t == 0.0:
            return np.asarray(self.out)
        for index, d in self.directions.items():
            step = np.multiply(d, t, dtype=np.float64)
            step += moved[index]
            moved[index] = step
        return self.subject.forward(moved)

    def record(
        self,
        inputs: Sequence[Any],  # noqa: ARG002  # recorded already
        wanted: Sequence[int] | None = None,  # noqa: ARG002  # there is one
    ) -> tuple[Array, Pull]:
        """Return the result, and the gradient along the line."""

        def along(g: Array) -> list[Any]:
            gradients = self.gradients if np.array_equal(g, self.g) else self._gradients(g)
            return [np.asarray(sum(dot(gradients[i], d) for i, d in self.directions.items()))]

        return np.asarray(self.out), along


def _direction(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    one = rng.random(shape, np.float32)
    one *= 2
    one -= 1
    return np.asarray(np.add(one, np.copysign(np.float32(0.5), one)))


def along_one(
    subject: Subject,
    tolerance: Tolerance,
    rng: np.random.Generator,
    directions: Mapping[int, Array] | None = None,
    levels: int | None = None,
) -> Line | None:
    """Compare along one direction of all inputs; None if forward or rule raises.

    Each input is moved as far as makes its share of the change as large as that of the others, if
    that is not further than the others. ``directions`` are random ones if they are not given.
    """
    with np.errstate(all="ignore"):
        try:
            line = _Line(subject, rng, directions)
            shares = _balance(line)
            point = Point(line, line.inputs, rng, [line.g])
            prober = Prober(point, 0, tolerance, Counts())
            prober.h, prober.levels = _step(line), levels or prober.levels
            prober.probe(np.ones(()))
        except Exception:  # whatever it raises, the close check says it
            return None
    return Line(prober, shares, line.g, line.gradients)


def _step(line: _Line) -> float:
    """Return the first step: that of the input of the smallest numbers."""
    sizes = [norm(line.subject.inputs[i]) / d.size**0.5 for i, d in line.directions.items()]
    scale = min((size for size in sizes if size), default=1.0)
    return float(2.0 ** round(math.log2(FIRST_STEP * min(max(scale, 0.1), 10.0))))


def _balance(line: _Line) -> dict[int, float]:
    """Make the shares of all inputs about equal, in place; return them."""
    shares = {i: norm(d * line.gradients[i]) for i, d in line.directions.items()}
    largest = max(shares.values())
    if len(shares) == 1 or not largest or not np.isfinite(largest):
        return shares
    least = max(min(shares.values()), _UNEVEN * largest)
    for index, d in line.directions.items():
        factor = least / max(shares[index], least)
        line.directions[index] = d * d.dtype.type(factor)
        shares[index] *= factor
    return shares
