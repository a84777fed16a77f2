"""Whose code it is that is given to a check, and the check that takes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from tinygrad_cnn.nn import Module
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.verify.adapters.autograd_functions import check_autograd
from tinygrad_cnn.verify.adapters.jax_functions import check_jax
from tinygrad_cnn.verify.adapters.layer_checks import check_layer, is_layer
from tinygrad_cnn.verify.adapters.torch_checks import check_torch
from tinygrad_cnn.verify.adapters.torch_modules import check_torch_module
from tinygrad_cnn.verify.arrays import check_backward
from tinygrad_cnn.verify.functions import gradcheck
from tinygrad_cnn.verify.modules import check_module
from tinygrad_cnn.verify.recorded import check_graph
from tinygrad_cnn.verify.report import Report

FRAMEWORKS = ("tinygrad", "torch", "jax", "autograd", "numpy")
_OURS = __name__.partition(".")[0]
_NAMES = {"torch": "torch", "jax": "jax", "autograd": "autograd", _OURS: "tinygrad"}


def check(subject: Any, *inputs: Any, framework: str | None = None, **settings: Any) -> Report:
    """Verify the gradients of anything whose adapter is there; return the report.

    Parameters
    ----------
    subject
        A recorded tensor (see `check_graph`), a module (`check_module`), an operation or a function
        of tensors (`gradcheck`); a PyTorch module (`check_torch_module`), function or
        ``autograd.Function`` (`check_torch`); a JAX function (`check_jax`), one of HIPS autograd
        (`check_autograd`); an object with ``forward`` and ``backward`` (`check_layer`); a pair of
        functions of arrays (`check_backward`).
    inputs
        What it takes.
    framework
        "tinygrad", "torch", "jax", "autograd" or "numpy" (layers and pairs); None tells by what is
        given, and by the names that a function uses.
    settings
        Those of the check.

    Raises
    ------
    ValueError
        If there is no such framework, or nothing is differentiable.

    >>> import numpy as np
    >>> print(check((lambda x: x**2, lambda g, x: 2 * g * x), np.ones(3)))
    check_backward of <lambda>: PASS (1 PASS)
    """
    if framework is not None and framework not in FRAMEWORKS:
        raise ValueError(f"check: framework is one of {', '.join(FRAMEWORKS)}, got {framework!r}")
    framework = framework or framework_of(subject, inputs)
    if framework == "torch":
        module = sys.modules["torch"].nn.Module if "torch" in sys.modules else ()
        if isinstance(subject, module):
            return check_torch_module(subject, *inputs, **settings)
        if isinstance(subject, type) and issubclass(subject, module):
            return check_torch_module(subject(), *inputs, **settings)
        return check_torch(subject, *inputs, **settings)
    if framework == "jax":
        return check_jax(subject, *inputs, **settings)
    if framework == "autograd":
        return check_autograd(subject, *inputs, **settings)
    if framework == "numpy":
        return _check_arrays(subject, inputs, settings)
    return _check_ours(subject, inputs, settings)


def _check_ours(subject: Any, inputs: Sequence[Any], settings: dict[str, Any]) -> Report:
    if isinstance(subject, type) and issubclass(subject, (Module, Op)):
        subject = subject()
    if isinstance(subject, TensorBase):
        return check_graph(subject, **settings)
    if isinstance(subject, Module):
        return check_module(subject, *inputs, **settings)
    return gradcheck(subject, list(inputs), **{"raise_exception": False, **settings})


def _check_arrays(subject: Any, inputs: Sequence[Any], settings: dict[str, Any]) -> Report:
    if is_layer(subject):
        return check_layer(subject, *inputs, **settings)
    forward, backward = subject if isinstance(subject, (tuple, list)) else (subject, None)
    settings = {"raise_exception": False, **settings}
    return check_backward(forward, backward, list(inputs), **settings)


def framework_of(subject: Any, inputs: Sequence[Any]) -> str:
    """Return whose code it is, by what is given and by the names that a function uses.

    >>> framework_of(lambda x: x * x, [1.0])
    'tinygrad'
    """
    if isinstance(subject, (TensorBase, Module, Op)) or _inherits(subject, (Module, Op)):
        return "tinygrad"
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and hasattr(torch, "nn"):
        kinds = (torch.nn.Module, torch.autograd.Function)
        if isinstance(subject, kinds) or _inherits(subject, kinds):
            return "torch"
        if any(isinstance(x, torch.Tensor) for x in inputs):
            return "torch"
    if jax is not None and hasattr(jax, "tree_util"):
        leaves = jax.tree_util.tree_leaves(tuple(inputs))
        if any(isinstance(x, jax.Array) for x in leaves) or _comes_from(type(subject), "jax"):
            return "jax"
    if getattr(subject, "_is_autograd_primitive", False):
        return "autograd"
    if isinstance(subject, (tuple, list)) or is_layer(subject):
        return "numpy"
    return next(iter(_used_by(subject)), "tinygrad")


def _inherits(subject: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(subject, type) and issubclass(subject, kinds)


def _comes_from(value: Any, package: str) -> bool:
    return str(getattr(value, "__module__", "")).partition(".")[0].startswith(package)


def _used_by(function: Callable[..., Any]) -> list[str]:
    """Return the frameworks whose names a function uses."""
    function = getattr(function, "__wrapped__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        return []
    known = function.__globals__
    named = [known[name] for name in code.co_names if name in known]
    packages = [
        (x.__name__ if isinstance(x, ModuleType) else str(getattr(x, "__module__", "")))
        for x in named
    ]
    found = [_NAMES[p.partition(".")[0]] for p in packages if p.partition(".")[0] in _NAMES]
    return list(dict.fromkeys(found))
