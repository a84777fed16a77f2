"""The interface of what is verified: a function at a point, with its rule.

Whoever brings another framework's functions writes one file with one class that inherits
`Subject`: how to call forward, how to call the rule, which inputs there are, what they are called.
Everything behind it (numeric differentiation, kinks, places, hints, reports) is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tinygrad_cnn.types import Array

Pull = Callable[[Array], list[Any]]
"""Takes the gradient of the result, returns one gradient an input (None for zeros)."""


class RuleError(Exception):
    """Forward or rule raised, or returned what it must not; the text says what.

    ``position`` is that of the one input whose gradient it is about, if it is about one.
    """

    def __init__(self, text: str, kind: str = "error", position: int | None = None) -> None:
        super().__init__(text)
        self.kind, self.position = kind, position


class Subject(Protocol):
    """A function at a point, and the rule that is to be verified.

    A class that inherits it must set the first four attributes and define `forward` and `record`;
    the rest has a default.

    Attributes
    ----------
    name
        What it is called in reports.
    inputs
        The point: float64 arrays, and constants of any kind.
    wanted
        Which inputs are differentiated.
    names
        The names of all inputs.
    recorded
        The gradient of the result that a recorded backward pass has, if it is known.
    infinite
        Whether infinities are meant, as in a mask of −∞, though no input shows it.
    subsets
        Whether the rule may depend on which inputs want a gradient.
    special
        Whether points of round numbers are of its domain.
    dtype
        In what the user runs it, if that is not float64; the rule is then called in it too.
    """

    name: str
    inputs: list[Any]
    wanted: tuple[int, ...]
    names: tuple[str, ...]
    recorded: Array | None = None
    infinite: bool = False
    subsets: bool = True
    special: bool = True
    dtype: np.dtype[Any] | None = None

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result as an array; change nothing."""
        ...

    def record(
        self, inputs: Sequence[Any], wanted: Sequence[int] | None = None
    ) -> tuple[Array, Pull]:
        """Run the function as an ordinary forward pass does; return the result and the rule.

        ``wanted`` asks for the gradients of fewer inputs; a rule that knows nothing of that gives
        all. The inputs may be of another floating-point dtype than float64.
        """
        ...

    def permutes(self) -> bool:
        """Whether the choice is an order: of equals any is right, between slopes or not."""
        return False

    def as_recorded(self) -> Pull | None:
        """Return the rule of the very call that was recorded, with all that it has kept."""
        return None

    def choice(self, inputs: Sequence[Any]) -> Any:  # noqa: ARG002  # what others override
        """Return the discrete choice made at a point (a mask, indices), None if none is known."""
        return None


def in_float64(value: Any) -> Any:
    """Return a private float64 copy of a floating-point array; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.array(value, np.float64, order="K")
    return value


def side_by_side(arrays: Sequence[Array]) -> Array:
    """Return one array as it is, several flat in a row."""
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([np.asarray(a).reshape(-1) for a in arrays])
