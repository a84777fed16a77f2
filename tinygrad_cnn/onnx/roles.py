"""What each constant of a file is: learnt, a running statistic, or a number that stays.

ONNX does not say. A constant is learnt where an operator has weights (the filters of a
convolution, the matrix of a product, the scale of a normalisation), or where it is a term of a sum,
product or join with what was computed from others that are. What is done to an input before
anything learnt comes (subtracting its mean, dividing by its deviation) stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygrad_cnn.onnx.inlining import Flat
from tinygrad_cnn.onnx.messages import TensorMessage
from tinygrad_cnn.onnx.operators import OPERATORS

__all__ = ["roles_of"]

_FLOATS = {1, 10, 11, 16}


def roles_of(
    nodes: Sequence[Flat],
    constants: Mapping[str, TensorMessage],
    written: Iterable[str],
    inputs: Iterable[str],
) -> dict[str, str]:
    """Return "weight" or "statistic" for each constant that is one.

    Parameters
    ----------
    nodes
        In order, with those of graphs within graphs.
    constants
        By name.
    written
        The names of those that stand in a node of their own: they are learnt only as weights.
    inputs
        The names of what the network is given.
    """
    in_nodes = set(written)
    uses = _uses(nodes, constants, set(inputs))
    if not any("weight" in kinds for kinds in uses.values()):
        uses = _uses(nodes, constants, set())
    found = {}
    for name, tensor in constants.items():
        kinds = uses.get(name, set())
        if tensor.data_type not in _FLOATS:
            continue
        if "weight" in kinds:
            found[name] = "weight"
        elif "statistic" in kinds:
            found[name] = "statistic"
        elif "operand" in kinds and name not in in_nodes and _size(tensor) > 1:
            found[name] = "weight"
    return found


def _size(tensor: TensorMessage) -> int:
    size = 1
    for length in tensor.dims:
        size *= length
    return size


def _uses(
    nodes: Sequence[Flat], constants: Mapping[str, Any], raw: set[str]
) -> dict[str, set[str]]:
    """Return what each value is used for, also in another form; `raw` holds the inputs' names."""
    early = _before_weights(nodes, constants, raw)
    uses: dict[str, set[str]] = {}
    for node in reversed(nodes):
        traits = OPERATORS.get((node.domain, node.op_type))
        if traits is None:
            continue
        for place, name in enumerate(node.inputs):
            kinds = uses.setdefault(name, set())
            if place in traits.weights:
                kinds.add("weight")
            elif place in traits.statistics:
                kinds.add("statistic")
            elif traits.passes and not place and node.outputs:
                kinds |= uses.get(node.outputs[0], set())
            elif traits.operands and not early.intersection(node.outputs):
                kinds.add("operand")
    return uses


def _before_weights(nodes: Sequence[Flat], constants: Mapping[str, Any], raw: set[str]) -> set[str]:
    """Return the values that are made of the inputs, before anything that is learnt."""
    early = set(raw)
    for node in nodes:
        traits = OPERATORS.get((node.domain, node.op_type))
        given = [name for name in node.inputs if name and name not in constants]
        if traits is None or traits.weights or not given:
            continue
        if all(name in early for name in given):
            early.update(node.outputs)
    return early
