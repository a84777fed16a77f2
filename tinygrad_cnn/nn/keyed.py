"""Containers by key, and of parameters: `ModuleDict`, `ParameterList`, `ParameterDict`."""

from __future__ import annotations

import operator
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, ClassVar, Self

from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.tensor import Tensor

__all__ = ["ModuleDict", "ParameterDict", "ParameterList"]


class _Keyed(Module):
    """Values of one kind under their keys as attributes; works as a dict."""

    _kind: ClassVar[type] = Module

    def __init__(self, values: Any = None) -> None:
        if values is not None:
            self.update(values)

    def _items(self) -> dict[str, Any]:
        return {name: v for name, v in vars(self).items() if isinstance(v, self._kind)}

    def _made(self, key: str, value: Any) -> Any:
        if not isinstance(key, str):
            raise TypeError(f"{type(self).__name__}: expects strings as keys, got {key!r}")
        if not isinstance(value, self._kind):
            raise TypeError(
                f"{type(self).__name__}: expects a {self._kind.__name__} for {key!r}, got {value!r}"
            )
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        value = self._made(key, value)
        if key not in self._items():
            self._register(type(self).__name__, key, value, self._kind)
        else:
            setattr(self, key, value)

    def __getitem__(self, key: str) -> Any:
        items = self._items()
        if key not in items:
            raise KeyError(f"{type(self).__name__}: no {key!r} among {list(items)}")
        return items[key]

    def __delitem__(self, key: str) -> None:
        self[key]  # a KeyError if there is none
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[str]:
        return iter(self._items())

    def __contains__(self, key: object) -> bool:
        return key in self._items()

    def keys(self) -> KeysView[str]:
        """Return the keys in order."""
        return self._items().keys()

    def values(self) -> ValuesView[Any]:
        """Return the values in order."""
        return self._items().values()

    def items(self) -> ItemsView[str, Any]:
        """Return pairs of key and value in order."""
        return self._items().items()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or the default."""
        return self._items().get(key, default)

    def pop(self, key: str) -> Any:
        """Take the value of a key away and return it."""
        value = self[key]
        delattr(self, key)
        return value

    def clear(self) -> None:
        """Take everything away."""
        for key in self._items():
            delattr(self, key)

    def update(self, values: Any) -> None:
        """Add the values of a mapping, or of pairs."""
        pairs = values.items() if isinstance(values, (Mapping, _Keyed)) else values
        for key, value in pairs:
            self[key] = value


class ModuleDict(_Keyed):
    """Hold modules by key, so that their parameters are found; works as a dict.

    Parameters
    ----------
    modules
        A mapping, or pairs of key and module.

    Raises
    ------
    TypeError
        If a value is no module.
    ValueError
        If a key has a dot, or is the name of a method.

    >>> from tinygrad_cnn.nn import Identity
    >>> modules = ModuleDict({"left": Identity(), "right": Identity()})
    >>> list(modules), modules["left"]
    (['left', 'right'], Identity())
    """


class ParameterDict(_Keyed):
    """Hold parameters by key; tensors become parameters, other values are refused.

    >>> weights = ParameterDict({"w": Tensor([1.0])})
    >>> [name for name, _ in weights.named_parameters()]
    ['w']
    """

    _kind = Parameter

    def _made(self, key: str, value: Any) -> Any:
        plain = isinstance(value, Tensor) and not isinstance(value, Parameter)
        return super()._made(key, Parameter(value.detach()) if plain else value)


class ParameterList(Module):
    """Hold parameters in a list; tensors become parameters.

    >>> weights = ParameterList([Tensor([1.0]), Tensor([2.0])])
    >>> len(weights), [name for name, _ in weights.named_parameters()]
    (2, ['0', '1'])
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self.extend(values)

    def append(self, value: Any) -> Self:
        """Add a parameter at the end; return the container.

        Raises
        ------
        TypeError
            If it is no tensor.
        """
        if not isinstance(value, Tensor):
            raise TypeError(f"ParameterList: expects tensors, got {type(value).__name__}")
        own = value if isinstance(value, Parameter) else Parameter(value.detach())
        self.register_parameter(str(len(self)), own)
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add parameters at the end; return the container."""
        for value in values:
            self.append(value)
        return self

    def __iter__(self) -> Iterator[Parameter]:
        return iter([v for v in vars(self).values() if isinstance(v, Parameter)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getitem__(self, index: int | slice) -> Any:
        found = list(self)[index]
        return ParameterList(found) if isinstance(found, list) else found

    def __setitem__(self, index: int, value: Any) -> None:
        position = range(len(self))[operator.index(index)]
        setattr(self, str(position), value if isinstance(value, Parameter) else Parameter(value))
