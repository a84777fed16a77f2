"""Losses of integers and of half precision: computed in float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from typing import cast as typed

import numpy as np

from tinygrad_cnn.ops.arguments import as_real, refuse_operands
from tinygrad_cnn.ops.elementwise import cast
from tinygrad_cnn.ops.old_words import translate

_F = TypeVar("_F", bound=Callable[..., Any])


_FLOAT16 = np.dtype(np.float16)


def in_single_precision(loss: _F) -> _F:
    """Make a loss take integers as float32, and compute half precision in float32.

    It takes PyTorch's old words for `reduction`, too.

    The sum of many losses is no number of half precision, though their mean is: the conversions
    stand in the graph.
    """

    @wraps(loss)
    def call(input: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs and ("size_average" in kwargs or "reduce" in kwargs):
            translate(loss.__name__, kwargs)
        try:
            if input.dtype is not _FLOAT16:
                return loss(as_real(input), *args, **kwargs)
            with np.errstate(over="ignore"):  # what half precision cannot hold is infinite
                return cast(loss(cast(input, np.float32), *args, **kwargs), np.float16)
        except (AttributeError, TypeError) as error:
            refuse_operands(loss, (input, *args), kwargs, error)
            raise

    return typed(_F, call)
