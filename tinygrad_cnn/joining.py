"""Fusion: which operations may be deferred, and which are computed together with them.

An operation inherits `First` if its result may be lazy, a `deferring.Computation`, and has a `join`
if it can be fused with the operation before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.deferring import After, Computation, private
from tinygrad_cnn.graph import mode, record
from tinygrad_cnn.types import Array, Shape

if TYPE_CHECKING:
    from tinygrad_cnn.op import Op


class First:
    """What an operation inherits whose result may be lazy, so that others are fused with it."""

    __slots__ = ()

    def postpone(self, arrays: list[Any], recording: bool, foreign: bool) -> tuple[Any, Any]:
        """Return a computation and the aux; or None twice, and the result is computed now.

        `recording` says whether a node will be recorded, `foreign` whether an array comes from
        outside.
        """
        raise NotImplementedError

    def compute_with(
        self,
        arrays: tuple[Any, ...],
        aux: Any,
        after: After,
        addend: Array | None,
        recorded: bool,
    ) -> tuple[Array, Array | None]:
        """Return the result with its epilogue, and the argmax of a max-pool in that.

        The argmax is wanted only if the operation is `recorded`.
        """
        raise NotImplementedError

    def rescaled(self, _arrays: tuple[Any, ...], _scale: Array, _shift: Array) -> Any:
        """Return operands that give ``result · scale + shift`` instead, both (C,); or None."""
        return None


class ElementByElement:
    """What an activation inherits that can be fused with the operation before it.

    Its rule must read nothing but the result where it is recorded: ``saves = ("out",)``.
    """

    __slots__ = ()

    def join(self, computation: Computation) -> tuple[After, Shape] | None:
        """Return the epilogue and the shape of both together, or None."""
        pool, adds, activation = computation.after
        unread = self.saves == ("out",)  # type: ignore[attr-defined]  # an operation has them
        if activation is not None or (computation.node is not None and not unread):
            return None
        return After(pool, adds, self), computation.shape

    def write(self, out: Array, x: Array) -> None:
        """Write the activation of `x`, a tile in the cache, to `out`, which may be `x`."""
        raise NotImplementedError


def join(op: Op, x: Any, other: Any = None, position: int = 0) -> Any:
    """Apply an operation to a lazy result, so that both are computed together.

    Returns None where they cannot be fused: then the result is computed first.

    Parameters
    ----------
    op
        Says in its `join` whether it can be fused with what leads to `x`.
    x
        A tensor that is `deferred`.
    other
        The tensor that is added, if one is; of x's shape and dtype.
    position
        Which operand `x` is.
    """
    before = x._computation
    now = mode.__dict__
    found = (
        None if before is None or before.continued or now["watch"] is not None else op.join(before)
    )
    if found is None:
        return None
    after, shape = found
    recording = now["recording"]
    edges: list[Any] = [before.node]
    wanted, others = 1 << position, ()
    if other is not None:
        edge = None
        if other._requires_grad:
            if before.node is None and recording:
                return None
            edge = other._node or other
            wanted = 3
        edges.insert(1 - position, edge)
        others = private((other._data,), foreign=False)
    longer = before.followed_by(op, after, shape, others, position)
    node = None
    if before.node is not None and recording:
        inputs = [other._data if edge is None else edge for edge in edges]
        scope, noted = now["scope"], now["noted"]
        node = record(op, edges, inputs, None, None, shape, before.dtype, wanted, scope, noted)
    return x._defer(longer, node)


def joining(op: Op) -> Callable[[Any], Any]:
    """Return the function of a unary operation, which joins lazy results."""
    if op.join is None:
        return op

    def apply(x: Any) -> Any:
        y = join(op, x) if getattr(x, "deferred", False) else None
        return op(x) if y is None else y

    return apply
