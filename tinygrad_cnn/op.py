"""What an operation is, the registry of all of them, and the base class that `Tensor` inherits.

An operation is a small class with its ``forward`` on arrays and its ``backward`` rule beside it::

    class Exp(Op):
        saves = ("out",)

        def forward(self, x):
            return np.exp(x)

        def backward(self, g, out, x):
            return (g * out,)

    def exp(x):
        return Exp()(x)

Called with arrays, an operation returns an array. Called with any tensor that requires a gradient,
it returns a tensor and records a `Node`. The rule is written in operators and other operations:
the engine hands it arrays in an ordinary backward pass and tensors under ``create_graph=True``, so
one text serves every order of derivative.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinygrad_cnn.graph import Node, mode, record
from tinygrad_cnn.inplace import exposed, refresh, watch_bytes
from tinygrad_cnn.saving import Plan, plan_of, plan_saving
from tinygrad_cnn.types import Array

_FLOAT64 = np.dtype(np.float64)
_FLOAT16 = np.dtype(np.float16)
_ndarray = np.ndarray


class TensorBase:
    """What an operation needs to know of a tensor: its array, its node, and how to make one."""

    __slots__ = (
        "__weakref__",
        "_base",
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

    def _view(self, step: Op, data: Array, node: Node | None) -> Any:
        """Make the tensor that an operation took of this one's memory, a view if it shares it."""
        raise TypeError(f"TensorBase is abstract: Tensor makes views by {step}, {data}, {node}")

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


_PACKAGE = __name__.partition(".")[0] + "."

adapters: dict[str, Any] = {}
"""Operations that the engine fits gradients with: "sum" and "cast", entered where they stand."""

registry: dict[str, type[Op]] = {}
"""Every operation class by its qualified name, in order of definition."""


