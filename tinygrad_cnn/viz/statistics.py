"""What can be said of an array in a few numbers: range, mean, spread, zeros, a histogram."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.deferring import kept_result
from tinygrad_cnn.graph import Array, Node
from tinygrad_cnn.op import TensorBase

BINS = 24


@dataclass(frozen=True, slots=True)
class Statistics:
    """The values of an array in numbers.

    Attributes
    ----------
    count
        Number of elements.
    nans, infinities, zeros
        How many of them are NaN, infinite, exactly zero.
    min, max, mean, std
        Of the finite elements; None if there are none.
    histogram
        How many finite elements lie in each of `BINS` equal parts of [min, max]; empty if there
        are none.
    """

    count: int
    nans: int = 0
    infinities: int = 0
    zeros: int = 0
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    histogram: tuple[int, ...] = ()


def statistics_of(array: Array) -> Statistics:
    """Measure an array of any shape and of real numbers; it is only read.

    >>> measured = statistics_of(np.array([0.0, 1.0, 2.0, 3.0, np.nan]))
    >>> measured.mean, measured.min, measured.max, measured.zeros, measured.nans
    (1.5, 0.0, 3.0, 1, 1)
    >>> sum(measured.histogram)
    4
    """
    values = np.asarray(array, np.float64).ravel()
    finite = values[np.isfinite(values)]
    nans = int(np.isnan(values).sum())
    counts = (values.size, nans, values.size - finite.size - nans, int((values == 0).sum()))
    if not finite.size:
        return Statistics(*counts)
    low, high = float(finite.min()), float(finite.max())
    # In units of the largest value, so that no square and no range overflows or vanishes.
    unit = max(abs(low), abs(high)) or 1.0
    scaled = finite / unit
    span = scaled.max() - scaled.min()
    place = (scaled - scaled.min()) / (span or 1.0) * BINS
    bins = np.bincount(np.minimum(place.astype(np.intp), BINS - 1), minlength=BINS)
    mean, std = float(scaled.mean()) * unit, float(scaled.std()) * unit
    return Statistics(*counts, low, high, mean, std, tuple(bins.tolist()))


Measured = dict[Any, tuple[Statistics | None, Statistics | None]]


def measure(order: Iterable[Node], outputs: Iterable[TensorBase]) -> Measured:
    """Measure all values and gradients that a recorded graph still holds.

    Returns
    -------
    For recorded nodes, and for the ids of the arrays of leaves and constants, the statistics of
    the value and of the gradient; None for what nobody kept or computed.
    """
    values: dict[Any, Array] = {}
    gradients: dict[Any, Array] = {}
    nodes = list(order)
    for tensor in outputs:
        _note(tensor, tensor._node or id(tensor._data), values, gradients)
    for node in nodes:
        retained = None if node.notes is None else node.notes.retained
        kept = None if retained is None else retained()
        if kept is not None:
            _note(kept, node, values, gradients)
        out = kept_result(node)
        if out is not None:
            values.setdefault(node, out)
        saved = node.saved or [None] * len(node.edges)  # None once released
        for edge, item in zip(node.edges, saved, strict=True):
            if isinstance(edge, TensorBase):
                _note(edge, id(edge._data), values, gradients)
            elif isinstance(item, np.ndarray):
                values.setdefault(id(item) if edge is None else edge, item)
    done: dict[int, Statistics] = {}
    for array in [*values.values(), *gradients.values()]:
        if id(array) not in done:
            done[id(array)] = statistics_of(array)

    def found(known: dict[Any, Array], key: Any) -> Statistics | None:
        return done[id(known[key])] if key in known else None

    keys = values.keys() | gradients.keys()
    return {key: (found(values, key), found(gradients, key)) for key in keys}


def _note(
    tensor: TensorBase, key: Any, values: dict[Any, Array], gradients: dict[Any, Array]
) -> None:
    values.setdefault(key, tensor._data)
    if tensor._grad is not None:
        gradients.setdefault(key, tensor._grad._data)
