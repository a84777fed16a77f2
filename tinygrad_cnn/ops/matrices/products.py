"""Further products of vectors and matrices: bmm, addmm and relatives, tensordot, kron, cross.

Each leads to a matrix product, whose rule is in `ops.linalg`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import axis_of, numpy_words, shape_of, sizes_of
from tinygrad_cnn.ops.elementwise import add, mul
from tinygrad_cnn.ops.linalg import dot, matmul, outer
from tinygrad_cnn.ops.rearranging.repeat import Roll
from tinygrad_cnn.ops.reduce import sum
from tinygrad_cnn.ops.shape import permute, reshape
from tinygrad_cnn.types import Operand

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "chain_matmul",
    "cross",
    "inner",
    "kron",
    "mm",
    "mv",
    "tensordot",
    "vdot",
    "vecdot",
]


def _expect(function: str, name: str, x: Any, ndim: int) -> None:
    shape = shape_of(function, x)
    if len(shape) != ndim:
        what = {1: "a vector", 2: "a matrix", 3: "a batch of matrices"}[ndim]
        raise ValueError(f"{function}: {name} expects {what}, got shape {shape}")


def _product(function: str, a: Any, b: Any) -> Any:
    """Multiply matrices; what does not match is said in the function's name."""
    left, right = a.shape, b.shape
    if left[-1] != right[-2 if len(right) > 1 else 0] or (len(left) == 3 and left[0] != right[0]):
        raise ValueError(f"{function}: shapes {tuple(left)} and {tuple(right)} do not match")
    return matmul(a, b)


def mm(input: Operand, mat2: Operand) -> Any:
    """Multiply two matrices, (M, K) and (K, N); `matmul` without batches.

    Raises
    ------
    ValueError
        If they are no matrices, or do not match.

    >>> mm(np.eye(2), np.array([[1.0], [2.0]]))
    array([[1.],
           [2.]])
    """
    _expect("mm", "input", input, 2)
    _expect("mm", "mat2", mat2, 2)
    return _product("mm", input, mat2)


def bmm(input: Operand, mat2: Operand) -> Any:
    """Multiply two batches of matrices, (B, M, K) and (B, K, N); nothing is broadcast.

    Raises
    ------
    ValueError
        If they are no batches of matrices, or do not match.

    >>> bmm(np.ones((2, 1, 3)), np.ones((2, 3, 1)))[:, 0, 0]
    array([3., 3.])
    """
    _expect("bmm", "input", input, 3)
    _expect("bmm", "mat2", mat2, 3)
    return _product("bmm", input, mat2)


def mv(input: Operand, vec: Operand) -> Any:
    """Multiply a matrix (M, K) and a vector (K,).

    Raises
    ------
    ValueError
        If they are no matrix and vector, or do not match.

    >>> mv(np.eye(2), np.array([1.0, 2.0]))
    array([1., 2.])
    """
    _expect("mv", "input", input, 2)
    _expect("mv", "vec", vec, 1)
    return _product("mv", input, vec)


def vdot(input: Operand, other: Operand) -> Any:
    """Sum of products of two vectors; `dot` is the same for real numbers.

    >>> vdot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array(11.)
    """
    return dot(input, other)


def _plus(function: str, input: Any, product: Any, beta: float, alpha: float) -> Any:
    """Return ``beta · input + alpha · product``; an input times 0 is not looked at."""
    shape = shape_of(function, input)
    try:
        fits = np.broadcast_shapes(shape, product.shape) == tuple(product.shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{function}: input of shape {shape} does not broadcast to the product's "
            f"{tuple(product.shape)}"
        )
    if alpha != 1:
        product = mul(product, alpha)
    if beta == 0:
        return product
    return add(input if beta == 1 else mul(input, beta), product)


def addmm(
    input: Operand, mat1: Operand, mat2: Operand, *, beta: float = 1, alpha: float = 1
) -> Any:
    """Add a product of matrices: ``beta · input + alpha · mat1 @ mat2``, the input broadcast.

    For ``beta=0`` the input is not looked at: a NaN in it does not pass.

    Raises
    ------
    ValueError
        If the shapes do not match.

    >>> addmm(np.ones(1), np.eye(1), np.eye(1), alpha=2)
    array([[3.]])
    """
    _expect("addmm", "mat1", mat1, 2)
    _expect("addmm", "mat2", mat2, 2)
    return _plus("addmm", input, _product("addmm", mat1, mat2), beta, alpha)


