"""Hints from the Jacobian: which of its entries the wrong gradient is made of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.hints.evidence import Evidence
from tinygrad_cnn.verify.hints.where import describe
from tinygrad_cnn.verify.numeric.slopes import norm
from tinygrad_cnn.verify.report import Hint

_MOST_VALUES = 8


def jacobian_hints(evidence: Evidence) -> list[Hint]:
    """Say so if only the diagonal is there, or only the last result that reads an element."""
    if evidence.columns is None:
        return []
    flat, J = evidence.columns
    return _diagonal(evidence, flat, J) or _overlap(evidence, flat, J)


def _diagonal(evidence: Evidence, flat: Array, J: Array) -> list[Hint]:
    if evidence.x.shape != evidence.out.shape or evidence.x.size < 2:
        return []
    diagonal = J[flat, np.arange(len(flat))]
    if np.count_nonzero(J) == np.count_nonzero(diagonal):
        return []
    if evidence.is_given_at(flat, [g.reshape(-1)[flat] * diagonal for g in evidence.g]):
        text = "only the Jacobian's diagonal is there: what one element does to the others is lost"
        return [Hint("diagonal", text)]
    return []


def _overlap(evidence: Evidence, flat: Array, J: Array) -> list[Hint]:
    """Keep for each element only one of the places at which it is read."""
    reads = J != 0
    if not (reads.sum(axis=0) > 1).any():
        return []
    for rank in _loops(evidence.out.shape):
        for word, sign in (("last", 1), ("first", -1)):
            order = np.where(reads, sign * rank[:, None], -np.inf)
            kept = reads & (order == order.max(axis=0))
            if (kept == reads).all():
                continue
            if evidence.is_given_at(flat, [g.reshape(-1) @ (J * kept) for g in evidence.g]):
                text = (
                    f"only the {word} result that reads an element counts: = for += where windows "
                    "overlap or indices repeat?"
                )
                return [Hint("overlap", text)]
    return []


def weight_hints(evidence: Evidence) -> list[Hint]:
    """Look for one factor a result, by which its incoming gradient is weighed wrongly."""
    J = evidence.jacobian
    if J is None or (np.count_nonzero(J, axis=0) < 2).all():
        return []
    m, n = J.shape
    if m < 2 or 2 * n <= m:
        return []
    system = np.concatenate([(J * g.reshape(-1, 1)).T for g in evidence.g])  # 2n, m
    given = np.concatenate([a.reshape(-1) for a in evidence.a])
    factors, _, rank, _ = np.linalg.lstsq(system, given, rcond=1e-9)
    if rank < m or norm(system @ factors - given) > 1e-5 * norm(given):
        return []
    rounded = np.round(factors, 4)
    values, counts = np.unique(rounded, return_counts=True)
    if len(values) > _MOST_VALUES:
        return []
    parts = [f"{v:.4g} at {c}" for v, c in zip(values, counts, strict=True)]
    where = describe(evidence.out.shape, evidence.out, np.arange(m), rounded != 1)
    text = f"results are weighed by {', '.join(parts)} of {m}, where all should be 1 ({where})"
    return [Hint("ratios", text)]


def _loops(shape: tuple[int, ...]) -> Iterator[Array]:
    """Iterate over orders in which a loop may run over the results: by some of their axes."""
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    for count in range(len(axes), 0, -1):
        for subset in itertools.combinations(axes, count):
            rank = np.zeros(shape)
            for axis in subset:
                size = shape[axis]
                along = np.arange(size).reshape([-1 if a == axis else 1 for a in range(len(shape))])
                rank = rank * size + along
            yield rank.reshape(-1)