class Op:
    """An operation: ``forward`` on arrays, and the ``backward`` rule beside it.

    A subclass may set

    ``saves``
        What the rule reads: names of arguments of ``backward``, out of the inputs and ``"out"``.
        Only these arrays are kept. A dict says it input by input, so that less is kept where not
        every gradient is wanted: ``{"a": ("b",), "b": ("a",)}`` reads "the gradient of a needs b".
        An input that is not saved reaches the rule as an object with shape, dtype and ndim only.
    ``has_aux``
        ``forward`` returns ``(result, aux)``; the rule receives ``aux`` as a keyword. An operation
        whose aux holds floats computed from its inputs must also define ``reference``.
    ``reference(*inputs)``
        The same function in differentiable operations. Under ``create_graph`` the engine
        differentiates it instead of calling ``backward``, which may then use fast kernels.
    ``sets_dtype``
        The dtype of the result is the op's own business. Otherwise float64 appears only where an
        input has it.
    ``widens``
        Half precision is computed in float32, forward and backward, and rounded at the end: sums
        of it would overflow, and constants vanish.
    ``optional``
        Inputs may be None (a bias, a weight).
    ``infer(*inputs)``
        ``forward`` where nothing is recorded, if it can do with less work.
    ``takes_pending``
        ``backward`` can do with a large gradient that is not computed yet, a `Pending`, and may
        return one.
    ``views``
        The result lies in the memory of the only input, unless NumPy had to copy. No other
        operation may return memory of an input: what is written to one would show in the other.
    ``add_into(whole, g)``
        For the gradient of a part: add it in place to ``whole``, the gradient of the only input.
    ``backward_owned(g, needs)``
        `backward` for an array that may be written to and handed on; ``laid_out(array)`` makes it.
    ``choice(*inputs)``
        The discrete choice made at a point (a mask, indices): gradients jump where it changes.

    A rule may take a keyword ``needs``: a tuple with one bool per input, True where the gradient is
    wanted; None may be returned in the other places. Settings are kept in ``__slots__`` (they are
    shown in pictures and reports) and are never changed by ``forward``. They may be numbers, masks
    and integers, never floats computed from inputs: those would be constants to the second
    derivative, silently.
    """

    __slots__: tuple[str, ...] = ()

    saves: ClassVar[tuple[str, ...] | dict[str, tuple[str, ...]]] = ()
    has_aux: ClassVar[bool] = False
    sets_dtype: ClassVar[bool] = False
    optional: ClassVar[bool] = False
    widens: ClassVar[bool] = False
    takes_pending: ClassVar[bool] = False
    reference: ClassVar[Any] = None
    choice: ClassVar[Any] = None
    infer: ClassVar[Any] = None
    views: ClassVar[bool] = False
    add_into: ClassVar[Any] = None
    backward_owned: ClassVar[Any] = None
    laid_out: ClassVar[Any] = None

    name: ClassVar[str] = "op"
    _arguments: ClassVar[tuple[str, ...]] = ()  # names of the inputs; ("*xs",) for any number
    _takes_needs: ClassVar[bool] = False
    _takes_aux: ClassVar[bool] = False
    _outside: ClassVar[bool] = False  # whether it was written outside of this package
    _needs: ClassVar[tuple[tuple[bool, ...], ...]] = ()  # the needs, by the bits of Node.wanted
    # What to keep, by wanted gradients (empty for any number of inputs); whether there is an aux
    # or an infer; and whether it makes views.
    _traits: ClassVar[tuple[tuple[Plan, ...], bool, bool]] = ((), False, False)
    _in_parts: ClassVar[bool] = False  # whether the engine can write to a gradient instead

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        cls._outside = not cls.__module__.startswith(_PACKAGE)
        plan_saving(cls)
        registry[f"{cls.__module__}.{cls.__qualname__}"] = cls

    def forward(self, *inputs: Any) -> Any:
        """Compute the result from arrays."""
        raise NotImplementedError(f"{self.name}: forward is not defined")

    def backward(self, g: Any, out: Any, *inputs: Any, **extra: Any) -> tuple[Any, ...]:
        """Return the gradient of each input, given the gradient ``g`` of the result."""
        raise NotImplementedError(f"{self.name}: backward is not defined")

    def settings(self) -> dict[str, Any]:
        """Return the settings by name."""
        names = [n for c in reversed(type(self).__mro__) for n in c.__dict__.get("__slots__", ())]
        return {n: getattr(self, n) for n in names if not n.startswith("_")}

    def describe(self) -> str:
        """Return the name with the settings, as shown in reports."""
        parts = []
        for name, value in self.settings().items():
            big = isinstance(value, np.ndarray)
            parts.append(f"{name}=<{value.dtype}{list(value.shape)}>" if big else f"{name}={value}")
        return f"{self.name}({', '.join(parts)})" if parts else self.name

    def __repr__(self) -> str:
        return f"<Op {self.describe()}>"

    def __call__(self, *inputs: Any, with_aux: bool = False) -> Any:
        """Apply to arrays (returns an array) or to tensors (returns a tensor, recorded).

        With ``with_aux`` the answer is ``(result, aux)``; aux is None where nothing is recorded
        and the operation can do without.
        """
        # The path of every operation: one loop, no helper calls for tensors.
        arrays: list[Any] = []
        edges: list[Any] = []
        tensor: TensorBase | None = None
        wanted = 0  # a bit for each input whose gradient is wanted
        bit = 1
        foreign = self._outside  # whether anything comes from outside, and has to be watched
        for x in inputs:
            if isinstance(x, TensorBase):
                tensor = x
                arrays.append(x._data)
                if x._requires_grad:
                    edges.append(x._node or x)
                    wanted |= bit
                else:
                    edges.append(None)
            else:
                kind = type(x)
                if kind is _ndarray and x.dtype.kind != "c":
                    foreign = True
                elif kind is not float and (x is not None or not self.optional):
                    foreign = foreign or isinstance(x, _ndarray)  # np.memmap, another subclass
                    x = operand(x, self, inputs)
                arrays.append(x)
                edges.append(None)
            bit += bit
        if foreign and tensor is not None:
            _check_real(self, arrays)
        now = mode.__dict__  # one look-up of this thread's state instead of three
        recording = wanted and now["recording"]
        plans, special, views = self._traits
        aux = None
        if special:
            out, aux = self._forward(arrays, recording)
        else:
            out = self.forward(*arrays)
        if type(out) is not _ndarray:  # reductions to a number, and sums of 0-d arrays
            out = np.asarray(out)
        dtype = out.dtype
        if dtype is _FLOAT64 and not self.sets_dtype and not _has_float64(arrays):
            # Integers with floats: NumPy's float64, our float32.
            out = out.astype(np.float32 if tensor is None else tensor.floating, copy=False)
            dtype = out.dtype
        if recording and tensor is not None:
            drops, keeps_out = plans[wanted] if plans else plan_of(self.saves, (), edges)
            for index in drops:
                arrays[index] = edges[index]
            kept = out if keeps_out else None
            if exposed:
                refresh(arrays if kept is None else (*arrays, kept))
            if foreign:
                watch_foreign(arrays, edges, self, aux)
            scope, source = now["scope"], now["source"]
            shape = out.shape
            node = record(self, edges, arrays, kept, aux, shape, dtype, wanted, scope, source)
            out = tensor._view(self, out, node) if views else tensor._wrap(out, node)
        elif tensor is not None:
            out = tensor._view(self, out, None) if views else tensor._wrap(out, None)
        if now["watch"] is not None and tensor is not None:
            now["watch"].forward(self, inputs, out)
        return (out, aux) if with_aux else out

    def _forward(self, arrays: list[Any], recording: Any) -> tuple[Any, Any]:
        """Run the forward of an operation that has an aux, or less to do when not recorded."""
        if self.widens and is_half(arrays):
            out, aux = self._forward([widened(a) for a in arrays], recording)
            with np.errstate(over="ignore"):  # what half precision cannot hold is infinite
                return np.asarray(out, np.float16), aux
        if self.infer is not None and not recording:
            return self.infer(*arrays), None
        if self.has_aux:
            out, aux = self.forward(*arrays)
            return out, aux
        return self.forward(*arrays), None


