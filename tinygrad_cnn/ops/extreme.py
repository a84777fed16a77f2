"""Greatest and smallest elements: max, min, amax, amin and their indices, argmax, argmin.

`max` and `min` over a dimension choose one element, the first among equals, and its gradient goes
there; over all elements, and in `amax` and `amin`, equals share the gradient evenly. A NaN counts
as both the greatest and the smallest.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.kernels.reduce.scatter import add_along, take_along
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.arguments import axes_of, numpy_words, values_of, without_graph
from tinygrad_cnn.ops.elementwise import div
from tinygrad_cnn.ops.piecewise import maximum, minimum, where
from tinygrad_cnn.ops.reduce import Reduce, sum
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Dim, Operand

__all__ = ["amax", "amin", "argmax", "argmin", "max", "min"]


class TakeAlong(Op):
    """x at the given indices of an axis."""

    __slots__ = ("axis",)
    saves = ("indices",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Any, indices: Any) -> Any:
        if indices.shape != (
            *x.shape[: self.axis],
            indices.shape[self.axis],
            *x.shape[self.axis + 1 :],
        ):
            return np.take_along_axis(x, indices, self.axis)  # sizes of 1 are broadcast
        return take_along(x, self.axis, indices)

    def backward(self, g: Any, out: Any, x: Any, indices: Any) -> tuple[Any, ...]:
        return PutAlong(self.axis, x.shape[self.axis])(g, indices), None


class PutAlong(Op):
    """Zeros with x added at the given indices of an axis: the adjoint of `TakeAlong`."""

    __slots__ = ("axis", "size")
    saves = ("indices",)

    def __init__(self, axis: int, size: int) -> None:
        self.axis = axis
        self.size = size

    def forward(self, x: Any, indices: Any) -> Any:
        shape = list(x.shape)
        shape[self.axis] = self.size
        out = np.zeros(shape, x.dtype)
        if x.shape[self.axis] == 1:  # no index is named twice
            np.put_along_axis(out, indices, x, self.axis)
        else:
            add_along(out, self.axis, indices, x)
        return out

    def backward(self, g: Any, out: Any, x: Any, indices: Any) -> tuple[Any, ...]:
        return TakeAlong(self.axis)(g, indices), None


class Selection(Op):
    """The element of an axis that a function such as argmax chooses."""

    __slots__ = ("axis", "keepdims")
    has_aux = True

    def __init__(self, axis: int, keepdims: bool) -> None:
        self.axis = axis
        self.keepdims = keepdims

    @abstractmethod
    def choice(self, x: Any) -> Any:
        """Return the indices of the chosen elements, with the axis kept at size 1."""

    def forward(self, x: Any) -> Any:
        indices = self.choice(x)
        values = np.take_along_axis(x, indices, self.axis)
        return values if self.keepdims else np.squeeze(values, self.axis), indices

    def backward(self, g: Any, out: Any, x: Any, *, aux: Any) -> tuple[Any, ...]:
        g = reshape(g, aux.shape)
        return (PutAlong(self.axis, x.shape[self.axis])(g, aux),)


class Max(Selection):
    """max x along an axis, the first among equals."""

    __slots__ = ()

    def choice(self, x: Any) -> Any:
        return np.argmax(x, axis=self.axis, keepdims=True)


class Min(Selection):
    """min x along an axis, the first among equals."""

    __slots__ = ()

    def choice(self, x: Any) -> Any:
        return np.argmin(x, axis=self.axis, keepdims=True)


class Extreme(NamedTuple):
    """What `max` and `min` return for a dimension."""

    values: Any
    indices: Any


def _select(function: str, op: type[Selection], input: Operand, dim: Any, keepdim: bool) -> Any:
    if isinstance(dim, (TensorBase, np.ndarray)):
        return (maximum if op is Max else minimum)(input, dim)
    axes = axes_of(function, input.ndim, dim)
    _check_not_empty(function, input, axes)
    if dim is None:
        return (Amax if op is Max else Amin)(axes, keepdim)(input)
    if not input.ndim:
        value, index = _select(function, op, reshape(input, 1), 0, False)
        return Extreme(value, index)
    if len(axes) != 1 or not isinstance(dim, (int, np.integer)):
        raise ValueError(
            f"{function}: expects one dim, an int, or None, got {dim}; "
            f"a{function} reduces over several"
        )
    values, indices = op(axes[0], keepdim)(input, with_aux=True)
    # A copy, since the user may write to it and the rule still needs the indices.
    indices = indices.copy() if keepdim else np.squeeze(indices, axes[0]).copy()
    return Extreme(values, without_graph(input, indices))


def _check_not_empty(function: str, input: Operand, axes: tuple[int, ...]) -> None:
    if any(input.shape[axis] == 0 for axis in axes):
        raise ValueError(
            f"{function}: expects at least one element to choose from, got shape "
            f"{tuple(input.shape)} to reduce over {axes}"
        )


@numpy_words
def max(input: Operand, dim: Dim | Operand = None, keepdim: bool = False) -> Any:
    """Greatest element, or along a dimension the greatest elements and their indices.

    Along a dimension the whole gradient goes to the first among equals; over all elements they
    share it evenly. For a second tensor instead of a dimension it is `maximum`. A NaN counts as the
    greatest.

    Parameters
    ----------
    input
        Any shape.
    dim
        One dimension, or None for all elements.
    keepdim
        Leave the reduced dimension in the result with size 1.

    Returns
    -------
    For ``dim=None`` the value alone; otherwise a tuple ``(values, indices)``, indices without a
    graph.

    Raises
    ------
    IndexError
        If the dimension does not exist.
    ValueError
        If there is no element to choose from, or several dimensions are given: see `amax`.

    >>> max(np.array([[1.0, 5.0], [7.0, 3.0]]), dim=1)
    Extreme(values=array([5., 7.]), indices=array([1, 0]))
    """
    return _select("max", Max, input, dim, keepdim)


@numpy_words
def min(input: Operand, dim: Dim | Operand = None, keepdim: bool = False) -> Any:
    """Smallest element, or along a dimension the smallest elements and their indices.

    Along a dimension the whole gradient goes to the first among equals; over all elements they
    share it evenly. For a second tensor instead of a dimension it is `minimum`. A NaN counts as the
    smallest. Arguments, results and errors as for `max`.

    >>> min(np.array([[1.0, 5.0], [7.0, 3.0]]), dim=1)
    Extreme(values=array([1., 3.]), indices=array([0, 1]))
    """
    return _select("min", Min, input, dim, keepdim)


class Amax(Reduce):
    """max x; equals share the gradient evenly."""

    __slots__ = ()
    has_aux = True  # which elements are less: x itself may be written to, as x -= x.max() does

    def forward(self, x: Any) -> Any:
        top = np.max(x, axis=self.axes, keepdims=True)
        return self.shaped(top), x < top

    def infer(self, x: Any) -> Any:
        return np.max(x, axis=self.axes, keepdims=self.keepdims)

    def choice(self, x: Any) -> Any:
        return x == np.max(x, axis=self.axes, keepdims=True)

    def shaped(self, kept: Any) -> Any:
        """Drop the reduced dimensions, if they are not to be kept."""
        return kept if self.keepdims else np.squeeze(kept, self.axes)

    def backward(self, g: Any, out: Any, x: Any, *, aux: Any) -> tuple[Any, ...]:
        """Divide the gradient among the elements that are not less; all are if one is NaN."""
        winners = sum(where(aux, 0.0, 1.0), self.axes, self.keepdims)
        return (where(aux, 0.0, self.spread(div(g, winners), x)),)


class Amin(Amax):
    """min x; equals share the gradient evenly."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        bottom = np.min(x, axis=self.axes, keepdims=True)
        return self.shaped(bottom), x > bottom

    def infer(self, x: Any) -> Any:
        return np.min(x, axis=self.axes, keepdims=self.keepdims)

    def choice(self, x: Any) -> Any:
        return x == np.min(x, axis=self.axes, keepdims=True)


