"""A model as a table: its modules with output shapes, parameters, multiply-adds and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import enable_grad
from tinygrad_cnn.nn import Module, Parameter
from tinygrad_cnn.nn.restoring import left_alone
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.viz.collect import collect
from tinygrad_cnn.viz.data import GraphData, prefixes
from tinygrad_cnn.viz.leaves import parameters_of
from tinygrad_cnn.viz.text import aligned
from tinygrad_cnn.viz.wording import bytes_text, count_text, shape_text


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One module, with everything inside of it.

    Attributes
    ----------
    path, type
        Path in the model ("" for the model itself) and class.
    output_shape
        Of its last result that others use; None if it made none.
    parameters
        Number of elements, each counted once.
    multiply_adds
        See `tinygrad_cnn.viz.cost`.
    activation_nbytes
        Bytes of the results of its operations.
    """

    path: str
    type: str
    output_shape: tuple[int, ...] | None
    parameters: int
    multiply_adds: int
    activation_nbytes: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A model as a table, which prints itself.

    Attributes
    ----------
    input_shape
        What the model was called with.
    rows
        The model itself, then its modules, each before those inside of it.
    trainable
        Number of parameters whose gradient is wanted; the first row has all.
    parameter_nbytes
        Bytes of the parameters.
    saved_nbytes
        Bytes of the arrays kept for a backward pass, each once, without parameters.
    """

    input_shape: tuple[int, ...]
    rows: tuple[SummaryRow, ...]
    trainable: int
    parameter_nbytes: int
    saved_nbytes: int

    def __str__(self) -> str:
        head = ("module", "class", "output", "parameters", "multiply-adds", "activations")
        table: list[tuple[str, ...] | str] = [head]
        for row in self.rows:
            name = row.path.rpartition(".")[2] or "(model)"
            table.append(
                (
                    "  " * len(prefixes(row.path)) + name,
                    row.type,
                    "-" if row.output_shape is None else shape_text(row.output_shape),
                    f"{row.parameters:,}" if row.parameters else "-",
                    count_text(row.multiply_adds) if row.multiply_adds else "-",
                    bytes_text(row.activation_nbytes) if row.activation_nbytes else "-",
                )
            )
        lines = aligned(table, right=(3, 4, 5))
        lines.insert(1, "─" * max(map(len, lines)))
        model = self.rows[0]
        fixed = model.parameters - self.trainable
        frozen = f", {fixed:,} of them frozen" if fixed else ""
        made, kept = bytes_text(model.activation_nbytes), bytes_text(self.saved_nbytes)
        lines += [
            lines[1],
            f"input          {shape_text(self.input_shape)}",
            f"parameters     {model.parameters:,} in {bytes_text(self.parameter_nbytes)}{frozen}",
            f"multiply-adds  {model.multiply_adds:,}",
            f"activations    {made} made, {kept} kept for a backward pass",
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def summary(
    model: Module,
    input_shape: Sequence[int],
    *,
    dtype: Any = None,
    training: bool = False,
) -> Summary:
    """Call a model with zeros and return a table of what its modules make and cost.

    The model is left exactly as it was: parameters, gradients, buffers, modes and random state,
    also if its forward raises.

    Parameters
    ----------
    model
        Any module of one input.
    input_shape
        With the batch: (N, C, H, W).
    dtype
        Of the input; default that of the first parameter, or float32.
    training
        Call it as in training (batch statistics, dropout) rather than in evaluation; what is kept
        for a backward pass differs.

    Raises
    ------
    TypeError
        If the model is no module, or gives something else than tensors.
    ValueError
        If the shape is not a sequence of sizes.

    >>> from tinygrad_cnn import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    >>> print(summary(net, (1, 1, 4, 4)))
    module   class       output   parameters  multiply-adds  activations
    ────────────────────────────────────────────────────────────────────
    (model)  Sequential  1×3              47             96        108 B
      0      Conv2d      1×2×2×2          20             72         32 B
      1      ReLU        1×2×2×2           -              -         32 B
      2      Flatten     1×8               -              -         32 B
      3      Linear      1×3              27             24         12 B
    ────────────────────────────────────────────────────────────────────
    input          1×1×4×4
    parameters     47 in 188 B
    multiply-adds  96
    activations    108 B made, 128 B kept for a backward pass
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: expects a module, got {type(model).__name__}")
    shape = _sizes(input_shape)
    parameters = dict(parameters_of(model))
    if dtype is None:
        dtype = next((p.dtype for p in parameters.values()), np.float32)
    with left_alone(model), enable_grad():
        model.train(training)
        x = Tensor(np.zeros(shape, dtype), name="input")
        x.requires_grad = x.dtype.kind == "f"  # so that operations before any parameter are seen
        recorded = collect(_tensors(model(x)), model)
    return Summary(
        shape,
        tuple(_rows(model, recorded, parameters)),
        sum(p.size for p in parameters.values() if p.requires_grad),
        sum(p.nbytes for p in parameters.values()),
        recorded.saved_nbytes,
    )


def _sizes(shape: Any) -> tuple[int, ...]:
    try:
        sizes = tuple(shape)
    except TypeError:
        sizes = (None,)
    if not all(isinstance(size, (int, np.integer)) and size >= 0 for size in sizes):
        raise ValueError(f"summary: input_shape expects sizes such as (1, 1, 28, 28), got {shape}")
    return tuple(int(size) for size in sizes)


def _tensors(output: Any) -> list[TensorBase]:
    """Return the tensors in what a model returned."""
    found: list[TensorBase] = []
    pending = [output]
    while pending:
        item = pending.pop(0)
        if isinstance(item, TensorBase):
            found.append(item)
        elif isinstance(item, dict):
            pending += item.values()
        elif isinstance(item, (list, tuple)):
            pending += item
    if not found:
        raise TypeError(f"summary: the model gave no tensor, but {type(output).__name__}")
    return found


def _rows(
    model: Module, recorded: GraphData, parameters: dict[str, Parameter]
) -> Iterator[SummaryRow]:
    """Add up, for each module, what is at its path and below."""
    types = {path: type(module).__name__ for path, module in model.named_modules()}
    sizes, costs, memory = (dict.fromkeys(types, 0) for _ in range(3))
    shapes: dict[str, tuple[int, ...]] = {}
    for path, parameter in parameters.items():
        for around in ["", *prefixes(path.rpartition(".")[0])]:
            sizes[around] += parameter.size
    for node in recorded.nodes:
        if node.is_leaf:
            continue
        for around in ["", *prefixes(node.scope)]:
            if around in types:
                costs[around] += node.multiply_adds or 0
                memory[around] += node.nbytes
                shapes[around] = node.shape
    for path, kind in types.items():
        yield SummaryRow(path, kind, shapes.get(path), sizes[path], costs[path], memory[path])
