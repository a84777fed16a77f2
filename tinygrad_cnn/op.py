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

import inspect
import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.graph import Array, Node, changes, expose, mode, refresh

_FLOAT64 = np.dtype(np.float64)


class TensorBase:
    """What an operation needs to know of a tensor: its array, its node, and how to make one."""

    __slots__ = ("__weakref__", "_data", "_grad", "_hooks", "_name", "_node", "_requires_grad")

    _data: Array
    _grad: Any
    _hooks: dict[int, Any] | None  # of a leaf; those of a result stand in its node
    _name: str | None
    _node: Node | None
    _requires_grad: bool

    @staticmethod
    def _wrap(data: Array, node: Node | None) -> Any:
        """Make a tensor around an array, the result of the node if there is one."""
        raise TypeError(f"TensorBase is abstract: Tensor wraps {type(data)} and {type(node)}")

    # An edge of the graph is a node or a leaf tensor: both have shape, dtype and ndim.
    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self._data.ndim


Plan = tuple[tuple[int, ...] | None, bool]

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
    ``optional``
        Inputs may be None (a bias, a weight).
    ``infer(*inputs)``
        ``forward`` where nothing is recorded, if it can do with less work.
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
    reference: ClassVar[Any] = None
    choice: ClassVar[Any] = None
    infer: ClassVar[Any] = None

    name: ClassVar[str] = "op"
    _arguments: ClassVar[tuple[str, ...]] = ()  # names of the inputs; ("*xs",) for any number
    _keywords: ClassVar[frozenset[str]] = frozenset()  # of needs, aux: those the rule takes
    _plans: ClassVar[tuple[Plan, ...]] = ()  # by wanted gradients; empty for any number of inputs

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        if "backward" in cls.__dict__ or "saves" in cls.__dict__:
            _plan_saving(cls)
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

    def __call__(self, *inputs: Any) -> Any:
        """Apply to arrays (returns an array) or tensors (returns a tensor, recorded)."""
        return self.apply(inputs)[0]

    def apply(self, inputs: tuple[Any, ...]) -> tuple[Any, Any]:
        """Apply and return ``(result, aux)``; aux is None unless the operation has one."""
        # This is the path of every operation: one loop, no helper calls for tensors.
        arrays: list[Any] = []
        edges: list[Any] = []
        tensor: TensorBase | None = None
        wanted = 0  # a bit for each input whose gradient is wanted
        bit = 1
        foreign = False
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
                if type(x) is np.ndarray:
                    foreign = True
                elif type(x) is not float:
                    x = operand(x, self, inputs)
                arrays.append(x)
                edges.append(None)
            bit += bit
        recording = wanted and mode.recording
        aux = None
        if not recording and self.infer is not None:
            out = self.infer(*arrays)
        else:
            out = self.forward(*arrays)
            if self.has_aux:
                out, aux = out
        if type(out) is not np.ndarray:  # reductions to a number, and sums of 0-d arrays
            out = np.asarray(out)
        dtype = out.dtype
        if dtype is _FLOAT64 and not self.sets_dtype and not _has_float64(arrays):
            out = out.astype(np.float32)  # integers with floats: NumPy's float64, our float32
            dtype = out.dtype
        if tensor is None:
            return out, aux
        if not recording:
            return tensor._wrap(out, None), aux
        if self._plans:
            drops, keeps_out = self._plans[wanted]
        else:  # any number of inputs
            drops, keeps_out = _plan(self.saves, (), [edge is not None for edge in edges])
        if drops is None:
            arrays = ()  # type: ignore[assignment]  # most often nothing is kept
        else:
            for index in drops:
                arrays[index] = None
        if changes.exposed:
            refresh([*arrays, out] if keeps_out else arrays)
        if foreign:  # an array from outside may be written to between forward and backward
            for x, array in zip(inputs, arrays, strict=False):
                if x is array and isinstance(array, np.ndarray):
                    expose(array)
        kept = out if keeps_out else None
        constants = None if wanted + 1 == bit else ()  # some input has no edge
        node = Node(self, tuple(edges), arrays, kept, aux, out.shape, dtype, constants)
        return tensor._wrap(out, node), aux


