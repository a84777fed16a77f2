"""`Module`: a part of a network, which holds parameters and other modules.

What a module holds is in its attributes and nowhere else: parameters and sub-modules are found
by looking through them. So assigning registers, assigning again replaces, deleting removes, and a
subclass may leave out ``super().__init__()`` unharmed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.devices import check_device, is_device
from tinygrad_cnn.graph import mode
from tinygrad_cnn.nn.holding import Holding
from tinygrad_cnn.nn.hooks import call_with_hooks
from tinygrad_cnn.nn.parameter import Buffer, Parameter
from tinygrad_cnn.nn.state import Stateful
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.views import Following

__all__ = ["Module"]


class Module(Holding, Stateful):
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
    >>> Scale().state_dict()
    {'factor': tensor([2.])}
    """

    training: bool = True  # see train()
    _awaits_input: bool = False  # whether the parameters are made at the first call

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
            hooks = self._hooks
            if hooks is None:
                result = self.forward(*args, **kwargs)
            else:
                result = call_with_hooks(self, hooks, args, kwargs)
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
            if name in self._persistence and not isinstance(value, Tensor):
                raise TypeError(_would_lose(self, name, value, "buffer", "tensor(…)"))
        if isinstance(value, Buffer) and name not in self._persistence:
            self._persistence = {**self._persistence, name: value.persistent}
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
        self._persistence = {**self._persistence, name: persistent}

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

    register_module = add_module

    def _register(self, function: str, name: str, value: Any, kind: type) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"{function}: expected a name without dots, got {name!r}")
        if hasattr(self, name):
            raise ValueError(f"{function}: {type(self).__name__} already has {name!r}")
        if value is not None and not isinstance(value, kind):
            made = "tensor(…)" if kind is Tensor else f"{kind.__name__}(…)"
            raise TypeError(
                f"{function}: expected a {kind.__name__} for {name!r}, "
                f"got {type(value).__name__}; write {made}"
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

    def named_modules(
        self, memo: Any = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Iterate over this module and all modules inside, each once, with their paths.

        Those in ``memo`` are left out; with ``remove_duplicate=False``, once for each path.
        """
        if isinstance(memo, str):  # the prefix alone
            memo, prefix = None, memo
        return self._walk(prefix, set(memo or ()), shared=not remove_duplicate)

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
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Iterate over the parameters, each once, with their paths.

        A parameter that has no name yet is given its path, for pictures and reports; one that a
        part of the network named gets the longer path.
        """
        seen = set()
        each = self._walk(prefix, set(), shared=not remove_duplicate)
        for path, module in each if recurse else [(prefix, self)]:
            if module._awaits_input:
                raise ValueError(
                    f"{type(module).__name__}: has no parameters before its first input; call the "
                    "module once, then make the optimiser"
                )
            for name, value in list(vars(module).items()):
                if isinstance(value, Parameter) and not (remove_duplicate and value in seen):
                    seen.add(value)
                    full = f"{path}.{name}" if path else name
                    if value._name is None or full.endswith(f".{value._name}"):
                        value._name = full
                    yield full, value

    def _learnt(self) -> list[Parameter]:
        """Return the parameters that there are, without a look at their names."""
        found = (v for m in self.modules() for v in vars(m).values())
        return list(dict.fromkeys(v for v in found if isinstance(v, Parameter)))

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Iterate over the parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the buffers, each once, with their paths."""
        seen = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name in module._persistence:
                value = getattr(module, name, None)
                if isinstance(value, Tensor) and value not in seen:
                    seen.add(value)
                    yield f"{path}.{name}" if path else name, value

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Iterate over the buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

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

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; with False, set them to zero instead."""
        for parameter in self.parameters():
            if set_to_none or parameter._grad is None:
                parameter._grad = None
            else:
                parameter._grad = parameter._grad.detach() * 0

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

    def to(
        self,
        *args: Any,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
        non_blocking: bool = False,  # noqa: ARG002  # PyTorch's words for how memory is moved
        memory_format: Any = None,  # noqa: ARG002
    ) -> Self:
        """Convert parameters, their gradients and floating-point buffers; return the module.

        ``to("float64")``, ``to("cpu")``, ``to(device, dtype)`` or ``to(tensor)``, whose dtype is
        meant. The tensors stay the same objects with another array inside, so that an optimiser
        keeps working.

        Raises
        ------
        TypeError
            If `dtype` is not floating-point.
        ValueError
            If the device is another than the processor.
        """
        for argument in args:
            if isinstance(argument, Tensor):
                dtype = argument.dtype
            elif argument is None or isinstance(argument, bool) or is_device(argument):
                device = device if isinstance(argument, bool) else argument
            else:
                dtype = argument
        check_device(device)
        if dtype is None:
            return self
        wanted = np.dtype(dtype)
        if wanted.kind != "f":
            raise TypeError(f"to: expected a floating-point dtype, got {wanted}")
        for module in self.modules():
            if module._awaits_input:
                vars(module)["_wide"] = wanted
        for tensor in (*self._learnt(), *self.buffers()):
            if tensor._data.dtype.kind == "f":
                if isinstance(tensor, Following):
                    tensor.leave_base()
                tensor._data = tensor._data.astype(wanted, copy=False)
                if tensor._grad is not None:
                    tensor._grad = tensor._grad.detach().astype(wanted)
        return self

    type = to

    def cpu(self) -> Self:
        """Return the module: it is in the processor's memory."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Raise: there is no graphics card here."""
        return self.to("cuda" if device is None else device)

    def share_memory(self) -> Self:
        """Return the module: threads share all memory."""
        return self

    def half(self) -> Self:
        """Convert to float16, as `to`."""
        return self.to(np.float16)

    def double(self) -> Self:
        """Convert to float64, as `to`."""
        return self.to(np.float64)

    def float(self) -> Self:
        """Convert to float32, as `to`."""
        return self.to(np.float32)

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


def path_of(module: Module) -> str:
    """Return the path of a module that the running one calls, as its operations would carry it."""
    scope, caller = mode.scope, mode.module
    path = "" if caller is None else _path(caller, module)
    return f"{scope}.{path}" if scope and path else scope or path


def _path(caller: Module, module: Module) -> str:
    """Return the path of a module inside the one whose forward calls it, "" if it is elsewhere.

    Paths are remembered in the caller; each use checks that the module is still there.
    """
    paths = caller.__dict__.get("_paths")
    path: str = "" if paths is None else paths.get(id(module), "")
    if path and caller.__dict__.get(path) is module:  # most are attributes of the caller
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
