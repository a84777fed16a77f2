"""Tensors whose data are computed when somebody reads them; see `deferring`."""

from __future__ import annotations

import weakref
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tinygrad_cnn.graph import mode
from tinygrad_cnn.inplace import pending
from tinygrad_cnn.joining import join
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.elementwise import Add
from tinygrad_cnn.sizes import Size
from tinygrad_cnn.types import Array

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
        # Another thread may compute it between two looks: what has no dtype is asked again.
        @property
        def shape(self) -> Size:
            """Sizes of the dimensions, known without computing."""
            computation = self._computation
            return Size(self._data.shape if computation is None else computation.shape)

        dtype = property(attrgetter("_computation.dtype"))
        ndim = property(attrgetter("_computation.ndim"))

        def __getattr__(self, name: str) -> Any:
            if name == "_data":
                return _computed(self)
            if self.__class__.deferred:
                raise AttributeError(f"{self.computed.__name__!r} object has no attribute {name!r}")
            return object.__getattribute__(self, name)  # another thread computed it meanwhile

    def __add__(self, other: Any) -> Self:
        total = self._sum(other, 0)
        return super().__add__(other) if total is None else total  # type: ignore[misc,no-any-return]

    def __radd__(self, other: Any) -> Self:
        total = self._sum(other, 1)
        return super().__radd__(other) if total is None else total  # type: ignore[misc,no-any-return]

    def __iadd__(self, other: Any) -> Self:
        """Add in place: nobody has seen the memory yet, so the sum can take its place."""
        before = self._computation
        total = None
        if (mode.recording or before.node is None) and self._is_like(other):
            total = join(_add, self, other, 0)
        if total is None:
            return super().__iadd__(other)  # type: ignore[misc,no-any-return]
        self._computation = longer = total._computation
        self._node = total._node
        longer.tensor = pending[longer.key] = weakref.ref(self)
        before.tensor = _nobody
        return self

    def _is_like(self, other: Any) -> bool:
        """Whether a kernel could add it."""
        is_like = isinstance(other, TensorBase) and other.dtype is self.dtype
        return is_like and other is not self and other.shape == self.shape

    def _sum(self, other: Any, place: int) -> Any:
        """Return the sum with another tensor, which takes over what is to be computed, or None."""
        if not self._is_like(other):
            return None
        total = join(_add, self, other, place)
        if total is None and other.deferred:
            total = join(_add, other, self, 1 - place)
        return total


def _nobody() -> None:
    """Stand for the reference to a tensor that is gone."""


def _computed(tensor: Any) -> Array:
    """Give a tensor its data, and return them."""
    computation = tensor._computation
    if computation is None:  # another thread computed it meanwhile
        return object.__getattribute__(tensor, "_data")  # type: ignore[no-any-return]
    try:
        data: Array = computation.value()
    except AttributeError as error:  # hasattr(…) shall not take it for a missing attribute
        raise RuntimeError(f"{computation.op.name}: {error}") from error
    kind = tensor.__class__
    if kind.deferred:  # no other thread was quicker
        tensor._data = data
        tensor.__class__ = kind.computed
        tensor._computation = None  # frees what the result was computed from
    return data