def is_half(arrays: list[Any]) -> bool:
    """Whether half precision is the widest of the arrays' floating-point types."""
    found = False
    for a in arrays:
        if isinstance(a, _ndarray) and a.dtype.kind == "f":
            if a.dtype is not _FLOAT16:
                return False
            found = True
    return found


def widened(array: Any) -> Any:
    """Return an array of half precision in float32, anything else as it is."""
    is_array = isinstance(array, _ndarray) and array.dtype is _FLOAT16
    return array.astype(np.float32) if is_array else array


def edge_of(tensor: TensorBase) -> Node | TensorBase:
    """Return where the gradient of a tensor goes: the node that made it, or the leaf itself."""
    return tensor._node or tensor


def watch_foreign(inputs: list[Any], edges: list[Any], op: Op, aux: Any = None) -> None:
    """Watch arrays from outside: they may be written to between forward and backward."""
    for array, edge in zip(inputs, edges, strict=True):
        if edge is None and type(array) is _ndarray:
            watch_bytes(array)
    if op._outside:
        held = [array for _, array in held_arrays(op, aux)]
        refresh(held)
        for array in held:
            watch_bytes(array)


def held_arrays(op: Op, aux: Any) -> Iterator[tuple[str, Array]]:
    """Iterate over the arrays that an operation written elsewhere keeps, with their names.

    The package's own operations copy what they are given; of others nobody knows.
    """
    held = {**op.settings(), **getattr(op, "__dict__", {}), "aux": aux}
    for name, value in held.items():
        for array in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(array, _ndarray):
                yield name, array


def _check_real(op: Op, arrays: list[Any]) -> None:
    """Raise if an array does not hold real numbers: those of a tensor always do."""
    for array in arrays:
        if array.__class__ is _ndarray and array.dtype.kind not in "fiub":
            raise TypeError(f"{op.name}: expects real numbers, got an array of {array.dtype}")


def operand(x: Any, op: Op, inputs: tuple[Any, ...]) -> Any:
    """Return the array or Python number for an argument that is neither tensor nor plain array."""
    if isinstance(x, np.generic) and x.dtype.kind in "fiub":
        # np.float64(2) must not turn a float32 tensor into float64; among arrays it is one of them.
        return x.item() if any(isinstance(i, TensorBase) for i in inputs) else np.asarray(x)
    if isinstance(x, (bool, int, float)) or (x is None and op.optional):
        return x
    if isinstance(x, np.ndarray):  # complex, or a subclass, such as np.memmap
        if x.dtype.kind == "c":
            raise TypeError(f"{op.name}: expects real numbers, got an array of {x.dtype}")
        refuse_masked(op.name, x)
        return np.asarray(x)
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        array = np.asarray(x)
        if array.dtype.kind in "fiub":
            return array.astype(np.float32) if array.dtype == _FLOAT64 else array
    raise TypeError(
        f"{op.name}: expects tensors, arrays or numbers, got {type(x).__name__}{instead_of(x)}"
    )


def instead_of(x: Any) -> str:
    """Return what to write instead of something that is no operand, to stand behind a message."""
    library = type(x).__module__.partition(".")[0]
    if x is None:
        return " (a function that returns nothing?)"
    if hasattr(x, "_fields"):  # x - x.max(1) would broadcast the values and their places
        return f": take one of its {', '.join(x._fields)}"
    if isinstance(x, (list, tuple)):
        return ": give tensor(…) of it, or np.array(…)"
    return f" of {library}: give its detach().numpy()" if library == "torch" else ""


def refuse_masked(function: str, array: Any) -> None:
    """Raise for a masked array, which would lose its mask without a word."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            f"{function}: a masked array would lose its mask; give its filled(…) values, or choose "
            "with where()"
        )


def _has_float64(arrays: list[Any]) -> bool:
    """Whether float64 is what the user asked for: 0-d floats count only among themselves.

    Numbers alone keep Python's precision: they are constants inside of a rule.
    """
    found = [a for a in arrays if isinstance(a, np.ndarray)]
    floats = [a for a in found if a.dtype.kind == "f"]
    return not found or any(a.dtype == _FLOAT64 for a in [a for a in floats if a.ndim] or floats)
