"""`Describing`: what a tensor says of itself: sizes, type, place and memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.devices import CPU, device
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.sizes import Count, Size, count_of
from tinygrad_cnn.updating import Updating


class Describing(Updating):
    """Sizes, type, place and memory; `Tensor` inherits it.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor([[1.0, 2.0, 3.0]])
    >>> x.size, x.size(1), x.shape.numel(), x.ndimension(), x.stride(), x.device
    (3, 3, 3, 2, (3, 1), device(type='cpu'))
    """

    __slots__ = ()

    is_cuda = is_sparse = is_quantized = is_meta = is_mps = is_xpu = is_mkldnn = False
    is_nested = False
    layout = "strided"

    @property
    def shape(self) -> Size:
        """Sizes of the dimensions."""
        return Size(self._data.shape)

    @property
    def size(self) -> Count:
        """Number of elements; called, ``size()`` or ``size(0)``, the sizes of the dimensions."""
        return count_of(self._data.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self._data.nbytes

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._data.itemsize

    def numel(self) -> int:
        """Return the number of elements."""
        return self._data.size

    nelement = numel

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self._data.ndim

    ndimension = dim

    def element_size(self) -> int:
        """Return the bytes of one element."""
        return self._data.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Return how many elements lie between neighbours of each dimension, or of one."""
        strides = tuple(s // self._data.itemsize for s in self._data.strides)
        return strides if dim is None else strides[dim]

    def storage_offset(self) -> int:
        """Return how many elements lie before the first one in the memory that it is part of."""
        data = self._data
        while isinstance(data.base, np.ndarray):
            data = data.base
        first: int = self._data.__array_interface__["data"][0]
        start: int = data.__array_interface__["data"][0]
        return (first - start) // self._data.itemsize

    def data_ptr(self) -> int:
        """Return the address of the first element."""
        address: int = self._data.__array_interface__["data"][0]
        return address

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether the elements lie in memory in order, the last dimension's side by side.

        With ``memory_format=channels_last``: the channels of a pixel side by side, as results of
        convolutions do here.
        """
        if memory_format == "channels_last":
            return self._data.ndim == 4 and self._data.transpose(0, 2, 3, 1).flags.c_contiguous
        return self._data.flags.c_contiguous

    def is_floating_point(self) -> bool:
        """Whether the elements are floats of any precision."""
        return self._data.dtype.kind == "f"

    def is_complex(self) -> bool:
        """Whether the elements are complex: never."""
        return False

    def is_signed(self) -> bool:
        """Whether the type of the elements has negative numbers."""
        return self._data.dtype.kind in "fi"

    def is_conj(self) -> bool:
        """Whether the elements are to be conjugated: never."""
        return False

    is_neg = is_pinned = is_shared = is_inference = is_conj

    @property
    def device(self) -> device:
        """Where the tensor lies: always the processor."""
        return CPU

    def get_device(self) -> int:
        """Return -1, the number of the processor among graphics cards."""
        return -1

    def is_same_size(self, other: TensorBase) -> bool:
        """Whether another has the same shape."""
        return self._data.shape == other._data.shape

    def is_set_to(self, tensor: TensorBase) -> bool:
        """Whether another is the same elements of the same memory."""
        mine, its = self._data, tensor._data
        same = mine.__array_interface__["data"][0] == its.__array_interface__["data"][0]
        return same and mine.shape == its.shape and mine.strides == its.strides

    @property
    def output_nr(self) -> int:
        """Which result of its operation the tensor is: operations have one."""
        return 0
