"""`checkpoint`: less memory for more time: a part is computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_cnn.autograd import enable_grad, grad
from tinygrad_cnn.function import Function
from tinygrad_cnn.graph import GraphError, mode, nodes_below, tick
from tinygrad_cnn.nn.restoring import left_alone
from tinygrad_cnn.random import get_rng_state, set_rng_state
from tinygrad_cnn.tensor import Tensor

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,  # noqa: ARG001  # PyTorch's words for how it is done
    preserve_rng_state: bool = True,
    context_fn: Any = None,  # noqa: ARG001
    determinism_check: Any = None,  # noqa: ARG001
    debug: bool = False,  # noqa: ARG001
    **kwargs: Any,
) -> Any:
    """Call a function and keep nothing of what it computes on the way: it is called again later.

    In the backward pass the function is called a second time, with the same random numbers, and
    its modules' buffers (running statistics) are put back afterwards. Gradients reach the arguments
    and every parameter that the function uses.

    Parameters
    ----------
    function
        Takes tensors and returns one, or a tuple of them; a module, say.
    args, kwargs
        What it is called with. Tensors that were computed before have to be among ``args``.
    preserve_rng_state
        Whether the second call draws the numbers of the first.

    Raises
    ------
    GraphError
        If the function uses a tensor computed before that is none of its arguments.

    Source: Chen et al., "Training deep nets with sublinear memory cost" (2016).

    >>> x = Tensor([2.0], requires_grad=True)
    >>> checkpoint(lambda t: (t * t).exp(), x).sum().backward()
    >>> x.grad.numpy().round(2)
    array([218.39], dtype=float32)
    """
    if not mode.recording:
        return function(*args, **kwargs)
    tensors = [a for a in args if isinstance(a, Tensor)]
    state = get_rng_state() if preserve_rng_state else None

    def call(inputs: Sequence[Any]) -> Any:
        given = iter(inputs)
        return function(*[next(given) if isinstance(a, Tensor) else a for a in args], **kwargs)

    start = tick()
    inputs = [t.detach().requires_grad_(t._requires_grad) for t in tensors]
    first = call(inputs)
    leaves = _leaves(first, inputs, start)
    segment = _Segment(function, call, state, len(tensors), leaves)
    segment.first = first
    return _Checkpoint.apply(segment, *tensors, *leaves)


def _leaves(result: Any, inputs: Sequence[Tensor], start: int) -> list[Tensor]:
    """Return the leaves that a result was computed from, beside the inputs."""
    results = result if isinstance(result, (tuple, list)) else [result]
    own = {id(t) for t in inputs}
    found: dict[int, Tensor] = {}
    for node in nodes_below(*[t for t in results if isinstance(t, Tensor)]):
        if node.seq < start:
            raise GraphError(
                f"checkpoint: the function uses a result of {node.op.name} that was computed "
                "before; pass it as an argument"
            )
        for edge in node.edges:
            if isinstance(edge, Tensor) and id(edge) not in own:
                found[id(edge)] = edge
    return list(found.values())


class _Segment:
    """A function to be called again, and what it returned the first time, once."""

    def __init__(
        self,
        function: Callable[..., Any],
        call: Callable[[Sequence[Any]], Any],
        state: dict[str, Any] | None,
        count: int,
        leaves: Sequence[Tensor],
    ) -> None:
        self.function, self.call, self.state = function, call, state
        self.count, self.leaves = count, leaves
        self.first: Any = None

    def __repr__(self) -> str:
        return getattr(self.function, "__qualname__", type(self.function).__name__)

    def again(self, tensors: Sequence[Tensor]) -> Any:
        """Call the function as at the first time; the arrays of leaves may be others."""
        leaves = self.leaves
        before = [leaf._data for leaf in leaves]
        with left_alone(self.function, *getattr(self.function, "parts", ())):
            if self.state is not None:
                set_rng_state(self.state)
            for leaf, tensor in zip(leaves, tensors[self.count :], strict=True):
                leaf._data = tensor._data
            try:
                return self.call(tensors[: self.count])
            finally:
                for leaf, array in zip(leaves, before, strict=True):
                    leaf._data = array


class _Checkpoint(Function):
    """The segment as one operation of its arguments and leaves."""

    @staticmethod
    def forward(ctx: Any, segment: _Segment, *tensors: Tensor) -> Any:
        """Hand out what was computed, or compute it again."""
        ctx.segment = segment
        ctx.save_for_backward(*tensors)
        result, segment.first = segment.first, None
        if result is None:
            result = segment.again(tensors)
        if isinstance(result, (tuple, list)):
            return tuple(t.detach() if isinstance(t, Tensor) else t for t in result)
        return result.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Compute it again, recorded, and differentiate."""
        recorded = mode.recording
        saved = ctx.saved_tensors
        inputs = saved if recorded else [t.detach().requires_grad_() for t in saved]
        with enable_grad():
            result = ctx.segment.again(inputs)
        results = result if isinstance(result, (tuple, list)) else [result]
        pairs = [
            (t, g)
            for t, g in zip(results, gradients, strict=True)
            if isinstance(t, Tensor) and t._requires_grad
        ]
        count, leaves = ctx.segment.count, ctx.segment.leaves
        wanted = [t for t in inputs[:count] if t._requires_grad]
        found = iter(
            grad(
                [t for t, _ in pairs],
                [*wanted, *leaves],
                [g for _, g in pairs],
                create_graph=recorded,
                allow_unused=True,
            )
        )
        ahead = [next(found) if t._requires_grad else None for t in inputs[:count]]
        return None, *ahead, *found


class _Chain:
    """Functions called one after the other."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __call__(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """Call modules one after the other, in so many segments of which nothing is kept.

    Parameters
    ----------
    functions
        A `Sequential`, or a list of functions of one tensor.
    segments
        How many; the last is recorded as usual.

    Raises
    ------
    ValueError
        If there are less functions than segments, or no segment.

    >>> x = Tensor([2.0], requires_grad=True)
    >>> checkpoint_sequential([Tensor.exp, Tensor.log, Tensor.sqrt], 2, x).backward()
    >>> x.grad.numpy().round(4)
    array([0.3536], dtype=float32)
    """
    parts = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= len(parts):
        raise ValueError(
            f"checkpoint_sequential: expects 1 to {len(parts)} segments, got {segments}"
        )
    size = len(parts) // segments

    last = size * (segments - 1)
    for start in range(0, last, size):
        input = checkpoint(
            _Chain(parts[start : start + size]),
            input,
            use_reentrant=use_reentrant,
            preserve_rng_state=preserve_rng_state,
        )
    return _Chain(parts[last:])(input)
