"""Operations that are computed together: what comes first, what may follow, and how it does.

An operation inherits `First` if its result may wait, as a `deferring.Computation`, and has a `join`
if it may be computed with the operation before it.
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
    """What an operation inherits that postpones its result: others may be computed with it."""

    __slots__ = ()

    def postpone(self, arrays: list[Any], recording: bool, foreign: bool) -> tuple[Any, Any]:
        """Return a computation and the aux as far as it is known, or None twice: compute now.

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
        """Return the result with all that comes after it, and what a max-pool among it chose.

        What was chosen is not wanted unless it is `recorded`.
        """
        raise NotImplementedError

    def rescaled(self, _arrays: tuple[Any, ...], _scale: Array, _shift: Array) -> Any:
        """Return arrays that give ``result · scale + shift`` instead, both (C,), or None."""
        return None


class ElementByElement:
    """What an activation inherits that may be computed with the operation before it.

    Where it is recorded its rule must read nothing but the result: ``saves = ("out",)``.
    """

    __slots__ = ()

    def join(self, computation: Computation) -> tuple[After, Shape] | None:
        """Return what is computed with the operation before it, then, or None."""
        pool, adds, activation = computation.after
        unread = self.saves == ("out",)  # type: ignore[attr-defined]  # an operation has them
        if activation is not None or (computation.node is not None and not unread):
            return None
        return After(pool, adds, self), computation.shape

    def write(self, out: Array, x: Array) -> None:
        """Write to `out`, which may be `x`, what becomes of `x`: a tile in the cache."""
        raise NotImplementedError


def join(op: Op, x: Any, other: Any = None, place: int = 0) -> Any:
    """Apply an operation to a result that is not computed yet, so that both are computed at once.

    Returns None where that may not be: then the result is computed by itself.

    Parameters
    ----------
    op
        Says in its `join` whether it can be computed with what `x` waits for.
    x
        A tensor that is `deferred`.
    other
        The tensor that is added, if one is; of x's shape and dtype.
    place
        Which operand `x` is.
    """
    before = x._computation
    now = mode.__dict__
    found = None if before is None or before.taken or now["watch"] is not None else op.join(before)
    if found is None:
        return None
    after, shape = found
    recording = now["recording"]
    edges: list[Any] = [before.node]
    wanted, others = 1 << place, ()
    if other is not None:
        edge = None
        if other._requires_grad:
            if before.node is None and recording:
                return None
            edge = other._node or other
            wanted = 3
        edges.insert(1 - place, edge)
        others = private((other._data,), foreign=False)
    longer = before.followed_by(op, after, shape, others, place)
    node = None
    if before.node is not None and recording:
        inputs = [other._data if edge is None else edge for edge in edges]
        scope, noted = now["scope"], now["noted"]
        node = record(op, edges, inputs, None, None, shape, before.dtype, wanted, scope, noted)
    return x._defer(longer, node)


def joining(op: Op) -> Callable[[Any], Any]:
    """Return what applies an operation of one operand, also to a result not computed yet."""
    if op.join is None:
        return op

    def apply(x: Any) -> Any:
        y = join(op, x) if getattr(x, "deferred", False) else None
        return op(x) if y is None else y

    return apply
