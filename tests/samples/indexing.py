"""Samples of gathering, scattering, whole rows, masks and tables, against loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tests.samples.elementwise import signed
from tests.samples.piecewise import apart
from tinygrad_cnn.ops.elementwise import Add
from tinygrad_cnn.ops.extreme import TakeAlong
from tinygrad_cnn.ops.index import Gather, ScatterAdd
from tinygrad_cnn.ops.indexing import along, embedding, masked, rows, scattering
from tinygrad_cnn.ops.indexing.embedding import Embedding, EmbeddingGradient
from tinygrad_cnn.ops.indexing.scattering import ScatterAddAlong, ScatterExtreme
from tinygrad_cnn.ops.piecewise import Where

_m = signed(3, 4)
_at = np.array([[0, 3, 3], [-1, 1, 0]])
_down = np.array([[2, 0, 2, 1], [2, 2, 0, 0]])
_mask = np.array([[True, False, True, True], [False] * 4, [True, True, False, False]])
_few = np.array([0, 2, 2])
_words = np.array([[1, 3, 1], [0, 1, 2]])
_table = signed(4, 3)


def _placed(combine: Callable[[float, float], float], dim: int) -> Callable[..., Any]:
    """Put values one after the other."""

    def oracle(x: Any, index: Any, source: Any) -> Any:
        out = np.array(x, float)
        for at in np.ndindex(*index.shape):
            to = list(at)
            to[dim] = index[at]
            out[tuple(to)] = combine(out[tuple(to)], source[at])
        return out

    return oracle


def _by_hand(x: Any, index: Any) -> Any:
    return np.array([[x[i, j] for j in row] for i, row in enumerate(index)])


def _reduced(how: str, include: bool) -> Callable[..., Any]:
    combine: dict[str, Callable[[float, float], float]] = {
        "sum": lambda a, b: a + b,
        "prod": lambda a, b: a * b,
        "mean": lambda a, b: a + b,
        "amax": max,
        "amin": min,
    }

    def oracle(x: Any, index: Any, source: Any) -> Any:
        groups: dict[tuple[int, ...], list[float]] = {}
        for at in np.ndindex(*index.shape):
            groups.setdefault((index[at], at[1]), []).append(source[at])
        out = np.array(x, float)
        for to, found in groups.items():
            values = [x[to], *found] if include else found
            total = values[0]
            for value in values[1:]:
                total = combine[how](total, value)
            out[to] = total / len(values) if how == "mean" else total
        return out

    return oracle


_ALONG = [
    Sample(TakeAlong, lambda x: along.gather(x, 1, _at), (_m,), lambda x: _by_hand(x[:2], _at)),
    Sample(
        TakeAlong,
        lambda x: along.gather(x, 0, np.array([1])),
        (signed(3),),
        lambda x: x[1:2],
        "vector",
    ),
    Sample(
        TakeAlong,
        lambda x: along.take_along_dim(x, np.array([[0], [2]]), 0),
        (_m,),
        lambda x: x[[0, 2]],
        "indices broadcast",
    ),
    Sample(
        Gather,
        lambda x: along.take(x, np.array([[0, -1], [5, 5]])),
        (_m,),
        lambda x: x.reshape(-1)[[[0, -1], [5, 5]]],
        "flat",
    ),
    Sample(
        ScatterAddAlong,
        lambda x, s: scattering.scatter_add(x, 0, _down, s),
        (signed(3, 4), signed(2, 4)),
        lambda x, s: _placed(lambda a, b: a + b, 0)(x, _down, s),
    ),
    Sample(
        ScatterAddAlong,
        lambda x, s: scattering.scatter_add(x, 1, _at, s),
        (_m, signed(3, 5)),
        lambda x, s: _placed(lambda a, b: a + b, 1)(x, _at, s),
        "part of input and source",
    ),
    Sample(
        ScatterAddAlong,
        lambda x, s: scattering.scatter_add(x, 0, np.array(0), s),
        (signed(), signed()),
        lambda x, s: x + s,
        "0-d",
    ),
    Sample(
        (Where, ScatterAddAlong),
        lambda x, s: scattering.scatter(x, 0, _down, s),
        (signed(3, 4), signed(2, 4)),
        lambda x, s: _placed(lambda a, b: b, 0)(x, _down, s),
        "the last is put",
    ),
    Sample(
        Where,
        lambda x: scattering.scatter(x, 1, _at, 7.0),
        (_m,),
        lambda x: _placed(lambda a, b: b, 1)(x, _at, np.full((2, 3), 7.0)),
        "a number",
    ),
    *[
        Sample(
            ScatterExtreme if how in ("amax", "amin") else ScatterAddAlong,
            lambda x, s, how=how, include=include: scattering.scatter_reduce(
                x, 0, _down, s, how, include_self=include
            ),
            apart((3, 4), (2, 4)),
            lambda x, s, how=how, include=include: _reduced(how, include)(x, _down, s),
            f"{how} {include}",
        )
        for how in ("sum", "prod", "mean", "amax", "amin")
        for include in (True, False)
    ],
    Sample(
        ScatterExtreme,
        lambda x, s: scattering.scatter_reduce(x, 0, np.zeros((2, 2), int), s, "amax"),
        (np.array([[2.0, 1.0]]), np.array([[2.0, 2.0], [2.0, 0.0]])),
        lambda x, s: np.array([[2.0, 2.0]]),
        "equals share the gradient",
        smooth=False,
        gradients=(np.array([[1 / 3, 0.0]]), np.array([[1 / 3, 1.0], [1 / 3, 0.0]])),
    ),
    Sample(
        Where,
        lambda x, s: scattering.put(x, np.array([1, 5, 1]), s),
        (_m, signed(3)),
        lambda x, s: np.array([x.flat[0], s[2], *x.flat[2:5], s[1], *x.flat[6:]]).reshape(3, 4),
        "put",
    ),
    Sample(
        (Add, ScatterAdd),
        lambda x, s: scattering.put(x, np.array([1, 5, 1]), s, accumulate=True),
        (_m, signed(3)),
        lambda x, s: x + np.array([0, s[0] + s[2], 0, 0, 0, s[1], *[0] * 6]).reshape(3, 4),
        "put accumulated",
    ),
]


def _rows_put(x: Any, s: Any) -> Any:
    out = x.copy()
    out[:, 0], out[:, 2] = s[:, 0], s[:, 2]
    return out


_ROWS = [
    Sample(Gather, lambda x: rows.index_select(x, 1, _few), (_m,), lambda x: x[:, _few], "rows"),
    Sample(Gather, lambda x: rows.index_select(x, -1, np.array(0)), (signed(),), np.array, "0-d"),
    Sample(
        (Add, ScatterAdd),
        lambda x, s: rows.index_add(x, 1, _few, s, alpha=2.0),
        (_m, signed(3, 3)),
        lambda x, s: _placed(lambda a, b: a + 2 * b, 1)(x, np.tile(_few, (3, 1)), s),
        "index_add",
    ),
    Sample(
        (Where, ScatterAdd),
        lambda x, s: rows.index_copy(x, 1, _few, s),
        (_m, signed(3, 3)),
        _rows_put,
        "index_copy keeps the last",
    ),
    Sample(
        Where,
        lambda x, v: rows.index_fill(x, 0, _few, v),
        (_m, signed()),
        lambda x, v: np.array([np.full(4, v), x[1], np.full(4, v)]),
        "index_fill",
    ),
]

_MASKED = [
    Sample(
        Where,
        lambda x, v: masked.masked_fill(x, _mask, v),
        (_m, signed()),
        lambda x, v: np.where(_mask, v, x),
        "masked_fill",
    ),
    Sample(
        Where,
        lambda x: masked.masked_fill(x, _mask, 3.0),
        (signed(4),),
        lambda x: np.where(_mask, 3.0, x),
        "masked_fill broadcast",
    ),
    Sample(Gather, lambda x: masked.masked_select(x, _mask), (_m,), lambda x: x[_mask], "select"),
    Sample(
        (Where, Gather),
        lambda x, s: masked.masked_scatter(x, _mask, s),
        (_m, signed(2, 3)),
        lambda x, s: np.array(
            [
                [s[0, 0], x[0, 1], s[0, 1], s[0, 2]],
                x[1],
                [s[1, 0], s[1, 1], x[2, 2], x[2, 3]],
            ]
        ),
        "masked_scatter",
    ),
]

_bag = np.array([0, 0, 1, 1, 1])
_places = np.array([1, 3, 1, 0, 2])


def _bags(reduce: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda w: np.array([reduce(w[_places[:2]]), reduce(w[_places[2:]])])


_TABLES = [
    Sample(Embedding, lambda w: embedding.embedding(_words, w), (_table,), lambda w: w[_words]),
    Sample(
        EmbeddingGradient,
        lambda y: EmbeddingGradient(4)(y, _words),
        (signed(2, 3, 3),),
        lambda y: np.array(
            [
                sum((y[i] for i in zip(*np.where(_words == k), strict=True)), np.zeros(3))
                for k in range(4)
            ]
        ),
    ),
    *[
        Sample(
            ScatterExtreme if mode == "max" else EmbeddingGradient,
            lambda w, mode=mode: embedding.embedding_bag(_places, w, np.array([0, 2]), mode=mode),
            apart((4, 3)),
            _bags(f),
            f"bags {mode}",
        )
        for mode, f in (
            ("sum", lambda r: r.sum(0)),
            ("mean", lambda r: r.mean(0)),
            ("max", lambda r: r.max(0)),
        )
    ],
    Sample(
        EmbeddingGradient,
        lambda w, f: embedding.embedding_bag(_words, w, mode="sum", per_sample_weights=f),
        (_table, signed(2, 3)),
        lambda w, f: (w[_words] * f[..., None]).sum(1),
        "bags weighted",
    ),
    Sample(
        EmbeddingGradient,
        lambda w: embedding.embedding_bag(
            _places, w, np.array([0, 2, 2, 5]), padding_idx=1, include_last_offset=True
        ),
        (_table,),
        lambda w: np.array([w[3], np.zeros(3), (w[0] + w[2]) / 2]),
        "an empty bag and padding",
        smooth=False,
        gradients=(np.repeat([[0.5], [0.0], [0.5], [1.0]], 3, 1),),
    ),
]

SAMPLES = [*_ALONG, *_ROWS, *_MASKED, *_TABLES]


def _error(f: Any, args: tuple[Any, ...], error: type[Exception], message: str) -> ErrorSample:
    return ErrorSample(lambda: f(*args), error, f"^{f.__name__}: {message}")


ERRORS = [
    _error(along.gather, (_m, 1, np.array([[4]])), IndexError, "index 4 does not exist"),
    _error(along.gather, (_m, 2, _at), IndexError, "dim 2 does not exist"),
    _error(along.gather, (_m, 1, np.array([0])), ValueError, "index expects 2 dimensions"),
    _error(along.gather, (_m, 1, np.zeros((4, 1), int)), ValueError, "index of shape .* beyond"),
    _error(along.gather, (_m, 1, np.array([[0.5]])), TypeError, "index expects integers"),
    _error(
        scattering.scatter_add, (_m, 0, _down, signed(4)), ValueError, "src expects 2 dimensions"
    ),
    _error(
        scattering.scatter_add, (_m, 0, _down, signed(1, 4)), ValueError, "index of shape .* beyond"
    ),
    ErrorSample(
        lambda: scattering.scatter(_m, 0, _down, 1.0, reduce="max"),
        ValueError,
        "^scatter: reduce expects",
    ),
    _error(scattering.scatter_reduce, (_m, 0, _down, _m, "max"), ValueError, "reduce expects sum"),
    _error(along.take, (_m, [12]), IndexError, "index 12 does not exist"),
    _error(along.take_along_dim, (_m, [0], 0), ValueError, "indices expects 2 dimensions"),
    _error(scattering.put, (_m, [0], [1.0, 2.0]), ValueError, "expects as many values as indices"),
    _error(rows.index_select, (_m, 0, [[0]]), ValueError, "index expects a vector"),
    _error(rows.index_add, (_m, 0, [0], _m), ValueError, "source expects shape"),
    _error(rows.index_copy, (_m, 0, [3], _m[:1]), IndexError, "index 3 does not exist"),
    _error(rows.index_fill, (_m, 0, [0], [1.0, 2.0]), ValueError, "value expects a number"),
    _error(masked.masked_fill, (_m, _down, 0.0), TypeError, "mask expects booleans"),
    _error(masked.masked_fill, (_m, _mask[:2], 0.0), ValueError, "mask of shape .* not broadcast"),
    _error(masked.masked_scatter, (_m, _mask, _m[0]), ValueError, "the mask takes 5 elements"),
    _error(embedding.one_hot, ([0.5],), TypeError, "expects integers"),
    _error(embedding.one_hot, ([-1],), ValueError, "expects indices >= 0"),
    _error(embedding.one_hot, ([3], 3), ValueError, "index 3 is not below num_classes 3"),
    _error(embedding.embedding, ([4], _table), IndexError, "index 4 does not exist"),
    _error(embedding.embedding, ([0], _m[0]), ValueError, "weight expects shape"),
    _error(embedding.embedding, ([0], _table, 4), IndexError, "padding_idx 4 does not exist"),
    _error(embedding.embedding_bag, (_places, _table), ValueError, "expects indices of shape"),
    _error(embedding.embedding_bag, (_places, _table, [1]), ValueError, "offsets expects a rising"),
]
