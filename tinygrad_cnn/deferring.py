"""Lazy results: a convolution or a normalisation is computed together with what follows it.

A convolution followed by a ReLU and a max-pool writes and reads its large result three times if
each operation runs alone. So a convolution or a normalisation of tensors gives a tensor without
data, which holds a `Computation`. An operation that can be fused with it (it has a `join`) makes a
longer computation; everything else reads the data, and so computes what has gathered. Whoever
writes to memory calls `inplace.before_writing` first, which computes what would read it.

Only the time of computing is deferred: arguments are checked and nodes recorded when an operation
is called, and a result that somebody still holds is computed alone.
"""

from __future__ import annotations

import itertools
import math
import weakref
from _thread import RLock  # threading.RLock is a Python function around it: 0.4 µs for 0.15
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.graph import GraphError, Node
from tinygrad_cnn.inplace import exposed, owner_of, pending, was_changed
from tinygrad_cnn.types import Array, Shape

# Elements from which it pays. Waiting takes 4 µs, and 2 for each operation that follows; a ReLU of
# (8, 26, 26) and its pool take 16 by themselves, computed with the convolution 9.
LEAST = 1 << 13


def is_large(shape: Shape) -> bool:
    """Whether a result of this shape is worth waiting for what follows."""
    return math.prod(shape) >= LEAST


class After(NamedTuple):
    """An epilogue: what kernels do to an operation's result in the cache, in this order."""

    pool: Any = None
    """A max-pool of windows that lie side by side."""
    adds: bool = False
    """Whether a tensor of the result's shape and dtype is added to it."""
    activation: Any = None
    """An elementwise operation."""

    @property
    def write(self) -> Any:
        """The function that writes the activation of a tile, or None."""
        return None if self.activation is None else self.activation.write


NOTHING = After()

_keys = itertools.count()
_OFTEN = 63  # so many results, plus one, are made before it is worth a look which are gone


class Computation:
    """A lazy result: the operations that lead to it, from the first that was deferred.

    Attributes
    ----------
    op
        The operation whose result this is.
    first, arrays, aux
        The operation that was deferred first, its operands and its aux.
    after, addend
        The epilogue, whose last operation is `op`; and the operand that it adds.
    shape, dtype
        Of the result.
    before, others, position
        The computation that `op` was applied to, the other operands of `op` (arrays), and the
        position of the result of `before` among all operands.
    continued
        Whether a longer computation has taken this one over.
    node
        That of `op`, or None where nothing is recorded; what the rule reads is filled in later.
    tensor
        A weak reference to the tensor that it was made for.
    array
        The result, once it is computed.
    """

    __slots__ = (
        "addend",
        "after",
        "array",
        "arrays",
        "aux",
        "before",
        "continued",
        "dtype",
        "first",
        "key",
        "lock",
        "node",
        "op",
        "others",
        "position",
        "shape",
        "tensor",
    )

    array: Array | None
    addend: Array | None
    before: Computation | None
    others: tuple[Any, ...]
    tensor: Callable[[], Any]
    node: Node | None

    def __init__(
        self,
        op: Any,
        arrays: tuple[Any, ...],
        shape: Shape,
        dtype: np.dtype[Any],
        aux: Any = None,
        after: After = NOTHING,
    ) -> None:
        self.op = self.first = op
        self.arrays = arrays
        self.shape = shape
        self.dtype = dtype
        self.aux = aux
        self.after = after
        self.addend = self.before = self.array = None
        self.others = ()
        self.position = 0
        self.continued = False
        self.lock = RLock()
        self.key = key = next(_keys)
        if not key & _OFTEN:
            for old, ref in list(pending.items()):
                if ref() is None:
                    pending.pop(old, None)

    def followed_by(
        self,
        op: Any,
        after: After,
        shape: Shape,
        others: tuple[Any, ...] = (),
        position: int = 0,
        arrays: tuple[Any, ...] | None = None,
    ) -> Computation:
        """Return the computation of this result and an operation on it.

        `arrays` replace the first operation's operands, if it computes both from others.
        """
        held = self.arrays if arrays is None else arrays
        longer = Computation(op, held, shape, self.dtype, self.aux, after)
        longer.first, longer.before = self.first, self
        longer.others, longer.position = others, position
        longer.addend = others[0] if after.adds and not self.after.adds else self.addend
        self.continued = True
        return longer

    @property
    def ndim(self) -> int:
        """Number of dimensions of the result."""
        return len(self.shape)

    def is_apart(self) -> bool:
        """Whether a result before this one exists or may still be asked for."""
        before = self.before
        while before is not None:
            if before.array is not None or before.tensor() is not None:
                return True
            before = before.before
        return False

    def reads(self, owner: Array) -> bool:
        """Whether memory of this array is read for the result."""
        arrays = [*self.arrays, *self.others, self.addend]
        before = self.before
        while before is not None:
            arrays.append(before.array)  # somebody holds it, and may have computed it
            before = before.before
        return any(a is not None and owner_of(a) is owner for a in arrays)

    def value(self) -> Array:
        """Compute the result, if that was not done yet.

        An error, or an interruption, leaves everything as it was: the next to ask tries again.
        """
        with self.lock:
            if self.array is not None:
                return self.array
            out: Array
            node = self.node
            try:
                if self.before is not None and self.is_apart():
                    out = self._by_itself(self.before.value())
                else:
                    what = self.arrays, self.aux, self.after, self.addend
                    out, chosen = self.first.compute_with(*what, node is not None)
                    if node is not None:
                        self._fill_in(node, out, chosen)
            except Exception as error:
                if node is not None and node.scope:
                    name = self.op.name
                    error.add_note(f"in {node.scope}: {name}, computed when it was read")
                raise
            self.array = out
            pending.pop(self.key, None)
            self.before = self.addend = None
            self.arrays = self.others = ()
        return out

    def _by_itself(self, x: Array) -> Array:
        """Apply the last operation to the result of those before."""
        op, node = self.op, self.node
        inputs = [*self.others[: self.position], x, *self.others[self.position :]]
        out, aux = op._forward(inputs, node) if op._traits[1] else (op.forward(*inputs), None)
        if node is not None:
            node.aux = aux
            if op._traits[0][node.wanted][1]:
                node.out = out
        return out  # type: ignore[no-any-return]

    def _fill_in(self, last: Node, out: Array, chosen: Array | None) -> None:
        """Give the nodes of all operations that were computed together what their rules read.

        The pool is computed before the ReLU even where it was called after it: the results are the
        same, and the ReLU has fewer elements to look at.
        """
        pool, _, activation = self.after
        link: Computation | None = self
        while link is not None:
            node = link.node
            if node is None:
                return  # nothing before it is recorded either
            if link.op is pool:
                node.aux = chosen
            elif link.op is activation and link is not self:
                node.out = Unkept(self.first, self.arrays, self.aux, activation, out, node.seq)
                last.aux = chosen, node.out
            elif link is self and link.op._traits[0][node.wanted][1]:
                node.out = out
            link = link.before


