"""Tensors of random numbers, drawn from a generator given or from the default one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from tinygrad_cnn.creation import Options, made
from tinygrad_cnn.dtypes import float_type
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.arguments import sizes_of, values_of
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.tensor import Tensor

__all__ = [
    "bernoulli",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
]

_Generator = np.random.Generator | None


def _drawn(name: str, generator: _Generator, sizes: Any, options: Options) -> Tensor:
    """Draw floats by the method of that name, in double precision, and round them."""
    draw = getattr(generator or default_generator(), name)
    dtype = float_type(options.get("dtype"))
    if dtype.kind != "f":
        raise TypeError(f"rand, randn: dtype expects a floating-point type, got {dtype}")
    return made(np.asarray(draw(size=sizes)).astype(dtype, copy=False), options)


def rand(
    *size: int | Sequence[int], generator: _Generator = None, **options: Unpack[Options]
) -> Tensor:
    """Draw numbers that are equally likely from 0 up to 1: ``rand(2, 3)`` or ``rand((2, 3))``.

    >>> rand(2, 3).shape
    (2, 3)
    """
    return _drawn("random", generator, _sizes("rand", size, options), options)


def randn(
    *size: int | Sequence[int], generator: _Generator = None, **options: Unpack[Options]
) -> Tensor:
    """Draw numbers of the normal distribution with mean 0 and variance 1; otherwise as `rand`.

    >>> randn(2, 3).shape
    (2, 3)
    """
    return _drawn("standard_normal", generator, _sizes("randn", size, options), options)


def _sizes(function: str, sizes: tuple[Any, ...], options: Any) -> tuple[int, ...]:
    if "size" in options:
        sizes = (options.pop("size"),)
    return sizes_of(function, sizes)


def _like(input: Any, options: Options) -> tuple[tuple[int, ...], Options]:
    """Return the shape of another, and the options with its dtype."""
    array = values_of(input)
    dtype = options.get("dtype")
    return array.shape, {**options, "dtype": array.dtype if dtype is None else dtype}


def rand_like(input: Any, *, generator: _Generator = None, **options: Unpack[Options]) -> Tensor:
    """Draw as `rand`, of the shape and dtype of another.

    >>> rand_like(Tensor([1.0, 2.0])).shape
    (2,)
    """
    sizes, options = _like(input, options)
    return _drawn("random", generator, sizes, options)


def randn_like(input: Any, *, generator: _Generator = None, **options: Unpack[Options]) -> Tensor:
    """Draw as `randn`, of the shape and dtype of another.

    >>> randn_like(Tensor([1.0, 2.0])).shape
    (2,)
    """
    sizes, options = _like(input, options)
    return _drawn("standard_normal", generator, sizes, options)


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: _Generator = None,
    **options: Unpack[Options],
) -> Tensor:
    """Draw whole numbers from low (0 if left out) up to high, which is left out.

    ``randint(10, (2, 3))`` or ``randint(5, 10, (2, 3))``; int64 unless a dtype is given.

    Raises
    ------
    ValueError
        If high is not above low.

    >>> randint(5, 6, (2,))
    tensor([5, 5])
    """
    if size is None and isinstance(high, (tuple, list)):
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("randint: expects a size, a tuple: randint(low, high, (2, 3))")
    if not high > low:
        raise ValueError(f"randint: expects high above low, got low {low} and high {high}")
    found = (generator or default_generator()).integers(low, high, sizes_of("randint", (size,)))
    dtype = options.get("dtype")
    return made(np.asarray(found).astype(np.int64 if dtype is None else dtype), options)


def randint_like(input: Any, low: int, high: Any = None, **options: Any) -> Tensor:
    """Draw as `randint`, of the shape and dtype of another.

    >>> randint_like(Tensor([1.0, 2.0]), 3, 4)
    tensor([3., 3.])
    """
    sizes, options = _like(input, options)  # type: ignore[arg-type,assignment]  # and a generator
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, sizes, **options)


def randperm(n: int, *, generator: _Generator = None, **options: Unpack[Options]) -> Tensor:
    """Draw an order of the whole numbers from 0 to n − 1.

    >>> randperm(3).sort()[0]
    tensor([0, 1, 2])
    """
    order = (generator or default_generator()).permutation(n)
    dtype = options.get("dtype")
    return made(order.astype(np.int64 if dtype is None else dtype), options)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: _Generator = None,
    **options: Unpack[Options],
) -> Tensor:
    """Draw numbers of normal distributions; mean and deviation may be tensors. No gradient.

    >>> normal(5.0, 0.0, (2,)), normal(Tensor([1.0, 2.0]), 0.0)
    (tensor([5., 5.]), tensor([1., 2.]))
    """
    sizes = None if size is None else sizes_of("normal", (size,))
    shapes = [x.dtype for x in (mean, std) if isinstance(x, TensorBase)]
    dtype = options.get("dtype")
    wanted = shapes[0] if shapes and dtype is None else float_type(dtype)
    draw = (generator or default_generator()).normal
    return made(np.asarray(draw(values_of(mean), values_of(std), sizes)).astype(wanted), options)


def bernoulli(input: Any, p: Any = None, *, generator: _Generator = None) -> Tensor:
    """Draw ones with the probabilities that the elements say (or with p), and zeros. No gradient.

    Raises
    ------
    ValueError
        If a probability is outside of [0, 1].

    >>> bernoulli(Tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    array = values_of(input)
    chances = array if p is None else values_of(p)
    if not np.all((chances >= 0) & (chances <= 1)):
        raise ValueError("bernoulli: expects probabilities in [0, 1]")
    drawn = (generator or default_generator()).random(array.shape) < chances
    return made(drawn.astype(array.dtype), {})


def poisson(input: Any, generator: _Generator = None) -> Tensor:
    """Draw whole numbers of Poisson distributions with the means that the elements are.

    >>> poisson(Tensor([0.0]))
    tensor([0.])
    """
    array = values_of(input)
    return made(np.asarray((generator or default_generator()).poisson(array), array.dtype), {})


def multinomial(
    input: Any, num_samples: int, replacement: bool = False, *, generator: _Generator = None
) -> Tensor:
    """Draw indices (K,) or (N, K) with probabilities that are proportional to weights.

    Parameters
    ----------
    input
        Weights (C,), or (N, C): a draw for each row; they need not sum to 1.
    num_samples
        K, how many are drawn.
    replacement
        Whether one may be drawn again.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, all are 0, or there are too few to draw from.

    >>> multinomial(Tensor([0.0, 3.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    weights = np.asarray(values_of(input), np.float64)
    if weights.ndim not in (1, 2):
        raise ValueError(f"multinomial: expects weights (C,) or (N, C), got {weights.shape}")
    rows = np.atleast_2d(weights)
    if not np.isfinite(rows).all() or (rows < 0).any() or not (rows.sum(1) > 0).all():
        raise ValueError("multinomial: expects finite weights >= 0 whose sum is above 0")
    fewest = int(np.count_nonzero(rows, axis=1).min(initial=rows.shape[1]))
    if not replacement and num_samples > fewest:
        raise ValueError(
            f"multinomial: num_samples is {num_samples}, of {fewest} that can be drawn; "
            "replacement=True draws again"
        )
    generator = generator or default_generator()
    if replacement:
        edges = np.cumsum(rows, axis=1)
        levels = generator.random((len(rows), num_samples)) * edges[:, -1:]
        found = np.stack(
            [np.searchsorted(e, u, "right") for e, u in zip(edges, levels, strict=True)]
        )
    else:  # the first to arrive: each after a time of its own rate
        with np.errstate(divide="ignore"):
            times = generator.standard_exponential(rows.shape) / rows
        found = np.argsort(times, axis=1, kind="stable")[:, :num_samples]
    return made(found.astype(np.int64)[0] if weights.ndim == 1 else found.astype(np.int64), {})
