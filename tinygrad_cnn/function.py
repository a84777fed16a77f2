"""`Function`: an operation with its rule, written as PyTorch's `autograd.Function` is.

Each subclass is made an `Op`, so that it is verified, drawn and differentiated again like any
other. An operation of one's own is shorter as an `Op`; this is for rules that are there already.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.graph import GraphError, mode
from tinygrad_cnn.op import Op
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array

__all__ = ["Context", "Function", "once_differentiable"]


class Context:
    """What a forward leaves for its backward: ``ctx``. Attributes may be set on it.

    Attributes
    ----------
    needs_input_grad
        For each argument, whether its gradient is wanted.
    saved_tensors
        In the backward, what `save_for_backward` was given.
    """

    def __init__(self, needs: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs
        self._saved: tuple[Tensor | None, ...] = ()
        self._without: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for the backward: inputs, results, others, or None."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    f"save_for_backward: expects tensors, got {type(tensor).__name__}; set an "
                    "attribute on ctx instead"
                )
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What was kept, connected to the graph where the backward pass is recorded."""
        return self._saved

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say which results have no gradient."""
        self._without = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Raise: a function here makes new tensors."""
        raise NotImplementedError(
            "mark_dirty: a Function cannot write to its inputs here; compute a new result, and let "
            "the caller write it: x.copy_(f(x))"
        )

    def set_materialize_grads(self, value: bool) -> None:
        """Accept PyTorch's word: gradients that are nothing come as zeros in any case."""