class Unkept:
    """The result of an activation of which only the max-pool behind it was computed.

    Attributes
    ----------
    pooled
        The pool's result, positive where the activation's was positive at what the pool chose; None
        if it was written to since.
    """

    __slots__ = (
        "__weakref__",
        "_activation",
        "_array",
        "_arrays",
        "_aux",
        "_first",
        "_seq",
        "pooled",
    )

    def __init__(
        self,
        first: Any,
        arrays: tuple[Any, ...],
        aux: Any,
        activation: Any,
        pooled: Any,
        seq: int,
    ) -> None:
        self._first, self._arrays, self._aux = first, arrays, aux
        self._activation, self._seq = activation, seq
        self.pooled = pooled
        self._array: Array | None = None
        pending[next(_keys)] = weakref.ref(self)  # to be computed before its sources are written to

    @property
    def _computation(self) -> Unkept:
        return self

    def reads(self, owner: Array) -> bool:
        """Whether memory of this array would be read for the result."""
        if self._array is not None or self._is_stale():
            return False
        return any(a is not None and owner_of(a) is owner for a in self._arrays)

    def _is_stale(self) -> bool:
        """Whether something that it would be computed from was written to since."""
        return any(was_changed(array, self._seq) for array in self._arrays)

    def refresh(self) -> None:
        """Forget the pool's result if it was written to since."""
        if self.pooled is not None and was_changed(self.pooled, self._seq):
            self.pooled = None

    def value(self) -> Array:
        """Compute the result itself.

        Raises
        ------
        GraphError
            If what it is computed from was written to since.
        """
        if self._array is None:
            if self._is_stale():
                raise GraphError(
                    f"{self._activation.name}: what its result was computed from was changed in "
                    "place after the forward pass"
                )
            after = After(activation=self._activation)
            what = self._arrays, self._aux, after, None
            self._array = self._first.compute_with(*what, False)[0]
        return self._array


def kept_result(node: Node) -> Array | None:
    """Return a node's result if it is kept, or was not needed and can be computed again."""
    out = node.out
    if type(out) is not Unkept:
        return out  # type: ignore[no-any-return]
    return None if out._is_stale() else out.value()


def private(arrays: tuple[Any, ...], foreign: bool) -> tuple[Any, ...]:
    """Return arrays to be read later, copied if a user holds them and may write to them."""
    if not exposed and not foreign:
        return arrays
    return tuple(
        np.array(a)
        if a is not None and (foreign or id(a) in exposed or id(owner_of(a)) in exposed)
        else a
        for a in arrays
    )
