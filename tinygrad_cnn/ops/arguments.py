"""Arguments that many functions share: read, checked and brought into one form.

Every error names the function, what the argument expects and what came instead.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, cast, overload

import numpy as np

from tinygrad_cnn.base import TensorBase
from tinygrad_cnn.operands import instead_of
from tinygrad_cnn.types import Dim, Operand, Pair, Shape

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

# ---------------------------------------------------------------------------------------------
# values


def values_of(x: Any) -> Any:
    """Return the array of a tensor, or of anything that makes one of real numbers."""
    if isinstance(x, TensorBase):
        return x._data
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"expects tensors, arrays or numbers, got {type(x).__name__}{instead_of(x)}"
        )
    return array


def as_float(x: Any) -> Any:
    """Return an array of floats; integers become float64, which `Op` makes float32 in the end."""
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def as_real(x: Any) -> Any:
    """Return integers as the default float, where a real result is due; they have no graph.

    >>> as_real(np.array([1, 2]))
    array([1., 2.], dtype=float32)
    """
    if x is None or x.dtype.kind == "f":
        return x
    return without_graph(x, values_of(x).astype(np.float32))


def as_dtype_of(x: Any, input: Operand) -> Any:
    """Give an array the dtype of the input, so that a float64 target leaves a float32 loss."""
    return x if isinstance(x, TensorBase) else np.asarray(x, dtype=input.dtype)


def without_graph(input: Operand, result: Any) -> Any:
    """Return a result that has no gradient: a tensor if the input is one, else an array."""
    array = np.asarray(result)
    return input._wrap(array, None) if isinstance(input, TensorBase) else array


def shape_of(function: str, input: Any) -> Shape:
    """Return the shape of a tensor, an array, a list or a number; what waits goes on waiting."""
    if isinstance(input, TensorBase):
        awaited = input._computation if input.deferred else None
        return input._data.shape if awaited is None else awaited.shape
    if isinstance(input, np.ndarray):
        shape: Shape = input.shape
        return shape
    if isinstance(input, (list, tuple, bool, int, float, np.generic)):
        return np.shape(input)
    raise TypeError(f"{function}: expects tensors, arrays or numbers, got {type(input).__name__}")


def names_operands(function: Callable[P, R_co]) -> Callable[P, R_co]:
    """Let a function say which argument is no tensor, where it stumbles over one.

    For functions that look at shapes before an operation sees its inputs, which says so itself.
    Nothing is checked where all goes well. `numpy_words`, `takes_one_example` and
    `in_single_precision` do the same.

    Raises
    ------
    TypeError
        In the call: if an argument that is annotated as an operand is none.

    >>> @names_operands
    ... def rows(input: Operand):
    ...     return input.shape[0]
    >>> rows(None)
    Traceback (most recent call last):
    TypeError: rows: input expects a tensor or an array, got None (a function that returns nothing?)
    """

    @functools.wraps(function)
    def named(*args: P.args, **kwargs: P.kwargs) -> R_co:
        try:
            return function(*args, **kwargs)
        except (AttributeError, TypeError) as error:
            refuse_operands(function, args, kwargs, error)
            raise

    return named


def refuse_operands(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
) -> None:
    """Raise a TypeError about the first argument that is no operand; return if all are."""
    name = function.__name__
    if str(error).startswith(f"{name}: "):
        return
    signature = inspect.signature(function)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError:
        return
    for argument, value in given.items():
        kind = str(signature.parameters[argument].annotation)
        if "Operand" not in kind or isinstance(value, (TensorBase, np.ndarray)):
            continue
        if kind.startswith(("Operand", "TensorBase")):
            may_be_number, may_be_none = "float" in kind, "None" in kind
            number = isinstance(value, (bool, int, float, np.generic))
            if (number and may_be_number) or (value is None and may_be_none):
                continue
            numbers = ", an array or a number" if may_be_number else " or an array"
            came = "None" if value is None else type(value).__name__
            raise TypeError(
                f"{name}: {argument} expects a tensor{numbers}, got {came}{instead_of(value)}"
            ) from None
        if not hasattr(value, "__iter__"):
            raise TypeError(
                f"{name}: {argument} expects a list of tensors or arrays, got "
                f"{type(value).__name__}"
            ) from None


# ---------------------------------------------------------------------------------------------
# dimensions


def axis_of(function: str, ndim: int, dim: Any) -> int:
    """Return the one dimension that ``dim`` names, counted from 0."""
    try:
        index = operator.index(dim)
    except TypeError:
        raise TypeError(f"{function}: dim expects an integer, got {dim!r}") from None
    if not -ndim <= index < ndim:
        raise IndexError(f"{function}: dim {index} does not exist in a tensor of {ndim} dimensions")
    return index % ndim


def axes_of(function: str, ndim: int, dim: Dim) -> tuple[int, ...]:
    """Return the dimensions that ``dim`` names, sorted and counted from 0; None names all.

    A single number is taken for a vector of one: 0 and -1 name its dimension, which it has not.
    """
    if dim is None:
        return tuple(range(ndim))
    if type(dim) is int and -ndim <= dim < ndim:  # the commonest, without a set and a sort
        return (dim % ndim,)
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    for d in dims:
        if not isinstance(d, (int, np.integer)):
            raise TypeError(f"{function}: dim expects an int, a tuple of ints or None, got {dim!r}")
        if not -(ndim or 1) <= d < (ndim or 1):
            raise IndexError(f"{function}: dim {d} does not exist in a tensor of {ndim} dimensions")
    axes = sorted({int(d) % (ndim or 1) for d in dims})
    if len(axes) != len(dims):
        raise ValueError(f"{function}: a dimension appears twice in {dims}")
    return tuple(axes) if ndim else ()


class NumpyWords(Protocol[P, R_co]):
    """A function that takes NumPy's ``axis`` and ``keepdims`` beside its own arguments."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, *args: Any, axis: Dim, keepdims: bool = ..., **kwargs: Any) -> R_co: ...
    @overload
    def __call__(self, *args: Any, keepdims: bool, **kwargs: Any) -> R_co: ...


