"""Graphs within graphs: a branch that is taken, a loop that is run, a scan over sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.messages import Graph
from tinygrad_cnn.onnx.operators.base import Call, Run, array, is_float, number, operator

__all__: list[str] = []


def _nested(call: Call, name: str) -> Any:
    graph = call.attributes.get(name)
    if not isinstance(graph, Graph) or call.nested is None:
        raise OnnxError(f"{call.op_type} expects {name} to be a graph")
    return call.nested(graph)


@operator("If", any_shape=True)
def branch(call: Call) -> Run:
    """Run one of two graphs, as a condition says."""
    then, other = _nested(call, "then_branch"), _nested(call, "else_branch")

    def run(condition: Any, *around: Any) -> Any:
        cut = len(then.around)
        if bool(number(condition)):
            return then.run((), around[:cut])
        return other.run((), around[cut:])

    return run


@operator("Loop", any_shape=True)
def loop(call: Call) -> Run:
    """Run a graph again and again; what it scans is stacked."""
    body = _nested(call, "body")
    given = len(call.inputs)

    def run(most: Any, condition: Any, *values: Any) -> Any:
        carried, around = list(values[: given - 2]), values[given - 2 :]
        limit = None if most is None else int(number(most))
        going = True if condition is None else bool(number(condition))
        scanned: list[list[Any]] = []
        turn = 0
        while going and (limit is None or turn < limit):
            outs = body.run((np.int64(turn), np.asarray(True), *carried), around)
            going, turn = bool(number(outs[0])), turn + 1
            carried = list(outs[1 : 1 + len(carried)])
            scanned.append(list(outs[1 + len(carried) :]))
        if not scanned and len(call.outputs) > len(carried):
            raise OnnxError("Loop: no turn is run, and what it scans has no shape")
        return (*carried, *(_stacked(list(column)) for column in zip(*scanned, strict=True)))

    return run


@operator("Scan", any_shape=True)
def scan(call: Call) -> Run:
    """Run a graph for each slice of some inputs; what it gives is stacked."""
    body = _nested(call, "body")
    count = call.integer("num_scan_inputs")
    given = len(call.inputs)
    if call.opset < 9:
        raise OnnxError("Scan of opset 8 has batches of its own")
    backwards = call.ints("scan_input_directions") or (0,) * count
    axes = call.ints("scan_input_axes") or (0,) * count

    def run(*values: Any) -> Any:
        state = list(values[: given - count])
        sequences, around = values[given - count : given], values[given:]
        length = sequences[0].shape[axes[0]]
        scanned: list[list[Any]] = []
        for turn in range(length):
            slices = [
                F.getitem(s, (slice(None),) * axis + ((length - 1 - turn) if back else turn,))
                for s, axis, back in zip(sequences, axes, backwards, strict=True)
            ]
            outs = body.run((*state, *slices), around)
            state = list(outs[: len(state)])
            scanned.append(list(outs[len(state) :]))
        columns = [_stacked(list(column)) for column in zip(*scanned, strict=True)]
        return (*state, *_turned(call, columns))

    return run


def _turned(call: Call, columns: list[Any]) -> list[Any]:
    """Put the scanned axis where the node wants it."""
    backwards = call.ints("scan_output_directions") or (0,) * len(columns)
    axes = call.ints("scan_output_axes") or (0,) * len(columns)
    turned = [F.flip(c, 0) if back else c for c, back in zip(columns, backwards, strict=True)]
    return [F.movedim(c, 0, axis) if axis else c for c, axis in zip(turned, axes, strict=True)]


def _stacked(values: list[Any]) -> Any:
    if is_float(values[0]):
        return F.stack(values)
    return np.stack([array(value) for value in values])
