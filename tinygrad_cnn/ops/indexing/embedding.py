"""Tables of rows: one_hot, embedding, embedding_bag."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tinygrad_cnn.inplace import before_writing, changed
from tinygrad_cnn.kernels.reduce.scatter import add_rows
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.arguments import names_operands, shape_of, values_of, without_graph
from tinygrad_cnn.ops.elementwise import add, div, mul
from tinygrad_cnn.ops.indexing.scattering import ScatterExtreme
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.shape import reshape, unsqueeze
from tinygrad_cnn.types import Array, Operand, Shape

__all__ = ["embedding", "embedding_bag", "one_hot"]


@names_operands
def one_hot(tensor: Operand, num_classes: int = -1) -> Any:
    """Return for each class index a row of zeros with a 1 at its place, integers without a graph.

    Parameters
    ----------
    tensor
        Integers >= 0 of any shape.
    num_classes
        The length of a row; -1 takes the greatest index and one more.

    Raises
    ------
    TypeError
        If the indices are not integers.
    ValueError
        If an index is negative or not below ``num_classes``, or it cannot be seen whether it is.

    >>> one_hot(np.array([1, 0]), 3)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    index = values_of(tensor)
    if index.dtype.kind not in "iu":
        raise TypeError(f"one_hot: expects integers, got {index.dtype}")
    if not index.size and num_classes < 1:
        raise ValueError("one_hot: num_classes expects an int >= 1 where there is no index")
    if index.size and index.min() < 0:
        raise ValueError(f"one_hot: expects indices >= 0, got {index.min()}")
    count = int(index.max()) + 1 if num_classes == -1 else operator.index(num_classes)
    if index.size and index.max() >= count:
        raise ValueError(f"one_hot: index {index.max()} is not below num_classes {count}")
    return without_graph(tensor, (index[..., None] == np.arange(count)).astype(np.int64))


class Embedding(Op):
    """Rows of a weight."""

    __slots__ = ()
    saves = {"weight": ("index",)}

    def forward(self, weight: Any, index: Any) -> Any:
        return weight[index]

    def backward(self, g: Any, out: Any, weight: Any, index: Any) -> tuple[Any, ...]:
        return EmbeddingGradient(weight.shape[0])(g, index), None


class EmbeddingGradient(Op):
    """Zeros with rows added at the index, repeats adding up: the adjoint of `Embedding`."""

    __slots__ = ("rows",)
    saves = {"y": ("index",)}

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def forward(self, y: Any, index: Any) -> Any:
        rows = np.reshape(y, (index.size, y.shape[-1]))
        return add_rows(rows, index.reshape(-1), self.rows)

    def backward(self, g: Any, out: Any, y: Any, index: Any) -> tuple[Any, ...]:
        return Embedding()(g, index), None


