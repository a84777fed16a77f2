"""What is asked of a rule and of what it reads, before and after the engine calls it."""

from __future__ import annotations

import dis
import inspect
import re
from typing import Any

import numpy as np

from tinygrad_cnn.base import TensorBase
from tinygrad_cnn.deferring import Unkept
from tinygrad_cnn.graph import GraphError, Node
from tinygrad_cnn.inplace import was_changed, writer_of
from tinygrad_cnn.kernels.pool.lazy import LazyGradient
from tinygrad_cnn.op import adapters
from tinygrad_cnn.operands import held_arrays
from tinygrad_cnn.saving import needed_by


def wrong_count(node: Node, results: Any) -> GraphError:
    """Return the error for a rule that returned something else than its gradients."""
    many = f" of {len(results)}" if isinstance(results, (tuple, list)) else ""
    return GraphError(
        f"{node.op.name}: the rule must return a tuple of {len(node.edges)} gradients, "
        f"got {type(results).__name__}{many}"
    )


def not_saved(node: Node, error: BaseException | None = None) -> GraphError | None:
    """Return the error for a rule that computes with what `saves` does not name, if it is that."""
    op = node.op
    inputs = zip(op._arguments, node.inputs, node.edges, strict=False)
    missing = {name for name, item, edge in inputs if edge is not None and item is edge}
    if node.out is None:
        missing.add("out")
    parameters = list(inspect.signature(op.backward).parameters)[1:]  # without g
    words = dict(zip(parameters, ["out", *op._arguments], strict=False))
    read = [i.argval for i in dis.get_instructions(op.backward) if i.opname.startswith("LOAD_FAST")]
    named = [words[name] for name in dict.fromkeys(read) if words.get(name) in missing]
    if not named or (
        error is not None and not re.search(r"Node|NoneType|Tensor|Param", str(error))
    ):
        return None
    saves = tuple(dict.fromkeys([*op.saves, *named]))
    return GraphError(
        f"{op.name}: the rule reads {', '.join(named)}, which saves does not name; write "
        f"saves = {saves}"
    )


def check_unchanged(node: Node) -> None:
    """Raise if an array that the rule reads was written to after the forward pass."""
    for item in (node.out, *node.aux) if type(node.aux) is tuple else (node.out,):
        if type(item) is Unkept:
            item.refresh()
    kept = [*node.inputs, node.out]
    found = [index for index, array in enumerate(kept) if was_changed(array, node.seq)]
    op = node.op
    if not found and not op._outside:
        return
    needed = needed_by(op.saves, op._arguments, [edge is not None for edge in node.edges])
    names = [*op._arguments, "out"] if op._arguments else [""] * len(node.edges) + ["out"]
    what = next((names[index] for index in found if names[index] in needed), None)
    if what is None and op._outside:
        what = next((n for n, a in held_arrays(op, node.aux) if was_changed(a, node.seq)), None)
    if what is not None:  # a constant that the rule does not read may change
        where = f" (in {node.scope})" if node.scope else ""
        subject = (
            "result" if what == "out" else f"input {what}" if what in names else f"setting {what}"
        )
        writer = writer_of(kept[found[0]]) if found else None
        by = "" if writer is None else f" (the last write was {writer})"
        raise GraphError(
            f"{op.name}{where}: its {subject} was changed in place after the forward pass, and the "
            "backward rule needs the value from before; compute with a copy, or run the forward "
            f"pass again{by}"
        )


def fitted(node: Node, index: int, result: Any, edge: Node | TensorBase, create_graph: bool) -> Any:
    """Sum a gradient over the broadcast dimensions of its input and give it its dtype."""
    if result.__class__ is LazyGradient:
        inner = edge.__class__ is Node
        if inner and result.shape == edge.shape and result.dtype == edge.dtype:
            return result
        result = result.array()
    if not create_graph:
        if isinstance(result, (TensorBase, Node)):
            raise not_saved(node) or GraphError(
                f"{node.op.name}: the rule computed with input {index} or another input that "
                "is not listed in saves"
            )
        result = np.asarray(result)
    shape = edge.shape
    if result.shape != shape:
        extra = result.ndim - len(shape)
        if extra < 0 or any(
            wanted not in (1, got) for wanted, got in zip(shape, result.shape[extra:], strict=True)
        ):
            raise GraphError(
                f"{node.op.name}: the rule returned a gradient of shape {result.shape} for "
                f"input {index} of shape {shape}"
            )
        if extra:
            result = adapters["sum"](result, tuple(range(extra)))
        stretched = [i for i, s in enumerate(shape) if s == 1 and result.shape[i] != 1]
        if stretched:
            result = adapters["sum"](result, tuple(stretched), keepdim=True)
    return result if result.dtype == edge.dtype else adapters["cast"](result, edge.dtype)
