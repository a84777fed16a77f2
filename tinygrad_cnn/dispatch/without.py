"""NumPy's functions that have no derivative, and those whose derivative is not known here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.out import into
from tinygrad_cnn.op import TensorBase

PLAIN = frozenset(
    (
        # Whether something holds.
        "equal not_equal less less_equal greater greater_equal logical_and logical_or "
        "logical_not logical_xor isfinite isinf isnan isnat isneginf isposinf signbit "
        "isclose allclose array_equal array_equiv all any isin iscomplex iscomplexobj "
        "isreal isrealobj "
        # Whole numbers.
        "bitwise_and bitwise_or bitwise_xor invert left_shift right_shift bitwise_count gcd "
        "lcm packbits unpackbits "
        # Where something is, and how many there are.
        "argmax argmin nanargmax nanargmin argsort argpartition argwhere nonzero "
        "flatnonzero lexsort count_nonzero searchsorted digitize histogram_bin_edges "
        "unravel_index ravel_multi_index diag_indices_from tril_indices_from "
        "triu_indices_from ix_ unique_inverse unique_counts linalg.matrix_rank "
        # Of what kind something is, and how it looks.
        "shape ndim size result_type common_type min_scalar_type can_cast may_share_memory "
        "shares_memory array2string array_repr array_str save savetxt savez "
        "savez_compressed einsum_path zeros_like ones_like empty_like busday_count "
        "busday_offset is_busday datetime_as_string "
    ).split()
)
"""Names of functions whose results have no derivative."""

INSTEAD: dict[str, str] = {
    "nanmedian": "`numpy.median` of what is not NaN",
    "nanquantile": "`numpy.quantile` of what is not NaN",
    "nanpercentile": "`numpy.percentile` of what is not NaN",
    "sort_complex": "`numpy.sort`",
    "unique_all": "`numpy.unique`",
    "union1d": "`numpy.unique` of `numpy.concatenate`",
    "intersect1d": "`numpy.unique` and `numpy.extract`",
    "setdiff1d": "`numpy.unique` and `numpy.extract`",
    "setxor1d": "`numpy.unique` and `numpy.extract`",
    "histogram2d": "`numpy.bincount` with weights",
    "histogramdd": "`numpy.bincount` with weights",
    "polyfit": "`numpy.linalg.pinv` of `numpy.vander`",
    "linalg.lstsq": "`numpy.linalg.pinv`",
    "linalg.eig": "`numpy.linalg.eigh` for symmetric matrices",
    "linalg.eigvals": "`numpy.linalg.eigvalsh` for symmetric matrices",
    "spacing": "`numpy.nextafter`",
}
"""What to write for a function that has no rule: names of this package in backquotes."""


def without_graph(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
    """Call NumPy's function with the arrays of tensors; the results are tensors without a graph."""
    makers: list[TensorBase] = []
    arrays = _arrays_in(args, makers)
    words = {name: _arrays_in(x, makers) for name, x in kwargs.items()}
    out = kwargs.get("out")
    target = out[0] if isinstance(out, tuple) and len(out) == 1 else out
    if not isinstance(target, TensorBase):
        result = function(*arrays, **words)
        return result if out is not None else _tensors_of(result, makers[0])
    # NumPy writes to a copy, the tensor is written to as tensors are.
    written = target._data.copy()
    function(*arrays, **{**words, "out": written})
    return into(target, written, getattr(function, "__name__", "out"))


def _arrays_in(arguments: Any, makers: list[TensorBase]) -> Any:
    """Replace tensors by their arrays, also inside of lists and tuples, and note them."""
    if isinstance(arguments, TensorBase):
        makers.append(arguments)
        return arguments._data
    if type(arguments) in (list, tuple):
        return type(arguments)([_arrays_in(item, makers) for item in arguments])
    return arguments


def _tensors_of(result: Any, maker: TensorBase) -> Any:
    """Make tensors of real arrays and numbers, also inside of lists and tuples."""
    if isinstance(result, (np.ndarray, np.generic)):
        return maker._wrap(np.asarray(result), None) if result.dtype.kind in "fiub" else result
    if isinstance(result, list):
        return [_tensors_of(item, maker) for item in result]
    if isinstance(result, tuple):
        items = [_tensors_of(item, maker) for item in result]
        return type(result)(*items) if hasattr(result, "_fields") else tuple(items)
    return result


def tensors_in(arguments: Any) -> Iterator[TensorBase]:
    """Yield the tensors among arguments, also inside of lists, tuples and dicts."""
    if isinstance(arguments, TensorBase):
        yield arguments
    elif isinstance(arguments, (list, tuple)):
        for item in arguments:
            yield from tensors_in(item)
    elif isinstance(arguments, dict):
        yield from tensors_in(list(arguments.values()))
