"""How large gradients were in the course of training: a histogram a parameter, every so often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.npz import read_npz, write_npz
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array

__all__ = ["EDGES", "GradientLog"]


EDGES: Array = np.linspace(-12.0, 4.0, 65)
"""Edges (65,) of the bins, as decimal logarithms of a gradient's absolute value."""

_MOST_ROWS = 400  # more than a picture shows
_STATE = ("steps", "every", "edges", "names", "sizes")


class GradientLog:
    """Histograms of the absolute values of gradients, by step and parameter.

    What is smaller or larger than all bins is counted in the outermost one; exact zeros, which
    have no logarithm, and what is not finite are counted in no bin. Once there are 400 rows every
    other is dropped, and from then on every other step is passed over.

    Attributes
    ----------
    steps
        The step of each row, R of them.
    counts
        By the parameter's name: R rows (64,) of integers, the elements in each bin.
    sizes
        By the parameter's name: its number of elements.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor([3.0, 0.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> log = GradientLog()
    >>> log.add(1, [("x", x)])
    >>> int(log.counts["x"][0].sum()), log.zeros("x")  # of the gradient [6, 0]
    (1, [0.5])
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.counts: dict[str, list[Array]] = {}
        self.sizes: dict[str, int] = {}
        self._every = 1
        self._passed = 0

    def add(self, step: int, parameters: Iterable[tuple[str, Tensor]]) -> None:
        """Count the gradients of a step; parameters that have none are all zeros."""
        self._passed += 1
        if self._passed % self._every:
            return
        self.steps.append(step)
        for name, parameter in parameters:
            grad = parameter.grad
            values = np.zeros(0) if grad is None else grad.numpy()
            self.sizes[name] = parameter.numel()
            self.counts.setdefault(name, []).append(_histogram(values))
        if len(self.steps) > _MOST_ROWS:
            self._keep(range(1, len(self.steps), 2))
            self._every *= 2

    def _keep(self, rows: Iterable[int]) -> None:
        kept = list(rows)
        self.steps = [self.steps[row] for row in kept]
        self.counts = {name: [of[row] for row in kept] for name, of in self.counts.items()}

    def zeros(self, name: str) -> list[float]:
        """Return the share of a parameter's gradient that was exactly zero, by row."""
        return [1 - float(row.sum()) / max(self.sizes[name], 1) for row in self.counts[name]]

    def state(self) -> dict[str, Array]:
        """Return all that the log holds, as arrays by name."""
        names = list(self.counts)
        arrays = {
            "steps": np.array(self.steps, np.int64),
            "every": np.array([self._every, self._passed], np.int64),
            "edges": EDGES,
            "names": np.array(names, np.str_),
            "sizes": np.array([self.sizes[name] for name in names], np.int64),
        }
        shape = (len(self.steps), len(EDGES) - 1)
        for number, name in enumerate(names):
            arrays[f"counts{number}"] = np.array(self.counts[name], np.int32).reshape(shape)
        return arrays

    def load_state(self, arrays: Mapping[str, Array]) -> None:
        """Hold what `state` returned, and go on from there.

        Raises
        ------
        ValueError
            If it is something else; the log then stays as it was.
        """
        try:
            steps, every, edges, names, sizes = (arrays[name] for name in _STATE)
            counts = [arrays[f"counts{number}"] for number in range(names.size)]
        except KeyError as missing:
            raise ValueError(f"it lacks {missing}") from None
        shapes = [(steps.size, len(EDGES) - 1)] * names.size
        if (
            any(array.dtype.kind not in "iu" for array in (steps, every, sizes, *counts))
            or [array.shape for array in counts] != shapes
            or (steps.ndim, names.ndim, names.dtype.kind) != (1, 1, "U")
            or (every.shape, sizes.shape) != ((2,), names.shape)
            or min(every.tolist()) < 0
            or every[0] < 1
        ):
            raise ValueError("its rows do not fit each other")
        if not np.array_equal(edges, EDGES):
            raise ValueError("it has other bins")
        self.steps = steps.tolist()
        self._every, self._passed = every.tolist()
        self.sizes = dict(zip(names.tolist(), sizes.tolist(), strict=True))
        self.counts = dict(zip(names.tolist(), map(list, counts), strict=True))

    def save(self, path: Path) -> None:
        """Write a NumPy archive, whole or not at all."""
        with atomic_file(path) as file:
            write_npz(file, self.state(), compress=True)

    @classmethod
    def load(cls, path: Path) -> GradientLog:
        """Read what `save` wrote.

        Raises
        ------
        OSError
            If it cannot be read.
        ValueError
            If it is something else.
        """
        log = cls()
        try:
            log.load_state(read_npz(path))
        except ValueError as error:
            raise ValueError(f"{path} is no log of gradients: {error}") from error
        return log


def _histogram(values: Array) -> Array:
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])  # (K,)
    inside = np.clip(np.log10(sizes.astype(np.float64)), EDGES[0], EDGES[-1])
    return np.histogram(inside, EDGES)[0]
