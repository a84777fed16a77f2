"""NumPy's ``linalg``, ``einsum`` and products of Kronecker and of vectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.out import into, typed
from tinygrad_cnn.dispatch.shapes import array_of, moveaxis, ravel, stack
from tinygrad_cnn.ops import linalg
from tinygrad_cnn.ops.elementwise import div
from tinygrad_cnn.ops.matrices import einsum as sums
from tinygrad_cnn.ops.matrices import factors, inverse, norms, products
from tinygrad_cnn.ops.reduce import sum as sum_over
from tinygrad_cnn.ops.shape import reshape, squeeze, unsqueeze


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norms of vectors or matrices, as ``numpy.linalg.norm``."""
    x = array_of(x)
    if axis is None:
        if ord is None:
            result = norms.vector_norm(ravel(x), 2)
            return reshape(result, *(1,) * x.ndim) if keepdims else result
        axis = tuple(range(x.ndim))
        if x.ndim > 2 or not x.ndim:
            raise ValueError(f"numpy.linalg.norm: ord of {x.ndim} dimensions needs an axis")
    axes = axis if isinstance(axis, tuple) else (axis,)
    if len(axes) == 1:
        return norms.vector_norm(x, 2 if ord is None else ord, axes[0], keepdims)
    return norms.matrix_norm(x, "fro" if ord is None else ord, axes, keepdims)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Any:
    """Norms of vectors, as ``numpy.linalg.vector_norm``."""
    return norms.vector_norm(array_of(x), ord, axis, keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norms of matrices, as ``numpy.linalg.matrix_norm``."""
    return norms.matrix_norm(array_of(x), ord, (-2, -1), keepdims)


def solve(a: Any, b: Any) -> Any:
    """Solve ``a @ x = b``, as ``numpy.linalg.solve``: b is one vector, or matrices."""
    a, b = array_of(a), array_of(b)
    if b.ndim == 1:
        return squeeze(inverse.solve(a, unsqueeze(b, -1)), -1)
    return inverse.solve(a, b)


def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues and -vectors of symmetric matrices, as ``numpy.linalg.eigh``."""
    return factors.eigh(a, UPLO)


def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """Singular values and vectors, as ``numpy.linalg.svd``."""
    if hermitian:
        raise TypeError(
            "numpy.linalg.svd: hermitian=True is not known with tensors: use `numpy.linalg.eigh`"
        )
    return factors.svd(a, full_matrices) if compute_uv else factors.svdvals(a)


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """Pseudoinverses, as ``numpy.linalg.pinv``."""
    limit = rcond if rtol is None else rtol
    return factors.pinverse(a, 1e-15 if limit is None else limit)


def cond(x: Any, p: Any = None) -> Any:
    """Condition of matrices, as ``numpy.linalg.cond``."""
    if p not in (None, 2, -2):
        return norms.matrix_norm(x, p) * norms.matrix_norm(inverse.inverse(x), p)
    values = factors.svdvals(x)
    greatest, least = values[..., 0], values[..., -1]
    return div(least, greatest) if p == -2 else div(greatest, least)


def tensorinv(a: Any, ind: int = 2) -> Any:
    """Invert an array as a matrix of its first axes by the others, as NumPy does."""
    size = int(np.prod(a.shape[ind:]))
    return reshape(inverse.inverse(reshape(a, size, -1)), *a.shape[ind:], *a.shape[:ind])


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """Solve for an array, as ``numpy.linalg.tensorsolve``."""
    a, b = array_of(a), array_of(b)
    if axes is not None:
        a = moveaxis(a, tuple(axes), tuple(range(a.ndim - len(axes), a.ndim)))
    size = int(np.prod(b.shape))
    solution = solve(reshape(a, size, -1), reshape(b, -1))
    return reshape(solution, *a.shape[b.ndim :])


def einsum(subscripts: Any, *operands: Any, out: Any = None, **words: Any) -> Any:
    """Sum products by Einstein's convention, as ``numpy.einsum`` with a text."""
    if not isinstance(subscripts, str):
        raise TypeError(
            "numpy.einsum: lists of numbers are not known with tensors: write the text, "
            "`F.einsum('ij,jk', a, b)`"
        )
    arrays = [typed(x, words.get("dtype")) for x in map(array_of, operands)]
    return into(out, sums.einsum(subscripts.replace(" ", ""), *arrays), "numpy.einsum")


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """Vector product of vectors of 2 or 3 numbers, as ``numpy.cross``."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(array_of(a), axisa, -1), moveaxis(array_of(b), axisb, -1)
    (ax, ay, *az), (bx, by, *bz) = ([x[..., i] for i in range(x.shape[-1])] for x in (a, b))
    last = ax * by - ay * bx
    if not az and not bz:
        return last
    up, above = (az[0] if az else 0.0), (bz[0] if bz else 0.0)
    return moveaxis(stack([ay * above - up * by, up * bx - ax * above, last], -1), -1, axisc)


def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """Multiply several matrices, as ``numpy.linalg.multi_dot``, from left to right."""
    return into(out, reduce(linalg.matmul, map(array_of, arrays)), "numpy.linalg.multi_dot")


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Sum of products along an axis, as ``numpy.linalg.vecdot``."""
    return sum_over(array_of(x1) * array_of(x2), axis)


def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Factor ``a = L @ L.T``, as ``numpy.linalg.cholesky``."""
    return factors.cholesky(a, upper=upper)


RECORDED: dict[str, Callable[..., Any]] = {
    "einsum": einsum,
    "kron": lambda a, b: products.kron(array_of(a), array_of(b)),
    "cross": cross,
    "linalg.cross": lambda x1, x2, /, *, axis=-1: cross(x1, x2, axis=axis),
    "linalg.norm": norm,
    "linalg.vector_norm": vector_norm,
    "linalg.matrix_norm": matrix_norm,
    "linalg.inv": inverse.inverse,
    "linalg.det": inverse.det,
    "linalg.slogdet": inverse.slogdet,
    "linalg.solve": solve,
    "linalg.matrix_power": inverse.matrix_power,
    "linalg.cholesky": cholesky,
    "linalg.qr": lambda a, mode="reduced": factors.qr(a, mode),
    "linalg.eigh": eigh,
    "linalg.eigvalsh": lambda a, UPLO="L": factors.eigvalsh(a, UPLO),
    "linalg.svd": svd,
    "linalg.svdvals": lambda x, /: factors.svdvals(x),
    "linalg.pinv": pinv,
    "linalg.cond": cond,
    "linalg.tensorinv": tensorinv,
    "linalg.tensorsolve": tensorsolve,
    "linalg.multi_dot": multi_dot,
    "linalg.vecdot": vecdot,
}
"""NumPy's functions of matrices by name."""
