"""Inputs of a user's function: shapes from the command line, or found by trying."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli.arguments import UsageError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Given", "given", "guess", "make"]

_TARGETS = frozenset(("y", "t", "target", "targets", "label", "labels", "y_true", "classes"))


@dataclass(frozen=True)
class Given:
    """An input as the command line gives it.

    Attributes
    ----------
    shape
        Of random numbers.
    below
        Integers below this one, None for floating-point numbers.
    file
        An array in a ``.npy`` file instead.
    """

    shape: tuple[int, ...] = ()
    below: int | None = None
    file: Path | None = None

    def __str__(self) -> str:
        if self.file is not None:
            return str(self.file)
        shape = "x".join(map(str, self.shape)) or "number"
        return shape if self.below is None else f"{shape}:{self.below}"


def given(text: str) -> Given:
    """Parse ``4x3`` (a shape), ``4:10`` (integers below 10), ``number``, or the name of a file.

    >>> given("2x3x8x8").shape, given("4:10").below, given("number").shape
    ((2, 3, 8, 8), 10, ())
    """
    if text.endswith(".npy"):
        return Given(file=Path(text))
    if text == "number":
        return Given()
    found = re.fullmatch(r"(\d+(?:[x,]\d+)*)(?::(\d+))?", text)
    if not found:
        raise argparse.ArgumentTypeError(
            f"expected a shape such as 4x3, or 4:10 for integers below 10, number, or a file .npy, "
            f"got {text!r}"
        )
    shape = tuple(map(int, re.split("[x,]", found[1])))
    return Given(shape, None if found[2] is None else int(found[2]))


def make(one: Given, rng: np.random.Generator) -> Any:
    """Return the array."""
    import numpy as np

    if one.file is not None:
        try:
            return np.load(one.file, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"argument --input: {one.file}: {error}") from error
    if one.below is not None:
        return rng.integers(one.below, size=one.shape)
    return np.asarray(rng.standard_normal(one.shape))


def guess(
    call: Callable[..., Any], names: Sequence[str], shapes: Sequence[tuple[int, ...]], seed: int
) -> list[Given]:
    """Return the first inputs with which a call does not raise.

    ``names`` are those of its arguments, ``shapes`` those of the arrays that it holds.
    """
    import numpy as np

    first = ""
    for inputs in _candidates(names, shapes):
        rng = np.random.default_rng(seed)
        try:
            with np.errstate(all="ignore"):
                call(*[make(one, rng) for one in inputs])
        except Exception as error:  # of somebody else's function: these are not its shapes
            tried = ", ".join(map(str, inputs))
            first = first or f"with {tried} it raised {type(error).__name__}: {error}"
            continue
        return inputs
    raise UsageError(
        f"say what it takes: --input with a shape for each of {', '.join(names) or 'its inputs'} "
        f"(no usual shapes fit: {first})"
    )


def _candidates(names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> Iterator[list[Given]]:
    held: list[tuple[int, ...]] = []
    for shape in shapes:
        if len(shape) == 2:
            held += [(4, shape[0]), (4, shape[1]), (shape[1], 1)]
        if len(shape) == 4:
            held += [(2, shape[1], 8, 8), (2, shape[1], 28, 28), (2, shape[1], 32, 32)]
    for first in [*held, (4, 3), (2, 3, 8, 8), (2, 1, 28, 28), (2, 5, 8), (6,)]:
        rest = [Given(first)]
        for name in names[1:]:
            if name.lower() in _TARGETS and len(first) > 1:
                rest.append(Given(first[:1], first[1]))
            else:
                rest.append(Given(first))
        yield rest
        if len(names) > 1 and len(first) > 1:
            yield [Given(first) for _ in names]
            usual: dict[int, tuple[int, ...]] = {2: (first[1], 5), 4: (4, first[1], 3, 3)}
            weight = usual.get(len(first), first)
            bias = (weight[-1] if len(weight) == 2 else weight[0],)
            yield [Given(first), Given(weight), *(Given(bias) for _ in names[2:])]
