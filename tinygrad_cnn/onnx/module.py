"""`OnnxModule`: a network read from an ONNX file."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.graph import mode
from tinygrad_cnn.npz import require_file
from tinygrad_cnn.onnx.coding import decode
from tinygrad_cnn.onnx.compiling import Compiled
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.messages import Attribute, Graph, Model, Node, TensorMessage
from tinygrad_cnn.onnx.operators import Switch
from tinygrad_cnn.onnx.tensors import array_of, write_tensor
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array

__all__ = ["OnnxModule", "load", "read_model"]


class OnnxModule(nn.Module):
    """A network read from an ONNX file: called with its inputs, it returns its outputs.

    Parameters and buffers bear the names of the file's tensors, which may have dots:
    ``dict(model.named_parameters())``. What is learnt is found by how a tensor is used (see
    `roles`); running statistics of batch normalisations are buffers, and all else stays as it is
    in the file. In training, batch normalisations use the batch's own statistics and dropouts drop;
    a file's network begins in evaluation.

    Operations recorded meanwhile carry the paths of the file's nodes, and their names.

    Attributes
    ----------
    inputs, outputs
        Names of what goes in and out.
    model
        The file, as it was read.
    """

    def __init__(self, model: Model, folder: Path | None = None) -> None:
        super().__init__()
        self._switch = Switch()
        compiled = Compiled(model, folder, self._switch)
        self.model = model
        self.inputs, self.outputs = compiled.inputs, compiled.outputs
        self._plan = compiled.plan
        self._attributes: dict[str, str] = {}
        self._messages: dict[str, TensorMessage] = {}
        for name, array in compiled.arrays.items():
            attribute = name
            while not attribute or hasattr(self, attribute):
                attribute = f"{attribute}_"
            self._attributes[name] = attribute
            self._messages[name] = compiled.places[name]
            if compiled.roles[name] == "weight":
                vars(self)[attribute] = _parameter(array)
            else:
                self.register(attribute, Tensor._wrap(array, None))
        _let_go(model, folder, {id(message) for message in self._messages.values()})
        compiled.arrays.clear()  # the tensors hold them now
        self.eval()

    def register(self, name: str, buffer: Tensor) -> None:
        """Add a buffer, whose name may have dots."""
        vars(self)[name] = buffer
        self._persistence = {**self._persistence, name: True}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the network: inputs in order, or by name; a single output alone, several as a tuple.

        Raises
        ------
        OnnxError
            If inputs are missing, or a node does not fit what it is given; it names the node.
        """
        given = [_entered(value) for value in self._in_order(args, kwargs)]
        self._switch.training = self.training
        own = vars(self)
        tensors = {name: own[attribute] for name, attribute in self._attributes.items()}
        inference = not (self.training or mode.recording)
        found = tuple(map(_left, self._plan.run(given, (), tensors, inference)))
        return found[0] if len(found) == 1 else found

    def _in_order(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        names = self.inputs
        by_name = dict(zip(names, args, strict=False)) | kwargs
        if len(args) > len(names) or by_name.keys() != set(names):
            expected = ", ".join(names)
            got = f"{len(args)} in order" + (f" and {', '.join(kwargs)}" if kwargs else "")
            raise OnnxError(f"the network expects {len(names)} inputs ({expected}), got {got}")
        return [by_name[name] for name in names]

    def to_message(self) -> Model:
        """Return the file that was read, with the parameters and statistics of now."""
        own = vars(self)
        written = {}
        for name, message in self._messages.items():
            array = own[self._attributes[name]]._data
            written[id(message)] = write_tensor(message.name, array, message.data_type)
        return _with_tensors(self.model, written)

    def extra_repr(self) -> str:
        """Return what goes in and out, and how much there is in between."""
        steps = len(self._plan.steps)
        return f"{', '.join(self.inputs)} -> {', '.join(self.outputs)}, {steps} nodes"


def _parameter(array: Array) -> nn.Parameter:
    """Return a parameter around an array of its own, without another copy."""
    parameter = nn.Parameter(Tensor._wrap(array[:0] if array.ndim else array, None))
    parameter._data = array
    return parameter


def _entered(value: Any) -> Any:
    """Return an input as operators take it: floats may be tensors, integers are arrays."""
    if isinstance(value, TensorBase):
        return value if value._data.dtype.kind == "f" else value._data
    tensor = Tensor(value)
    return tensor if tensor.dtype.kind == "f" else tensor._data


def _left(value: Any) -> Any:
    """Return an output as a tensor that shares nothing with what the plan keeps."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, list):
        return [_left(one) for one in value]
    return Tensor(value)


def _let_go(model: Model, folder: Path | None, learnt: set[int]) -> None:
    """Let go of the file's content, and of other files.

    What is learnt is written from the parameters; other tensors keep bytes of their own.
    """
    for tensor in _tensors(model):
        kept = vars(tensor)
        raw = tensor.raw_data
        if id(tensor) in learnt:
            for name in tuple(kept.keys() - {"name", "dims", "data_type"}):
                del kept[name]
        elif tensor.data_location:
            whole = write_tensor(tensor.name, array_of(tensor, folder), tensor.data_type)
            kept.clear()
            kept.update(vars(whole))
        elif isinstance(raw, tuple):
            content, start, end = raw
            tensor.raw_data = bytes(content[start:end])


def _tensors(model: Model) -> list[TensorMessage]:
    """Return the tensors of the main graph, those in attributes too."""
    if model.graph is None:
        return []
    found = list(model.graph.initializer)
    for node in model.graph.node:
        found += [a.t for a in node.attribute if a.t is not None]
    return found


def _with_tensors(model: Model, written: dict[int, TensorMessage]) -> Model:
    """Return a model with others in the place of some tensors, by their ids."""
    graph = model.graph
    assert graph is not None  # or it would not have been read
    nodes = []
    for node in graph.node:
        if any(id(a.t) in written for a in node.attribute):
            attributes = [
                Attribute(**{**vars(a), "t": written[id(a.t)]}) if id(a.t) in written else a
                for a in node.attribute
            ]
            node = Node(**{**vars(node), "attribute": attributes})
        nodes.append(node)
    tensors = [written.get(id(tensor), tensor) for tensor in graph.initializer]
    new = Graph(**{**vars(graph), "node": nodes, "initializer": tensors})
    return Model(**{**vars(model), "graph": new})


def read_model(source: str | os.PathLike[str] | bytes) -> tuple[Model, Path | None]:
    """Read a file, or its content; return the messages, and the folder it lies in.

    Raises
    ------
    OnnxError
        If it is no ONNX file; the message names the file.
    FileNotFoundError
        If there is none.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _with_graph(bytes(source)), None
    path = Path(source)
    require_file(path)
    try:
        return _with_graph(path.read_bytes()), path.parent
    except OnnxError as error:
        raise OnnxError(f"{path} is not read as an ONNX file: {error}") from None


def _with_graph(content: bytes) -> Model:
    model = decode(Model, content)
    if model.graph is None:
        raise OnnxError("it has no graph")
    return model


def load(source: str | os.PathLike[str] | bytes) -> OnnxModule:
    """Read a network from an ONNX file, or from its content.

    Parameters
    ----------
    source
        The path, or the bytes. Data of the model in other files is read from the path's folder.

    Returns
    -------
    OnnxModule
        The network, in evaluation.

    Raises
    ------
    OnnxError
        If the file is damaged, does not fit itself, or has operators that are not there: all of
        them are named, with their nodes.
    FileNotFoundError
        If there is no such file.
    """
    # Thousands of objects are made and none is let go: looking for cycles would take half the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        model, folder = read_model(source)
        return _module(source, model, folder)
    finally:
        if collects:
            gc.enable()


def _module(
    source: str | os.PathLike[str] | bytes, model: Model, folder: Path | None
) -> OnnxModule:
    try:
        return OnnxModule(model, folder)
    except OnnxError as error:
        name = "" if folder is None else f"{Path(source)}: "  # type: ignore[arg-type]
        raise OnnxError(f"{name}{error}") from None
