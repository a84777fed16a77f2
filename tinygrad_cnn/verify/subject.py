"""What is verified: a function at a point, with its rule, whatever it was made of.

Recorded operations, functions of tensors and plain NumPy pairs all become a `Subject`, and one
core checks them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.autograd import enable_grad
from tinygrad_cnn.engine import BackwardPass
from tinygrad_cnn.op import Op
from tinygrad_cnn.tensor import Tensor

Array = npt.NDArray[Any]
Pull = Callable[[Array], list[Any]]
"""Takes the gradient of the result, returns one gradient an input (None for zeros)."""


class RuleError(Exception):
    """Forward or rule raised, or returned what it must not; the text says what."""

    def __init__(self, text: str, kind: str = "error") -> None:
        super().__init__(text)
        self.kind = kind


@dataclass
class Subject:
    """A function at a point, and the rule that is to be verified.

    Attributes
    ----------
    name
        What it is called in reports.
    inputs
        The point: float64 arrays, and constants of any kind.
    wanted
        Which inputs are differentiated.
    names
        The names of all inputs.
    forward
        ``forward(inputs)``, an array; changes nothing.
    record
        ``record(inputs)`` runs the function as an ordinary forward pass does and returns
        ``(result, pull)``, where ``pull(g)`` calls the rule.
    choice
        ``choice(inputs)``, the discrete choice made at a point, or None.
    recorded
        The gradient of the result that the recorded backward pass has, if it is known.
    """

    name: str
    inputs: list[Any]
    wanted: tuple[int, ...]
    names: tuple[str, ...]
    forward: Callable[[Sequence[Any]], Array]
    record: Callable[[Sequence[Any]], tuple[Array, Pull]]
    choice: Callable[[Sequence[Any]], Any] | None = None
    recorded: Array | None = None


def in_float64(value: Any) -> Any:
    """Return a private float64 copy of a floating-point array; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.array(value, np.float64, order="K")
    return value


def replayed(op: Op) -> Op:
    """Return the operation as it is replayed in float64: a conversion between floats is none."""
    dtype = getattr(op, "dtype", None)
    if op.sets_dtype and isinstance(dtype, np.dtype) and dtype.kind == "f":
        return type(op)(np.dtype(np.float64))  # type: ignore[call-arg]  # its only setting
    return op


def leaf(array: Array) -> Tensor:
    """Return a leaf tensor around this very array that wants a gradient."""
    tensor = Tensor._wrap(array, None)
    tensor.requires_grad = True
    return tensor


def of_op(
    op: Op,
    inputs: Sequence[Any],
    wanted: Sequence[int],
    recorded: Array | None = None,
    create_graph: bool = False,
) -> Subject:
    """Make a subject of an operation at its inputs.

    The rule is called by the engine itself, on a graph of this one operation; with
    ``create_graph`` in the way that second derivatives take.
    """
    op = replayed(op)
    wants = frozenset(wanted)

    def forward(arrays: Sequence[Any]) -> Array:
        out = op.forward(*arrays)
        return np.asarray(out[0] if op.has_aux else out)

    def record(arrays: Sequence[Any]) -> tuple[Array, Pull]:
        tensors = [leaf(a) if i in wants else wrap(a) for i, a in enumerate(arrays)]
        with enable_grad():
            out = op(*tensors)
        return out._data, _puller(out, tensors, wanted, create_graph)

    choice = None
    if op.choice is not None:

        def choice(arrays: Sequence[Any]) -> Any:
            return op.choice(*arrays)

    names = op._arguments or tuple(f"input {i}" for i in range(len(inputs)))
    return Subject(
        op.describe(), list(inputs), tuple(wanted), names, forward, record, choice, recorded
    )


def _puller(out: Any, tensors: Sequence[Any], wanted: Sequence[int], create_graph: bool) -> Pull:
    def pull(g: Array) -> list[Any]:
        return go_back([out], [g], tensors, wanted, create_graph)

    return pull


def go_back(
    outs: Sequence[Any],
    gs: Sequence[Array],
    tensors: Sequence[Any],
    wanted: Sequence[int],
    create_graph: bool = False,
) -> list[Any]:
    """Let the engine go back from results to leaves; return their gradients as arrays.

    `autograd.grad` copies the cotangent that it is given; here the rule gets this very array, as
    it would get it from the operation that follows, so that a change of it is seen.
    """
    wrapped = [Tensor._wrap(g, None) if create_graph else g for g in gs]
    found = BackwardPass(
        Tensor._wrap, create_graph, retain=True, targets={tensors[i] for i in wanted}
    ).run(list(zip(outs, wrapped, strict=True)))
    result: list[Any] = [None] * len(tensors)
    for index in wanted:
        gradient = found.get(tensors[index])
        result[index] = gradient._data if isinstance(gradient, Tensor) else gradient
    return result


