"""Tensors whose data are computed when somebody reads them; see `deferring`."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tinygrad_cnn.deferring import join
from tinygrad_cnn.graph import mode
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.elementwise import Add

_add = Add()


class Awaiting(TensorBase):
    """What a tensor has instead of data; `tensor.Deferred` is one.

    The slot of the data is not filled, so Python asks `__getattr__` for them: a tensor that has its
    data pays nothing.
    """

    __slots__ = ()

    deferred = True
    computed: ClassVar[Any]  # the class of the same tensor with its data

    if not TYPE_CHECKING:
        shape = property(attrgetter("_computation.shape"))
        dtype = property(attrgetter("_computation.dtype"))
        ndim = property(attrgetter("_computation.ndim"))

        def __getattr__(self, name: str) -> Any:
            if name == "_data":
                _compute(self)
            elif self.__class__.deferred:
                raise AttributeError(f"{self.computed.__name__!r} object has no attribute {name!r}")
            return object.__getattribute__(self, name)  # there by now: another thread computed it

    def __add__(self, other: Any) -> Self:
        total = self._sum(other, 0)
        return super().__add__(other) if total is None else total  # type: ignore[misc,no-any-return]

    def __radd__(self, other: Any) -> Self:
        total = self._sum(other, 1)
        return super().__radd__(other) if total is None else total  # type: ignore[misc,no-any-return]

    def __iadd__(self, other: Any) -> Self:
        """Add in place: nobody has seen the memory yet, so the sum can take its place."""
        before = self._computation
        total = self._sum(other, 0) if mode.recording or before.node is None else None
        if total is None:
            return super().__iadd__(other)  # type: ignore[misc,no-any-return]
        self._computation = total._computation
        self._node = total._node
        self._computation.made_for(self, self._node)
        before.tensor = _nobody
        return self

    def _sum(self, other: Any, place: int) -> Any:
        """Return the sum with another tensor, which takes over what is to be computed, or None."""
        is_like = isinstance(other, TensorBase) and other.dtype is self.dtype
        if not is_like or other is self or other.shape != self.shape:
            return None
        total = join(_add, self, other, place)
        if total is None and other.deferred:
            total = join(_add, other, self, 1 - place)
        return total


def _nobody() -> None:
    """Stand for the reference to a tensor that is gone."""


def _compute(tensor: Any) -> None:
    """Give a tensor its data."""
    try:
        computation = tensor._computation
        data = computation.value()
        tensor._data = data
        tensor.__class__ = tensor.computed
        del tensor._computation
    except AttributeError as error:
        if tensor.__class__.deferred:  # hasattr(…) shall not take it for a missing attribute
            raise RuntimeError(f"{computation.op.name}: {error}") from error
