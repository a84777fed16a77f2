"""Hints behind a product of matrices: what the rule passes on inside of a network of two layers.

With h = f(x·w) the gradient of x is δ·wᵀ and that of w is xᵀ·δ, whatever f is and whatever follows.
Where the other factor has full rank, δ can be had from either, of the wrong gradient and of the
right one; beside each other they show what is wrong with f's derivative.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.hints.evidence import Evidence
from tinygrad_cnn.verify.numeric.slopes import norm
from tinygrad_cnn.verify.report import Hint

_SAME = 1e-5
_LARGEST = 256  # rows or columns of a factor


def product_hints(evidence: Evidence) -> list[Hint]:
    """Say so if what arrives behind a product is off by a factor of each element's own."""
    right = evidence.right
    if right is None or evidence.x.ndim != 2 or len(right) < 2:
        return []
    for name, inverse, back in _factors(evidence):
        wrongs, rights = (
            [_solved(a, inverse, back) for a in arrays] for arrays in (evidence.a, right)
        )
        found = [d for d in (*wrongs, *rights) if d is not None]
        if len(found) == len(wrongs) + len(rights):
            hints = _compared(name, found[: len(wrongs)], found[len(wrongs) :])
            if hints:
                return hints
    return []


def _factors(evidence: Evidence) -> Iterator[tuple[str, Array, bool]]:
    """Iterate over other factors' names and pseudo-inverses, and whether they stand behind."""
    N, D = evidence.x.shape
    subject = evidence.point.subject
    for position, (name, w) in enumerate(zip(subject.names, evidence.point.inputs, strict=True)):
        if position == evidence.index or np.ndim(w) != 2 or max(np.shape(w)) > _LARGEST:
            continue
        if not isinstance(w, np.ndarray) or w.dtype.kind != "f":
            continue
        behind, before = w.shape[0] == D, w.shape[1] == N
        if behind and np.linalg.matrix_rank(w) == w.shape[1]:
            yield name, np.linalg.pinv(w.T), True
        if before and np.linalg.matrix_rank(w) == w.shape[0]:
            yield name, np.linalg.pinv(w.T), False


def _solved(a: Array, inverse: Array, behind: bool) -> Array | None:
    """Return δ; None where the gradient is no product with that factor."""
    delta = a @ inverse if behind else inverse @ a
    factor = np.linalg.pinv(inverse)
    again = delta @ factor if behind else factor @ delta
    return np.asarray(delta) if norm(again - a) <= _SAME * norm(a) else None


def _compared(name: str, wrongs: list[Array], rights: list[Array]) -> list[Hint]:
    size = max(float(np.max(np.abs(r))) for r in rights)
    passes = np.all([np.abs(r) > 1e-4 * size for r in rights], axis=0)
    idle = np.all([np.abs(r) <= 1e-7 * size for r in rights], axis=0)
    where = f"behind the product with {name}"
    if np.count_nonzero(passes) < 2:
        return []
    one, two = (w[passes] / r[passes] for w, r in zip(wrongs[:2], rights[:2], strict=True))
    if not np.allclose(one, two, rtol=1e-4, atol=1e-5):
        return []
    if np.any([np.abs(w) > 1e-4 * size for w in wrongs], axis=0)[idle].any():
        text = f"{where} the gradient passes where it must not: an activation's mask is missing"
        return [Hint("mask missing", text)] if np.allclose(one, 1, rtol=1e-4) else []
    if np.ptp(one) <= 1e-4 * np.max(np.abs(one)):
        return []
    text = (
        f"{where} each element is off by a factor of its own ({one.min():.3g} to {one.max():.3g}), "
        "whatever the incoming gradient: is an activation's derivative left out there, or wrong?"
    )
    return [Hint("slope", text)]
