"""What an operation is, and the registry of all of them.

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
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.base import TensorBase as TensorBase  # parts above take it from here too
from tinygrad_cnn.deferring import Computation
from tinygrad_cnn.graph import mode, record
from tinygrad_cnn.inplace import exposed, refresh
from tinygrad_cnn.operands import (
    check_real,
    has_float64,
    is_half,
    operand,
    watch_foreign,
    widened,
)
from tinygrad_cnn.saving import Plan, plan_of, plan_saving

_FLOAT64 = np.dtype(np.float64)
_ndarray = np.ndarray


_PACKAGE = __name__.partition(".")[0] + "."

adapters: dict[str, Any] = {}
"""Operations that the engine fits gradients with: "sum", "cast" and "clone", entered by `ops`."""

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
    ``views``
        The result lies in the memory of the only input, unless NumPy had to copy. No other
        operation may return memory of an input: what is written to one would show in the other.
    ``add_into(whole, g)``
        For the gradient of a part: add it in place to ``whole``, the gradient of the only input.
    ``backward_owned(g, needs)``
        `backward` for an array that may be written to and handed on; ``laid_out(array)`` makes it.
    ``takes_lazy``
        The rule takes also the `LazyGradient` behind a max-pool.
    ``postpone(arrays, recording, foreign)``
        Return ``(computation, aux)``, if the result shall be computed when it is read; or None
        twice. Then ``compute_with(…)`` computes it, see `joining.First`.
    ``join(computation)``
        Return ``(after, shape)`` if the operation can be computed with what its input waits for.
    ``choice(*inputs)``
        The discrete choice made at a point (a mask, indices): gradients jump where it changes.
    ``infinite``
        An infinite result is an answer, such as the logarithm of no probability at all.

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
    reference: ClassVar[Any] = None
    choice: ClassVar[Any] = None
    infinite: ClassVar[bool] = False
    infer: ClassVar[Any] = None
    takes_lazy: ClassVar[bool] = False
    postpone: ClassVar[Any] = None
    join: ClassVar[Any] = None
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
    # What to keep, by wanted gradients (empty for any number of inputs); whether there is more to
    # do than to call forward; and whether the result may be more than a tensor of its own: a view,
    # or one that waits to be computed.
    _traits: ClassVar[tuple[tuple[Plan, ...], bool, bool]] = ((), False, False)
    _ordinary: ClassVar[bool] = True  # whether the engine has nothing to do but call the rule
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
        wanted, bit = 0, 1  # a bit for each input whose gradient is wanted
        foreign = False  # whether anything comes from outside, and has to be watched
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
        now = mode.__dict__  # one look-up of this thread's state instead of three
        recording, noted = wanted and now["recording"], now["noted"]
        plans, special, views = self._traits
        foreign = foreign or (special and self._outside)
        if foreign and tensor is not None:
            check_real(self, arrays)
        out: Any
        aux = node = None
        if special:
            out, aux = self._waiting(arrays, recording, foreign, tensor, noted)
        else:
            out = self.forward(*arrays)
        if type(out) is not _ndarray and type(out) is not Computation:
            out = np.asarray(out)  # reductions to a number, and sums of 0-d arrays
        dtype = out.dtype
        if dtype is _FLOAT64 and not self.sets_dtype and not has_float64(arrays):
            # Integers with floats: NumPy's float64, our float32.
            out = out.astype(np.float32 if tensor is None else tensor.floating, copy=False)
            dtype = out.dtype
        if recording and tensor is not None:
            drops, keeps_out = plans[wanted] if plans else plan_of(self.saves, (), edges)
            if drops is None:
                arrays = edges
            for index in drops or ():
                arrays[index] = edges[index]
            kept, scope = (out if keeps_out else None), now["scope"]
            if exposed:
                refresh(arrays if kept is None else (*arrays, kept))
            if foreign:
                watch_foreign(arrays, edges, self, aux)
            node = record(self, edges, arrays, kept, aux, out.shape, dtype, wanted, scope, noted)
        if tensor is not None:
            out = tensor._special(self, out, node) if views else tensor._wrap(out, node)
            if noted and now["watch"] is not None:
                now["watch"].forward(self, inputs, out)
        return (out, aux) if with_aux else out

    def _waiting(
        self, arrays: list[Any], recording: Any, foreign: bool, tensor: Any, noted: bool
    ) -> Any:
        """Postpone the forward, or run it: return the result, or its computation, and the aux."""
        is_watched = noted and mode.watch is not None  # it looks at every result
        if self.postpone is not None and tensor is not None and not is_watched:
            out, aux = self.postpone(arrays, recording, foreign)
            if out is not None:
                return out, aux
            if not (self.has_aux or self.widens):
                return self.forward(*arrays), None
        return self._forward(arrays, recording)

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