class Function:
    """An operation whose forward and backward are static methods that share a ``ctx``.

    A subclass defines ``forward(ctx, *args)``, or ``forward(*args)`` and
    ``setup_context(ctx, inputs, output)``, and ``backward(ctx, *gradients)``, which returns as many
    gradients as there are arguments, None for those that are no tensors. `apply` calls it.

    >>> class Square(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * gradient
    >>> x = Tensor([3.0], requires_grad=True)
    >>> Square.apply(x).sum().backward()
    >>> x.grad
    tensor([6.])
    """

    _ops: dict[int, type[_Applied]]

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the results; defined by subclasses."""
        raise NotImplementedError("Function: forward is not defined")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep for the backward what it needs, where `forward` takes no ``ctx``."""
        raise NotImplementedError("Function: setup_context is not defined")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Return the gradients of the arguments; defined by subclasses."""
        raise NotImplementedError("Function: backward is not defined")

    vjp = backward

    def __init__(self) -> None:
        raise TypeError(f"{type(self).__name__}: call {type(self).__name__}.apply(…)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute the results, recorded where an argument requires a gradient.

        Raises
        ------
        GraphError
            In the backward pass, if the gradients are not as many as the arguments.
        """
        tensors = [a for a in args if isinstance(a, Tensor)]
        if not tensors:
            return _called(cls, Context((False,) * len(args)), args)
        wanted = [isinstance(a, Tensor) and a._requires_grad for a in args]
        op = _op_of(cls, len(tensors))(cls, args, tuple(w and mode.recording for w in wanted))
        out, ctx = op(*tensors, with_aux=True)
        node = out._node
        if node is not None:  # only what was kept is kept
            kept = {id(t) for t in (*ctx._saved, *vars(ctx).values())}
            for place, held in enumerate(ctx._inputs):
                if id(held) not in kept and node.edges[place] is not None:
                    node.inputs[place] = node.edges[place]
            if not any(id(t) in kept for t in ctx._outputs):
                node.out = None
        return ctx._layout.taken(out)


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Say of a backward that it cannot be differentiated itself: an error where that is tried.

    >>> class Once(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     @once_differentiable
    ...     def backward(ctx, gradient):
    ...         return gradient * 2
    """

    @functools.wraps(function)
    def once(ctx: Any, *gradients: Any) -> Any:
        if mode.recording:
            raise GraphError(
                f"{function.__qualname__}: is marked @once_differentiable and cannot be "
                "differentiated again (create_graph=True)"
            )
        return function(ctx, *gradients)

    return once


def _called(cls: type[Function], ctx: Context, args: Sequence[Any]) -> Any:
    if cls.setup_context is Function.setup_context:
        return cls.forward(ctx, *args)
    output = cls.forward(*args)
    cls.setup_context(ctx, tuple(args), output)
    return output


class _Layout:
    """How results lie in one array: a single one as it is, several side by side as a vector."""

    def __init__(self, output: Any, without: set[int]) -> None:
        self.single = not isinstance(output, (tuple, list))
        self.outputs: list[Any] = [output] if self.single else list(output)
        self.inside = [
            isinstance(t, Tensor) and t._data.dtype.kind == "f" and id(t) not in without
            for t in self.outputs
        ]
        self.shapes = [
            t._data.shape for t, inside in zip(self.outputs, self.inside, strict=True) if inside
        ]
        self.alone = len(self.shapes) == 1

    def packed(self) -> Array:
        """Return the array of all results that have a gradient."""
        arrays = [t._data for t, inside in zip(self.outputs, self.inside, strict=True) if inside]
        if self.alone:
            return np.array(arrays[0])  # no memory of an input
        return np.concatenate([a.ravel() for a in arrays]) if arrays else np.zeros(0, np.float32)

    def parts(self, whole: Any) -> list[Any]:
        """Take the results with a gradient, or their gradients, out of the array or tensor."""
        if self.alone:
            return [whole]
        found, start = [], 0
        for shape in self.shapes:
            end = start + math.prod(shape)
            found.append(whole[start:end].reshape(shape))
            start = end
        return found

    def taken(self, whole: Any) -> Any:
        """Return the results in their order, each connected to the graph if it has a gradient."""
        parts = iter(self.parts(whole))
        results = [
            next(parts) if inside else given
            for given, inside in zip(self.outputs, self.inside, strict=True)
        ]
        return results[0] if self.single else tuple(results)


class _Applied(Op):
    """What a `Function` becomes in the graph; a subclass for each, and each number of tensors."""

    __slots__ = ("_args", "_cls", "_needs_input")

    sets_dtype = True
    has_aux = True

    def __init__(self, cls: type[Function], args: tuple[Any, ...], needs: tuple[bool, ...]) -> None:
        self._cls = cls
        self._args = [None if isinstance(a, Tensor) else (a,) for a in args]
        self._needs_input = needs

    def forward(self, *arrays: Any) -> tuple[Array, Any]:
        """Call the function's forward with tensors of the arrays."""
        inputs = [Tensor._wrap(np.asarray(a), None) for a in arrays]
        given = iter(inputs)
        args = [next(given) if a is None else a[0] for a in self._args]
        ctx: Any = Context(self._needs_input)
        with no_grad():
            output = _called(self._cls, ctx, args)
        layout = _Layout(output, {id(t) for t in ctx._without})
        ctx._inputs, ctx._layout = inputs, layout
        ctx._outputs = [t for t, i in zip(layout.outputs, layout.inside, strict=True) if i]
        return layout.packed(), ctx


def _backward(self: _Applied, g: Any, out: Any, *inputs: Any, aux: Any) -> tuple[Any, ...]:
    """Call the function's backward with tensors, and pick the gradients of those among the args."""
    recorded = isinstance(g, Tensor)
    layout = aux._layout
    known = {id(t): _lifted(x) for t, x in zip(aux._inputs, inputs, strict=True)}
    if out is not None:
        parts = layout.parts(_lifted(out))
        known.update({id(t): part for t, part in zip(aux._outputs, parts, strict=True)})
    ctx = Context(aux.needs_input_grad)
    vars(ctx).update({name: known.get(id(v), v) for name, v in vars(aux).items()})
    ctx._saved = tuple(known.get(id(t), t) for t in aux._saved)
    gradients = iter(layout.parts(_lifted(g)))
    cotangents = [
        next(gradients) if inside else None if not isinstance(t, Tensor) else _zeros(t)
        for t, inside in zip(layout.outputs, layout.inside, strict=True)
    ]
    rule = self._cls.backward if self._cls.backward is not Function.backward else self._cls.vjp
    results = rule(ctx, *cotangents)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    count = len(self._args)
    if len(results) < count or any(r is not None for r in results[count:]):
        raise GraphError(
            f"{self._cls.__name__}.backward: expects a gradient for each of {count} arguments "
            f"(None for those without), got {len(results)}"
        )
    found = []
    for result, argument in zip(results, self._args, strict=False):
        if argument is None:
            found.append(result if recorded or result is None else _plain(result))
        elif result is not None:
            raise GraphError(
                f"{self._cls.__name__}.backward: returned a gradient for {argument[0]!r}, which "
                "is no tensor; return None in its place"
            )
    return tuple(found)


def _lifted(x: Any) -> Any:
    return Tensor._wrap(x, None) if isinstance(x, np.ndarray) else x


def _plain(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else np.asarray(x)


def _zeros(t: Tensor) -> Tensor:
    return Tensor._wrap(np.zeros_like(t._data), None)


def _op_of(cls: type[Function], count: int) -> type[_Applied]:
    """Return the class of operations of a function of so many tensors, made once."""
    made = cls.__dict__.get("_ops")
    if made is None:
        made = cls._ops = {}
    if count not in made:
        made[count] = _made_op(cls, count)
    return made[count]


def _made_op(cls: type[Function], count: int) -> type[_Applied]:

    def backward(self: _Applied, g: Any, out: Any, *inputs: Any, **words: Any) -> tuple[Any, ...]:
        return _backward(self, g, out, *inputs, aux=words["aux"])

    names = [f"input{i}" for i in range(count)]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("self", "g", "out", *names)]
    parameters.append(inspect.Parameter("aux", inspect.Parameter.KEYWORD_ONLY))
    backward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    body = {
        "__slots__": (),
        "__doc__": cls.__doc__,
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "backward": backward,
        "saves": (*names, "out"),
        "name": cls.__name__,
    }
    return type(cls.__name__, (_Applied,), body)
