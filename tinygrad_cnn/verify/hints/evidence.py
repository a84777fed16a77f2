"""What a hint is tried against: the wrong gradient, and numeric derivatives at a smooth point.

An explanation of a wrong gradient a(g) says: it is the right gradient after something, of the
input's side (transposed, shifted) or of the cotangent's (only the last window). With J the
Jacobian, measured numerically along random directions d, the explanation "T after the right one,
fed with C(g)" holds if ⟨a(g), d⟩ = ⟨C(g), J·Tᵀd⟩ for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.elements import random_direction
from tinygrad_cnn.verify.numeric.point import Point
from tinygrad_cnn.verify.numeric.probe import Prober, Tolerance
from tinygrad_cnn.verify.numeric.single import element_table
from tinygrad_cnn.verify.numeric.slopes import dot, norm
from tinygrad_cnn.verify.report import Counts
from tinygrad_cnn.verify.subjects.subject import RuleError

Change = Callable[[Array], Array]

_AGREES = 2e-6  # relative; numeric derivatives are good to 1e-8
_MOST_MEASURED = 256
_MOST_WHOLE = 600
_MOST_ENTRIES = 400_000
_MOST_ROWS = 400


def unchanged(a: Array) -> Array:
    """Return what is given."""
    return a


class Evidence:
    """The rule and numeric derivatives at a point away from ties and kinks.

    Attributes
    ----------
    point
        The recorded point if it is smooth, else one close to it.
    g, a
        Two cotangents, and the rule's gradients for them.
    d, Jd
        Two random directions, and the derivatives of all results along them.
    usable
        Whether any smooth point was found.
    wrong
        Whether the rule is wrong here too.
    """

    def __init__(self, prober: Prober, rng: np.random.Generator) -> None:
        self.index = prober.index
        self.rng = rng
        self.original = prober
        self.usable = self._settle(prober)
        if not self.usable:
            return
        self.g = [np.asarray(g) for g in self.point.cotangents[:2]]
        self.a = [a[self.index] for a in self.point.analytic[:2]]
        self.wrong = not self.explains()

    @property
    def x(self) -> Array:
        """The input whose gradient is wrong."""
        return np.asarray(self.point.inputs[self.index])

    @property
    def out(self) -> Array:
        """The result."""
        return self.point.out

    def _settle(self, prober: Prober) -> bool:
        """Find a point at which everything is smooth, at or near the recorded one."""
        near = [prober.point.inputs]
        scales = {
            index: float(np.std(x)) or float(np.max(np.abs(x), initial=0.0)) or 1.0
            for index, x in enumerate(prober.point.inputs)
            if index in prober.point.subject.wanted
        }
        for size in (0.02, 0.1, 0.3):
            moved = prober.point.copies()
            for index, scale in scales.items():
                x = moved[index]
                moved[index] = np.asarray(x + size * scale * self.rng.standard_normal(x.shape))
            near.append(moved)
        for inputs in near:
            try:
                cotangents = prober.point.cotangents[:2]
                self.point = Point(prober.point.subject, inputs, self.rng, cotangents)
            except RuleError:
                continue
            tolerance = Tolerance(prober.tolerance.eps)
            self.prober = Prober(self.point, self.index, tolerance, Counts())
            self.prober.h = self.smooth_step = prober.h
            shape = self.point.inputs[self.index].shape
            self.d = [random_direction(self.rng, shape) for _ in range(2)]
            slopes = [self.along(d) for d in self.d]
            alive = any(a[self.index].any() for a in self.point.analytic)
            if alive and all(s is not None for s in slopes):
                self.Jd = [s for s in slopes if s is not None]
                return True
        return False

    def along(self, d: Array) -> Array | None:
        """Return the derivatives of all results along a direction; None where one has none."""
        for shrink in (1.0, 32.0, 1024.0, 32768.0):
            step = self.prober.h / shrink
            slopes = self.prober.measure(d, step)
            if not slopes.rough.any():
                self.smooth_step = min(self.smooth_step, step / 4)  # elements may move further
                return slopes.value
        return None

    def explains(
        self, cotangent: Change = unchanged, direction: Change | None = None, scale: float = 1.0
    ) -> bool:
        """Whether the wrong gradient is the right one, changed so."""
        for d, Jd in zip(self.d, self.Jd, strict=True):
            if direction is not None:
                found = self.along(direction(d))
                if found is None:
                    return False
                Jd = found
            for g, a in zip(self.g, self.a, strict=True):
                C = cotangent(g)
                if not self.agree(a, d, scale * dot(C, Jd), abs(scale) * norm(C * Jd)):
                    return False
        return any(a.any() for a in self.a)

    def is_right(self, candidates: list[Array]) -> bool:
        """Whether these, one for each cotangent, are the right gradients."""
        for g, candidate in zip(self.g, candidates, strict=True):
            for d, Jd in zip(self.d, self.Jd, strict=True):
                if not self.agree(candidate, d, dot(g, Jd), norm(g * Jd)):
                    return False
        return True

    @staticmethod
    def agree(a: Array, d: Array, expected: float, size: float) -> bool:
        """Whether ⟨a, d⟩ is what is expected, by the size of the terms."""
        return abs(dot(a, d) - expected) <= _AGREES * (norm(a * d) + size)

    def ratio(self) -> float | None:
        """Return the one number that the wrong gradient is of the right one, if there is one."""
        ratios = []
        for d, Jd in zip(self.d, self.Jd, strict=True):
            for g, a in zip(self.g, self.a, strict=True):
                right, size = dot(g, Jd), norm(g * Jd)
                if abs(right) < 1e-3 * size or not size:
                    continue  # nearly cancelled: no ratio to be had from it
                ratios.append(dot(a, d) / right)
        if not ratios:
            return None
        r = float(np.median(ratios))
        return r if self.explains(scale=r) else None

    @cached_property
    def right(self) -> list[Array] | None:
        """The right gradient for each cotangent, measured; None for large inputs."""
        if self.x.size > _MOST_WHOLE:
            return None
        return self._measured(self.prober)

    def right_of(self, index: int) -> list[Array] | None:
        """Return the right gradients of another input, measured; None for large ones."""
        if self.point.inputs[index].size > _MOST_WHOLE:
            return None
        return self._measured(Prober(self.point, index, self.prober.tolerance, Counts()))

    @cached_property
    def columns(self) -> tuple[Array, Array] | None:
        """Flat indices of elements, and the derivative of each result (a row, flat) by them.

        Of large inputs a sample; None where there are too many results.
        """
        n, m = self.x.size, self.out.size
        flat = np.arange(n)
        if n > _MOST_WHOLE:
            flat = np.sort(self.rng.choice(n, _MOST_MEASURED, replace=False))
        if len(flat) * m > _MOST_ENTRIES:
            return None
        J = np.empty((m, len(flat)))
        h = self.smooth_step
        moved = np.array(self.x, order="C")
        line = moved.reshape(-1)
        for column, place in enumerate(flat):
            x = line[place]
            line[place] = x + h
            J[:, column] = self.prober.at(moved.copy()).reshape(-1)
            line[place] = x - h
            J[:, column] -= self.prober.at(moved.copy()).reshape(-1)
            line[place] = x
        J /= 2 * h
        size = np.max(np.abs(J), initial=0.0)
        return (flat, np.where(np.abs(J) < 1e-8 * size, 0.0, J)) if np.isfinite(size) else None

    @cached_property
    def jacobian(self) -> Array | None:
        """The derivative of each result (a row, flat) by each element; None for large ones."""
        if self.x.size > _MOST_WHOLE or self.columns is None:
            return None
        return self.columns[1]

    @cached_property
    def rows(self) -> Array | None:
        """What the rule makes of each result alone (a row each); None for many, or if not a sum."""
        m = self.out.size
        if not 1 < m <= _MOST_ROWS or self.x.size > _MOST_WHOLE:
            return None
        A = np.empty((m, self.x.size))
        one = np.zeros(self.out.shape)
        for row in range(m):
            one.reshape(-1)[row] = 1.0
            A[row] = self.point.gradient(one)[self.index].reshape(-1)
            one.reshape(-1)[row] = 0.0
        sums = [(g.reshape(-1) @ A).reshape(self.x.shape) for g in self.g]
        return A if np.isfinite(A).all() and self.is_given(sums) else None

    def is_given(self, candidates: Sequence[Array]) -> bool:
        """Whether these, one for each cotangent, are the wrong gradients that the rule gives."""
        return any(a.any() for a in self.a) and all(
            c.shape == a.shape and norm(c - a) <= 1e-5 * norm(a)
            for c, a in zip(candidates, self.a, strict=True)
        )

    def is_given_at(self, flat: Array, candidates: Sequence[Array]) -> bool:
        """Whether these are the wrong gradients at some elements, by their flat indices."""
        given = [a.reshape(-1)[flat] for a in self.a]
        return any(a.any() for a in given) and all(
            norm(c - a) <= 1e-5 * norm(a) for c, a in zip(candidates, given, strict=True)
        )

    def right_elsewhere(
        self, size: float, kept: Array | None = None
    ) -> tuple[list[Array], list[Array]] | None:
        """Return wrong and right gradients with this input moved; None for large ones.

        Elements that are ``kept`` stay where they are.
        """
        x = self.x
        if x.size > _MOST_WHOLE:
            return None
        inputs = self.point.copies()
        scale = float(np.std(x)) or 1.0
        step = size * scale * self.rng.standard_normal(x.shape)
        inputs[self.index] = np.asarray(x + step if kept is None else np.where(kept, x, x + step))
        try:
            point = Point(self.point.subject, inputs, self.rng, self.g)
        except RuleError:
            return None
        if point.out.shape != self.out.shape:
            return None
        right = self._measured(Prober(point, self.index, self.prober.tolerance, Counts()))
        return [a[self.index] for a in point.analytic], right

    def sample(self) -> tuple[Array, Array]:
        """Return flat indices of elements, and the right gradients there: a row a cotangent."""
        size = self.x.size
        flat = np.arange(size)
        if size > _MOST_MEASURED:
            flat = np.sort(self.rng.choice(size, _MOST_MEASURED, replace=False))
        return flat, self._numeric(self.prober, flat)

    def _measured(self, prober: Prober) -> list[Array]:
        """Return the right gradients of a prober's input, one for each cotangent."""
        shape = prober.base.shape
        numeric = self._numeric(prober, np.arange(prober.base.size))
        return [numeric[k].reshape(shape) for k in range(len(self.g))]

    def _numeric(self, prober: Prober, flat: Array) -> Array:
        step, prober.h = prober.h, self.smooth_step
        numeric = element_table(prober, flat).numeric
        prober.h = step
        return numeric
