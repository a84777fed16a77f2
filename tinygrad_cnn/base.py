"""`TensorBase`: what an operation needs to know of a tensor."""

from __future__ import annotations

import weakref
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinygrad_cnn.deferring import Computation
from tinygrad_cnn.graph import Node
from tinygrad_cnn.types import Array

if TYPE_CHECKING:
    from tinygrad_cnn.op import Op


class TensorBase:
    """What an operation needs to know of a tensor: its array, its node, and how to make one."""

    __slots__ = (
        "__weakref__",
        "_base",
        "_computation",
        "_data",
        "_grad",
        "_hooks",
        "_name",
        "_node",
        "_origins",
        "_requires_grad",
        "_seen",
        "_source",
        "_step",
    )

    # A tensor of a subclass that follows another works its node out when it is read; see
    # `tensor.View`, which alone fills the slots _base, _source, _step and _seen.
    follows: ClassVar[bool] = False

    # A tensor whose data are not computed yet, see `tensor.Deferred`, has no _data but fills this.
    deferred: ClassVar[bool] = False
    _computation: Computation

    _data: Array
    _grad: Any
    _hooks: dict[int, Any] | None  # of a leaf; those of a result stand in its node
    _name: str | None
    _node: Node | None
    _requires_grad: bool
    _base: TensorBase  # whose memory a view lies in
    _source: TensorBase  # what the view was taken of: the base, or another view
    _step: Op  # the operation that takes it
    _seen: Node | TensorBase | None  # edge of the base when the view's node was recorded
    _origins: tuple[weakref.ref[TensorBase], ...]  # the tensors that a detached one shares with

    floating: ClassVar[np.dtype[Any]] = np.dtype(np.float32)  # what whole numbers become

    @staticmethod
    def _wrap(data: Array, node: Node | None) -> Any:
        """Make a tensor around an array, the result of the node if there is one."""
        raise TypeError(f"TensorBase is abstract: Tensor wraps {type(data)} and {type(node)}")

    def _special(self, step: Op, data: Array | Computation, node: Node | None) -> Any:
        """Make the result of an operation that may be a view of this tensor, or may wait."""
        raise TypeError(f"TensorBase is abstract: Tensor makes results of {step}, {data}, {node}")

    @staticmethod
    def _defer(computation: Computation, node: Node | None) -> Any:
        """Make a tensor whose data are computed when they are read."""
        raise TypeError(f"TensorBase is abstract: Tensor defers {computation} and {node}")

    # An edge of the graph is a node or a leaf tensor: both have shape, dtype and ndim. Asked for
    # everywhere, so they are written without a Python function: half the time.
    if TYPE_CHECKING:

        @property
        def shape(self) -> tuple[int, ...]:
            """Sizes of the dimensions."""

        @property
        def dtype(self) -> np.dtype[Any]:
            """Type of the elements."""

        @property
        def ndim(self) -> int:
            """Number of dimensions."""

    else:
        shape = property(attrgetter("_data.shape"), doc="Sizes of the dimensions.")
        dtype = property(attrgetter("_data.dtype"), doc="Type of the elements.")
        ndim = property(attrgetter("_data.ndim"), doc="Number of dimensions.")


def edge_of(tensor: TensorBase) -> Node | TensorBase:
    """Return where the gradient of a tensor goes: the node that made it, or the leaf itself."""
    return tensor._node or tensor
