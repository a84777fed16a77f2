"""`ndarray`: a tensor whose methods and dtypes are NumPy's, which is what this door makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy

from tinygrad_cnn.dispatch import RECORDED
from tinygrad_cnn.graph import Array, Node
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops import shape
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.views import Following


def _method(name: str) -> Callable[..., Any]:
    """Make a method of NumPy's function of that name: the tensor is its first argument."""
    function = RECORDED.get(name) or getattr(numpy, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"As ``numpy.{name}`` of the tensor."
    return method


class _Kind(type):
    """What counts as an array in code that asks: NumPy's own arrays and every tensor do."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, (numpy.ndarray, TensorBase))


class Flat:
    """NumPy's ``flat``: the elements in a row, written to however they lie in memory."""

    __slots__ = ("_whole",)

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def __len__(self) -> int:
        return int(self._whole._data.size)

    def __iter__(self) -> Iterator[Any]:
        return iter(RECORDED["ravel"](self._whole))

    def __getitem__(self, key: Any) -> Any:
        return RECORDED["ravel"](self._whole)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        places = numpy.arange(len(self))[key]
        RECORDED["put"](self._whole, places, value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return numpy.asarray(RECORDED["ravel"](self._whole), dtype)

    def copy(self) -> Any:
        """Copy the elements into a vector."""
        return RECORDED["copy"](RECORDED["ravel"](self._whole))


class Methods:
    """NumPy's methods, where a tensor has none or its own means something else."""

    __slots__ = ()

    _data: Array
    floating = numpy.dtype(numpy.float64)  # what whole numbers become, as in NumPy

    max, min, ptp = _method("max"), _method("min"), _method("ptp")
    std, var, mean, sum, prod = map(_method, ("std", "var", "mean", "sum", "prod"))
    cumsum, cumprod = _method("cumsum"), _method("cumprod")
    clip, round = _method("clip"), _method("round")
    squeeze, ravel, swapaxes = _method("squeeze"), _method("ravel"), _method("swapaxes")
    repeat, take, copy = _method("repeat"), _method("take"), _method("copy")
    diagonal, trace, dot = _method("diagonal"), _method("trace"), _method("dot")
    choose = _method("choose")
    put, partition = _method("put"), _method("partition")
    argmax, argmin = _method("argmax"), _method("argmin")
    argsort, argpartition = _method("argsort"), _method("argpartition")
    searchsorted, nonzero = _method("searchsorted"), _method("nonzero")
    all, any = _method("all"), _method("any")

    def reshape(self, *sizes: Any, order: str = "C", copy: bool | None = None) -> Any:
        """Give another shape; order "F" counts the first axis fastest."""
        wanted = sizes[0] if len(sizes) == 1 else sizes
        return RECORDED["reshape"](self, wanted, order, copy=copy)

    def flatten(self, order: Any = "C", end_dim: int = -1) -> Any:
        """Copy all elements into a row; with numbers, as a tensor's method of that name."""
        if isinstance(order, int):
            return shape.flatten(cast("Any", self), order, end_dim)
        return RECORDED["reshape"](self, -1, order, copy=True)

    def transpose(self, *axes: Any) -> Any:
        """Put the axes into another order; they are reversed by default."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return RECORDED["transpose"](self, order or None)

    def _sort(self, axis: int = -1, kind: Any = None, order: Any = None, **_: Any) -> None:
        """Sort in place, as NumPy's method does; ``numpy.sort`` gives a sorted copy."""
        self[...] = numpy.sort(self, axis)  # type: ignore[index,call-overload]

    sort: Any = _sort  # in place, which a tensor's own is not

    def compress(self, condition: Any, axis: int | None = None, out: Any = None) -> Any:
        """Take the parts where a vector holds."""
        return RECORDED["compress"](condition, self, axis, out)

    def fill(self, value: Any) -> None:
        """Write a value to every element."""
        self[...] = value  # type: ignore[index]

    def astype(
        self, dtype: Any, order: str = "K", casting: str = "unsafe", *_: Any, **__: Any
    ) -> Any:
        """Convert to another dtype; part of the graph."""
        if numpy.dtype(dtype).kind not in "fiub":
            return numpy.asarray(self).astype(dtype)  # text, objects: an array of NumPy's
        return RECORDED["astype"](self, dtype)

    def __pos__(self) -> Any:
        return RECORDED["copy"](self)  # as NumPy's

    def item(self, *place: Any) -> Any:
        """Return an element, or the only one, as a Python number."""
        return self._data.item(*place)

    def conj(self) -> Any:
        """Return the conjugate of real numbers: themselves."""
        return self

    conjugate = conj

    @property
    def real(self) -> Any:
        """The real part: the tensor."""
        return self

    @property
    def imag(self) -> Any:
        """The imaginary part: zeros."""
        return numpy.zeros_like(self)

    @property
    def mT(self) -> Any:  # noqa: N802  # NumPy's name
        """The last two axes exchanged."""
        return RECORDED["matrix_transpose"](self)

    @property
    def flat(self) -> Any:
        """All elements in a row, to be read and written to."""
        return Flat(self)

    @flat.setter
    def flat(self, values: Any) -> None:
        RECORDED["put"](self, numpy.arange(self._data.size), values)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self._data.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from an element to the next along each axis."""
        return self._data.strides

    @property
    def flags(self) -> Any:
        """How the array lies in memory."""
        return self._data.flags

    def tobytes(self, order: Any = "C") -> bytes:
        """Return the bytes of the elements."""
        return self._data.tobytes(order)


class ndarray(Methods, Tensor, metaclass=_Kind):  # noqa: N801  # NumPy's name
    """A tensor that behaves as a NumPy array: its methods and dtypes are NumPy's.

    ``x.max(axis=1)`` gives values alone, ``x.std()`` has no Bessel's correction, whole numbers
    become float64, and an element of an integer array is a NumPy number. Everything else, and
    every operation, is `Tensor`'s; results of operations are of this class again.

    Called, it makes an array of a shape that is not filled, as NumPy's class does.

    >>> import tinygrad_cnn.numpy as np
    >>> np.array([[1.0, 3.0], [5.0, 2.0]]).max(axis=1)
    tensor([3., 5.], dtype=float64)
    >>> isinstance(numpy.ones(2), np.ndarray), isinstance(np.ones(2), np.ndarray)
    (True, True)
    """

    __slots__ = ()

    def __init__(self, shape: Any, dtype: Any = float) -> None:
        super().__init__(numpy.empty(shape, dtype))

    @staticmethod
    def _wrap(data: Array, node: Node | None) -> ndarray:
        self = _new(ndarray)
        self._data = data
        self._node = node
        self._requires_grad = node is not None
        self._grad = None
        self._hooks = None
        self._name = None
        return self

    @staticmethod
    def _new_view() -> Any:
        return _new(View)

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        whole = part._data.dtype.kind in "iub" and not part._data.ndim
        return part._data[()] if whole else part

    def __iter__(self) -> Iterator[Any]:
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self._data)))


_new: Callable[[type[ndarray]], ndarray] = object.__new__


class View(Following, ndarray):
    """An array in the memory of another, as a slice of it is."""

    __slots__ = ()

    alone = ndarray
