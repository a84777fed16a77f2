"""Containers: modules by number."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from tinygrad_cnn.nn.module import Module

__all__ = ["ModuleList", "Sequential"]


class _Numbered(Module):
    """Modules under the attributes "0", "1", …; works as a list."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def __iter__(self) -> Iterator[Module]:
        return iter([value for value in vars(self).values() if isinstance(value, Module)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module | Self:
        modules = list(self)
        if isinstance(index, slice):
            part = type(self).__new__(type(self))
            part.extend(modules[index])
            return part
        return modules[self._position(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        modules = list(self)
        modules[self._position(index)] = module
        self._replace(modules)

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index if isinstance(index, slice) else self._position(index)]
        self._replace(modules)

    def append(self, module: Module, name: str | None = None) -> Self:
        """Add a module at the end, under the next number or another name; return the container.

        Raises
        ------
        TypeError
            If `module` is something else.
        """
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: expected a Module, got {module!r}")
        self.add_module(str(len(self)) if name is None else name, module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end; return the container."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one at `index`; return the container."""
        modules = list(self)
        modules.insert(index, module)
        self._replace(modules)
        return self

    def _replace(self, modules: list[Module]) -> None:
        """Hold these modules instead, numbered anew."""
        for module in modules:
            if not isinstance(module, Module):
                raise TypeError(f"{type(self).__name__}: expected a Module, got {module!r}")
        for name, value in list(vars(self).items()):
            if isinstance(value, Module):
                delattr(self, name)
        self.extend(modules)

    def _position(self, index: int) -> int:
        position, length = operator.index(index), len(self)
        if not -length <= position < length:
            raise IndexError(f"{type(self).__name__}: index {index} of {length} modules")
        return position


class Sequential(_Numbered):
    """Apply modules one after the other.

    Parameters
    ----------
    *modules
        The first gets the input, each other one the result of the one before. Or one dict of
        modules: their names are then its keys instead of numbers.

    Raises
    ------
    TypeError
        If an argument is not a module.

    >>> from tinygrad_cnn.nn import Flatten, Identity
    >>> net = Sequential(Identity(), Flatten())
    >>> len(net), net[-1], net[:1]
    (2, Flatten(start_dim=1, end_dim=-1), Sequential(
      (0): Identity()
    ))
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            super().__init__()
            for name, module in modules[0].items():
                self.append(module, name)
        else:
            super().__init__(modules)  # type: ignore[arg-type]  # append says what is no module

    def forward(self, input: Any) -> Any:
        """Apply the modules in order."""
        for module in self:
            input = module(input)
        return input


class ModuleList(_Numbered):
    """Hold modules in a list whose parameters are found; how to apply them is the owner's business.

    Parameters
    ----------
    modules
        The modules in order.

    Raises
    ------
    TypeError
        If one is not a module.

    >>> from tinygrad_cnn.nn import Identity
    >>> [name for name, _ in ModuleList([Identity(), Identity()]).named_modules()]
    ['', '0', '1']
    """
