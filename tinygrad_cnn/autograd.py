"""Reverse-mode automatic differentiation: `backward` and `grad`.

The walk over the graph is in `engine`; what is recorded and watched is set in `modes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.anomaly import AnomalyError
from tinygrad_cnn.base import TensorBase, edge_of
from tinygrad_cnn.engine import BackwardPass, Edge
from tinygrad_cnn.graph import GraphError, mode
from tinygrad_cnn.modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_anomaly_enabled,
    is_grad_enabled,
    no_grad,
    record_source,
    set_detect_anomaly,
    set_grad_enabled,
)
from tinygrad_cnn.ops.arguments import listed
from tinygrad_cnn.ownership import LARGE, own

__all__ = [
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "record_source",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def backward(
    tensor: TensorBase,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradient of ``tensor`` by every leaf of its graph to the leaf's ``grad``.

    Parameters
    ----------
    tensor
        Where to start; a loss of one element, unless ``gradient`` is given.
    gradient
        The gradient of the result, of the tensor's shape (the vector of the product with the
        Jacobian).
    retain_graph
        Keep the arrays that the rules need, for another pass. Default: as ``create_graph``.
    create_graph
        Record the backward pass itself, so that gradients can be differentiated again.

    Raises
    ------
    GraphError
        If the tensor has no graph, is not a single number and no gradient is given, the graph was
        released by an earlier pass, or a saved array was changed in place.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    start = _starting_gradient("backward", tensor, gradient, create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    if mode.watch is not None:
        mode.watch.started(tensor)
    try:
        BackwardPass(tensor._wrap, create_graph, retain).run([(tensor, start)])
    except AnomalyError as error:
        error.result = tensor
        raise


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Return the gradients of the sum of ``outputs`` by each of ``inputs``; no ``grad`` is touched.

    Parameters
    ----------
    outputs, inputs
        A tensor or a sequence of tensors; inputs may be leaves or results inside of the graph.
    grad_outputs
        The gradient of each output, of its shape; needed where an output is not a single number.
    retain_graph, create_graph
        As for `backward`.
    allow_unused
        Return None for an input that the outputs do not depend on, instead of raising.

    Returns
    -------
    A tuple with a tensor for each input.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor(3.0, requires_grad=True)
    >>> (dx,) = grad(x**3, x, create_graph=True)
    >>> (ddx,) = grad(dx, x)
    >>> dx.item(), ddx.item()
    (27.0, 18.0)
    """
    outs = _as_tuple("grad", "outputs", outputs)
    ins = _as_tuple("grad", "inputs", inputs)
    given = (None,) * len(outs)
    if grad_outputs is not None:
        single = isinstance(grad_outputs, (TensorBase, np.ndarray, float, int))
        given = (grad_outputs,) if single else tuple(listed("grad", "grad_outputs", grad_outputs))
    if len(given) != len(outs):
        raise GraphError(f"grad: expects {len(outs)} grad_outputs, got {len(given)}")
    starts = [
        (out, _starting_gradient("grad", out, g, create_graph))
        for out, g in zip(outs, given, strict=True)
    ]
    for index, x in enumerate(ins):
        if not x._requires_grad:
            raise GraphError(f"grad: input {index} does not require a gradient")
    retain = create_graph if retain_graph is None else retain_graph
    targets: set[Edge] = {edge_of(x) for x in ins}
    try:
        found = BackwardPass(outs[0]._wrap, create_graph, retain, targets).run(starts)
    except AnomalyError as error:
        error.result = outs[0]
        raise
    results: list[Any] = []
    given_out: set[Edge] = set()
    for index, x in enumerate(ins):
        edge = edge_of(x)
        g = found.get(edge)
        if g is None and not allow_unused:
            raise GraphError(
                f"grad: the outputs do not depend on input {index}; "
                "allow_unused=True returns None for it"
            )
        if g is not None:
            again = edge in given_out  # an input named twice: each result is the caller's alone
            given_out.add(edge)
            if again:
                g = own(g, x._wrap)
            elif not isinstance(g, TensorBase):
                g = x._wrap(g, None)
        results.append(g)
    return tuple(results)


def _as_tuple(function: str, argument: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, (TensorBase, np.ndarray)) or not hasattr(value, "__iter__"):
        value = [value]
    values = tuple(listed(function, argument, value))
    for v in values:
        if not isinstance(v, TensorBase):
            raise TypeError(f"{function}: {argument} expects tensors, got {type(v).__name__}")
    return values


def _starting_gradient(function: str, tensor: TensorBase, gradient: Any, as_tensor: bool) -> Any:
    """Check the gradient to start from; 1 for a single number."""
    if not tensor._requires_grad:
        raise GraphError(
            f"{function}: the tensor does not require a gradient: it was not computed from a "
            "tensor with requires_grad=True, or was computed under no_grad() or detached"
        )
    data = tensor._data
    if gradient is None:
        if data.size != 1:
            raise GraphError(
                f"{function}: a gradient can be made for a single number only; the tensor has "
                f"shape {data.shape}: reduce it to a loss, or give the gradient of that shape"
            )
        array = np.array(1, data.dtype).reshape(data.shape)  # 1 µs less than np.ones
    elif isinstance(gradient, TensorBase):
        if gradient._requires_grad and as_tensor:
            return gradient
        array = gradient._data
    else:
        array = np.asarray(gradient)
    if array.shape != data.shape:
        raise GraphError(f"{function}: expects a gradient of shape {data.shape}, got {array.shape}")
    if gradient is not None:
        kept = as_tensor or tensor._node is None  # recorded, or a leaf's: the user's own may change
        array = array.astype(data.dtype, copy=kept or array.size < LARGE)
    return tensor._wrap(array, None) if as_tensor else array
