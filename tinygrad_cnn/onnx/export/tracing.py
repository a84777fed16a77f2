"""Record a network twice: what differs belongs to the batch, or depends on values.

The second time the batch is one larger and its values are others. A size that differs is the
batch's; a constant that differs was computed outside of the graph (a mask, the place of a maximum)
and cannot be written, for it would stay what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd import enable_grad
from tinygrad_cnn.graph import Node, nodes_below
from tinygrad_cnn.nn import Module
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.tensor import Tensor, tensor
from tinygrad_cnn.types import Array

__all__ = ["Trace", "Traced", "trace_twice"]


class Trace(NamedTuple):
    """What a network did once."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    nodes: list[Node]


class Traced(NamedTuple):
    """What a network did twice, and its tensors by name."""

    one: Trace
    other: Trace
    parameters: dict[int, tuple[str, Array]]
    """Name and array of each parameter by its id."""
    buffers: dict[int, str]
    """Names of buffers by their arrays' ids."""


def trace_twice(module: Module, examples: Sequence[Array]) -> Traced:
    """Record a network with examples, and with others of a larger batch.

    The network must be in evaluation, and its parameters are asked for gradients; the caller puts
    that back.

    Raises
    ------
    OnnxError
        If it takes something else than floating-point numbers with a batch in front, gives no
        tensors, or does other things the second time.
    """
    for array in examples:
        if array.dtype.kind != "f" or not array.ndim or not len(array):
            raise OnnxError(
                "save: expects examples of floating-point numbers with a batch in front, got "
                f"{array.dtype} of shape {array.shape}"
            )
    for parameter in module.parameters():
        parameter._requires_grad = parameter._data.dtype.kind == "f"
    one = _trace(module, examples)
    larger = [np.concatenate((-np.flip(array), array[:1])) for array in examples]
    try:
        other = _trace(module, [np.ascontiguousarray(array) for array in larger])
    except (ValueError, TypeError, IndexError) as error:
        raise OnnxError(f"save: the network does not take another batch: {error}") from error
    kinds = [[type(node.op) for node in trace.nodes] for trace in (one, other)]
    if kinds[0] != kinds[1]:
        raise OnnxError("save: with another batch and other values the network does other things")
    parameters = {id(p): (name, p._data) for name, p in module.named_parameters()}
    buffers = {id(b._data): name for name, b in module.named_buffers()}
    return Traced(one, other, parameters, buffers)


def _trace(module: Module, examples: Sequence[Array]) -> Trace:
    inputs = [tensor(array, requires_grad=True) for array in examples]
    with enable_grad():
        out = module(*inputs)
    outputs = list(out.values()) if isinstance(out, dict) else out
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    for number, output in enumerate(outputs):
        if not isinstance(output, Tensor):
            raise OnnxError(f"save: output {number} is {type(output).__name__}, no tensor")
        if not output.requires_grad:
            raise OnnxError(
                f"save: output {number} is not made of the input by recorded operations"
            )
    return Trace(inputs, outputs, nodes_below(*outputs))


def differs(a: Any, b: Any) -> bool:
    """Whether two constants, or settings, are not the same.

    >>> differs(np.ones(2), np.ones(2)), differs((1, slice(2)), (1, slice(3)))
    (False, True)
    """
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return not np.array_equal(a, b, equal_nan=_floats(a) and _floats(b))
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)) and len(a) == len(b):
        return any(differs(x, y) for x, y in zip(a, b, strict=True))
    return bool(a != b)


def _floats(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"