_NUMPY = {"dim": "axis", "keepdim": "keepdims"}
_UNSAID = {"axis": None, "keepdims": False}  # a word of this value says nothing


def numpy_words(function: Callable[P, R_co]) -> NumpyWords[P, R_co]:
    """Let a function that takes ``dim`` take ``axis`` as well, and ``keepdims`` for ``keepdim``.

    Every function with one of these parameters wears this decorator, and itself knows PyTorch's
    words only.

    Raises
    ------
    ValueError
        In the call: if both names of one argument are given.

    >>> @numpy_words
    ... def last(x, dim, keepdim=False):
    ...     return dim, keepdim
    >>> last(None, 1), last(None, axis=1, keepdims=True)
    ((1, False), (1, True))
    """
    signature = inspect.signature(function)
    places = {name: place for place, name in enumerate(signature.parameters)}
    words = [(places[own], own, word) for own, word in _NUMPY.items() if own in places]
    if not words:
        raise TypeError(f"{function.__name__}: expects a parameter dim or keepdim to translate")

    @functools.wraps(function)
    def translated(*args: Any, **kwargs: Any) -> Any:
        if kwargs and ("axis" in kwargs or "keepdims" in kwargs):
            for place, own, word in words:
                if word in kwargs:
                    args = _renamed(function.__name__, place, own, word, args, kwargs)
        try:
            return function(*args, **kwargs)
        except (AttributeError, TypeError) as error:
            refuse_operands(function, args, kwargs, error)
            raise

    more = [
        inspect.Parameter(word, inspect.Parameter.KEYWORD_ONLY, default=_UNSAID[word])
        for _, _, word in words
    ]
    translated.__signature__ = signature.replace(  # type: ignore[attr-defined]  # help() shows it
        parameters=[*signature.parameters.values(), *more]
    )
    return cast("NumpyWords[P, R_co]", translated)


