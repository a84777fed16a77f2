"""One example where a function expects a batch of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, cast

from tinygrad_cnn.ops.arguments import refuse_operands
from tinygrad_cnn.ops.shape import reshape

P = ParamSpec("P")


def takes_one_example(ndim: int) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Let a function of batches, which have `ndim` dimensions, take one example without a batch.

    The example becomes a batch of one, and each result loses its first dimension again.

    >>> import numpy as np
    >>> @takes_one_example(ndim=3)
    ... def doubled(input):
    ...     return input + input
    >>> doubled(np.ones((1, 2, 2))).shape, doubled(np.ones((2, 2))).shape
    ((1, 2, 2), (2, 2))
    """

    def decorate(function: Callable[P, Any]) -> Callable[P, Any]:
        @functools.wraps(function)
        def call(input: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                if input.ndim != ndim - 1:
                    return function(input, *args, **kwargs)
                answer = function(reshape(input, 1, *input.shape), *args, **kwargs)
            except (AttributeError, TypeError) as error:
                refuse_operands(function, (input, *args), kwargs, error)
                raise
            if isinstance(answer, tuple):
                return tuple([reshape(each, each.shape[1:]) for each in answer])
            return reshape(answer, answer.shape[1:])

        return cast("Callable[P, Any]", call)

    return decorate