@numpy_words
def amax(input: Operand, dim: Dim = None, keepdim: bool = False) -> Any:
    """Greatest elements over any dimensions; equals share the gradient evenly.

    A NaN counts as the greatest; the elements reduced with it share the gradient.

    Parameters
    ----------
    input
        Any shape.
    dim
        A dimension, several, or None for all of them.
    keepdim
        Leave the reduced dimensions in the result with size 1.

    Raises
    ------
    IndexError
        If a dimension does not exist.
    ValueError
        If a dimension is named twice, or there is no element to choose from.

    >>> amax(np.array([[1.0, 5.0], [7.0, 3.0]]), dim=0)
    array([7., 5.])
    """
    axes = axes_of("amax", input.ndim, dim)
    _check_not_empty("amax", input, axes)
    return Amax(axes, keepdim)(input)


@numpy_words
def amin(input: Operand, dim: Dim = None, keepdim: bool = False) -> Any:
    """Smallest elements over any dimensions; equals share the gradient evenly.

    A NaN counts as the smallest. Arguments and errors as for `amax`.

    >>> amin(np.array([[1.0, 5.0], [7.0, 3.0]]), dim=0)
    array([1., 3.])
    """
    axes = axes_of("amin", input.ndim, dim)
    _check_not_empty("amin", input, axes)
    return Amin(axes, keepdim)(input)


def _index(
    function: str, choose: Callable[..., Any], input: Operand, dim: int | None, keepdim: bool
) -> Any:
    axes = axes_of(function, input.ndim, dim)
    if not (dim is None or isinstance(dim, (int, np.integer))):
        raise TypeError(f"{function}: dim expects an int or None, got {dim!r}")
    _check_not_empty(function, input, axes)
    return without_graph(input, choose(values_of(input), axis=dim, keepdims=keepdim))


@numpy_words
def argmax(input: Operand, dim: int | None = None, keepdim: bool = False) -> Any:
    """Index of the first greatest element along a dimension, or among all in row-major order.

    A NaN counts as the greatest. The result holds integers and has no graph. Errors as for `max`.

    >>> argmax(np.array([[1.0, 5.0], [7.0, 3.0]]), dim=1)
    array([1, 0])
    """
    return _index("argmax", np.argmax, input, dim, keepdim)


@numpy_words
def argmin(input: Operand, dim: int | None = None, keepdim: bool = False) -> Any:
    """Index of the first smallest element along a dimension, or among all in row-major order.

    A NaN counts as the smallest. The result holds integers and has no graph. Errors as for `max`.

    >>> argmin(np.array([[1.0, 5.0], [7.0, 3.0]]), dim=1)
    array([0, 1])
    """
    return _index("argmin", np.argmin, input, dim, keepdim)
