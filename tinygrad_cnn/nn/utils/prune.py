"""Pruning: weights set to zero, and held there, by a mask that is part of the module's state.

As in PyTorch, what is learnt then stands under ``weight_orig``, the mask under ``weight_mask``, and
``weight`` is their product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array

__all__ = [
    "custom_from_mask",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_unstructured",
    "remove",
]


def custom_from_mask(module: Module, name: str, mask: Any) -> Module:
    """Keep of a parameter what a mask of its shape says; return the module.

    A parameter that was pruned before keeps only what both masks say.

    Raises
    ------
    ValueError
        If there is no such parameter, or the mask has another shape.

    >>> from tinygrad_cnn.nn import Linear
    >>> layer = custom_from_mask(Linear(2, 1), "weight", np.array([[1, 0]]))
    >>> abs(layer.weight[0, 1].item())
    0.0
    """
    held = vars(module)
    original = held.get(f"{name}_orig", held.get(name))
    if not isinstance(original, Parameter):
        raise ValueError(f"prune: {type(module).__name__} has no parameter {name!r}")
    kept = np.asarray(mask.detach() if isinstance(mask, Tensor) else mask) != 0
    if kept.shape != original.shape:
        raise ValueError(f"prune: the mask of {kept.shape} does not fit {tuple(original.shape)}")
    if f"{name}_mask" in held:
        getattr(module, f"{name}_mask").mul_(kept.astype(original.dtype))
        return module
    delattr(module, name)
    module.register_parameter(f"{name}_orig", original)
    module.register_buffer(f"{name}_mask", Tensor(kept.astype(original.dtype)))
    _class_of(module, (*getattr(type(module), "_pruned", ()), name))
    return module


def _masked(name: str) -> property:
    return property(lambda self: getattr(self, f"{name}_orig") * getattr(self, f"{name}_mask"))


def _class_of(module: Module, names: tuple[str, ...]) -> None:
    kind = type(module)
    base = getattr(kind, "_unpruned", kind)
    body: dict[str, Any] = {name: _masked(name) for name in names}
    module.__class__ = (
        type(base.__name__, (base,), {**body, "_unpruned": base, "_pruned": names})
        if names
        else base
    )


def _size(amount: float, what: int) -> int:
    """Return how many of so many are pruned: a number, or a share between 0 and 1."""
    count = round(amount * what) if isinstance(amount, float) else amount
    if not 0 <= count <= what:
        raise ValueError(f"prune: amount expects a share in [0, 1] or at most {what}, got {amount}")
    return count


def _current(module: Module, name: str) -> Array:
    value = getattr(module, name, None)
    if not isinstance(value, Tensor):
        raise ValueError(f"prune: {type(module).__name__} has no parameter {name!r}")
    return np.asarray(value.detach())


def identity(module: Module, name: str) -> Module:
    """Prune nothing, but have a mask; return the module."""
    return custom_from_mask(module, name, np.ones_like(_current(module, name)))


def l1_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune the elements of least magnitude: a number of them, or a share; return the module.

    >>> from tinygrad_cnn.nn import Linear
    >>> layer = l1_unstructured(Linear(4, 3), "weight", 0.5)
    >>> int((layer.weight == 0).sum())
    6
    """
    value = _current(module, name)
    mask = np.ones(value.size)
    count = _size(amount, value.size)
    mask[np.argsort(np.abs(value).ravel(), kind="stable")[:count]] = 0
    return custom_from_mask(module, name, mask.reshape(value.shape))


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune elements at random: a number of them, or a share; return the module."""
    value = _current(module, name)
    mask = np.ones(value.size)
    count = _size(amount, value.size)
    mask[default_generator().permutation(value.size)[:count]] = 0
    return custom_from_mask(module, name, mask.reshape(value.shape))


def ln_structured(module: Module, name: str, amount: float, n: float, dim: int) -> Module:
    """Prune the slices along a dimension whose n-norm is least; return the module."""
    value = _current(module, name)
    slices = np.moveaxis(value, dim, 0).reshape(value.shape[dim], -1)
    norms = np.linalg.norm(slices, n, axis=1)
    mask = np.ones_like(value)
    gone = np.argsort(norms, kind="stable")[: _size(amount, len(norms))]
    np.moveaxis(mask, dim, 0)[gone] = 0
    return custom_from_mask(module, name, mask)


def is_pruned(module: Module) -> bool:
    """Whether a module, or one inside of it, has a pruned parameter."""
    return any(getattr(type(m), "_pruned", ()) for m in module.modules())


def remove(module: Module, name: str) -> Module:
    """Make a pruned parameter a plain one, with its zeros; return the module.

    Raises
    ------
    ValueError
        If it is not pruned.
    """
    names = getattr(type(module), "_pruned", ())
    if name not in names:
        raise ValueError(f"prune: {name!r} of {type(module).__name__} is not pruned")
    value = np.array(_current(module, name))
    delattr(module, f"{name}_orig")
    delattr(module, f"{name}_mask")
    _class_of(module, tuple(n for n in names if n != name))
    setattr(module, name, Parameter(value))
    return module
