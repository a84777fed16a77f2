"""`Holding`: what a module holds, by path, or of one kind as a dict that may be written to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.tensor import Tensor

__all__: list[str] = []


class Held(MutableMapping[str, Any]):
    """The attributes of a module that are of a kind: PyTorch's ``_modules`` and its like.

    What is written or deleted here is assigned to the module, or deleted from it.
    """

    def __init__(self, module: Any, names: list[str]) -> None:
        self._module = module
        self._names = names

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return vars(self._module)[name]

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self._module, name, value)
        if name not in self._names:
            self._names.append(name)

    def __delitem__(self, name: str) -> None:
        if name not in self._names:
            raise KeyError(name)
        delattr(self._module, name)
        self._names.remove(name)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._names))

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))


class Holding:
    """Parts by path and by kind; `Module` inherits it."""

    _persistence: Mapping[str, bool]

    def get_submodule(self, target: str) -> Any:
        """Return the module at a path, such as ``features.0``; "" is this one.

        Raises
        ------
        AttributeError
            If there is none.
        """
        return self._at("get_submodule", target, Holding) if target else self

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a path; an AttributeError if there is none."""
        return self._at("get_parameter", target, Parameter)  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at a path; an AttributeError if there is none."""
        return self._at("get_buffer", target, Tensor)  # type: ignore[no-any-return]

    def set_submodule(self, target: str, module: Any) -> None:
        """Put a module in the place of the one at a path; an AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        self._at("set_submodule", target, Holding)
        setattr(self.get_submodule(path), name, module)

    def _at(self, function: str, target: str, kind: Any) -> Any:
        found: Any = self
        for name in target.split("."):
            found = getattr(found, name, None)
        if not isinstance(found, kind):
            raise AttributeError(
                f"{function}: {type(self).__name__} has no {function.partition('_')[2]} {target!r}"
            )
        return found

    def _held(self, kind: Any) -> Held:
        return Held(self, [name for name, v in vars(self).items() if isinstance(v, kind)])

    @property
    def _modules(self) -> Held:
        return self._held(Holding)

    @property
    def _parameters(self) -> Held:
        return self._held(Parameter)

    @property
    def _buffers(self) -> Held:
        values = vars(self)
        return Held(self, [name for name in self._persistence if name in values])
