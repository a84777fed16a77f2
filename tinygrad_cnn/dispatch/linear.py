"""NumPy's products of vectors and matrices, and ``numpy.linalg``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.out import into
from tinygrad_cnn.dispatch.shapes import array_of, ravel
from tinygrad_cnn.ops import elementwise, linalg
from tinygrad_cnn.ops.arguments import axis_of, sizes_of
from tinygrad_cnn.ops.shape import permute, reshape


def dot(a: Any, b: Any, out: Any = None) -> Any:
    """Sum of products over the last axis of a and the second last of b, as ``numpy.dot``."""
    a, b = array_of(a), array_of(b)
    if not a.ndim or not b.ndim:
        return into(out, elementwise.mul(a, b), "numpy.dot")
    if b.ndim <= 2:
        return into(out, linalg.matmul(a, b), "numpy.dot")
    return into(out, tensordot(a, b, ([-1], [-2])), "numpy.dot")


def vdot(a: Any, b: Any, /) -> Any:
    """Sum of products of all elements, as ``numpy.vdot``."""
    return linalg.dot(ravel(a), ravel(b))


def inner(a: Any, b: Any, /) -> Any:
    """Sum of products over the last axes, as ``numpy.inner``."""
    a, b = array_of(a), array_of(b)
    if not a.ndim or not b.ndim:
        return elementwise.mul(a, b)
    return tensordot(a, b, ([-1], [-1]))


def outer(a: Any, b: Any, out: Any = None) -> Any:
    """All products of two arrays' elements, as ``numpy.outer``."""
    return into(out, linalg.outer(ravel(a), ravel(b)), "numpy.outer")


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum of products over several axes, as ``numpy.tensordot``."""
    name = "numpy.tensordot"
    a, b = array_of(a), array_of(b)
    if isinstance(axes, (int, np.integer)):
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        left, right = (
            [axis_of(name, x.ndim, i) for i in sizes_of(name, (part,))]
            for x, part in zip((a, b), axes, strict=True)
        )
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ValueError(
            f"{name}: axes {left} of shape {tuple(a.shape)} do not match axes {right} of "
            f"shape {tuple(b.shape)}"
        )
    rows = [i for i in range(a.ndim) if i not in left]
    columns = [i for i in range(b.ndim) if i not in right]
    size = math.prod([a.shape[i] for i in left])
    a_rows = reshape(
        permute(a, *rows, *left), -1 if size else math.prod(a.shape[i] for i in rows), size
    )
    b_columns = reshape(
        permute(b, *right, *columns), size, math.prod([b.shape[i] for i in columns])
    )
    product = linalg.matmul(a_rows, b_columns)
    return reshape(product, *[a.shape[i] for i in rows], *[b.shape[i] for i in columns])


RECORDED: dict[str, Callable[..., Any]] = {
    "dot": dot,
    "vdot": vdot,
    "inner": inner,
    "outer": outer,
    "linalg.outer": outer,
    "tensordot": tensordot,
    "linalg.tensordot": tensordot,
    "linalg.matmul": linalg.matmul,
}
"""NumPy's products by name."""
