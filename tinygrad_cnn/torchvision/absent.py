"""What a name that torchvision has and this package does not says when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

__all__ = ["absent"]


def absent(module: str, instead: Mapping[str, str], otherwise: str) -> Callable[[str], NoReturn]:
    """Return the ``__getattr__`` of a module: an error that names what is nearest.

    Parameters
    ----------
    module
        torchvision's name of the module.
    instead
        For some of torchvision's names, what to write instead.
    otherwise
        The same for all others.
    """

    def refuse(name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise AttributeError(f"{module}.{name} is not here; {instead.get(name, otherwise)}")

    return refuse
