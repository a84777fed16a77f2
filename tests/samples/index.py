"""Samples of indexing: every kind of key, alone and mixed, against loops or NumPy itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tinygrad_cnn import tensor
from tinygrad_cnn.ops.index import Gather, ScatterAdd, Slice, Unslice, getitem, plain_key

_rng = np.random.default_rng(5)
_v = _rng.standard_normal(6)
_m = _rng.standard_normal((4, 5))
_c = _rng.standard_normal((3, 4, 5))
_mask = _rng.random((4, 5)) < 0.5
_repeats = np.array([0, 2, 2, 0, 2])


def _sample(op: Any, x: Any, key: Any, note: str, numpy_key: Any = None) -> Sample:
    plain = key if numpy_key is None else numpy_key
    return Sample(op, lambda x: getitem(x, key), (x,), lambda x: x[plain], note)


def _unslice(y: Any, key: Any, shape: Any) -> Any:
    out = np.zeros(shape)
    out[key] = y
    return out


def _scatter(y: Any, key: Any, shape: Any) -> Any:
    """Add element by element, places found by NumPy's indexing of their numbers."""
    out = np.zeros(int(np.prod(shape)))
    places = np.arange(out.size).reshape(shape)[key]
    for at in np.ndindex(*places.shape):
        out[places[at]] += y[at]
    return out.reshape(shape)


def _adjoint(op: Any, y: Any, key: Any, shape: Any, note: str) -> Sample:
    oracle = _unslice if op is Unslice else _scatter
    return Sample(op, op(plain_key(key), shape), (y,), lambda y: oracle(y, key, shape), note)


SAMPLES = [
    _sample(Slice, _v, 2, "int"),
    _sample(Slice, _m, -1, "negative int"),
    _sample(Slice, _m, (1, 2), "one element"),
    _sample(Slice, _v, np.int64(3), "NumPy int"),
    _sample(Slice, _v, tensor(3), "number tensor", 3),
    _sample(Slice, _m, slice(1, 3), "slice"),
    _sample(Slice, _m, (slice(None), slice(None, None, -2)), "negative step"),
    _sample(Slice, _m, slice(tensor(1), np.int64(3)), "slice of other integers", slice(1, 3)),
    _sample(Slice, _m, (None, 1, None, slice(0, 9)), "new dimensions"),
    _sample(Slice, _c, (..., 0), "Ellipsis"),
    _sample(Slice, _c, (0, ..., slice(2)), "Ellipsis in the middle"),
    _sample(Slice, _c, (), "empty tuple"),
    _sample(Slice, _m, slice(3, 1), "nothing"),
    _sample(Slice, np.array(2.0), (None, ...), "of a number"),
    _sample(Gather, _m, [0, 2, 2], "list with repeats"),
    _sample(Gather, _m, _repeats - 3, "negative indices"),
    _sample(Gather, _c, (slice(None), _repeats), "array after a slice"),
    _sample(Gather, _c, (_repeats[:3], slice(None), _repeats[:3]), "arrays around a slice"),
    _sample(Gather, _c, (1, slice(1, 3), [0, 0, 4]), "int and slice and list"),
    _sample(Gather, _c, ([[0], [2]], [1, 1, 3]), "arrays broadcast"),
    _sample(Gather, _c, (None, [0, 0], ..., slice(None, None, -1)), "array with None, Ellipsis"),
    _sample(Gather, _v, [[0, 1], [1, 5]], "array of two dimensions"),
    _sample(Gather, _v, tensor([1, 1, 0]), "tensor of integers", np.array([1, 1, 0])),
    _sample(
        Gather, _m, (np.arange(4), tensor([4, 0, 0, 2])), "pairs", (np.arange(4), [4, 0, 0, 2])
    ),
    _sample(Gather, _m, _mask, "mask"),
    _sample(Gather, _m, tensor(_mask), "mask tensor", _mask),
    _sample(Gather, _c, (slice(None, 2), _mask), "slice and mask"),
    _sample(Gather, _c, ([0, 2], [True, False, False, True]), "ints and mask"),
    _sample(Gather, _c, ([1], np.array([True, True, False, True])), "one int and mask"),
    _sample(Gather, _m, np.zeros((4, 5), bool), "mask of nothing"),
    _sample(Gather, _m, [], "empty list"),
    _sample(Gather, _v, (True, slice(2)), "True"),
    _adjoint(Unslice, _v[:3], (slice(1, None, 2),), (6,), "slice"),
    _adjoint(Unslice, _m[:2], (1, slice(None, None, -3)), (3, 4, 5), "int and negative step"),
    _adjoint(ScatterAdd, _m[:, :3], ([0, 1, 1, 0],), (2, 3), "rows"),
    _adjoint(ScatterAdd, _v, (np.array([3, 3, 3, 1, 0, 3]),), (5,), "one dimension"),
    _adjoint(
        ScatterAdd, _v.reshape(2, 3), (slice(None), np.array([7, 7, 199])), (2, 200), "few places"
    ),
    _adjoint(ScatterAdd, _v[: _mask[0].sum()], (_mask[0],), (5,), "mask"),
]

_OUT = r"getitem: index 4 is out of bounds for axis 0 with size 4; the shape is \(4, 5\)"

ERRORS = [
    ErrorSample(lambda: getitem(_m, 4), IndexError, _OUT, "int out of range"),
    ErrorSample(lambda: getitem(_m, [0, 4]), IndexError, _OUT, "array out of range"),
    ErrorSample(lambda: getitem(tensor(_m), 4), IndexError, _OUT, "int out of a tensor's range"),
    ErrorSample(
        lambda: getitem(_m, (0, slice(None), 0)), IndexError, "getitem: too many indices", "many"
    ),
    ErrorSample(
        lambda: getitem(_m, np.ones(3, bool)),
        IndexError,
        "getitem: boolean index did not match .* 4 .* 3; the shape is",
        "mask of another size",
    ),
    ErrorSample(
        lambda: getitem(_m, ([0, 1], [0, 1, 2])),
        IndexError,
        r"getitem: shape mismatch.*\(2,\) \(3,\)",
        "arrays that do not broadcast",
    ),
    ErrorSample(
        lambda: getitem(_m, 1.0),
        IndexError,
        "getitem: an index is an integer, a slice, None, .* got float of float64",
        "float",
    ),
    ErrorSample(
        lambda: getitem(_m, tensor([0.0])), IndexError, "got Tensor of float32", "float tensor"
    ),
    ErrorSample(lambda: getitem(_m, "a"), IndexError, "got str", "string"),
    ErrorSample(lambda: getitem(_m, [[0], [0, 1]]), IndexError, "does not make an array", "ragged"),
    ErrorSample(
        lambda: getitem(_m, slice(0.5, 2)),
        IndexError,
        "getitem: the bounds of a slice are integers or None, got float",
        "float bound",
    ),
    ErrorSample(
        lambda: getitem(_m, slice(0, 3, 0)),
        ValueError,
        "getitem: slice step cannot be zero",
        "step",
    ),
    ErrorSample(
        lambda: tensor(_m).__setitem__(0.5, 1.0), IndexError, "setitem: an index is an", "setitem"
    ),
]