def operand(x: Any, op: Op, inputs: tuple[Any, ...]) -> Any:
    """Return the array or Python number for an argument that is neither tensor nor plain array."""
    if isinstance(x, np.generic) and x.dtype.kind in "fiub":
        # np.float64(2) must not turn a float32 tensor into float64; among arrays it is one of them.
        return x.item() if any(isinstance(i, TensorBase) for i in inputs) else np.asarray(x)
    if isinstance(x, (bool, int, float)) or (x is None and op.optional):
        return x
    if isinstance(x, np.ndarray):  # a subclass, such as np.memmap
        return np.asarray(x)
    if isinstance(x, (list, tuple)):
        array = np.asarray(x)
        if array.dtype.kind in "fiub":
            return array.astype(np.float32) if array.dtype == _FLOAT64 else array
    raise TypeError(f"{op.name}: expects tensors, arrays or numbers, got {type(x).__name__}")


def _has_float64(arrays: list[Any]) -> bool:
    """Whether float64 is what the user asked for: 0-d floats count only among themselves."""
    floats = [a for a in arrays if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    return any(a.dtype == _FLOAT64 for a in [a for a in floats if a.ndim] or floats)


def _plan_saving(cls: type[Op]) -> None:
    """Work out, once a class, what to keep for each combination of wanted gradients."""
    parameters = list(inspect.signature(cls.backward).parameters.values())[3:]
    positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    variadic = any(p.kind is p.VAR_POSITIONAL for p in positional)
    keywords = frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    names = tuple(p.name for p in positional)
    if keywords - {"needs", "aux"}:
        raise TypeError(f"{cls.__name__}.backward: keywords may be needs and aux, got {keywords}")
    saves = cls.saves
    listed = [saves] if isinstance(saves, tuple) else [tuple(saves), *saves.values()]
    unknown = {name for group in listed for name in group} - {*names, "out"}
    if unknown:
        raise TypeError(
            f"{cls.__name__}.saves: {sorted(unknown)} are not among the rule's {[*names, 'out']}"
        )
    if variadic and saves not in ((), ("out",)):
        raise TypeError(f"{cls.__name__}.saves: an op of any number of inputs saves none of them")
    if cls.reference is not None and not {*names} <= set(saves):
        raise TypeError(f"{cls.__name__}: reference needs every input in saves, {names}")
    cls._arguments, cls._keywords = () if variadic else names, keywords
    flags = [[bool(b >> i & 1) for i in range(len(names))] for b in range(1 << len(names))]
    cls._plans = () if variadic else tuple(_plan(saves, names, needs) for needs in flags)


def needed_by(
    saves: tuple[str, ...] | dict[str, tuple[str, ...]],
    names: tuple[str, ...],
    needs: Sequence[bool],
) -> set[str]:
    """Return the names of what the rule reads, given which gradients are wanted."""
    if isinstance(saves, tuple):
        return set(saves)
    readers = [name for name, wanted in zip(names, needs, strict=True) if wanted]
    return {name for reader in readers for name in saves.get(reader, ())}


def _plan(
    saves: tuple[str, ...] | dict[str, tuple[str, ...]],
    names: tuple[str, ...],
    needs: Sequence[bool],
) -> Plan:
    """Return which inputs to drop (None: all of them) and whether to keep the result.

    Constants are kept in any case: they cannot be computed again from the leaves, which is what
    the verification does with inputs that no rule kept.
    """
    kept = needed_by(saves, names, needs)
    drops = tuple(
        i for i, wanted in enumerate(needs) if wanted and not (names and names[i] in kept)
    )
    return None if len(drops) == len(needs) else drops, "out" in kept
