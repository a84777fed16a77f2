"""`Watch`: looks at every result while `detect_anomaly` is on, and names the first bad one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.anomaly.reasons import why_backward, why_forward
from tinygrad_cnn.anomaly.values import (
    all_finite,
    arguments_of,
    first_bad,
    has_nan,
    inputs_of,
    named,
)
from tinygrad_cnn.graph import Node, call_site, mode
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.types import Array
from tinygrad_cnn.watching import Watcher

_GREW = 10.0  # from this factor on, a step of the optimiser is worth a word


class AnomalyError(RuntimeError):
    """An operation, its rule or an update made a NaN or an infinity; raised by `detect_anomaly`.

    Attributes
    ----------
    op
        The operation with its settings, or the optimiser's name.
    phase
        "forward", "backward" or "update".
    why
        What made it, in words: "log of 0 at [3, 7]".
    made
        "NaN", "∞" or "−∞".
    index
        Of the first element that is not finite.
    scope
        The path of the module, "" outside of modules.
    source
        (file, line) of the call, or None.
    seq
        The place in time of the recorded node, or None; `viz.graph` colours it.
    result
        A tensor above the place, to be drawn: ``viz.graph(error.result, verdicts=error)``.
    """

    verdict = "FAIL"  # what pictures colour the place with

    def __init__(
        self,
        head: str,
        lines: Iterable[str],
        *,
        op: str,
        phase: str,
        why: str,
        made: str,
        index: tuple[int, ...],
        scope: str = "",
        source: tuple[str, int] | None = None,
        seq: int | None = None,
        result: Any = None,
    ) -> None:
        place = [phase] + ([f"in {scope}"] if scope else [])
        if source is not None:
            place.append(f"{source[0]}:{source[1]}")
        first = f"{head}: {why} ({', '.join(place)})"
        super().__init__("\n  ".join([first, *(line for line in lines if line)]))
        self.op, self.phase, self.why, self.made, self.index = op, phase, why, made, index
        self.scope, self.source, self.seq, self.result = scope, source, seq, result

    def text(self) -> str:
        """Return the message."""
        return str(self)


class Watch(Watcher):
    """Looks at results, gradients and updates; `mode` holds it while it is wanted."""

    def __init__(self) -> None:
        self._sizes: dict[int, float] = {}  # of parameters before the update that is under way
        self._update = ""  # what the last update did, where it was a leap

    # ------------------------------------------------------------------ forward

    def forward(self, op: Op, inputs: Sequence[Any], result: Any) -> None:
        """Look at the result of an operation.

        Raises
        ------
        AnomalyError
            If it holds NaN, or an infinity made of finite numbers.
        """
        out = result._data
        if not all_finite(out):
            arrays = [x._data if isinstance(x, TensorBase) else x for x in inputs]
            edges = [x._node if isinstance(x, TensorBase) else None for x in inputs]
            self._judge(op, arrays, edges, out, result)

    def _judge(
        self,
        op: Op,
        arrays: Sequence[Any],
        edges: Sequence[Any],
        out: Array,
        result: Any,
    ) -> None:
        given = op.infinite or _not_finite(op, arrays)
        if given and not has_nan(out):
            return  # an infinity that was there: a mask of attention, a limit
        index, count, made = first_bad(out if not has_nan(out) else _only_nan(out))
        ill = [i for i, a in enumerate(arrays) if has_nan(a)]
        name = op.name.lstrip("_")
        if ill:
            what = op._arguments[ill[0]] if ill[0] < len(op._arguments) else f"input {ill[0]}"
            why = (
                f"{what} holds NaN already, and no operation that was watched made it: it is in "
                "the data or in a parameter"
            )
            head = f"{name} was given NaN"
        else:
            why = why_forward(op, arrays, edges, out, index)
            head = f"{name} made {made} out of {'infinity' if given else 'finite numbers'}"
        raise AnomalyError(
            head,
            [
                (
                    f"result {out.dtype.name}{list(out.shape)}: {count} of {out.size} not finite, "
                    f"the first at {list(index)}"
                ),
                *arguments_of(name, op._arguments, arrays),
            ],
            op=op.describe(),
            phase="forward",
            why=why + self._update,
            made=made,
            index=index,
            scope=mode.scope,
            source=source_of(result),
            seq=None if result._node is None else result._node.seq,
            result=result,
        )

    # ------------------------------------------------------------------ backward

    def started(self, root: Any) -> None:
        """Look at what a backward pass begins with.

        Raises
        ------
        AnomalyError
            If it is infinite: an infinity that was given, and let through, has come so far.
        """
        out, node = root._data, root._node
        if all_finite(out) or node is None:
            return
        index, _, made = first_bad(out)
        raise AnomalyError(
            f"backward() begins at {made}",
            [],
            op=node.op.describe(),
            phase="forward",
            why="an infinity that was given, in the data, a mask or a limit, reaches the loss",
            made=made,
            index=index,
            scope=node.scope,
            source=node.source,
            seq=node.seq,
            result=root,
        )

    def backward(self, node: Node, g: Any, results: Sequence[Any]) -> None:
        """Look at what a rule returned.

        Raises
        ------
        AnomalyError
            If a gradient that is wanted is not finite.
        """
        for position, (edge, found) in enumerate(zip(node.edges, results, strict=True)):
            array = found._data if isinstance(found, TensorBase) else found
            if edge is None or not isinstance(array, np.ndarray) or all_finite(array):
                continue
            self._accuse(node, g, array, position)

    def _accuse(self, node: Node, g: Any, array: Array, position: int) -> None:
        op = node.op
        name = op.name.lstrip("_")
        index, count, made = first_bad(array)
        cotangent = g._data if isinstance(g, TensorBase) else g
        cotangent = cotangent.array() if hasattr(cotangent, "array") else cotangent
        arrays = inputs_of(node)
        names = op._arguments
        what = names[position] if position < len(names) else f"input {position}"
        if not all_finite(cotangent):
            why = (
                "the gradient of its result is not finite already: it was given to backward() so, "
                "or added up from several uses"
            )
        else:
            why = why_backward(op, arrays, cotangent, array, position, index)
        head = f"the rule of {name} made {made} out of finite numbers"
        raise AnomalyError(
            head,
            [
                (
                    f"gradient of its {what}, {array.dtype.name}{list(array.shape)}: {count} of "
                    f"{array.size} not finite, the first at {list(index)}"
                ),
                *arguments_of(name, names, arrays),
                *arguments_of(name, ("gradient",), [cotangent]),
            ],
            op=op.describe(),
            phase="backward",
            why=why + self._update,
            made=made,
            index=index,
            scope=node.scope,
            source=node.source,
            seq=node.seq,
        )

    # ------------------------------------------------------------------ updates

    def before_update(self, optimizer: Any) -> None:
        """Remember how large parameters are before the optimiser's step."""
        groups = optimizer.param_groups
        self._sizes = {id(p): _size(p._data) for group in groups for p in group["params"]}

    def after_update(self, optimizer: Any) -> None:
        """Look at parameters after the optimiser's step, and remember the largest leap.

        Raises
        ------
        AnomalyError
            If one is not finite.
        """
        largest, self._update = _GREW, ""
        name = type(optimizer).__name__
        for group in optimizer.param_groups:
            lr = float(group["lr"])
            for number, p in enumerate(group["params"]):
                label = p._name or f"parameter {number}"
                before, now = self._sizes.get(id(p), 0.0), _size(p._data)
                grew = now / before if before else 0.0
                if not all_finite(p._data) and np.isfinite(before):
                    index, count, made = first_bad(p._data)
                    g = p._grad
                    why = f"a step from learning rate {lr:g}"
                    if g is not None:
                        why += f", with gradients up to {named(_size(g._data))}"
                    raise AnomalyError(
                        f"the update of {name} made {made} in {label}",
                        [f"{count} of {p._data.size} not finite, the first at {list(index)}"],
                        op=name,
                        phase="update",
                        why=why,
                        made=made,
                        index=index,
                        source=call_site(),
                        result=p,
                    )
                if grew > largest:
                    largest = grew
                    self._update = (
                        f"; the last step of {name} (learning rate {lr:g}) took {label} from "
                        f"{named(before)} at most to {named(now)}"
                    )


def source_of(result: Any) -> tuple[str, int] | None:
    """Where the operation that made a result was called."""
    node = result._node
    return node.source if node is not None and node.source is not None else call_site()


def _not_finite(op: Op, arrays: Sequence[Any]) -> bool:
    """Whether NaN or infinity is among the inputs or settings of an operation."""
    given = [*arrays, *op.settings().values()]
    return any(
        not all_finite(np.asarray(a))
        for a in given
        if isinstance(a, (np.ndarray, float)) and not isinstance(a, bool)
    )


def _only_nan(out: Array) -> Array:
    """Return an array with its infinities taken out, so that NaN is what is looked for."""
    return np.where(np.isinf(out), 0, out)


def _size(array: Array) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.abs(array).max(initial=0))
