"""`save`: a network as an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_cnn
from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.nn import Module
from tinygrad_cnn.nn.restoring import left_alone
from tinygrad_cnn.onnx.coding import encode
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.export.tracing import Traced, differs, trace_twice
from tinygrad_cnn.onnx.export.writer import WRITERS, Pair, Writer
from tinygrad_cnn.onnx.inlining import NEWEST
from tinygrad_cnn.onnx.messages import (
    Dimension,
    Graph,
    Model,
    OperatorSet,
    Shape,
    TensorType,
    Type,
    ValueInfo,
)
from tinygrad_cnn.onnx.module import OnnxModule, load
from tinygrad_cnn.onnx.tensors import NUMBERS
from tinygrad_cnn.ops import index, join, shape
from tinygrad_cnn.tensor import Tensor

__all__ = ["save"]

_LEAST = 17
_LARGEST = (1 << 31) - 1  # bytes: readers of protobuf take no more
# Versions of the format by the least opset that needs them.
_IR = {28: 14, 25: 13, 24: 12, 23: 11, 21: 10, 19: 9, 0: 8}
# Operations whose settings are sizes, which writers look at themselves.
_SIZED = (shape.Reshape, shape.BroadcastTo, join.Concatenate, index.Slice)


def save(
    module: Module,
    example: Any,
    path: str | os.PathLike[str],
    *,
    opset: int = _LEAST,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> None:
    """Write a network to an ONNX file, whole or not at all.

    It is written as it behaves in evaluation, with the names of its parameters and modules, and
    for batches of any size. What was written is read again and compared with the network.

    A network that `load` read is written back as the file it came from, with the parameters and
    statistics that it has now; `example` may then be None, and further arguments do not count.

    Parameters
    ----------
    module
        The network; left as it was.
    example
        An input, a tensor or an array with a batch in front, or a tuple of several.
    path
        The file.
    opset
        The version of the operators, from 17 on.
    input_names, output_names
        ``input``, ``input_1`` …, ``output``, ``output_1`` … if None.

    Raises
    ------
    OnnxError
        If operations cannot be written, all of them named with the modules they stand in; if
        something depends on values outside of the graph; or the file would be of 2 GiB or more.
    """
    if isinstance(module, OnnxModule):
        _write(Path(path), module.to_message())
        return
    if not _LEAST <= opset <= NEWEST:
        raise OnnxError(f"save: expects an opset from {_LEAST} to {NEWEST}, got {opset}")
    given = example if isinstance(example, (tuple, list)) else (example,)
    arrays = [np.array(x._data if isinstance(x, Tensor) else x) for x in given]
    with left_alone(module):
        module.eval()
        traced = trace_twice(module, arrays)
        model = _model(module, traced, opset, input_names, output_names)
        content = encode(model)
        _compare(content, traced)
    _write(Path(path), model, content)


def _write(path: Path, model: Model, content: bytes | None = None) -> None:
    found = encode(model) if content is None else content
    if len(found) > _LARGEST:
        raise OnnxError(f"save: {path} would have {len(found):,} bytes, and 2 GiB are too many")
    with atomic_file(path) as file:
        file.write(found)


def _compare(content: bytes, traced: Traced) -> None:
    """Raise unless what was written computes what the network did, with both batches."""
    network = load(content)
    for trace in (traced.one, traced.other):
        with no_grad():
            out = network(*(x.detach() for x in trace.inputs))
        outs = out if isinstance(out, tuple) else (out,)
        for number, (got, want) in enumerate(zip(outs, trace.outputs, strict=True)):
            found, expected = got.numpy(), want.detach().numpy()
            size = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
            rounding = 1e3 * float(np.finfo(expected.dtype).eps)
            if found.shape != expected.shape or not np.allclose(
                found, expected, rounding, rounding * size, equal_nan=True
            ):
                raise OnnxError(
                    f"save: output {number} of what was written is not the network's: it does "
                    "something that its recorded operations do not show"
                )


def _model(
    module: Module,
    traced: Traced,
    opset: int,
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
) -> Model:
    one, other = traced.one, traced.other
    batch = one.inputs[0].shape[0], other.inputs[0].shape[0]
    inputs = _names("input", input_names, len(one.inputs))
    outputs = _names("output", output_names, len(one.outputs))
    writer = Writer(opset, batch, inputs[0])
    for name in (*inputs, *outputs):
        writer.name(name)
    named: dict[int, str] = {id(x): name for x, name in zip(one.inputs, inputs, strict=True)}
    pairs = [Pair(a, b) for a, b in zip(one.nodes, other.nodes, strict=True)]
    _refuse_unknown(pairs)
    for pair in pairs:
        named[id(pair.one)] = _written(writer, pair, named, traced)
    for output, name in zip(one.outputs, outputs, strict=True):
        writer.scope = ""
        _end(writer, named[id(output._node)] if output._node else named[id(output)], name)
    graph = Graph(
        name=type(module).__name__,
        node=writer.nodes,
        initializer=list(writer.tensors.values()),
        input=_values(inputs, one.inputs, other.inputs),
        output=_values(outputs, one.outputs, other.outputs),
    )
    version = next(ir for least, ir in _IR.items() if opset >= least)
    return Model(
        ir_version=version,
        producer_name="tinygrad_cnn",
        producer_version=tinygrad_cnn.__version__,
        opset_import=[OperatorSet(version=opset)],
        graph=graph,
    )


def _names(kind: str, given: Sequence[str] | None, count: int) -> list[str]:
    if given is None:
        return [kind if not number else f"{kind}_{number}" for number in range(count)]
    if len(given) != count or len(set(given)) != count or not all(given):
        raise OnnxError(f"save: expects {count} names of {kind}s, got {list(given)}")
    return list(given)


def _refuse_unknown(pairs: Sequence[Pair]) -> None:
    """Raise one error that names all operations that cannot be written."""
    unknown: dict[str, list[str]] = {}
    for pair in pairs:
        if type(pair.op) not in WRITERS:
            unknown.setdefault(pair.op.name, []).append(pair.one.scope or "the network")
    if unknown:
        lines = [f"  {name} in {', '.join(dict.fromkeys(w))}" for name, w in unknown.items()]
        raise OnnxError("save: ONNX files have no place for these operations:\n" + "\n".join(lines))


def _written(writer: Writer, pair: Pair, named: dict[int, str], traced: Traced) -> str:
    """Write an operation; return the name of its result."""
    writer.scope, writer.dtype = pair.one.scope, pair.one.dtype
    where = f"{pair.op.name} in {pair.one.scope or 'the network'}"
    same = isinstance(pair.op, _SIZED) or not differs(
        list(pair.op.settings().values()), list(pair.other.op.settings().values())
    )
    if not same:
        raise OnnxError(f"save: {where}: its settings depend on values, or on the batch")
    inputs = []
    sources = zip(pair.one.edges, pair.one.inputs, pair.other.inputs, strict=True)
    for edge, held, other in sources:
        if edge is not None:
            if id(edge) not in named:
                named[id(edge)] = _parameter(writer, edge, traced)
            inputs.append(named[id(edge)])
        elif held is None:
            inputs.append("")
        else:
            inputs.append(_constant(writer, pair, held, other, traced, where))
    try:
        return WRITERS[type(pair.op)](writer, pair, inputs)
    except OnnxError as error:
        raise OnnxError(f"save: {where}: {error}") from None


def _parameter(writer: Writer, leaf: Any, traced: Traced) -> str:
    found = traced.parameters.get(id(leaf))
    name, array = found if found is not None else (leaf.name or "tensor", leaf._data)
    return writer.tensor(name, array)


def _constant(writer: Writer, pair: Pair, held: Any, other: Any, traced: Traced, where: str) -> str:
    """Add what is no result of an operation: a buffer, a number, an array."""
    if isinstance(held, np.ndarray) and id(held) in traced.buffers:
        name = traced.buffers[id(held)]
        return name if name in writer.tensors else writer.tensor(name, held)
    if differs(held, other):
        if repeated := _repeated(writer, held, other):
            return repeated
        raise OnnxError(
            f"save: {where} reads what was computed outside of the graph and depends on the "
            "input: a mask or places of values"
        )
    if isinstance(held, (bool, int, float)):
        return writer.number(held)
    return writer.constant(held)


def _repeated(writer: Writer, held: Any, other: Any) -> str:
    """Write an array that is the same for each of the batch, such as zeros; "" if it is none."""
    if not isinstance(held, np.ndarray) or not isinstance(other, np.ndarray):
        return ""
    if held.ndim != other.ndim or held.dtype != other.dtype:
        return ""
    sizes = zip(held.shape, other.shape, strict=True)
    axes = [axis for axis, pair in enumerate(sizes) if pair[0] != pair[1]]
    if len(axes) != 1 or (held.shape[axes[0]], other.shape[axes[0]]) != writer.batch:
        return ""
    first = held.take([0], axes[0])
    if (held != first).any() or (other != first).any():
        return ""
    return writer.emit(
        "Expand", writer.constant(first), writer.sizes(held.shape, other.shape, "a constant")
    )


def _end(writer: Writer, found: str, name: str) -> None:
    """Give a result the name of an output."""
    for node in reversed(writer.nodes):
        if node.output[0] == found and not any(found in n.input for n in writer.nodes):
            node.output = [name, *node.output[1:]]
            return
    writer.emit("Identity", found)
    writer.nodes[-1].output = [name]


def _values(
    names: Sequence[str], one: Sequence[Tensor], other: Sequence[Tensor]
) -> list[ValueInfo]:
    """Return what goes in or out, with the sizes that differ as the batch."""
    values = []
    for name, a, b in zip(names, one, other, strict=True):
        sizes = [
            Dimension(dim_value=x) if x == y else Dimension(dim_param="batch")
            for x, y in zip(a.shape, b.shape, strict=True)
        ]
        kind = TensorType(elem_type=NUMBERS[a.dtype], shape=Shape(dim=sizes))
        values.append(ValueInfo(name=name, type=Type(tensor_type=kind)))
    return values
