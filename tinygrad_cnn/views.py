"""Views: tensors in the memory of another that follow what is written to it.

A tensor made by a view operation knows its base, the tensor that has the memory, and the operation
that leads there. When its node is asked for and the base was written to since, so that it has a
node of its own by now, the operations from the base on are recorded again. Nothing is registered: a
write costs the same however many views there are.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from tinygrad_cnn import copying
from tinygrad_cnn.graph import GraphError, Node, mode, record
from tinygrad_cnn.inplace import owner_of
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.writing import move_notes


class Following(TensorBase):
    """What a view has in place of a node; `tensor.View` is one."""

    __slots__ = ()

    follows = True
    alone: ClassVar[Any]  # the class of the same tensor without a base
    _kept: Node | None

    if not TYPE_CHECKING:
        _kept = TensorBase._node  # the slot, which the property hides
        _requires_grad = property(attrgetter("_base._requires_grad"))

        @property
        def _node(self) -> Node | None:
            base = self._base
            now = base._node
            if now is None and base._requires_grad:
                now = base
            if now is not self._seen:
                _follow(self, now)
            return self._kept

    def leave_base(self) -> None:
        """Become an ordinary tensor: its data are replaced, or it becomes a leaf."""
        wanted, node = self._requires_grad, self._kept
        self.__class__ = self.alone
        self._node = node
        self._requires_grad = wanted

    def __reduce_ex__(self, _: Any) -> Any:
        if self._node is not None:
            return copying.reduced(self)  # refuses it
        return _taken, (self._source, self._step, self._name)


def _taken(source: TensorBase, step: Op, name: str | None) -> Any:
    """Make a view again, of a copy of its base."""
    view = step(source)
    view._name = name
    return view


def _follow(view: Any, now: Node | TensorBase | None) -> None:
    """Record again the operations from a base, which was written to since, to a view of it."""
    stale = []
    base = view._base
    while view is not base and view._seen is not now:
        stale.append(view)
        view = view._source
    edge = now if view is base else view._kept
    if edge is not None and stale and owner_of(stale[0]._data) is not owner_of(base._data):
        raise GraphError("a view of a tensor whose data were replaced: take the view again")
    current = mode.__dict__
    for view in reversed(stale):
        node = None
        if edge is not None:
            shape, dtype = view._data.shape, view._data.dtype
            where = current["scope"], current["noted"]
            node = record(view._step, [edge], [edge], None, None, shape, dtype, 1, *where)
            move_notes(view, view._kept, node)
        view._kept = edge = node
        view._seen = now
