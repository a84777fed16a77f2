"""`capture`: the operations of a function recorded once, and run again without the function.

A small network spends its time between its operations: calls of modules, checks of
arguments, tensors and nodes. Where the operations are the same for every input, that can be left
out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import enable_grad
from tinygrad_cnn.graph import Node, nodes_below
from tinygrad_cnn.nn.restoring import left_alone
from tinygrad_cnn.ops.norm import BatchNorm
from tinygrad_cnn.tensor import Tensor, tensor
from tinygrad_cnn.types import Array

Forward = Callable[..., Any]
Pick = Callable[[list[Any]], Any]


class CaptureError(ValueError):
    """A function cannot be replayed."""


class Captured:
    """The operations of a function, recorded by `capture`; called like that function.

    Parameters
    ----------
    input
        The leaf that the function was called with.
    output
        Its result, which depends on it.

    Attributes
    ----------
    shape, dtype
        Of the input.
    """

    def __init__(self, input: Tensor, output: Tensor) -> None:
        self.shape, self.dtype = input.shape, input.dtype
        nodes = nodes_below(output)
        operands = [pair for n in nodes for pair in zip(n.edges, n.inputs, strict=True)]
        edges = dict.fromkeys(edge for edge, _ in operands)
        self._leaves = [e for e in edges if isinstance(e, Tensor) and e is not input]
        self._constants = [kept for edge, kept in operands if edge is None]
        # Values are kept in this order: the input, leaves, constants, results.
        values = self._begin(input._data)
        constant = itertools.count(1 + len(self._leaves))
        places: dict[Any, int] = {edge: i for i, edge in enumerate([input, *self._leaves])}
        places.update((node, place) for place, node in enumerate(nodes, len(values)))
        self._steps: list[tuple[Forward, Pick]] = []
        for node in nodes:
            at = [next(constant) if edge is None else places[edge] for edge in node.edges]
            forward, pick = _forward_of(node), _picker(at)
            out = forward(*pick(values))
            if type(out) is not np.ndarray or out.dtype != node.dtype:
                forward, out = _converted(forward, node.dtype), np.asarray(out, node.dtype)
            self._steps.append((forward, pick))
            values.append(out)

    def _begin(self, array: Array) -> list[Any]:
        return [array, *[leaf._data for leaf in self._leaves], *self._constants]

    def __call__(self, input: Tensor | Array) -> Any:
        """Run the operations: a tensor gives a tensor, an array gives an array.

        Nothing is recorded. Parameters count with the values that they have now.

        Raises
        ------
        ValueError
            If the input's shape or dtype is not that of the example.
        """
        array = input._data if isinstance(input, Tensor) else np.asarray(input)
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError(
                f"captured: expects {self.dtype} of shape {self.shape}, "
                f"got {array.dtype} of shape {array.shape}"
            )
        values = self._begin(array)
        add = values.append
        for forward, pick in self._steps:
            add(forward(*pick(values)))
        out = values[-1]
        return Tensor._wrap(out, None) if isinstance(input, Tensor) else out


def _picker(at: list[int]) -> Pick:
    """Return a function that picks the values at some places, as a sequence."""
    return itemgetter(*at) if len(at) > 1 else itemgetter(slice(at[0], at[0] + 1))


def _forward_of(node: Node) -> Forward:
    """Return what computes the result of a node from arrays."""
    op = node.op
    if isinstance(op, BatchNorm):
        raise CaptureError(
            "capture: batch normalisation by the batch's own statistics moves the running ones "
            "too, which a replay would not do; call eval() on the model first"
        )
    if op.infer is not None:
        return op.infer  # type: ignore[no-any-return]
    return (lambda *inputs: op.forward(*inputs)[0]) if op.has_aux else op.forward


def _converted(forward: Forward, dtype: np.dtype[Any]) -> Forward:
    """Return what NumPy gave as an array of that dtype: sums are numbers, integers give float64."""
    return lambda *inputs: np.asarray(forward(*inputs), dtype)


def capture(function: Callable[[Any], Any], example: Tensor | Array) -> Captured:
    """Record what a function does with an example, to do it again with less between operations.

    For inference with small networks; larger ones gain nothing, and lose that operations are
    computed at once with those that follow. The function is run a few times, also with another
    input, to see that it does the same each time, and a module is left as it was.

    Parameters
    ----------
    function
        Takes a tensor and returns one; a module, say. Its parameters may change later.
    example
        A floating-point tensor or array, of the shape and dtype of all inputs to come.

    Returns
    -------
    Captured
        Called with a tensor or an array of that shape and dtype, gives the result as such.

    Raises
    ------
    CaptureError
        If the result does not depend on the input, or with another input or another time the
        function does something else: dropout, or a condition on values. Or if it is more than the
        operations, as batch normalisation in training is.
    TypeError
        If the example is not floating-point, or the function does not return a tensor.

    >>> from tinygrad_cnn import nn
    >>> captured = capture(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), np.ones((5, 3), np.float32))
    >>> captured(np.zeros((5, 3), np.float32)).shape
    (5, 2)
    """
    array = example._data if isinstance(example, Tensor) else np.asarray(example)
    if array.dtype.kind != "f":
        raise TypeError(f"capture: expects floating-point numbers, got {array.dtype}")
    with left_alone(function):
        _try_out(function, array)
    return Captured(*_recorded(function, array))


def _try_out(function: Callable[[Any], Any], array: Array) -> None:
    """Raise unless a replay does what the function does, here and elsewhere."""
    input, output = _recorded(function, array)
    if output._node is None or input not in _leaves_of(output):
        raise CaptureError("capture: the result was not computed from the input by operations")
    captured = Captured(input, output)
    backwards = -np.flip(array)
    with np.errstate(all="ignore"):
        for other in (array, backwards):
            expected, got = _recorded(function, other)[1]._data, captured(other)
            if not _agree(got, expected):
                raise CaptureError(
                    "capture: the function did something else at another time or with another "
                    "input: it draws random numbers, or looks at values in Python"
                )


def _recorded(function: Callable[[Any], Any], array: Array) -> tuple[Tensor, Tensor]:
    """Call a function on an array, and return the input and the result."""
    input = tensor(array, requires_grad=True)
    with enable_grad():
        output = function(input)
    if not isinstance(output, Tensor):
        raise TypeError(f"capture: expected a function that returns a tensor, got {output!r}")
    return input, output


def _leaves_of(output: Tensor) -> set[Any]:
    return {edge for node in nodes_below(output) for edge in node.edges}


def _agree(got: Array, expected: Array) -> bool:
    """Whether two results are the same but for rounding."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return False
    tolerance = float(np.sqrt(np.finfo(expected.dtype).eps))
    size = float(np.max(np.abs(expected), initial=0, where=np.isfinite(expected)))
    return np.allclose(got, expected, tolerance, tolerance * size, equal_nan=True)
