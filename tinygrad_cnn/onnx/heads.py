"""A network's last layer made for another number of classes."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.messages import (
    Dimension,
    Graph,
    Model,
    Node,
    Shape,
    TensorMessage,
    TensorType,
    Type,
    ValueInfo,
)
from tinygrad_cnn.onnx.tensors import write_tensor

__all__ = ["ends_in_softmax", "replace_head"]

# What may stand between the last layer and the output, and does not mix classes.
_BEHIND = {"Identity", "Softmax", "LogSoftmax", "Flatten", "Squeeze", "Cast", "Sigmoid", "Dropout"}
_LAYERS = {"Gemm", "MatMul", "Conv"}


def ends_in_softmax(model: Model) -> bool:
    """Whether the first output is made of probabilities: a softmax, or that in another form."""
    assert model.graph is not None
    makers = _makers(model.graph)
    node = makers.get(model.graph.output[0].name) if model.graph.output else None
    while node is not None and node.op_type in _BEHIND - {"Softmax"}:
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "Softmax"


def replace_head(model: Model, classes: int, generator: np.random.Generator) -> Model:
    """Return the model with its last layer drawn anew, for so many classes.

    That is the Gemm, the MatMul with the Add behind it, or the Conv of 1×1 that makes the first
    output. Weights are uniform within ±1/√inputs, as PyTorch's layers begin; biases are 0.

    Raises
    ------
    OnnxError
        If the network does not end in such a layer, or its weights serve elsewhere too.
    """
    graph = model.graph
    assert graph is not None
    layer, bias_of = _last_layer(graph)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    weight = _own(graph, tensors, layer.input[1], layer)
    axis = _axis_of_classes(layer, weight)
    bias = layer.input[2] if layer.op_type != "MatMul" and len(layer.input) > 2 else bias_of
    shape = list(weight.dims)
    fan_in = math.prod(shape) // max(1, shape[axis])
    shape[axis] = classes
    bound = 1 / math.sqrt(max(1, fan_in))
    drawn = generator.uniform(-bound, bound, shape).astype(np.float32)
    new = {weight.name: write_tensor(weight.name, drawn, weight.data_type)}
    if bias:
        old = _own(graph, tensors, bias, None)
        zeros = np.zeros([*old.dims[:-1], classes], np.float32)
        new[bias] = write_tensor(bias, zeros, old.data_type)
    kept = {
        **vars(graph),
        "initializer": [new.get(tensor.name, tensor) for tensor in graph.initializer],
        "value_info": [],  # sizes of values behind the layer would be wrong
        "output": [
            value if at else _of_classes(value, 1 if layer.op_type == "Conv" else -1, classes)
            for at, value in enumerate(graph.output)
        ],
        "input": [value for value in graph.input if value.name not in new],
    }
    return Model(**{**vars(model), "graph": Graph(**kept)})


def _makers(graph: Graph) -> dict[str, Node]:
    return {name: node for node in graph.node for name in node.output}


def _last_layer(graph: Graph) -> tuple[Node, str]:
    """Return the node with the last weights, and the bias that an Add behind it adds."""
    makers = _makers(graph)
    if not graph.output:
        raise OnnxError("the network has no output")
    known = {tensor.name for tensor in graph.initializer}
    name, bias = graph.output[0].name, ""
    while (node := makers.get(name)) is not None:
        if node.op_type in _LAYERS:
            return node, bias
        if node.op_type == "Add" and not bias:
            constants = [n for n in node.input if n in known]
            if len(constants) != 1:
                break
            bias = constants[0]
            name = next(n for n in node.input if n != bias)
        elif node.op_type in _BEHIND:
            name = node.input[0]
        elif node.op_type == "Reshape":
            raise OnnxError(
                "--replace-head: a Reshape stands behind the last layer, whose sizes may be those "
                "of the classes there were"
            )
        else:
            break
    ends = makers[name].op_type if name in makers else "nothing"
    raise OnnxError(
        f"--replace-head: the network ends in {ends}, and not in a Gemm, MatMul or Conv of 1×1"
    )


def _own(
    graph: Graph, tensors: dict[str, TensorMessage], name: str, layer: Node | None
) -> TensorMessage:
    """Return a tensor of the file that one node alone reads."""
    tensor = tensors.get(name)
    if tensor is None:
        raise OnnxError(f"--replace-head: the weights {name!r} are no tensor of the file")
    if sum(list(node.input).count(name) for node in graph.node) != 1:
        raise OnnxError(f"--replace-head: the weights {name!r} serve elsewhere too")
    if layer is not None and layer.op_type == "Conv" and math.prod(tensor.dims[2:]) != 1:
        raise OnnxError("--replace-head: the network ends in a Conv of more than 1×1")
    return tensor


def _axis_of_classes(layer: Node, weight: TensorMessage) -> int:
    if layer.op_type == "Conv":
        return 0
    turned = any(a.name == "transB" and a.i for a in layer.attribute)
    return 0 if turned else len(weight.dims) - 1


def _of_classes(value: ValueInfo, axis: int, classes: int) -> ValueInfo:
    """Return an output with another number of classes."""
    kind = value.type.tensor_type if value.type is not None else None
    if kind is None or kind.shape is None or not kind.shape.dim:
        return value
    dims = list(kind.shape.dim)
    dims[axis] = Dimension(dim_value=classes)
    tensor = TensorType(elem_type=kind.elem_type, shape=Shape(dim=dims))
    return ValueInfo(name=value.name, type=Type(tensor_type=tensor))
