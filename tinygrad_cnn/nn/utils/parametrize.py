"""`register_parametrization`: a parameter that is computed from others at each use.

As in PyTorch, what is learnt then stands under ``module.parametrizations.weight.original``, and
``module.weight`` is computed from it.
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.nn.containers import ModuleList
from tinygrad_cnn.nn.keyed import ModuleDict
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.tensor import Tensor

__all__ = [
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
]


class _ParametrizationList(ModuleList):
    """The functions that compute a parameter, one after the other, and what they begin with."""

    several: int

    def __init__(self, modules: list[Module], original: Tensor) -> None:
        super().__init__(modules)
        first: Any = modules[0]
        start: Any = original.detach()
        if hasattr(first, "right_inverse"):
            start = first.right_inverse(start)
        if isinstance(start, (tuple, list)):
            self.several = len(start)
            for i, part in enumerate(start):
                self.register_parameter(f"original{i}", Parameter(part.detach()))
        else:
            self.several = 0
            self.register_parameter("original", Parameter(start.detach()))

    def forward(self) -> Any:
        """Compute the parameter."""
        first, *rest = list(self)
        held = vars(self)
        if self.several:
            value = first(*[held[f"original{i}"] for i in range(self.several)])
        else:
            value = first(held["original"])
        for module in rest:
            value = module(value)
        return value


def register_parametrization(
    module: Module,
    tensor_name: str,
    parametrization: Module,
    *,
    unsafe: bool = False,  # noqa: ARG001  # PyTorch's word: shapes are not checked here
) -> Module:
    """Compute a parameter of a module by another module, from a parameter of that one's own.

    Parameters
    ----------
    module
        Gets the parametrisation, and is returned.
    tensor_name
        The parameter's name, such as ``"weight"``.
    parametrization
        Its ``forward`` computes the parameter from what is learnt. If it has ``right_inverse``,
        that says what is learnt at first (a tuple for several); else the parameter itself is.

    Raises
    ------
    ValueError
        If the module has no such parameter.

    >>> from tinygrad_cnn.nn import Linear
    >>> class Symmetric(Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = register_parametrization(Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all())
    True
    """
    if is_parametrized(module, tensor_name):
        raise ValueError(
            f"register_parametrization: {tensor_name!r} is parametrised already; give one module "
            "that does both, or remove_parametrizations first"
        )
    original = vars(module).get(tensor_name)
    if not isinstance(original, Parameter):
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter {tensor_name!r}"
        )
    held = vars(module).get("parametrizations")
    lists = held if isinstance(held, ModuleDict) else ModuleDict()
    lists[tensor_name] = _ParametrizationList([parametrization], original)
    delattr(module, tensor_name)
    module.parametrizations = lists
    _class_of(module, tuple(lists))
    return module


def _computed(name: str) -> property:
    return property(lambda self: self.parametrizations[name]())


def _class_of(module: Module, names: tuple[str, ...]) -> None:
    """Give the module a class of its own, in which the parameters are computed when read."""
    kind = type(module)
    base = getattr(kind, "_unparametrized", kind)
    body: dict[str, Any] = {name: _computed(name) for name in names}
    body["_unparametrized"] = base
    module.__class__ = type(f"Parametrized{base.__name__}", (base,), body) if names else base


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module, or one of its parameters, is computed from others."""
    lists = vars(module).get("parametrizations")
    if not isinstance(lists, ModuleDict):
        return False
    return len(lists) > 0 if tensor_name is None else tensor_name in lists


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make a computed parameter a plain one again; return the module.

    Parameters
    ----------
    leave_parametrized
        Whether its value is the computed one, or what was learnt.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {tensor_name!r} is not parametrised")
    lists: Any = vars(module)["parametrizations"]
    made = lists[tensor_name]
    if leave_parametrized:
        value = getattr(module, tensor_name)
    elif made.several:
        raise ValueError("remove_parametrizations: it is computed from several; leave the result")
    else:
        value = made.original
    del lists[tensor_name]
    if not len(lists):
        del module.parametrizations
    _class_of(module, tuple(lists))
    setattr(module, tensor_name, Parameter(value.detach()))
    return module