def addmv(input: Operand, mat: Operand, vec: Operand, *, beta: float = 1, alpha: float = 1) -> Any:
    """Add a product of matrix and vector: ``beta · input + alpha · mat @ vec``; as `addmm`.

    >>> addmv(np.ones(2), np.eye(2), np.array([1.0, 2.0]))
    array([2., 3.])
    """
    _expect("addmv", "mat", mat, 2)
    _expect("addmv", "vec", vec, 1)
    return _plus("addmv", input, _product("addmv", mat, vec), beta, alpha)


def addr(input: Operand, vec1: Operand, vec2: Operand, *, beta: float = 1, alpha: float = 1) -> Any:
    """Add an outer product: ``beta · input + alpha · vec1 ⊗ vec2``; as `addmm`.

    >>> addr(np.zeros((1, 2)), np.array([2.0]), np.array([3.0, 4.0]))
    array([[6., 8.]])
    """
    _expect("addr", "vec1", vec1, 1)
    _expect("addr", "vec2", vec2, 1)
    return _plus("addr", input, outer(vec1, vec2), beta, alpha)


def baddbmm(
    input: Operand, batch1: Operand, batch2: Operand, *, beta: float = 1, alpha: float = 1
) -> Any:
    """Add a product of batches: ``beta · input + alpha · batch1 @ batch2``; as `addmm`.

    >>> baddbmm(np.ones((1, 1, 1)), np.ones((1, 1, 2)), np.ones((1, 2, 1)))
    array([[[3.]]])
    """
    _expect("baddbmm", "batch1", batch1, 3)
    _expect("baddbmm", "batch2", batch2, 3)
    return _plus("baddbmm", input, _product("baddbmm", batch1, batch2), beta, alpha)


def addbmm(
    input: Operand, batch1: Operand, batch2: Operand, *, beta: float = 1, alpha: float = 1
) -> Any:
    """Add a product of batches, summed over the batch; as `addmm`.

    >>> addbmm(np.ones((1, 1)), np.ones((3, 1, 2)), np.ones((3, 2, 1)))
    array([[7.]])
    """
    _expect("addbmm", "batch1", batch1, 3)
    _expect("addbmm", "batch2", batch2, 3)
    return _plus("addbmm", input, sum(_product("addbmm", batch1, batch2), 0), beta, alpha)


def tensordot(
    a: Operand, b: Operand, dims: int | tuple[int | Sequence[int], int | Sequence[int]] = 2
) -> Any:
    """Multiply and sum over several dimensions of both, as one product of matrices.

    Parameters
    ----------
    a, b
        Any shapes.
    dims
        A number n: the last n of ``a`` and the first n of ``b``; or two lists of dimensions, which
        are summed pair by pair.

    Returns
    -------
    The other dimensions of ``a``, then those of ``b``.

    Raises
    ------
    ValueError
        If the sizes of the summed dimensions differ, or the lists' lengths.
    IndexError
        If a dimension does not exist.

    >>> tensordot(np.ones((2, 3)), np.ones((3, 2)), 1)
    array([[3., 3.],
           [3., 3.]])
    """
    left, right = shape_of("tensordot", a), shape_of("tensordot", b)
    if isinstance(dims, (int, np.integer)):
        if not 0 <= dims <= min(len(left), len(right)):
            raise ValueError(
                f"tensordot: dims expects an int from 0 to {min(len(left), len(right))}, got {dims}"
            )
        over, under = list(range(len(left) - dims, len(left))), list(range(dims))
    else:
        over = [axis_of("tensordot", len(left), d) for d in sizes_of("tensordot", (dims[0],))]
        under = [axis_of("tensordot", len(right), d) for d in sizes_of("tensordot", (dims[1],))]
    for i, j in zip(over, under, strict=False):  # a size of 1 stands for any
        if left[i] != right[j] and 1 in (left[i], right[j]):
            a, b = (sum(a, i, True), b) if right[j] == 1 else (a, sum(b, j, True))
    left, right = shape_of("tensordot", a), shape_of("tensordot", b)
    if [left[i] for i in over] != [right[i] for i in under] or len(set(over)) != len(over):
        raise ValueError(
            f"tensordot: dims {over} of shape {left} do not match dims {under} of shape {right}"
        )
    rows = [i for i in range(len(left)) if i not in over]
    columns = [i for i in range(len(right)) if i not in under]
    size = math.prod([left[i] for i in over])
    kept = [left[i] for i in rows], [right[i] for i in columns]
    product = matmul(
        reshape(permute(a, rows + over), math.prod(kept[0]), size),
        reshape(permute(b, under + columns), size, math.prod(kept[1])),
    )
    return reshape(product, kept[0] + kept[1])


