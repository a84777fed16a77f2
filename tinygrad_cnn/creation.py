"""Tensors made from sizes, ranges and arrays; `drawing` makes those of random numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.devices import check_device
from tinygrad_cnn.dtypes import float_type
from tinygrad_cnn.graph import Array
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.arguments import sizes_of, values_of
from tinygrad_cnn.tensor import Tensor, as_tensor, tensor

__all__ = [
    "Options",
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "made",
    "ones",
    "ones_like",
    "range",
    "scalar_tensor",
    "tril_indices",
    "triu_indices",
    "zeros",
    "zeros_like",
]


class Options(TypedDict, total=False):
    """What every function that makes a tensor takes by name.

    ``dtype`` (the default floating-point type where nothing says another), ``requires_grad`` and
    ``name``. PyTorch's ``device`` may be the processor; ``layout``, ``pin_memory`` and
    ``memory_format`` are taken and change nothing.
    """

    dtype: npt.DTypeLike | None
    requires_grad: bool
    name: str | None
    device: Any
    layout: Any
    pin_memory: bool
    memory_format: Any


def made(array: Any, options: Options) -> Tensor:
    """Make a tensor of an array that nobody else holds."""
    check_device(options.get("device"))
    out = Tensor._wrap(np.asarray(array), None)
    if options.get("requires_grad"):
        out.requires_grad = True
    if options.get("name") is not None:
        out.name = options["name"]
    return out


def _sizes(function: str, sizes: tuple[Any, ...], options: Any) -> tuple[int, ...]:
    """Return the sizes of ``zeros(2, 3)``, ``zeros((2, 3))`` or ``zeros(size=(2, 3))``."""
    if "size" in options:
        sizes = (options.pop("size"),)
    wanted = sizes_of(function, sizes)
    if any(size < 0 for size in wanted):
        raise ValueError(f"{function}: expects sizes of 0 or more, got {wanted}")
    return wanted


def zeros(*size: int | Sequence[int], **options: Unpack[Options]) -> Tensor:
    """Make a tensor of zeros: ``zeros(2, 3)`` or ``zeros((2, 3))``.

    Raises
    ------
    ValueError
        If a size is negative, or the device is another than the processor.

    >>> zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return made(np.zeros(_sizes("zeros", size, options), float_type(options.get("dtype"))), options)


def ones(*size: int | Sequence[int], **options: Unpack[Options]) -> Tensor:
    """Make a tensor of ones; otherwise as `zeros`.

    >>> ones(2, dtype="int64")
    tensor([1, 1])
    """
    return made(np.ones(_sizes("ones", size, options), float_type(options.get("dtype"))), options)


def empty(*size: int | Sequence[int], **options: Unpack[Options]) -> Tensor:
    """Make a tensor whose elements are whatever is found in memory; otherwise as `zeros`.

    >>> empty(2, 0).shape
    (2, 0)
    """
    return made(np.empty(_sizes("empty", size, options), float_type(options.get("dtype"))), options)


def full(size: int | Sequence[int], fill_value: Any, **options: Unpack[Options]) -> Tensor:
    """Make a tensor of one number, which says the dtype: int64, bool or the default float.

    >>> full((2,), 3), full((2,), 0.5)
    (tensor([3, 3]), tensor([0.5, 0.5]))
    """
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    dtype = options.get("dtype")
    if dtype is None:
        dtype = _type_of(value)
    return made(np.full(_sizes("full", (size,), options), value, dtype), options)


def _type_of(*values: Any) -> np.dtype[Any]:
    """Return the dtype of Python's numbers taken together."""
    if any(isinstance(v, (float, np.floating)) for v in values):
        return float_type(None)
    return np.dtype(np.bool_ if all(isinstance(v, (bool, np.bool_)) for v in values) else np.int64)


def _like(make: Any, input: Any, options: Options, *args: Any) -> Tensor:
    array = values_of(input)
    dtype = options.get("dtype")
    return made(make(array, *args, dtype=array.dtype if dtype is None else dtype), options)


def zeros_like(input: Any, **options: Unpack[Options]) -> Tensor:
    """Make zeros of the shape, dtype and layout of another.

    >>> zeros_like(tensor([[1, 2]]))
    tensor([[0, 0]])
    """
    return _like(np.zeros_like, input, options)


def ones_like(input: Any, **options: Unpack[Options]) -> Tensor:
    """Make ones of the shape, dtype and layout of another.

    >>> ones_like(tensor([[1, 2]]))
    tensor([[1, 1]])
    """
    return _like(np.ones_like, input, options)


def empty_like(input: Any, **options: Unpack[Options]) -> Tensor:
    """Make a tensor of the shape, dtype and layout of another, of whatever is found in memory.

    >>> empty_like(tensor([[1, 2]])).shape
    (1, 2)
    """
    return _like(np.empty_like, input, options)


def full_like(input: Any, fill_value: Any, **options: Unpack[Options]) -> Tensor:
    """Make a tensor of one number, of the shape, dtype and layout of another.

    >>> full_like(tensor([1.0, 2.0]), 7)
    tensor([7., 7.])
    """
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    return _like(np.full_like, input, options, value)


