"""Samples of repeating, turning, diagonals and cutting, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tests.samples.elementwise import signed
from tinygrad_cnn.ops.index import Gather, Slice
from tinygrad_cnn.ops.join import Concatenate, Stack
from tinygrad_cnn.ops.rearranging import cutting, diagonal, repeat
from tinygrad_cnn.ops.rearranging.diagonal import Diagonal, DiagonalEmbed, Triangle
from tinygrad_cnn.ops.rearranging.repeat import Roll
from tinygrad_cnn.ops.shape import BroadcastTo, Permute, Reshape

_m = signed(3, 4)
_c = signed(2, 3, 4)
_counts = np.array([2, 0, 3])


def _embedded(offset: int, dim1: int, dim2: int) -> Any:
    """Place by place: rows in dim1 and columns in dim2 of the result."""

    def oracle(y: Any) -> Any:
        size = y.shape[-1] + abs(offset)
        out = np.zeros((*y.shape[:-1], size, size))
        for i in range(y.shape[-1]):
            out[..., i + max(-offset, 0), i + max(offset, 0)] = y[..., i]
        return np.moveaxis(out, (-2, -1), (dim1, dim2))

    return oracle


_REPEATED = [
    Sample(BroadcastTo, lambda x: repeat.repeat(x, 2, 3), (_m,), lambda x: np.tile(x, (2, 3))),
    Sample(
        BroadcastTo,
        lambda x: repeat.repeat(x, (2, 1, 2)),
        (signed(3, 1),),
        lambda x: np.tile(x, (2, 1, 2)),
        "new dimension",
    ),
    Sample(BroadcastTo, lambda x: repeat.repeat(x, 0), (signed(2),), lambda x: x[:0], "never"),
    Sample(BroadcastTo, lambda x: repeat.tile(x, 2), (_c,), lambda x: np.tile(x, 2), "tile"),
    Sample(
        BroadcastTo, lambda x: repeat.tile(x, (2, 2)), (signed(),), lambda x: np.tile(x, (2, 2))
    ),
    Sample(Gather, lambda x: repeat.repeat_interleave(x, 2), (_m,), lambda x: np.repeat(x, 2)),
    Sample(
        Gather,
        lambda x: repeat.repeat_interleave(x, _counts, 1),
        (_c,),
        lambda x: np.repeat(x, _counts, 1),
        "counts",
    ),
    Sample(Slice, lambda x: repeat.flip(x, (0, -1)), (_c,), lambda x: np.flip(x, (0, 2)), "flip"),
    Sample(Slice, repeat.flipud, (_m,), np.flipud, "flipud"),
    Sample(Slice, repeat.fliplr, (_m,), np.fliplr, "fliplr"),
    Sample(Roll, lambda x: repeat.roll(x, 2), (_m,), lambda x: np.roll(x, 2), "flat"),
    Sample(Roll, lambda x: repeat.roll(x, -1, 1), (_c,), lambda x: np.roll(x, -1, 1), "one"),
    Sample(
        Roll,
        lambda x: repeat.roll(x, (5, 1), (0, 2)),
        (_c,),
        lambda x: np.roll(x, (5, 1), (0, 2)),
        "two",
    ),
    *[
        Sample(
            Permute if k % 2 else Slice if k else Permute,
            lambda x, k=k: repeat.rot90(x, k, (1, 2)),
            (_c,),
            lambda x, k=k: np.rot90(x, k, (1, 2)),
            f"rot90 {k} times",
        )
        for k in (-1, 0, 1, 2, 7)
    ],
]

_DIAGONALS = [
    *[
        Sample(Triangle, lambda x, k=k: diagonal.tril(x, k), (_c,), lambda x, k=k: np.tril(x, k))
        for k in (-1, 0, 2)
    ],
    *[
        Sample(Triangle, lambda x, k=k: diagonal.triu(x, k), (_m,), lambda x, k=k: np.triu(x, k))
        for k in (-4, 0, 1)
    ],
    *[
        Sample(
            Diagonal,
            lambda x, k=k: diagonal.diagonal(x, k, 2, 0),
            (_c,),
            lambda x, k=k: np.diagonal(x, k, 2, 0),
            f"offset {k}",
        )
        for k in (-9, -1, 0, 1)
    ],
    Sample(Diagonal, lambda x: diagonal.diag(x, 1), (_m,), lambda x: np.diag(x, 1), "of a matrix"),
    Sample(Diagonal, diagonal.trace, (_m,), np.trace, "trace"),
    *[
        Sample(
            DiagonalEmbed,
            lambda x, a=(offset, one, two): diagonal.diag_embed(x, *a),
            (_m,),
            _embedded(offset, one, two),
            f"offset {offset} in {one} and {two}",
        )
        for offset, one, two in ((0, -2, -1), (1, 0, 2), (-2, 1, 0))
    ],
    Sample(DiagonalEmbed, diagonal.diag, (signed(3),), np.diag, "of a vector"),
    Sample(DiagonalEmbed, diagonal.diagflat, (_m,), np.diagflat, "diagflat"),
]

_CUT = [
    Sample(Slice, lambda x: cutting.unbind(x, 1)[2], (_c,), lambda x: x[:, 2], "unbind"),
    Sample(Slice, lambda x: cutting.chunk(x, 3, 2)[1], (_c,), lambda x: x[..., 2:4], "chunk"),
    *[
        Sample(
            Slice,
            lambda x, at=at: cutting.tensor_split(x, at, -1)[1],
            (_c,),
            lambda x, at=at: np.array_split(x, at, -1)[1],
            f"tensor_split {at}",
        )
        for at in (3, [1, 3], [-2])
    ],
    Sample(Slice, lambda x: cutting.select(x, 1, -1), (_c,), lambda x: x[:, -1], "select"),
    Sample(Slice, lambda x: cutting.narrow(x, 2, -3, 2), (_c,), lambda x: x[..., 1:3], "narrow"),
    Sample(
        Permute,
        lambda x: cutting.movedim(x, (0, 1), (-1, 0)),
        (_c,),
        lambda x: np.moveaxis(x, (0, 1), (-1, 0)),
        "movedim",
    ),
    Sample(Permute, lambda x: cutting.swapaxes(x, 0, 2), (_c,), lambda x: np.swapaxes(x, 0, 2)),
    Sample(Permute, cutting.t, (_m,), np.transpose, "t"),
    Sample(Reshape, cutting.ravel, (_m,), np.ravel, "ravel"),
    Sample(
        Reshape,
        lambda x: cutting.unflatten(x, 2, (2, -1)),
        (_c,),
        lambda x: x.reshape(2, 3, 2, 2),
        "unflatten",
    ),
    *[
        Sample(
            Concatenate,
            lambda a, b, f=ours: f([a, b]),
            (signed(*shape), signed(*shape)),
            lambda a, b, f=theirs: f([a, b]),
            f"{ours.__name__} of {len(shape)} dimensions",
        )
        for ours, theirs in (
            (cutting.hstack, np.hstack),
            (cutting.vstack, np.vstack),
            (cutting.dstack, np.dstack),
        )
        for shape in ((), (2,), (2, 3), (2, 3, 2))
    ],
    Sample(
        Stack,
        lambda a, b: cutting.column_stack([a, b]),
        (signed(3), signed(3)),
        lambda a, b: np.column_stack([a, b]),
        "column_stack",
    ),
    Sample(
        Concatenate,
        lambda a, b: cutting.column_stack([a, b]),
        (signed(3), signed(3, 2)),
        lambda a, b: np.column_stack([a, b]),
        "column_stack of a matrix",
    ),
]

SAMPLES = [*_REPEATED, *_DIAGONALS, *_CUT]


def _error(f: Any, args: tuple[Any, ...], error: type[Exception], message: str) -> ErrorSample:
    return ErrorSample(lambda: f(*args), error, f"^{f.__name__}: {message}")


ERRORS = [
    _error(repeat.repeat, (_m, 2), ValueError, "expects a number >= 0 for each of 2 dimensions"),
    _error(repeat.tile, (_m, -1), ValueError, "expects numbers >= 0"),
    _error(repeat.repeat_interleave, (_m, [1, 2], 1), ValueError, "repeats expects a number >= 0"),
    _error(repeat.repeat_interleave, (_m, 1.5), TypeError, "repeats expects integers"),
    ErrorSample(
        lambda: repeat.repeat_interleave(_m, 2, 0, output_size=5),
        ValueError,
        "output_size expects 6",
    ),
    _error(repeat.flip, (_m, 2), IndexError, "dim 2 does not exist"),
    _error(repeat.flip, (_m, (0, -2)), ValueError, "a dimension appears twice"),
    _error(repeat.fliplr, (signed(3),), ValueError, "expects at least 2 dimensions"),
    _error(repeat.roll, (_m, (1, 2)), ValueError, "without dim, shifts expects one number"),
    _error(repeat.roll, (_m, (1, 2), 0), ValueError, "expects as many shifts as dims"),
    _error(repeat.rot90, (_m, 1, (0, 0)), ValueError, "expects two different dims"),
    _error(repeat.rot90, (signed(3),), ValueError, "expects two dims of at least two"),
    _error(diagonal.tril, (signed(3),), ValueError, "expects matrices"),
    _error(diagonal.diagonal, (_m, 0, 1, -1), ValueError, "expects two different dimensions"),
    _error(diagonal.diagonal, (_m, 0, 0, 2), IndexError, "dim 2 does not exist"),
    _error(diagonal.diagonal, (signed(3),), ValueError, "expects 2 dimensions or more"),
    _error(diagonal.diag, (_c,), ValueError, "expects a vector or a matrix"),
    _error(diagonal.diag_embed, (np.float64(1.0),), ValueError, "expects at least one dimension"),
    _error(diagonal.trace, (_c,), ValueError, "expects a matrix"),
    _error(cutting.unbind, (np.float64(1.0),), ValueError, "expects at least one dimension"),
    _error(cutting.chunk, (_m, 0), ValueError, "chunks expects an int >= 1"),
    _error(cutting.tensor_split, (_m, 0), ValueError, "expects at least 1 section"),
    _error(cutting.select, (_m, 0, 3), IndexError, "index 3 does not exist in dim 0"),
    _error(cutting.narrow, (_m, 0, 1, 3), ValueError, "start 1 and length 3 do not lie in dim 0"),
    _error(cutting.movedim, (_m, (0, 0), (0, 1)), ValueError, "expects as many sources"),
    _error(cutting.t, (_c,), ValueError, "expects at most 2 dimensions"),
    _error(cutting.unflatten, (_m, 1, (3, -1)), ValueError, "sizes .* do not fit dim 1"),
]