def inner(input: Operand, other: Operand) -> Any:
    """Sum of products over the last dimension of both; a number multiplies.

    Raises
    ------
    ValueError
        If the last sizes differ.

    >>> inner(np.array([1.0, 2.0]), np.array([[3.0, 4.0], [5.0, 6.0]]))
    array([11., 17.])
    """
    left, right = shape_of("inner", input), shape_of("inner", other)
    if not left or not right:
        return mul(input, other)
    if left[-1] != right[-1]:
        raise ValueError(f"inner: the last sizes of {left} and {right} differ")
    return tensordot(input, other, ([-1], [-1]))


@numpy_words
def vecdot(x: Operand, y: Operand, dim: int = -1) -> Any:
    """Sum of products over a dimension, all others broadcast.

    Raises
    ------
    ValueError
        If the sizes of the dimension differ.
    IndexError
        If the dimension does not exist.

    >>> vecdot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    left, right = shape_of("vecdot", x), shape_of("vecdot", y)
    sizes = [s[axis_of("vecdot", len(s), dim)] for s in (left, right)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"vecdot: sizes of dim {dim} of {left} and {right} differ")
    return sum(mul(x, y), dim)


def kron(input: Operand, other: Operand) -> Any:
    """Kronecker product: each element of the input times the whole other.

    >>> kron(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([ 1., 10.,  2., 20.])
    """
    left, right = shape_of("kron", input), shape_of("kron", other)
    ndim = max(len(left), len(right))
    left = (1,) * (ndim - len(left)) + left
    right = (1,) * (ndim - len(right)) + right
    spread = [n for size in left for n in (size, 1)]
    within = [n for size in right for n in (1, size)]
    product = mul(reshape(input, spread), reshape(other, within))
    return reshape(product, [n * m for n, m in zip(left, right, strict=True)])


@numpy_words
def cross(input: Operand, other: Operand, dim: int | None = None) -> Any:
    """Vector product of vectors of 3 numbers along a dimension, all others broadcast.

    Without ``dim`` it is the first dimension of size 3.

    Raises
    ------
    ValueError
        If the dimension has not size 3 in both, or there is none.
    IndexError
        If the dimension does not exist.

    >>> cross(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    array([0., 0., 1.])
    """
    left, right = shape_of("cross", input), shape_of("cross", other)
    if dim is None:
        found = [i - len(left) for i, n in enumerate(left) if n == 3]
        if not found:
            raise ValueError(f"cross: expects a dimension of size 3, got shape {left}")
        dim = found[0]
    first, second = axis_of("cross", len(left), dim), axis_of("cross", len(right), dim)
    if left[first] != 3 or right[second] != 3:
        raise ValueError(f"cross: expects size 3 along dim {dim}, got shapes {left} and {right}")
    a_next, a_last = Roll((-1,), (first,))(input), Roll((1,), (first,))(input)
    b_next, b_last = Roll((-1,), (second,))(other), Roll((1,), (second,))(other)
    return mul(a_next, b_last) - mul(a_last, b_next)


def chain_matmul(*matrices: Operand) -> Any:
    """Multiply several matrices in the order that takes the fewest multiplications.

    Cormen et al., "Introduction to Algorithms", section 15.2.

    Raises
    ------
    ValueError
        If there is none, or they are no matrices that match.

    >>> chain_matmul(np.ones((2, 3)), np.ones((3, 1)), np.ones((1, 2)))[0]
    array([3., 3.])
    """
    if not matrices:
        raise ValueError("chain_matmul: expects at least one matrix, got none")
    for x in matrices:
        _expect("chain_matmul", "each", x, 2)
    sizes = [matrices[0].shape[0], *(x.shape[1] for x in matrices)]
    count = len(matrices)
    cost: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(count)}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            ways = [
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            ]
            cost[i, j] = min(ways)

    def product(i: int, j: int) -> Any:
        if i == j:
            return matrices[i]
        k = cost[i, j][1]
        return _product("chain_matmul", product(i, k), product(k + 1, j))

    return product(0, count - 1)
