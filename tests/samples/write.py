"""Samples of writes: overwriting and adding at keys, directly and through views."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tinygrad_cnn import GraphError, enable_grad, tensor
from tinygrad_cnn.ops.index import Slice, plain_key
from tinygrad_cnn.ops.shape import Permute, Reshape
from tinygrad_cnn.ops.write import AddAt, Path, Write

_rng = np.random.default_rng(22)
_v = _rng.standard_normal(6)
_m = _rng.standard_normal((4, 5))
_c = _rng.standard_normal((2, 3, 4))
_mask = _rng.random((4, 5)) < 0.5
_rows = np.array([2, 0, 2])


def _sample(kind: Any, x: Any, path: list[Any], key: Any, value: Any, view: Any, note: str) -> Any:
    op = kind(Path(path), plain_key(key))

    def oracle(x: Any, value: Any) -> Any:
        out = np.array(x)
        part = view(out)
        if kind is Write:
            part[key] = value
        else:
            np.add.at(part, key, value)
        return out

    return Sample(op.__class__, op, (x, value), oracle, note)


def _both(x: Any, key: Any, value: Any, note: str) -> list[Any]:
    return [_sample(kind, x, [], key, value, lambda x: x, note) for kind in (Write, AddAt)]


_row = Slice(plain_key((slice(1, 3),)))

SAMPLES = [
    *_both(_v, 2, np.array(3.0), "an element"),
    *_both(_m, (slice(1, 3), slice(None, None, 2)), _m[:2, :3], "slices"),
    *_both(_m, (1, ...), _v[:5], "a row"),
    *_both(_m, slice(0, 2), _v[:5], "rows broadcast"),
    *_both(_m, ..., np.array(2.0), "everything"),
    *_both(np.array(2.0), ..., np.array(3.0), "a number"),
    *_both(_m, _mask, _rng.standard_normal(int(_mask.sum())), "mask"),
    *_both(_m, [0, 3], _m[:2] * 2, "a list"),
    *_both(_m, (slice(None), _rows), _rng.standard_normal((4, 3)), "repeats: the last one wins"),
    *_both(_v, _rows, np.array(0.5), "repeats of one number"),
    *_both(_m, slice(2, 2), np.zeros((0, 5)), "nothing"),
    *[
        _sample(kind, _m, [Permute((1, 0)), _row], (0, slice(2)), _v[:2], lambda x: x.T[1:3], note)
        for kind, note in ((Write, "through views"), (AddAt, "through views"))
    ],
    *[
        _sample(kind, _c, [Reshape((6, 4))], [5, 0], _c[0, :2], lambda x: x.reshape(6, 4), note)
        for kind, note in ((Write, "through a reshape"), (AddAt, "through a reshape"))
    ],
]


def _into_a_leaf() -> None:
    with enable_grad():
        tensor(_v, requires_grad=True)[0] = 1.0


def _of_another_dtype() -> None:
    t = tensor([1, 2])
    t += 1.5


ERRORS = [
    ErrorSample(_into_a_leaf, GraphError, r"^setitem: a leaf .* no_grad\(\), or", "leaf"),
    ErrorSample(_of_another_dtype, TypeError, r"^\+=: the result is float32; .* stays int", "int"),
    ErrorSample(
        lambda: tensor(_m).add_(np.zeros((2, 4, 5))),
        ValueError,
        r"^add_: the result has shape \(2, 4, 5\); .* its shape \(4, 5\)",
        "growing",
    ),
    ErrorSample(
        lambda: tensor(_m).__setitem__(0, np.zeros(3)),
        ValueError,
        r"^setitem: could not broadcast .*; the tensor has shape \(4, 5\)",
        "value of another shape",
    ),
    ErrorSample(
        lambda: tensor(_m).__setitem__(0, "a"),
        TypeError,
        "^setitem: expects a tensor, an array or a number to write, got str",
        "text",
    ),
    ErrorSample(
        lambda: tensor([1, 2]).__setitem__(0, tensor(1.0, requires_grad=True)),
        TypeError,
        "^setitem: a value that requires a gradient is not written to a tensor of int64",
        "gradient into integers",
    ),
    ErrorSample(
        lambda: tensor(_v).expand(2, 6).zero_(),
        ValueError,
        "^fill_: the memory of the tensor is not written to",
        "repeated elements",
    ),
    ErrorSample(
        lambda: tensor(_m).scatter_(0, [0, 1], 1.0),
        IndexError,
        "^scatter_: expects an index of integers of 2 dimensions",
        "index of other dimensions",
    ),
]
