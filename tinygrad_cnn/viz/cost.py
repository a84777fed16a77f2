"""What an operation costs: multiply-adds.

They are counted for convolutions and matrix products, exactly: products of two inputs'
elements that are added up. Everything else (biases, activations, pooling, normalisation, losses)
counts none, as in the figures that papers give for networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tinygrad_cnn.graph import Node
from tinygrad_cnn.types import Shape
from tinygrad_cnn.viz.recorded import constants_of


def input_shapes(node: Node) -> list[Shape | None]:
    """Return the shape of each input, None where it is not known or there is no array."""
    known = zip(node.edges, constants_of(node), strict=True)
    return [getattr(constant if edge is None else edge, "shape", None) for edge, constant in known]


def multiply_adds(node: Node) -> int | None:
    """Return the multiply-adds of one call, None for an operation without products.

    ``conv2d`` of (N, C, H, W) by (O, C/groups, KH, KW) to (N, O, OH, OW) makes
    N·O·OH·OW·C/groups·KH·KW; a matrix product of (M, K) by (K, N) makes M·K·N.
    """
    rule = _RULES.get(node.op.name)
    if rule is None:
        return None
    return rule(node, input_shapes(node))


def _convolution(node: Node, inputs: list[Shape | None]) -> int | None:
    weight = inputs[1]
    return None if weight is None else math.prod(node.shape) * math.prod(weight[1:])


def _transposed_convolution(_: Node, inputs: list[Shape | None]) -> int | None:
    image, weight = inputs[:2]
    if image is None or weight is None:
        return None
    return math.prod(image) * math.prod(weight[1:])


def _weight_gradient(node: Node, inputs: list[Shape | None]) -> int | None:
    cotangent = inputs[1]  # its every element meets one filter's window
    return None if cotangent is None else math.prod(cotangent) * math.prod(node.shape[1:])


def _linear(node: Node, inputs: list[Shape | None]) -> int | None:
    weight = inputs[1]  # (O, C)
    return None if weight is None else math.prod(node.shape) * weight[-1]


def _product(node: Node, inputs: list[Shape | None]) -> int | None:
    a, b = inputs
    if a is not None:
        return math.prod(node.shape) * a[-1]
    return None if b is None else math.prod(node.shape) * b[-2 if len(b) > 1 else 0]


_RULES: dict[str, Callable[[Node, list[Shape | None]], int | None]] = {
    **{f"conv{dims}d": _convolution for dims in (1, 2, 3)},
    **{f"conv_transpose{dims}d": _transposed_convolution for dims in (1, 2, 3)},
    **{f"conv{dims}d_weight": _weight_gradient for dims in (1, 2, 3)},
    "linear": _linear,
    "matmul": _product,
}
