"""How large gradients were in the course of training: a histogram a parameter, every so often."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.tensor import Tensor

__all__ = ["EDGES", "GradientLog"]

Array = npt.NDArray[Any]

EDGES: Array = np.linspace(-12.0, 4.0, 65)
"""Edges (65,) of the bins, as decimal logarithms of a gradient's absolute value."""

_MOST_ROWS = 400  # more than a picture shows


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

    def drop_after(self, step: int) -> None:
        """Forget the rows after a step, which a run that goes on from there makes again."""
        self._keep([row for row, at in enumerate(self.steps) if at <= step])

    def _keep(self, rows: Iterable[int]) -> None:
        kept = list(rows)
        self.steps = [self.steps[row] for row in kept]
        self.counts = {name: [of[row] for row in kept] for name, of in self.counts.items()}

    def zeros(self, name: str) -> list[float]:
        """Return the share of a parameter's gradient that was exactly zero, by row."""
        return [1 - float(row.sum()) / max(self.sizes[name], 1) for row in self.counts[name]]

    def save(self, path: Path) -> None:
        """Write a NumPy archive, whole or not at all."""
        names = list(self.counts)
        arrays = {
            "steps": np.array(self.steps, np.int64),
            "every": np.array(self._every),
            "edges": EDGES,
            "names": np.array(names, np.str_),
            "sizes": np.array([self.sizes[name] for name in names], np.int64),
        }
        shape = (len(self.steps), len(EDGES) - 1)
        for number, name in enumerate(names):
            arrays[f"counts{number}"] = np.array(self.counts[name], np.int32).reshape(shape)
        with atomic_file(path) as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # the stubs know no **

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
            with np.load(path, allow_pickle=False) as arrays:
                log.steps = arrays["steps"].tolist()
                log._every = int(arrays["every"])
                if not np.array_equal(arrays["edges"], EDGES):
                    raise ValueError("it has other bins")
                for number, name in enumerate(arrays["names"].tolist()):
                    log.sizes[name] = int(arrays["sizes"][number])
                    log.counts[name] = list(arrays[f"counts{number}"])
        except OSError:
            raise
        except Exception as error:  # of damaged bytes NumPy raises all kinds
            raise ValueError(f"{path} is no log of gradients: {error}") from error
        return log


def _histogram(values: Array) -> Array:
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])  # (K,)
    inside = np.clip(np.log10(sizes.astype(np.float64)), EDGES[0], EDGES[-1])
    return np.histogram(inside, EDGES)[0]
