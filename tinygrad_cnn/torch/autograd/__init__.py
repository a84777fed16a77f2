"""``torch.autograd``: gradients, functions with a rule, checks of gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.autograd import (
    enable_grad,
    grad,
    inference_mode,
    no_grad,
    set_grad_enabled,
)
from tinygrad_cnn.function import Function
from tinygrad_cnn.modes import detect_anomaly, set_detect_anomaly
from tinygrad_cnn.torch.absent import absent
from tinygrad_cnn.torch.autograd import function, functional
from tinygrad_cnn.torch.autograd.checks import gradcheck, gradgradcheck

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradients of tensors to the ``grad`` of every leaf, one tensor after the other."""
    several = tensors if isinstance(tensors, Sequence) else [tensors]
    given = grad_tensors if isinstance(grad_tensors, Sequence) else [grad_tensors] * len(several)
    last = len(several) - 1
    for i, (tensor, gradient) in enumerate(zip(several, given, strict=True)):
        retain = True if i < last else retain_graph
        tensor.backward(gradient, retain, create_graph)


def Variable(data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:  # noqa: N802
    """Return the tensor: variables and tensors have long been one."""
    return data.detach().requires_grad_() if requires_grad else data


__getattr__ = absent("torch.autograd")
