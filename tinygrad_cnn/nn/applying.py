"""What layers without parameters have in common: a function, called with their settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar


class Applies:
    """A layer that calls one function; comes before `Module` among the bases.

    Attributes
    ----------
    function
        What `forward` calls, with the input and the settings in order.
    settings
        The names of the attributes that it takes, which `repr` shows.
    """

    function: ClassVar[Callable[..., Any]]
    settings: ClassVar[tuple[str, ...]] = ()

    def forward(self, input: Any) -> Any:
        """Apply the function."""
        return type(self).function(input, *[getattr(self, name) for name in self.settings])

    def extra_repr(self) -> str:
        """Return the settings."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)


class AppliesInPlace(Applies):
    """A layer that has ``inplace`` in PyTorch, and takes the word.

    The result is the same; the input is not written to, which costs memory and spares surprises.
    """

    inplace: bool = False

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Return the settings, and the word if it was said."""
        said = ["inplace=True"] if self.inplace else []
        return ", ".join([text for text in (super().extra_repr(), *said) if text])
