"""What an ONNX file holds, in words."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from math import prod

from tinygrad_cnn.onnx.compiling import constants_of
from tinygrad_cnn.onnx.inlining import flatten
from tinygrad_cnn.onnx.messages import ValueInfo
from tinygrad_cnn.onnx.module import read_model
from tinygrad_cnn.onnx.operators import OPERATORS
from tinygrad_cnn.onnx.roles import roles_of
from tinygrad_cnn.onnx.tensors import type_name

__all__ = ["Info", "info"]


@dataclass(frozen=True)
class Info:
    """What `info` found; as text, a summary.

    Attributes
    ----------
    producer
        What wrote the file, and its version.
    ir_version, opsets
        Of the format, and of each set of operators by its domain.
    inputs, outputs
        Names with types and sizes, such as ``float[N, 3, 224, 224]``.
    operators
        How many nodes there are of each.
    missing
        Those of them that are not there here.
    tensors
        Type and shape of each tensor in the file.
    weights, statistics
        The names of those that are learnt, and of running statistics.
    """

    producer: str
    ir_version: int
    opsets: dict[str, int]
    inputs: dict[str, str]
    outputs: dict[str, str]
    operators: dict[str, int]
    missing: tuple[str, ...]
    tensors: dict[str, tuple[str, tuple[int, ...]]]
    weights: tuple[str, ...]
    statistics: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """How many numbers are learnt."""
        return sum(prod(self.tensors[name][1]) for name in self.weights)

    def __str__(self) -> str:
        sets = ", ".join(f"{domain or 'onnx'} {v}" for domain, v in self.opsets.items())
        lines = [f"written by {self.producer or 'nobody'}; IR {self.ir_version}; opset {sets}"]
        lines += [f"input   {name}: {kind}" for name, kind in self.inputs.items()]
        lines += [f"output  {name}: {kind}" for name, kind in self.outputs.items()]
        counted = ", ".join(f"{n} {name}" for name, n in self.operators.items())
        lines.append(f"{sum(self.operators.values())} nodes: {counted}")
        lines.append(
            f"{self.parameters:,} parameters in {len(self.weights)} tensors, "
            f"{len(self.statistics)} running statistics, "
            f"{len(self.tensors) - len(self.weights) - len(self.statistics)} constants"
        )
        if self.missing:
            lines.append(f"not there: {', '.join(self.missing)}")
        return "\n".join(lines)


def info(source: str | os.PathLike[str] | bytes) -> Info:
    """Say what an ONNX file holds, also one whose operators are not all there.

    Raises
    ------
    OnnxError
        If it is no ONNX file.
    FileNotFoundError
        If there is none.
    """
    model, _ = read_model(source)
    graph = model.graph
    assert graph is not None
    opsets = {one.domain: one.version for one in model.opset_import}
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    nodes = flatten(graph.node, opsets, functions)
    kinds = [(node.domain, node.op_type) for node in nodes]
    counts = Counter(f"{domain}.{kind}" if domain else kind for domain, kind in kinds)
    missing = {f"{d}.{k}" if d else k for d, k in kinds if (d, k) not in OPERATORS}
    tensors = constants_of(graph, nodes)
    first = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in first]
    roles = roles_of(nodes, tensors, tensors.keys() - first, [value.name for value in inputs])
    return Info(
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        ir_version=model.ir_version,
        opsets=opsets,
        inputs={value.name: _type(value) for value in inputs},
        outputs={value.name: _type(value) for value in graph.output},
        operators=dict(counts.most_common()),
        missing=tuple(sorted(missing)),
        tensors={n: (type_name(t.data_type), tuple(t.dims)) for n, t in tensors.items()},
        weights=tuple(name for name, role in roles.items() if role == "weight"),
        statistics=tuple(name for name, role in roles.items() if role == "statistic"),
    )


def _type(value: ValueInfo) -> str:
    """Return the type of a value with its sizes."""
    tensor = value.type.tensor_type if value.type is not None else None
    if tensor is None:
        return "of another kind"
    name = type_name(tensor.elem_type)
    if tensor.shape is None:
        return name
    sizes = (dim.size or dim.dim_param or "?" for dim in tensor.shape.dim)
    return f"{name}[{', '.join(map(str, sizes))}]"
