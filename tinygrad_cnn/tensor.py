"""`Tensor`: an array that remembers how it was computed.

What a tensor holds, how it is made and how it leaves the graph. Its arithmetic and its methods
named after operations are inherited from `operators.Operators`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tinygrad_cnn import autograd, copying, dispatch
from tinygrad_cnn.conversion import array_from
from tinygrad_cnn.converting import Converting
from tinygrad_cnn.deferred import Awaiting
from tinygrad_cnn.deferring import Computation
from tinygrad_cnn.detaching import note_origin
from tinygrad_cnn.devices import check_device
from tinygrad_cnn.graph import GraphError, LeafHooks, Node, RemovableHook
from tinygrad_cnn.inplace import expose, give_name, pending
from tinygrad_cnn.op import Op
from tinygrad_cnn.operands import refuse_masked
from tinygrad_cnn.types import Array
from tinygrad_cnn.views import Following


class Tensor(Converting):
    """An array that remembers how it was computed, so that gradients can flow back through it.

    Parameters
    ----------
    data
        Numbers, nested lists or an array (copied). Python floats give float32; NumPy's float64
        stays float64; integers and booleans stay what they are and take no gradient.
    requires_grad
        Whether gradients are wanted.
    dtype
        The type of the elements, instead of the one the data suggest.
    name
        A name shown in pictures and reports.

    Raises
    ------
    TypeError
        If the data are not real numbers, or a gradient is wanted for integers.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> y = (x**2).sum()
    >>> y.backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ()

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        dtype: npt.DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        self._data = array_from(data, dtype)
        self._node = None
        self._grad = None
        self._hooks = None
        self._name = None
        self._requires_grad = False
        if requires_grad:
            self.requires_grad = True
        if name is not None:
            self.name = name

    @staticmethod
    def _wrap(data: Array, node: Node | None) -> Tensor:
        self = _new(Tensor)
        self._data = data
        self._node = node
        self._requires_grad = node is not None
        self._grad = None
        self._hooks = None
        self._name = None
        return self

    @staticmethod
    def _defer(computation: Computation, node: Node | None) -> Tensor:
        self = _new(Deferred)
        self._computation = computation
        computation.tensor = pending[computation.key] = weakref.ref(self)
        self._node = computation.node = node
        self._requires_grad = node is not None
        self._grad = None
        self._hooks = None
        self._name = None
        return self

    def _special(self, step: Op, data: Array | Computation, node: Node | None) -> Tensor:
        if isinstance(data, Computation):
            return self._defer(data, node)
        memory, mine = data.base, self._data
        if not step.views or memory is None or (memory is not mine and memory is not mine.base):
            return self._wrap(data, node)  # or NumPy had to copy
        if node is None and self._requires_grad:  # under no_grad
            return self._sharing(data)
        view = self._new_view()
        view._data = data
        view._base = base = self._base if self.follows else self
        view._source = self
        view._step = step
        view._kept = node
        view._seen = base._node or (base if base._requires_grad else None)
        view._grad = None
        view._hooks = None
        view._name = None
        return view  # type: ignore[no-any-return]

    @staticmethod
    def _new_view() -> Any:
        """Make a view with nothing in it yet."""
        return _new(View)

    def _sharing(self, data: Array) -> Tensor:
        """Make a tensor outside of the graph that shares memory with this one."""
        base = self._base if self.follows else self
        other = self._wrap(data, None)
        other._origins = (*getattr(base, "_origins", ()), weakref.ref(base))
        return other

    # ------------------------------------------------------------------ what a tensor holds

    @property
    def data(self) -> Tensor:
        """The values outside of any graph, a tensor that shares memory; `numpy` is the array."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        array = value._data if isinstance(value, Tensor) else np.asarray(value)
        if array.shape != self._data.shape:
            raise ValueError(f"data: expects shape {self._data.shape}, got {array.shape}")
        if array is self._data:  # t.data -= …: the same array, which was written to in place
            return
        if self._node is not None:
            raise GraphError("data: only a leaf's data can be replaced; detach() the tensor first")
        if isinstance(self, Following):
            self.leave_base()
        self._data = np.array(array, dtype=self._data.dtype)

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient of a leaf, or None."""
        grad: Tensor | None = self._grad
        return grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            self._grad = None
            return
        grad = value if isinstance(value, Tensor) else Tensor(value, dtype=self._data.dtype)
        if grad.shape != self.shape:
            raise ValueError(f"grad: expects shape {self.shape}, got {grad.shape}")
        self._grad = grad

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are wanted; can be set on leaves."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._data.dtype.kind != "f":
            raise TypeError(
                f"requires_grad: only floating-point tensors have gradients, got {self.dtype}"
            )
        if not value and self._node is not None:
            raise GraphError("requires_grad: a result keeps its graph; use detach()")
        if isinstance(self, Following):
            if value == self._requires_grad:
                return
            self.leave_base()
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was made by the user rather than by a recorded operation."""
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        """The node of the graph that made this tensor, None for a leaf."""
        return self._node

    @property
    def name(self) -> str | None:
        """The name shown in pictures and reports."""
        return self._name

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value
        give_name(self._data, value)
        if self._node is not None:
            self._node.note().label = value

    # ------------------------------------------------------------------ out of the graph

    def numpy(self) -> Array:
        """Return the array itself, outside of any graph (shared memory)."""
        return expose(self._data)

    def detach(self) -> Tensor:
        """Return a tensor of the same memory that is not connected to the graph."""
        if self._node is not None:
            note_origin(self._data, self._node)
        return self._sharing(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self._requires_grad:
            raise TypeError(
                "a tensor that requires a gradient is not turned into an array silently: call "
                "detach().numpy() to leave the graph. To keep it: functional.stack([…]) for "
                "array([…]), `a @ t` for a.dot(t), and for `a[i] = t` let a be tensor(…)"
            )
        array = expose(self._data)
        return np.array(array, dtype=dtype, copy=copy)

    @property
    def _mask(self) -> Any:
        if self._requires_grad:  # numpy.ma asks for it, having taken _data past every protocol
            raise TypeError(
                "a masked array takes the values of a tensor without its gradient: compute with "
                "its filled(…) values, or choose with where(); detach().numpy() leaves the graph"
            )
        raise AttributeError("a tensor has no mask")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return dispatch.array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        return dispatch.array_function(function, types, args, kwargs)

    # ------------------------------------------------------------------ gradients

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """Add the gradients of this tensor to the `grad` of every leaf; see `autograd.backward`."""
        autograd.backward(self, gradient, retain_graph, create_graph)

    def zero_grad(self) -> None:
        """Forget the accumulated gradient."""
        self._grad = None

    def retain_grad(self) -> None:
        """Keep the gradient of this result in `grad`, as leaves do."""
        if not self._requires_grad:
            raise GraphError("retain_grad: the tensor does not require a gradient")
        if self._node is not None:
            self._node.note().retained = weakref.ref(self)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHook:
        """Call ``hook(gradient)`` once the tensor's gradient is complete; it may return another.

        Returns a handle whose ``remove()`` takes the hook away.

        >>> x = Tensor([1.0], requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> (x * 2).backward()
        >>> x.grad
        tensor([20.])
        """
        if not self._requires_grad:
            raise GraphError("register_hook: the tensor does not require a gradient")
        if self._node is not None:
            notes = self._node.note()
            hooks = notes.hooks = notes.hooks or {}
        else:
            hooks = self._hooks = {} if self._hooks is None else self._hooks
        return RemovableHook.added(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHook:
        """Call ``hook(leaf)`` in each backward pass once the leaf's `grad` is complete."""
        if not self._requires_grad or self._node is not None:
            raise GraphError(
                "register_post_accumulate_grad_hook: expects a leaf that requires a gradient"
            )
        if not isinstance(self._hooks, LeafHooks):
            self._hooks = LeafHooks(self._hooks)
        return RemovableHook.added(self._hooks.after, hook)

    def __copy__(self) -> Tensor:
        """Return another tensor of the same memory: a view, so that it follows what is written."""
        if self._node is None and self._requires_grad:
            return type(self)._wrap(self._data, None).requires_grad_()
        view: Tensor = self[...]
        return view

    def __reduce_ex__(self, _: Any) -> Any:
        return copying.reduced(self)

    def __setstate__(self, state: Any) -> None:
        copying.set_state(self, state)

    __hash__ = object.__hash__


_new: Callable[[type[Tensor]], Tensor] = object.__new__


class View(Following, Tensor):
    """A tensor in the memory of another: what is written to one shows in the other."""

    __slots__ = ()

    alone = Tensor


class Deferred(Awaiting, Tensor):
    """A tensor whose data are computed when they are read; a plain one from then on."""

    __slots__ = ()

    computed = Tensor


def tensor(
    data: Any,
    *,
    dtype: npt.DTypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,  # noqa: ARG001  # PyTorch's word, without effect
    name: str | None = None,
) -> Tensor:
    """Make a tensor from numbers, nested lists or an array; the data are copied.

    PyTorch's ``device`` may be the processor; ``pin_memory`` is taken and changes nothing.

    >>> tensor([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if device is not None:
        check_device(device)
    return Tensor(data, requires_grad, dtype, name)


def as_tensor(
    data: Any,
    dtype: npt.DTypeLike | None = None,
    device: Any = None,
    *,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make a tensor that shares memory with an array; anything else is as for `tensor`.

    Another dtype than the data's makes a copy, as `Tensor.to` does of a tensor.

    >>> pixels = np.zeros((2, 2), np.float32)
    >>> as_tensor(pixels).numpy() is pixels
    True
    """
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.astype(dtype)
    shareable = isinstance(data, np.ndarray) and data.dtype.kind in "fiub"
    if not shareable or (dtype is not None and data.dtype != dtype):
        return Tensor(data, requires_grad, dtype, name)
    refuse_masked("as_tensor", data)
    shared = Tensor._wrap(expose(np.asarray(data)), None)  # a plain view of an np.memmap
    shared.requires_grad = requires_grad
    if name is not None:
        shared.name = name
    return shared


def is_tensor(obj: Any) -> bool:
    """Whether something is a tensor.

    >>> is_tensor(tensor(1.0)), is_tensor(np.ones(1))
    (True, False)
    """
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> int:
    """Return the number of elements of a tensor.

    >>> numel(tensor([1.0, 2.0]))
    2
    """
    return input.numel()
