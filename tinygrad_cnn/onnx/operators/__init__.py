"""ONNX's operators: each is a function that, told a node's settings, returns what computes it.

`base` has what they share. Each file is a family; importing it enters its operators in
`base.OPERATORS`. The mathematics, and every gradient, is that of `functional`.
"""

from tinygrad_cnn.onnx.operators import (
    activations,
    control,
    indexing,
    losses,
    norms,
    pointwise,
    products,
    quantized,
    reductions,
    resizing,
    sampling,
    shapes,
    windows,
)
from tinygrad_cnn.onnx.operators.base import OPERATORS, Call, Operator, Run, Switch

__all__ = [
    "OPERATORS",
    "Call",
    "Operator",
    "Run",
    "Switch",
    "activations",
    "control",
    "indexing",
    "losses",
    "norms",
    "pointwise",
    "products",
    "quantized",
    "reductions",
    "resizing",
    "sampling",
    "shapes",
    "windows",
]