def embedding(
    input: Operand,
    weight: Operand,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """Look up rows of a table: ``weight[input]``.

    Parameters
    ----------
    input
        Integers of any shape.
    weight
        Shape (V, D): a row for each of V entries.
    padding_idx
        A row that gets no gradient.
    max_norm, norm_type
        Before they are looked up, rows whose `norm_type`-norm is greater than `max_norm` are
        shortened to it **in the weight itself**, without a gradient.
    scale_grad_by_freq
        Divide the gradient of a row by the number of times that it is looked up.
    sparse
        Taken for PyTorch's sake; gradients are dense.

    Returns
    -------
    Shape (…, D).

    Raises
    ------
    IndexError
        If an index or the padding index does not exist.
    TypeError
        If the indices are not integers.
    ValueError
        If the weight is not a matrix.

    >>> embedding(np.array([1, 0]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[3., 4.],
           [1., 2.]])
    """
    del sparse
    rows = _table("embedding", weight)[0]
    index = _indices("embedding", input, rows)
    if max_norm is not None:
        _shorten(weight, index, max_norm, norm_type)
    found = _by_frequency(weight, index, rows) if scale_grad_by_freq else Embedding()(weight, index)
    padding = _padding("embedding", padding_idx, rows)
    if padding is None:
        return found
    constant = values_of(weight)[padding].copy()  # a row without a gradient
    return where((index != padding)[..., None], found, constant)


def _by_frequency(weight: Any, index: Array, rows: int) -> Any:
    """Look up rows whose gradient is divided by how often each is: the rest are constants."""
    found = Embedding()(weight, index)
    share = 1.0 / np.maximum(np.bincount(index.reshape(-1), minlength=rows), 1)[index][..., None]
    constant = values_of(found).copy()
    return add(found, mul(found - constant, (share - 1.0).astype(constant.dtype)))


def _shorten(weight: Any, index: Array, max_norm: float, norm_type: float) -> None:
    """Shorten rows of a weight in place, as PyTorch's ``embedding_renorm_`` does."""
    array = weight._data if isinstance(weight, TensorBase) else weight
    rows = np.unique(index)
    values = array[rows]
    norms = np.linalg.norm(np.asarray(values, np.result_type(values, np.float32)), norm_type, 1)
    long = norms > max_norm
    if long.any():
        factors = (max_norm / (norms[long] + 1e-7)).astype(array.dtype)
        before_writing(array)
        array[rows[long]] = values[long] * factors[:, None]
        changed(array, by="embedding's max_norm")


def _table(function: str, weight: Operand) -> Shape:
    shape = shape_of(function, weight)
    if len(shape) != 2:
        raise ValueError(f"{function}: weight expects shape (entries, width), got {shape}")
    return shape


def _indices(function: str, index: Any, rows: int) -> Array:
    array = np.array(values_of(index))
    if array.dtype.kind not in "iu":
        raise TypeError(f"{function}: expects integers to look up, got {array.dtype}")
    if array.size and not 0 <= array.min() <= array.max() < rows:
        wrong = array.min() if array.min() < 0 else array.max()
        raise IndexError(f"{function}: index {wrong} does not exist in a weight of {rows} rows")
    return array.astype(np.intp)


def _padding(function: str, padding: int | None, rows: int) -> int | None:
    if padding is None:
        return None
    if not -rows <= padding < rows:
        raise IndexError(f"{function}: padding_idx {padding} does not exist in {rows} rows")
    return int(padding) % rows


def embedding_bag(
    input: Operand,
    weight: Operand,
    offsets: Operand | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Operand | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Look up rows of a table and reduce them bag by bag, without keeping them apart.

    Parameters
    ----------
    input
        Integers of shape (bags, n), or a vector, which ``offsets`` cut into bags.
    weight
        Shape (V, D).
    offsets
        Where each bag begins in a vector of indices.
    mode
        "sum", "mean" or "max"; an empty bag gives zeros. Of equals, each takes a share of the
        gradient of "max".
    per_sample_weights
        A factor for each index, only for "sum".
    include_last_offset
        Whether the offsets end with the number of indices.
    padding_idx
        A row that does not count, and gets no gradient.
    max_norm, norm_type, scale_grad_by_freq, sparse
        As for `embedding`.

    Returns
    -------
    Shape (bags, D).

    Raises
    ------
    IndexError
        If an index does not exist.
    TypeError
        If the indices are not integers.
    ValueError
        If the shapes do not fit each other or the mode.

    >>> embedding_bag(np.array([[0, 1]]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[2., 3.]])
    """
    del sparse
    rows, width = _table("embedding_bag", weight)
    index, bag, bags = _bags(_indices("embedding_bag", input, rows), offsets, include_last_offset)
    if max_norm is not None:
        _shorten(weight, index, max_norm, norm_type)
    factors = _factors(per_sample_weights, mode, index.size)
    padding = _padding("embedding_bag", padding_idx, rows)
    if padding is not None:
        kept = np.flatnonzero(index != padding)
        index, bag = index[kept], bag[kept]
        factors = None if factors is None else factors[kept]
    found = _by_frequency(weight, index, rows) if scale_grad_by_freq else Embedding()(weight, index)
    if mode == "max":
        floor = np.full((bags, width), -np.inf, found.dtype)
        floor[np.bincount(bag, minlength=bags) == 0] = 0.0
        indices = np.broadcast_to(bag[:, None], found.shape)
        return ScatterExtreme(0, largest=True)(floor, found, indices)
    if factors is not None:
        found = mul(found, unsqueeze(factors, 1))
    total = EmbeddingGradient(bags)(found, bag)  # (bags, D)
    if mode == "sum":
        return total
    count = np.maximum(np.bincount(bag, minlength=bags), 1)
    return div(total, count[:, None].astype(found.dtype))


def _bags(index: Array, offsets: Any, include_last: bool) -> tuple[Array, Array, int]:
    """Return the indices in a row, the bag of each, and the number of bags."""
    if index.ndim == 2:
        if offsets is not None:
            raise ValueError("embedding_bag: offsets expects None for indices of 2 dimensions")
        return index.reshape(-1), np.repeat(np.arange(len(index)), index.shape[1]), len(index)
    if index.ndim != 1 or offsets is None:
        raise ValueError(
            "embedding_bag: expects indices of shape (bags, n), or a vector with offsets, got "
            f"shape {index.shape} {'without offsets' if offsets is None else ''}"
        )
    starts = np.array(values_of(offsets))
    if starts.ndim != 1 or starts.dtype.kind not in "iu":
        raise ValueError("embedding_bag: offsets expects a vector of integers")
    if include_last:
        if not starts.size:
            raise ValueError("embedding_bag: include_last_offset expects at least one offset")
        starts = starts[:-1]
    if starts.size and (starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > len(index)):
        raise ValueError("embedding_bag: offsets expects a rising sequence that begins with 0")
    lengths = np.diff(starts, append=len(index)) if starts.size else starts
    return index, np.repeat(np.arange(len(starts)), lengths), len(starts)


def _factors(factors: Any, mode: str, count: int) -> Any:
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag: mode expects 'sum', 'mean' or 'max', got {mode!r}")
    if factors is None:
        return None
    if mode != "sum":
        raise ValueError(f"embedding_bag: per_sample_weights expects mode 'sum', got {mode!r}")
    if np.size(values_of(factors)) != count:
        raise ValueError(
            f"embedding_bag: per_sample_weights expects a number for each of {count} indices"
        )
    return reshape(factors, -1)