def _renamed(
    function: str, place: int, own: str, word: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    """Give the value of NumPy's word to our own: in the keywords, or in the arguments returned."""
    value = kwargs.pop(word)
    positional = len(args) > place
    if not positional and own not in kwargs:
        kwargs[own] = value
        return args
    given = args[place] if positional else kwargs[own]
    if value is _UNSAID[word]:
        return args
    if given is not _UNSAID[word]:
        raise ValueError(
            f"{function}: {own} and {word} are two names of one argument; give one of them"
        )
    if positional:
        return (*args[:place], value, *args[place + 1 :])
    kwargs[own] = value
    return args


# ---------------------------------------------------------------------------------------------
# sizes


_PLAIN = frozenset({int, bool, str, type(None)})


def are_plain(settings: tuple[Any, ...]) -> bool:
    """Whether what was worked out for settings can be looked up by them, in a typed cache.

    Lists cannot; and inside of a tuple the cache would take 1.0 for 1.

    >>> are_plain((2, (1, 1))), are_plain((2, (1, 1.0))), are_plain((2, [1, 1]))
    (True, False, False)
    """
    if _PLAIN.issuperset(map(type, settings)):
        return True
    values: list[Any] = []
    for value in settings:
        values += value if type(value) is tuple else (value,)
    return _PLAIN.issuperset(map(type, values))


def ntuple(function: str, argument: str, value: Any, count: int, smallest: int = 1) -> Shape:
    """Return an int, or a sequence of as many ints as there are dimensions, as a tuple, checked."""
    values = (value,) * count if isinstance(value, (int, np.integer)) else value
    if isinstance(values, (tuple, list)) and len(values) == 1:
        values = tuple(values) * count  # as PyTorch
    if (
        not isinstance(values, (tuple, list))
        or len(values) != count
        or not all(isinstance(v, (int, np.integer)) and v >= smallest for v in values)
    ):
        several = {1: "an int", 2: "an int or a pair of ints"}
        expected = several.get(count, f"an int or {count} ints")
        raise ValueError(f"{function}: {argument} expects {expected} >= {smallest}, got {value!r}")
    return tuple([int(v) for v in values])


def pair(function: str, argument: str, value: Any, smallest: int = 1) -> Pair:
    """Return an int or a pair of ints as a pair, checked."""
    if type(value) is int and value >= smallest:
        return value, value
    if type(value) is tuple and len(value) == 2:  # what layers pass on
        height, width = value
        if type(height) is int is type(width) and height >= smallest <= width:
            return value
    height, width = ntuple(function, argument, value, 2, smallest)
    return height, width


def single(function: str, argument: str, value: Any, smallest: int = 1) -> int:
    """Return an int or a sequence of one int as an int, checked."""
    return ntuple(function, argument, value, 1, smallest)[0]


def sizes_of(function: str, sizes: tuple[Any, ...]) -> Shape:
    """Accept both f(x, 2, 3) and f(x, (2, 3))."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    try:
        return tuple([operator.index(size) for size in sizes])
    except TypeError:
        raise TypeError(f"{function}: expects integers, got {sizes}") from None


# ---------------------------------------------------------------------------------------------
# losses

Reduction: TypeAlias = Literal["mean", "sum", "none"]
"""What a loss makes of the losses of its elements: `ops.loss.reduce_loss` does it."""


def listed(function: str, what: str, values: Any, kind: type | None = None) -> list[Any]:
    """Make an iterable a list, once: an iterator would be used up by the first look at it.

    Raises
    ------
    TypeError
        If it is no iterable, has no order, or holds something else than `kind`.
    ValueError
        If it is empty.

    >>> listed("stack", "tensors", iter("ab"))
    ['a', 'b']
    """
    if isinstance(values, (set, frozenset)):
        raise TypeError(f"{function}: {what} expects a list: a set has no order")
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__iter__"):
        raise TypeError(f"{function}: {what} expects a list, got {type(values).__name__}")
    found = list(values)
    if not found:
        raise ValueError(f"{function}: got no {what} (an iterator that was used up?)")
    if kind is not None:
        for value in found:
            if not isinstance(value, kind):
                raise TypeError(
                    f"{function}: {what} expects {kind.__name__}s, got {type(value).__name__}"
                )
    return found


def channels_last_hint(shape: Shape, channels: int) -> str:
    """Return what to write where images come with their channels last.

    >>> channels_last_hint((2, 28, 28, 3), 3)
    '; its channels come last: give x.permute(0, 3, 1, 2), of an array transpose(0, 3, 1, 2)'
    >>> channels_last_hint((2, 1, 28, 28), 3)
    ''
    """
    if len(shape) != 4 or shape[3] != channels:
        return ""
    if shape[0] == 1:  # perhaps one image that was given its batch dimension here
        return "; its channels come last: put them before height and width"
    return "; its channels come last: give x.permute(0, 3, 1, 2), of an array transpose(0, 3, 1, 2)"


def check_reduction(function: str, reduction: str) -> None:
    """Raise unless the reduction is one of the three."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(
            f"{function}: reduction expects 'mean', 'sum' or 'none', got {reduction!r}"
        )


def target_like(function: str, input: Operand, target: Any) -> Any:
    """Return a target in the input's dtype, or raise unless it has the input's shape.

    Broadcasting a target would hide a mistake.
    """
    target = as_dtype_of(target, input)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"{function}: target expects the input's shape {tuple(input.shape)}, "
            f"got {tuple(target.shape)}"
        )
    return target
