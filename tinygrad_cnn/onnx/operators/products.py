"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.operators.base import Call, Run, array, is_float, operator

__all__: list[str] = []


@operator("MatMul", weights=(0, 1))
def matmul(call: Call) -> Run:
    """Multiply matrices, or stacks of them."""

    def run(a: Any, b: Any) -> Any:
        if is_float(a):
            return F.matmul(a, b)
        return np.matmul(array(a), array(b))

    return run


@operator("Gemm", weights=(0, 1, 2))
def gemm(call: Call) -> Run:
    """Compute ``alpha · A @ B + beta · C``, with A and B turned round or not."""
    alpha, beta = call.real("alpha", 1.0), call.real("beta", 1.0)
    turn_a, turn_b = bool(call.integer("transA")), bool(call.integer("transB"))

    def run(a: Any, b: Any, c: Any = None) -> Any:
        if a.ndim != 2 or b.ndim != 2:
            raise OnnxError(f"Gemm of shapes {tuple(a.shape)} and {tuple(b.shape)}: no matrices")
        if not is_float(a):
            return _whole(a, b, c)
        a = F.transpose(a, 0, 1) if turn_a else a
        rows = b.shape[0] if turn_b else b.shape[1]
        if alpha == beta == 1.0 and (c is None or tuple(c.shape) == (rows,)):
            return F.linear(a, b if turn_b else F.transpose(b, 0, 1), c)
        y = F.matmul(a, F.transpose(b, 0, 1) if turn_b else b)
        y = y if alpha == 1.0 else F.mul(y, alpha)
        return y if c is None else F.add(y, c if beta == 1.0 else F.mul(c, beta))

    def _whole(a: Any, b: Any, c: Any) -> Any:
        left, right = array(a), array(b)
        y = (left.T if turn_a else left) @ (right.T if turn_b else right) * alpha
        return np.asarray(y if c is None else y + array(c) * beta, left.dtype)

    return run


@operator("MatMulInteger")
def matmul_integer(call: Call) -> Run:
    """Multiply matrices of small integers less their zero points, in 32 bits."""

    def run(a: Any, b: Any, a_zero: Any = None, b_zero: Any = None) -> Any:
        left, right = array(a).astype(np.int32), array(b).astype(np.int32)
        if a_zero is not None:
            zero = array(a_zero).astype(np.int32)
            left = left - (zero[:, None] if zero.ndim == 1 and zero.size > 1 else zero)
        if b_zero is not None:
            right = right - array(b_zero).astype(np.int32)
        return left @ right

    return run
