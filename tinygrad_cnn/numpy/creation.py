"""NumPy's functions that make arrays: here they make tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy

from tinygrad_cnn.dispatch import RECORDED
from tinygrad_cnn.dispatch.without import tensors_in
from tinygrad_cnn.inplace import expose
from tinygrad_cnn.numpy.array import ndarray
from tinygrad_cnn.op import TensorBase

_array = numpy.ndarray
_wrap = ndarray._wrap


def tensors_of(result: Any) -> Any:
    """Make tensors of arrays of real numbers, also inside of lists and tuples.

    Complex numbers, strings and objects stay NumPy's arrays: they have no gradient.
    """
    if isinstance(result, numpy.ndarray):
        return ndarray._wrap(numpy.asarray(result), None) if result.dtype.kind in "fiub" else result
    if type(result) in (list, tuple):
        return type(result)([tensors_of(item) for item in result])
    return result


def making(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of NumPy that makes arrays make tensors."""

    def made(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if type(result) is _array and result.dtype.kind in "fiub":  # most often, at once
            return _wrap(result, None)
        return tensors_of(result)

    return functools.update_wrapper(made, function)


def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    like: Any = None,
) -> Any:
    """Make a tensor of numbers, lists, arrays or tensors; tensors stay in the graph.

    >>> import tinygrad_cnn.numpy as np
    >>> x = np.array([1.0, 2.0])
    >>> x.requires_grad = True
    >>> np.array([[x[0], 0.0], [1.0, x[1]]])
    tensor([[1., 0.],
            [1., 2.]], dtype=float64, grad_fn=stack)
    """
    if isinstance(object, TensorBase):
        same = dtype is None or numpy.dtype(dtype) == object.dtype
        result = object if same else RECORDED["astype"](object, dtype)
        if same and copy:
            result = RECORDED["copy"](object)
    elif isinstance(object, (list, tuple)) and any(True for _ in tensors_in(object)):
        result = _stacked(object)
        result = result if dtype is None else RECORDED["astype"](result, dtype)
    else:
        made = numpy.array(object, dtype, copy=copy, order=order, ndmin=ndmin)  # type: ignore[call-overload]
        return tensors_of(made)
    missing = ndmin - result.ndim
    return result if missing <= 0 else RECORDED["reshape"](result, (1,) * missing + result.shape)


def _stacked(rows: Any) -> Any:
    """Join nested lists of tensors and numbers along new axes."""
    if isinstance(rows, (list, tuple)) and any(True for _ in tensors_in(rows)):
        return RECORDED["stack"]([_stacked(row) for row in rows])
    return rows if isinstance(rows, TensorBase) else numpy.asarray(rows)


def asarray(a: Any, dtype: Any = None, order: Any = None, **_: Any) -> Any:
    """Make a tensor that shares memory with an array; a tensor stays what it is.

    >>> import tinygrad_cnn.numpy as np
    >>> pixels = numpy.zeros(3)
    >>> np.asarray(pixels).numpy() is pixels
    True
    """
    if isinstance(a, (TensorBase, list, tuple)):
        return array(a, dtype, copy=False if isinstance(a, TensorBase) else None)
    made = numpy.asarray(a, dtype)
    return tensors_of(expose(made) if made is a else made)


def require(a: Any, dtype: Any = None, requirements: Any = None, **_: Any) -> Any:
    """Make a tensor of a dtype, as ``numpy.require``."""
    return asarray(a, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None, *_: Any, **__: Any) -> Any:
    """Repeat a value, as ``numpy.full``; that of a tensor stays in the graph."""
    if isinstance(fill_value, TensorBase):
        return RECORDED["copy"](RECORDED["broadcast_to"](array(fill_value, dtype), shape))
    return tensors_of(numpy.full(shape, fill_value, dtype))


def fromfunction(function: Any, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """Call a function with the coordinates of every element, as ``numpy.fromfunction``."""
    return function(*tensors_of(list(numpy.indices(shape, dtype))), **kwargs)


class _Joining:
    """``numpy.r_`` and ``numpy.c_``: what is in the brackets is joined."""

    def __init__(self, plain: Any, join: Callable[[list[Any]], Any]) -> None:
        self._plain = plain
        self._join = join

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if not any(True for _ in tensors_in(list(parts))):
            return tensors_of(self._plain[key])
        if any(isinstance(part, str) for part in parts):
            raise TypeError(
                "numpy.r_: a text that says how to join is not known with tensors: use "
                "`numpy.concatenate` or `numpy.stack`"
            )
        return self._join([numpy.r_[part] if isinstance(part, slice) else part for part in parts])


def _in_a_row(parts: list[Any]) -> Any:
    return RECORDED["concatenate"]([RECORDED["atleast_1d"](part) for part in parts])


r_ = _Joining(numpy.r_, _in_a_row)
c_ = _Joining(numpy.c_, lambda parts: RECORDED["column_stack"](parts))


class _Grid:
    """``numpy.mgrid`` and ``numpy.ogrid``."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def __getitem__(self, key: Any) -> Any:
        return tensors_of(self._plain[key])


mgrid, ogrid = _Grid(numpy.mgrid), _Grid(numpy.ogrid)


def ndenumerate(arr: Any) -> Any:
    """Yield the place and the value of every element, as ``numpy.ndenumerate``."""
    return ((place, arr[place]) for place in numpy.ndindex(tuple(arr.shape)))


MADE = {
    name: making(getattr(numpy, name))
    for name in (
        "zeros ones empty eye identity tri arange linspace logspace geomspace indices "
        "zeros_like ones_like empty_like frombuffer fromfile fromiter fromstring "
        "loadtxt genfromtxt load from_dlpack bartlett blackman hamming hanning kaiser"
    ).split()
}