def of_function(
    func: Callable[..., Any], inputs: Sequence[Any], wanted: Sequence[int], create_graph: bool
) -> Subject:
    """Make a subject of a function of tensors; several results are laid side by side."""
    wants = frozenset(wanted)

    def outputs(tensors: Sequence[Any]) -> tuple[Any, ...]:
        out = func(*tensors)
        return tuple(out) if isinstance(out, (tuple, list)) else (out,)

    def forward(arrays: Sequence[Any]) -> Array:
        # Recorded like the real call: a function may itself ask for gradients.
        tensors = [leaf(a) if i in wants else wrap(a) for i, a in enumerate(arrays)]
        with enable_grad():
            return side_by_side([data_of(out) for out in outputs(tensors)])

    def record(arrays: Sequence[Any]) -> tuple[Array, Pull]:
        tensors = [leaf(a) if i in wants else wrap(a) for i, a in enumerate(arrays)]
        with enable_grad():
            outs = outputs(tensors)
        recorded = [out for out in outs if isinstance(out, Tensor) and out.requires_grad]
        if not recorded:
            kinds = ", ".join(type(out).__name__ for out in outs) or "nothing"
            raise RuleError(
                f"the function returns nothing differentiable: got {kinds}, none of it computed "
                "from the inputs by recorded operations"
            )
        pull = _puller_of_many(outs, tensors, wanted, create_graph)
        return side_by_side([data_of(out) for out in outs]), pull

    names = tuple(f"input {i}" for i in range(len(inputs)))
    name = getattr(func, "__name__", type(func).__name__)
    return Subject(name, list(inputs), tuple(wanted), names, forward, record)


def _puller_of_many(
    outs: Sequence[Any], tensors: Sequence[Any], wanted: Sequence[int], create_graph: bool
) -> Pull:
    def pull(g: Array) -> list[Any]:
        kept, starts, flat = [], [], np.asarray(g).reshape(-1)
        at = 0
        for out in outs:
            data = data_of(out)
            part = flat[at : at + data.size].reshape(data.shape)
            at += data.size
            if isinstance(out, Tensor) and out.requires_grad:
                kept.append(out)
                starts.append(part.astype(data.dtype, copy=False))
        return go_back(kept, starts, tensors, wanted, create_graph)

    return pull


def wrap(value: Any) -> Any:
    """Return a constant array as a tensor; anything else as it is."""
    return Tensor._wrap(value, None) if isinstance(value, np.ndarray) else value


def data_of(out: Any) -> Array:
    """Return the array of one result of a function."""
    return out._data if isinstance(out, Tensor) else np.asarray(out)


def side_by_side(arrays: Sequence[Array]) -> Array:
    """Return one array as it is, several flat in a row."""
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([np.asarray(a).reshape(-1) for a in arrays])


def of_arrays(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[Any],
    wanted: Sequence[int],
) -> Subject:
    """Make a subject of a plain NumPy function and its hand-written backward pass."""

    def run(arrays: Sequence[Any]) -> Array:
        return np.asarray(forward(*given(arrays)))

    def given(arrays: Sequence[Any]) -> list[Any]:
        # What came as a Python number goes out as one.
        return [
            a.item() if isinstance(x, float) and isinstance(a, np.ndarray) else a
            for a, x in zip(arrays, originals, strict=True)
        ]

    def record(arrays: Sequence[Any]) -> tuple[Array, Pull]:
        def pull(g: Array) -> list[Any]:
            found = backward(g.item() if scalar else g, *given(arrays))
            if found is None:
                raise RuleError("backward returned None: it has no return, or was not written")
            if not isinstance(found, (tuple, list)):
                found = (found,)
            if len(found) != len(arrays):
                raise RuleError(
                    f"backward must return one gradient for each of {len(arrays)} inputs, "
                    f"got {len(found)}",
                    "shape",
                )
            return [None if x is None else np.asarray(x) for x in found]

        out = forward(*given(arrays))
        scalar = not isinstance(out, np.ndarray)
        return np.asarray(out), pull

    originals = list(inputs)
    points = [np.asarray(x) if isinstance(x, float) else x for x in inputs]
    name = getattr(forward, "__name__", type(forward).__name__)
    return Subject(name, points, tuple(wanted), _argument_names(forward, inputs), run, record)


def _argument_names(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    names = () if code is None else code.co_varnames[: code.co_argcount]
    if len(names) == len(inputs):
        return tuple(names)
    return tuple(f"input {i}" for i in range(len(inputs)))
