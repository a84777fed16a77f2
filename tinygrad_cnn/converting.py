"""`Converting`: a tensor in another type, shape or place, and new ones like it."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.describing import Describing
from tinygrad_cnn.devices import check_device, is_device
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.arguments import axis_of, sizes_of

_KINDS = {
    "float16": "Half",
    "float32": "Float",
    "float64": "Double",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "uint8": "Byte",
    "bool": "Bool",
}


class Converting(Describing):
    """Conversions; `Tensor` inherits them.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor([1.5, 2.5])
    >>> x.long(), x.to("cpu").double().dtype, x.new_zeros(2), x.type()
    (tensor([1, 2]), dtype('float64'), tensor([0., 0.]), 'torch.FloatTensor')
    """

    __slots__ = ()

    # ------------------------------------------------------------------ type and place

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Convert to another dtype; part of the graph."""
        return self if self._data.dtype == dtype else F.cast(self, dtype)

    def to(
        self,
        *args: Any,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
        non_blocking: builtins.bool = False,
        copy: builtins.bool = False,
        memory_format: Any = None,
    ) -> Self:
        """Convert to a dtype, a device or both, or to those of another tensor; part of the graph.

        ``x.to("float64")``, ``x.to("cpu")``, ``x.to(device, dtype)``, ``x.to(other)``. The tensor
        itself comes back where nothing changes, unless a copy is asked for. The words that say how
        memory is moved are taken and change nothing.

        Raises
        ------
        ValueError
            If the device is another than the processor.
        TypeError
            If the dtype is no type of real numbers.
        """
        for argument in args:
            if isinstance(argument, TensorBase):
                dtype = argument._data.dtype
            elif isinstance(argument, builtins.bool):
                break  # non_blocking, copy
            elif argument is None or is_device(argument):
                device = argument
            else:
                dtype = argument
        check_device(device)
        if dtype is None or self._data.dtype == dtype:
            return F.clone(self) if copy else self
        return F.cast(self, dtype)

    def type(self, dtype: Any = None, non_blocking: builtins.bool = False) -> Any:
        """Convert to a dtype; without one, return PyTorch's name of the type of tensor."""
        if dtype is None:
            return f"torch.{_KINDS.get(self._data.dtype.name, self._data.dtype.name)}Tensor"
        if isinstance(dtype, str) and dtype.endswith("Tensor"):
            word = dtype.removeprefix("torch.").removesuffix("Tensor")
            dtype = next((name for name, kind in _KINDS.items() if kind == word), dtype)
        return self.astype(getattr(dtype, "made_dtype", dtype))

    def type_as(self, other: TensorBase) -> Self:
        """Convert to the dtype of another."""
        return self.astype(other._data.dtype)

    def cpu(self, memory_format: Any = None) -> Self:
        """Return the tensor: it is in the processor's memory."""
        return self

    def cuda(self, device: Any = None, non_blocking: builtins.bool = False) -> Self:
        """Raise: there is no graphics card here."""
        check_device("cuda" if device is None else device)
        return self

    def pin_memory(self, device: Any = None) -> Self:
        """Return the tensor: there is no graphics card to pin its memory for."""
        return self

    def share_memory_(self) -> Self:
        """Return the tensor: threads share all memory."""
        return self

    def half(self) -> Self:
        """Convert to float16."""
        return self.astype(np.float16)

    def float(self) -> Self:
        """Convert to float32."""
        return self.astype(np.float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.astype(np.float64)

    def byte(self) -> Self:
        """Convert to uint8."""
        return self.astype(np.uint8)

    def char(self) -> Self:
        """Convert to int8."""
        return self.astype(np.int8)

    def short(self) -> Self:
        """Convert to int16."""
        return self.astype(np.int16)

    def int(self) -> Self:
        """Convert to int32."""
        return self.astype(np.int32)

    def long(self) -> Self:
        """Convert to int64."""
        return self.astype(np.int64)

    def bool(self) -> Self:
        """Convert to booleans: whether each element is not 0."""
        return self.astype(np.bool_)

    # ------------------------------------------------------------------ memory and shape

    def contiguous(self, memory_format: Any = None) -> Self:
        """Return the tensor if its elements lie in memory in order, else a copy where they do.

        The order is that of the dimensions, or with ``memory_format=channels_last`` channels last.
        """
        if self.is_contiguous(memory_format):
            return self
        if memory_format == "channels_last":
            inner = F.clone(F.permute(self, 0, 2, 3, 1).contiguous())
            return F.permute(inner, 0, 3, 1, 2)
        flat = F.reshape(self, -1)  # NumPy copies: it cannot be a view
        return F.reshape(flat, self._data.shape)

    def view_as(self, other: TensorBase) -> Self:
        """See the elements in the shape of another."""
        return F.view(self, other._data.shape)

    def reshape_as(self, other: TensorBase) -> Self:
        """Arrange the elements in the shape of another."""
        return F.reshape(self, other._data.shape)

    def expand_as(self, other: TensorBase) -> Self:
        """Repeat dimensions of size 1 to the shape of another."""
        return F.expand(self, *other._data.shape)

    def sum_to_size(self, *size: Any) -> Self:
        """Sum the dimensions that broadcasting from that shape would have repeated."""
        wanted = sizes_of("sum_to_size", size)
        shape = self._data.shape
        lead = len(shape) - len(wanted)
        fits = lead >= 0 and all(w in (1, s) for w, s in zip(wanted, shape[lead:], strict=True))
        if not fits:
            raise ValueError(f"sum_to_size: {wanted} does not broadcast to {shape}")
        out = F.sum(self, tuple(range(lead))) if lead else self
        kept = [i for i, w in enumerate(wanted) if w == 1 and shape[lead + i] != 1]
        return F.sum(out, tuple(kept), keepdim=True) if kept else out

    @property
    def mT(self) -> Self:  # noqa: N802  # PyTorch's name
        """Matrices with rows and columns exchanged: the last two dimensions."""
        return F.transpose(self, -2, -1)

    H = mH = mT

    def adjoint(self) -> Self:
        """Exchange rows and columns of matrices: as `mT`, for numbers are real."""
        return F.transpose(self, -2, -1)

    def unfold(self, dimension: Any, size: Any, step: Any) -> Self:
        """Take windows along a dimension, a step apart, side by side; the window is the last one.

        Raises
        ------
        ValueError
            If the size is greater than the dimension, or the step less than 1.
        """
        axis = axis_of("unfold", self._data.ndim, dimension)
        length = self._data.shape[axis]
        if not 0 <= size <= length or step < 1:
            raise ValueError(
                f"unfold: expects a size of 0 to {length} and a step of 1 or more, got {size} "
                f"and {step}"
            )
        starts = np.arange(0, length - size + 1, step)
        places = (starts[:, None] + np.arange(size)).ravel()
        picked = F.index_select(self, axis, places)
        return F.movedim(F.unflatten(picked, axis, (len(starts), size)), axis + 1, -1)

    @property
    def real(self) -> Self:
        """The real part: the tensor itself."""
        return self

    # ------------------------------------------------------------------ new ones like it

    def _made(self, array: Any, dtype: Any, device: Any, requires_grad: builtins.bool) -> Self:
        check_device(device)
        wanted = self._data.dtype if dtype is None else dtype
        out: Any = self._wrap(np.asarray(array, wanted), None)
        return out.requires_grad_() if requires_grad else out

    def new_tensor(
        self,
        data: Any,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
        requires_grad: builtins.bool = False,
    ) -> Self:
        """Make a tensor of data, of this one's dtype; the data are copied."""
        array = np.array(data._data if isinstance(data, TensorBase) else data)
        return self._made(array, dtype, device, requires_grad)

    def new_zeros(self, *size: Any, **options: Any) -> Self:
        """Make zeros of a size, of this tensor's dtype."""
        return self._new("new_zeros", np.zeros, size, **options)

    def new_ones(self, *size: Any, **options: Any) -> Self:
        """Make ones of a size, of this tensor's dtype."""
        return self._new("new_ones", np.ones, size, **options)

    def new_empty(self, *size: Any, **options: Any) -> Self:
        """Make a tensor of a size, of this one's dtype, of whatever is found in memory."""
        return self._new("new_empty", np.empty, size, **options)

    def new_full(self, size: Any, fill_value: Any, **options: Any) -> Self:
        """Make a tensor of one number of a size, of this one's dtype."""
        return self._new("new_full", lambda s: np.full(s, fill_value), (size,), **options)

    def _new(
        self,
        name: str,
        make: Callable[..., Any],
        sizes: Any,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
        requires_grad: builtins.bool = False,
        layout: Any = None,
        pin_memory: builtins.bool = False,
    ) -> Self:
        return self._made(make(sizes_of(name, sizes)), dtype, device, requires_grad)

    # ------------------------------------------------------------------ one by one

    def apply_(self, callable: Callable[[Any], Any]) -> Self:
        """Write what a Python function makes of each element to it; slow, and without a gradient.

        Raises
        ------
        GraphError
            If the tensor requires a gradient: a Python function has none.
        """
        return self.map_(None, lambda value, _: callable(value))

    def map_(self, tensor: TensorBase | None, callable: Callable[[Any, Any], Any]) -> Self:
        """Write ``callable(element, element of the other)`` to each element; as `apply_`."""
        if self._requires_grad:
            raise GraphError(
                "apply_, map_: a Python function of numbers has no gradient; write it in "
                "operations, or detach() the tensor first"
            )
        own = self._data
        others = own if tensor is None else np.broadcast_to(tensor._data, own.shape)
        pairs = zip(own.ravel().tolist(), others.ravel().tolist(), strict=True)
        values = [callable(a, b) for a, b in pairs]
        return self.copy_(np.array(values, own.dtype).reshape(own.shape))

    def detach_(self) -> Self:
        """Leave the graph: the tensor becomes a leaf that requires no gradient.

        Raises
        ------
        GraphError
            If it is a view of another tensor, which it cannot leave; use `detach`.
        """
        if self.follows:
            raise GraphError("detach_: a view stays with its base; use detach()")
        self._node = None
        self._requires_grad = False
        return self

    def split_with_sizes(self, split_sizes: Sequence[Any], dim: Any = 0) -> tuple[Self, ...]:
        """Cut into parts of the sizes given along a dimension, as `split`."""
        return F.split(self, list(split_sizes), dim)
