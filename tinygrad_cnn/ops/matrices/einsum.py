"""Sums of products by Einstein's convention, two operands at a time, each as a matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import names_operands, shape_of
from tinygrad_cnn.ops.elementwise import add
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.rearranging.diagonal import Diagonal
from tinygrad_cnn.ops.reduce import sum
from tinygrad_cnn.ops.shape import broadcast_to, permute, reshape
from tinygrad_cnn.types import Operand

__all__ = ["bilinear", "einsum"]

# The dimensions under an ellipsis get names of their own, from the right.
_HIDDEN = "".join(map(chr, range(0x2460, 0x2480)))


def einsum(equation: str, *operands: Operand | Sequence[Operand]) -> Any:
    """Sum products by Einstein's convention: ``einsum("ij,jk->ik", a, b)`` multiplies matrices.

    Parameters
    ----------
    equation
        A letter for each dimension of each operand, operands apart by commas; after ``->`` the
        letters of the result. Those missing there are summed over. Without ``->`` the result has
        the letters that appear once, in alphabetical order. A letter twice in one operand takes
        its diagonal; ``...`` stands for dimensions that are broadcast.
    operands
        Tensors or arrays, one for each part of the equation; or one list of them.

    Raises
    ------
    ValueError
        If the equation does not fit the operands.

    The products are taken from left to right.

    >>> einsum("ij,j->i", np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    if not isinstance(equation, str):
        raise ValueError(f"einsum: equation expects text, got {type(equation).__name__}")
    xs: list[Any] = list(operands)
    if len(xs) == 1 and isinstance(xs[0], (list, tuple)):
        xs = list(xs[0])
    names, result = _parsed(equation, [len(shape_of("einsum", x)) for x in xs])
    sizes = _sizes(names, xs)
    pairs = [_simple(x, labels, sizes) for x, labels in zip(xs, names, strict=True)]
    x, labels = pairs[0]
    for i, (y, others) in enumerate(pairs[1:], 1):
        later = set(result).union(*(rest for _, rest in pairs[i + 1 :]))
        x, labels = _multiplied(x, labels, y, others, later)
    x, labels = _summed(x, labels, set(result))
    missing = [name for name in result if name not in labels]  # size 1 everywhere
    x, labels = reshape(x, [*x.shape, *(1 for _ in missing)]), labels + "".join(missing)
    return permute(x, [labels.index(name) for name in result])


@names_operands
def bilinear(input1: Operand, input2: Operand, weight: Operand, bias: Operand | None = None) -> Any:
    """Apply a bilinear form: ``y[…, o] = Σᵢⱼ a[…, i] · weight[o, i, j] · b[…, j] + bias[o]``.

    Parameters
    ----------
    input1, input2
        (…, I) and (…, J), the leading dimensions alike.
    weight, bias
        (O, I, J), and (O,) or None.

    Returns
    -------
    (…, O).

    Raises
    ------
    ValueError
        If the shapes do not match.

    >>> bilinear(np.array([2.0]), np.array([3.0]), np.array([[[1.0]], [[10.0]]]))
    array([ 6., 60.])
    """
    a, b, w = (tuple(x.shape) for x in (input1, input2, weight))
    matches = a and b and len(w) == 3 and a[:-1] == b[:-1] and w[1:] == (a[-1], b[-1])
    if not matches or (bias is not None and tuple(bias.shape) != w[:1]):
        raise ValueError(
            "bilinear: expects (…, I) and (…, J) with weight (O, I, J) and bias (O,), got "
            f"{a}, {b}, {w} and {None if bias is None else tuple(bias.shape)}"
        )
    out = einsum("...i,oij,...j->...o", input1, weight, input2)
    return out if bias is None else add(out, bias)


def _parsed(equation: str, ndims: list[int]) -> tuple[list[str], str]:
    """Return the names of each operand's dimensions, and of the result's."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(ndims):
        raise ValueError(f"einsum: {equation!r} names {len(parts)} operands, got {len(ndims)}")
    names = [_named(equation, part, ndim) for part, ndim in zip(parts, ndims, strict=True)]
    hidden = max(map(_hidden, names), key=len, default="")
    joined = "".join(names)
    if arrow:
        result = right.replace("...", hidden, 1)
        if "." in result or not set(result) <= set(joined) | set(hidden):
            raise ValueError(f"einsum: the result of {equation!r} names what no operand has")
        if len(set(result)) != len(result):
            raise ValueError(f"einsum: the result of {equation!r} names a dimension twice")
    else:
        once = sorted(n for n in set(joined) if joined.count(n) == 1 and n not in _HIDDEN)
        result = hidden + "".join(once)
    return names, result


def _hidden(names: str) -> str:
    return "".join(n for n in names if n in _HIDDEN)


def _named(equation: str, part: str, ndim: int) -> str:
    """Return a name for each dimension, the ellipsis written out."""
    letters = part.replace("...", "", 1)
    if not all(c.isascii() and c.isalpha() for c in letters):
        raise ValueError(f"einsum: {part!r} in {equation!r} expects letters and one '...'")
    more = ndim - len(letters)
    if more < 0 or (more and "..." not in part):
        raise ValueError(
            f"einsum: {part!r} in {equation!r} names {len(letters)} dimensions, got {ndim}"
        )
    return part.replace("...", _HIDDEN[:more][::-1], 1)


def _sizes(names: list[str], xs: list[Any]) -> dict[str, int]:
    """Return the size of each name; sizes of 1 are broadcast."""
    sizes: dict[str, int] = {}
    for x, labels in zip(xs, names, strict=True):
        for name, size in zip(labels, shape_of("einsum", x), strict=True):
            known = sizes.get(name, 1)
            if size != known and 1 not in (size, known):
                raise ValueError(f"einsum: dimension {name!r} has sizes {known} and {size}")
            sizes[name] = size if known == 1 else known
    return sizes


def _simple(x: Any, labels: str, sizes: dict[str, int]) -> tuple[Any, str]:
    """Take diagonals of names that repeat; drop dimensions of size 1 that are broadcast."""
    for name in dict.fromkeys(labels):
        while labels.count(name) > 1:
            one = labels.index(name)
            two = labels.index(name, one + 1)
            n, m = x.shape[one], x.shape[two]
            if n != m:  # one of them is 1
                shape = list(x.shape)
                shape[one] = shape[two] = max(n, m)
                x = broadcast_to(x, shape)
            x = Diagonal(0, one, two)(x)
            labels = labels[:one] + labels[one + 1 : two] + labels[two + 1 :] + name
    kept = [i for i, name in enumerate(labels) if not (x.shape[i] == 1 and sizes[name] > 1)]
    shape = [x.shape[i] for i in kept]
    return reshape(x, shape), "".join(labels[i] for i in kept)


def _summed(x: Any, labels: str, wanted: set[str]) -> tuple[Any, str]:
    """Sum over what nobody names any more."""
    gone = tuple(i for i, name in enumerate(labels) if name not in wanted)
    return (sum(x, gone) if gone else x), "".join(n for n in labels if n in wanted)


def _multiplied(x: Any, left: str, y: Any, right: str, later: set[str]) -> tuple[Any, str]:
    """Multiply two operands, summing over what only they name."""
    x, left = _summed(x, left, later | set(right))
    y, right = _summed(y, right, later | set(left))
    both = [n for n in left if n in right and n in later]
    over = [n for n in left if n in right and n not in later]
    rows = [n for n in left if n not in right]
    columns = [n for n in right if n not in left]
    size = {n: x.shape[i] for i, n in enumerate(left)}
    size |= {n: y.shape[i] for i, n in enumerate(right)}

    def arranged(z: Any, labels: str, *groups: list[str]) -> Any:
        order = [labels.index(n) for group in groups for n in group]
        shape = [int(np.prod([size[n] for n in group], dtype=int)) for group in groups]
        return reshape(permute(z, order), shape)

    product = matmul(arranged(x, left, both, rows, over), arranged(y, right, both, over, columns))
    names = both + rows + columns
    return reshape(product, [size[n] for n in names]), "".join(names)
