"""`Parameter`: a tensor that a module learns; `Buffer`: one that belongs to its state."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy.typing as npt

from tinygrad_cnn.copying import reduced, set_state
from tinygrad_cnn.tensor import Tensor

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor that a module learns: assigned to an attribute of a `Module`, it is found there.

    Results of operations on it are plain tensors. A deep copy has the same values and no gradient.

    Parameters
    ----------
    data
        Numbers, nested lists, an array or a tensor; copied.
    requires_grad
        Whether gradients are wanted; False freezes it.
    dtype, name
        As for `Tensor`. Without a name, `Module.named_parameters` gives the path in the module.

    Raises
    ------
    TypeError
        If the data are not floating-point numbers and a gradient is wanted.

    >>> w = Parameter([1.0, 2.0])
    >>> w.requires_grad, type(w * 2).__name__
    (True, 'Tensor')
    """

    __slots__ = ()

    def __init__(
        self,
        data: Any,
        requires_grad: bool = True,
        dtype: npt.DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(data, requires_grad, dtype, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        rebuilt, arguments, (requires_grad, _, *rest) = reduced(self)
        twin: Self = rebuilt(*copy.deepcopy(arguments, memo))
        memo[id(self)] = twin
        set_state(twin, (requires_grad, None, *copy.deepcopy(rest, memo)))
        return twin


class Buffer(Tensor):
    """A tensor of a module's state that is not learnt: assigned to an attribute, it is a buffer.

    Parameters
    ----------
    data
        As for `Parameter`.
    requires_grad
        Whether a gradient is wanted.
    persistent
        Whether it belongs to `Module.state_dict`.

    >>> Buffer([1.0]).requires_grad
    False
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any, requires_grad: bool = False, *, persistent: bool = True) -> None:
        super().__init__(data, requires_grad)
        self.persistent = persistent
