"""`Module`: a part of a network, which holds parameters and other modules.

What a module holds stands in its attributes and nowhere else: parameters and sub-modules are found
by looking through them. So assigning registers, assigning again replaces, deleting removes, and a
subclass may leave out ``super().__init__()`` unharmed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.graph import Array, mode
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.nn.weights import read_arrays, write_arrays
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.views import Following

__all__ = ["Module"]


class IncompatibleKeys(NamedTuple):
    """What `Module.load_state_dict` with ``strict=False`` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """A part of a network: parameters, buffers and other modules, and a `forward` that uses them.

    A subclass assigns parameters and modules to attributes and defines ``forward``; calling the
    module runs it. Operations recorded meanwhile carry the module's path, such as
    ``features.0.conv``, for pictures and reports; the module that was called first has the path "".

    >>> from tinygrad_cnn import tensor
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Parameter([2.0])
    ...     def forward(self, input):
    ...         return input * self.factor
    >>> Scale()(tensor([1.0, 2.0]))
    tensor([2., 4.], grad_fn=mul)
    >>> dict(Scale().state_dict())
    {'factor': array([2.], dtype=float32)}
    """

    training: bool = True  # see train()
    # Names of buffers, and whether each belongs to the state; replaced, never written to.
    _buffers: Mapping[str, bool] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the result; defined by subclasses."""
        raise NotImplementedError(f"{type(self).__name__}: forward is not defined")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`; operations recorded meanwhile carry this module's path."""
        now = mode.__dict__  # one look-up of this thread's state instead of six
        scope, caller = now["scope"], now["module"]
        path = "" if caller is None else _path(caller, self)
        now["scope"] = f"{scope}.{path}" if scope and path else scope or path
        now["module"] = self
        try:
            result = self.forward(*args, **kwargs)
            if caller is None and now["watch"] is not None:
                now["watch"].called(self, args, result)
            return result
        except Exception as error:
            if not getattr(error, "__notes__", None):  # the innermost module says where
                error.add_note(f"in {now['scope'] or 'the model'}: {type(self).__name__}.forward")
            raise
        finally:
            now["scope"], now["module"] = scope, caller

    # ------------------------------------------------------------------ registering by name

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign; TypeError where a parameter or buffer would be lost by the way."""
        before = self.__dict__.get(name)
        if value is not before and value is not None:
            if isinstance(before, Parameter) and not isinstance(value, (Parameter, Module)):
                raise TypeError(_would_lose(self, name, value, "parameter", "nn.Parameter(…)"))
            if name in self._buffers and not isinstance(value, Tensor):
                raise TypeError(_would_lose(self, name, value, "buffer", "tensor(…)"))
        object.__setattr__(self, name, value)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Assign a parameter, or None where there could be one, to a new attribute.

        Raises
        ------
        ValueError
            If the name is taken, empty or has a dot.
        TypeError
            If `param` is something else.
        """
        self._register("register_parameter", name, param, Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Assign a tensor that belongs to the module's state but is not learnt to a new attribute.

        A persistent one is part of `state_dict`. Assigning to the attribute later replaces it.

        Raises
        ------
        ValueError
            If the name is taken, empty or has a dot.
        TypeError
            If `tensor` is something else.
        """
        self._register("register_buffer", name, tensor, Tensor)
        self._buffers = {**self._buffers, name: persistent}

    def add_module(self, name: str, module: Module | None) -> None:
        """Assign a module to a new attribute; its name may be a number, as in `Sequential`.

        Raises
        ------
        ValueError
            If the name is taken, empty or has a dot.
        TypeError
            If `module` is something else.
        """
        self._register("add_module", name, module, Module)

    def _register(self, function: str, name: str, value: Any, kind: type) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"{function}: expected a name without dots, got {name!r}")
        if hasattr(self, name):
            raise ValueError(f"{function}: {type(self).__name__} already has {name!r}")
        if value is not None and not isinstance(value, kind):
            raise TypeError(
                f"{function}: expected a {kind.__name__} for {name!r}, got {type(value).__name__}"
            )
        setattr(self, name, value)

    # ------------------------------------------------------------------ what is in it

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Iterate over the modules directly inside, each once, with their names."""
        seen = set()
        for name, value in list(vars(self).items()):
            if isinstance(value, Module) and value not in seen:
                seen.add(value)
                yield name, value

    def children(self) -> Iterator[Module]:
        """Iterate over the modules directly inside, each once."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Iterate over this module and all modules inside, each once, with their paths."""
        return self._walk(prefix, set(), shared=False)

    def modules(self) -> Iterator[Module]:
        """Iterate over this module and all modules inside, each once."""
        return (module for _, module in self.named_modules())

    def _walk(self, prefix: str, seen: set[Module], shared: bool) -> Iterator[tuple[str, Module]]:
        """Iterate in order of assignment; with `shared`, once for every path to a module."""
        if self in seen:
            return
        seen.add(self)
        yield prefix, self
        for name, value in list(vars(self).items()):
            if isinstance(value, Module):
                path = f"{prefix}.{name}" if prefix else name
                # Along each path anew: only a module that holds itself is then left out.
                yield from value._walk(path, set(seen) if shared else seen, shared)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Iterate over the parameters, each once, with their paths.

        A parameter that has no name yet is given its path, for pictures and reports; one that a
        part of the network named gets the longer path.
        """
        seen = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, value in list(vars(module).items()):
                if isinstance(value, Parameter) and value not in seen:
                    seen.add(value)
                    full = f"{path}.{name}" if path else name
                    if value._name is None or full.endswith(f".{value._name}"):
                        value._name = full
                    yield full, value

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Iterate over the parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the buffers, each once, with their paths."""
        seen = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name in module._buffers:
                value = getattr(module, name, None)
                if isinstance(value, Tensor) and value not in seen:
                    seen.add(value)
                    yield f"{path}.{name}" if path else name, value

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Iterate over the buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    # ------------------------------------------------------------------ all at once

    def train(self, mode: bool = True) -> Self:
        """Switch training behaviour (dropout, batch statistics) on, or off; return the module.

        Raises
        ------
        TypeError
            If `mode` is not a bool.
        """
        if not isinstance(mode, bool):
            raise TypeError(f"train: expected True or False, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch training behaviour off; return the module."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter._grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Say of every parameter whether its gradient is wanted; return the module."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def apply(self, fn: Callable[[Module], object]) -> Self:
        """Call ``fn(module)`` for every module inside, then for this one; return the module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, dtype: npt.DTypeLike) -> Self:
        """Convert parameters, their gradients and floating-point buffers; return the module.

        The tensors stay the same objects with another array inside, so that an optimiser keeps
        working.

        Raises
        ------
        TypeError
            If `dtype` is not floating-point.
        """
        wanted = np.dtype(dtype)
        if wanted.kind != "f":
            raise TypeError(f"to: expected a floating-point dtype, got {wanted}")
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor._data.dtype.kind == "f":
                if isinstance(tensor, Following):
                    tensor.leave_base()
                tensor._data = tensor._data.astype(wanted, copy=False)
                if tensor._grad is not None:
                    tensor._grad = tensor._grad.detach().astype(wanted)
        return self

    def double(self) -> Self:
        """Convert to float64, as `to`."""
        return self.to(np.float64)

    def float(self) -> Self:
        """Convert to float32, as `to`."""
        return self.to(np.float32)

    # ------------------------------------------------------------------ state

    def _state(self) -> dict[str, Tensor]:
        """Return parameters and persistent buffers by path; a shared one by each of its paths."""
        state = {}
        for path, module in self._walk("", set(), shared=True):
            values = vars(module)
            names = [name for name, value in values.items() if isinstance(value, Parameter)]
            names += [name for name, persistent in module._buffers.items() if persistent]
            for name in names:
                if isinstance(values.get(name), Tensor):
                    state[f"{path}.{name}" if path else name] = values[name]
        return state

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters and persistent buffers, as arrays by PyTorch's names."""
        return {path: tensor._data.copy("C") for path, tensor in self._state().items()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Overwrite parameters and buffers, in place, by values of those names.

        Parameters
        ----------
        state_dict
            Arrays or tensors by name, as `state_dict` returns them; converted to the module's
            dtypes.
        strict
            Whether every name must be there and no other; shapes must fit in any case.

        Returns
        -------
        IncompatibleKeys
            The names that are missing and those that were not expected, empty if strict.

        Raises
        ------
        ValueError
            If anything does not fit; it lists all that is wrong, and nothing was changed.
        """
        wanted = self._state()
        given = {
            name: value._data if isinstance(value, Tensor) else np.asarray(value)
            for name, value in state_dict.items()
        }
        missing = [name for name in wanted if name not in given]
        unexpected = [name for name in given if name not in wanted]
        problems = [f"missing: {', '.join(missing)}"] if strict and missing else []
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        common = [name for name in wanted if name in given]
        for name in common:
            problems += _mismatch(name, wanted[name]._data, given[name])
        if problems:
            raise ValueError(f"load_state_dict: {type(self).__name__}: {'; '.join(problems)}")
        with no_grad():
            for name in common:
                wanted[name].copy_(given[name])
        return IncompatibleKeys(missing, unexpected)

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write `state_dict` to a file ending in ``.npz`` or ``.safetensors``, whole or not at all.

        Raises
        ------
        ValueError
            If the name ends otherwise.
        ImportError
            If the package safetensors is needed and not installed.
        """
        write_arrays(path, self.state_dict())

    def load_weights(self, path: str | os.PathLike[str], strict: bool = True) -> IncompatibleKeys:
        """Read what `save_weights` or ``torch.save`` wrote; errors are of `load_state_dict`."""
        return self.load_state_dict(read_arrays(path), strict)

    # ------------------------------------------------------------------ how it looks

    def extra_repr(self) -> str:
        """Return the settings to show in the representation; defined by subclasses."""
        return ""

    def __repr__(self) -> str:
        settings = self.extra_repr()
        lines = [
            f"  ({name}): " + repr(value).replace("\n", "\n  ")
            for name, value in vars(self).items()
            if isinstance(value, Module)
        ]
        if not lines:
            return f"{type(self).__name__}({settings})"
        return "\n".join([f"{type(self).__name__}({settings}", *lines, ")"])


def _would_lose(module: Module, name: str, value: Any, kind: str, maker: str) -> str:
    return (
        f"{type(module).__name__}.{name} is a {kind}, and {type(value).__name__} is none: it would "
        f"be lost from {kind}s() and state_dict(). To change its values, write "
        f"`with no_grad(): module.{name}.copy_(…)`; to replace it, assign {maker}"
    )


def _mismatch(name: str, wanted: Array, given: Array) -> list[str]:
    """Say what does not fit about a value to load."""
    if given.shape != wanted.shape:
        return [f"{name} expects shape {wanted.shape}, got {given.shape}"]
    if not np.can_cast(given.dtype, wanted.dtype, "same_kind"):
        return [f"{name} expects {wanted.dtype}, got {given.dtype}"]
    return []


def path_of(module: Module) -> str:
    """Return the path of a module that the running one calls, as its operations would carry it."""
    scope, caller = mode.scope, mode.module
    path = "" if caller is None else _path(caller, module)
    return f"{scope}.{path}" if scope and path else scope or path


def _path(caller: Module, module: Module) -> str:
    """Return the path of a module inside the one whose forward calls it, "" if it is elsewhere.

    Paths are remembered in the caller; each use checks that the module still stands there.
    """
    paths = caller.__dict__.get("_paths")
    path: str = "" if paths is None else paths.get(id(module), "")
    if path and caller.__dict__.get(path) is module:  # most stand in the caller itself
        return path
    if path:
        found: Any = caller
        for name in path.split("."):
            found = found.__dict__.get(name)
            if not isinstance(found, Module):
                break
        if found is module:
            return path
    known: dict[int, str] = {id(m): p for p, m in caller.named_modules() if p}
    caller.__dict__["_paths"] = known
    return known.get(id(module), "")