def arange(start: Any = None, end: Any = None, step: Any = 1, **options: Unpack[Options]) -> Tensor:
    """Make numbers from start (0 if alone) up to end, which is left out, a step apart.

    There are ⌈(end − start) / step⌉ of them. Integers give int64, others the default float.

    Raises
    ------
    ValueError
        If the step is 0 or leads away from the end.

    >>> arange(3), arange(1, 2, 0.5)
    (tensor([0, 1, 2]), tensor([1. , 1.5]))
    """
    if start is None:
        start, end = 0, end
    elif end is None:
        start, end = 0, start
    start, end, step = map(_number, (start, end, step))
    if step == 0 or (end - start) / step < 0:
        raise ValueError(f"arange: a step of {step} does not lead from {start} to {end}")
    count = math.ceil((end - start) / step)
    return _spaced(start, step, count, (start, end, step), options)


def range(start: Any = 0, end: Any = None, step: Any = 1, **options: Unpack[Options]) -> Tensor:
    """Make floats from start up to end, which is included, a step apart (PyTorch's old `arange`).

    >>> range(1, 3)
    tensor([1., 2., 3.])
    """
    start, end, step = map(_number, (start, end, step))
    if step == 0 or (end - start) / step < 0:
        raise ValueError(f"range: a step of {step} does not lead from {start} to {end}")
    count = math.floor((end - start) / step) + 1
    return _spaced(start, step, count, (0.5,), options)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, (Tensor, np.generic, np.ndarray)) else value


def _spaced(start: Any, step: Any, count: int, given: Any, options: Options) -> Tensor:
    dtype = options.get("dtype")
    wanted = _type_of(*given, 0) if dtype is None else np.dtype(dtype)
    return made((start + np.arange(count) * step).astype(wanted), options)


def linspace(start: Any, end: Any, steps: int, **options: Unpack[Options]) -> Tensor:
    """Make as many numbers as there are steps, evenly spaced, both ends included.

    >>> linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    if operator.index(steps) < 0:
        raise ValueError(f"linspace: steps expects 0 or more, got {steps}")
    between = np.linspace(_number(start), _number(end), steps)
    return made(between.astype(float_type(options.get("dtype"))), options)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, **options: Unpack[Options]
) -> Tensor:
    """Make powers of a base whose exponents are evenly spaced, both ends included.

    >>> logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    if operator.index(steps) < 0:
        raise ValueError(f"logspace: steps expects 0 or more, got {steps}")
    exponents = np.linspace(_number(start), _number(end), steps)
    return made((base**exponents).astype(float_type(options.get("dtype"))), options)


def eye(n: int, m: int | None = None, **options: Unpack[Options]) -> Tensor:
    """Make a matrix (n, m) of zeros with ones on the diagonal.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    return made(np.eye(n, m, dtype=float_type(options.get("dtype"))), options)


def scalar_tensor(value: Any, **options: Unpack[Options]) -> Tensor:
    """Make a tensor without dimensions, of the default float.

    >>> scalar_tensor(2)
    tensor(2.)
    """
    return made(np.array(_number(value), float_type(options.get("dtype"))), options)


def tril_indices(row: int, col: int, offset: int = 0, **options: Unpack[Options]) -> Tensor:
    """Make the rows and columns (2, K) of the elements on and below a diagonal.

    >>> tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    dtype = options.get("dtype")
    found = np.stack(np.tril_indices(row, offset, col))
    return made(found.astype(np.int64 if dtype is None else dtype), options)


def triu_indices(row: int, col: int, offset: int = 0, **options: Unpack[Options]) -> Tensor:
    """Make the rows and columns (2, K) of the elements on and above a diagonal.

    >>> triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    dtype = options.get("dtype")
    found = np.stack(np.triu_indices(row, offset, col))
    return made(found.astype(np.int64 if dtype is None else dtype), options)


def from_numpy(ndarray: Array) -> Tensor:
    """Make a tensor that shares memory with an array.

    Raises
    ------
    TypeError
        If it is no array of real numbers.

    >>> pixels = np.zeros(2)
    >>> from_numpy(pixels)[0] = 5.0
    >>> pixels
    array([5., 0.])
    """
    if not isinstance(ndarray, np.ndarray) or ndarray.dtype.kind not in "fiub":
        kind = getattr(ndarray, "dtype", type(ndarray).__name__)
        raise TypeError(f"from_numpy: expects an array of real numbers, got {kind}")
    return as_tensor(ndarray)


def asarray(obj: Any, *, copy: bool | None = None, **options: Unpack[Options]) -> Tensor:
    """Make a tensor of anything: as `as_tensor`, unless copy says otherwise.

    Raises
    ------
    ValueError
        If no copy is allowed and one is needed.

    >>> asarray([1, 2])
    tensor([1, 2])
    """
    check_device(options.get("device"))
    dtype, requires_grad = options.get("dtype"), options.get("requires_grad", False)
    if copy:
        return tensor(obj, dtype=dtype, requires_grad=requires_grad)
    made_of_it = as_tensor(obj, dtype=dtype)
    shares = isinstance(obj, (TensorBase, np.ndarray)) and np.shares_memory(
        made_of_it._data, values_of(obj)
    )
    if copy is False and not shares:
        raise ValueError(f"asarray: a copy is needed of {type(obj).__name__}; copy=None allows it")
    if requires_grad and made_of_it is obj:
        made_of_it = made_of_it.detach()
    return made_of_it.requires_grad_() if requires_grad else made_of_it
