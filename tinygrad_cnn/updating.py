"""`Updating`: the methods that write the result of an operation, or random numbers, to a tensor.

``x.name_(…)`` writes ``functional.name(x, …)`` to x and returns x; a new one is a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.assigning import Assigning
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.writing import update

_Generator = np.random.Generator | None


def in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make the method that writes the result of a function of the tensor to the tensor."""
    name = f"{function.__name__}_"

    def method(self: TensorBase, *args: Any, **options: Any) -> Any:
        return update(name, self, function, self, *args, **options)

    method.__name__ = name
    method.__qualname__ = f"Updating.{name}"
    method.__doc__ = f"Write the result of `functional.{function.__name__}` and return the tensor."
    return method


class Updating(Assigning):
    """Results and random numbers written to a tensor; `Tensor` inherits it.

    >>> from tinygrad_cnn import tensor
    >>> tensor([1.0, -4.0]).abs_().sqrt_().mul_(3)
    tensor([3., 6.])
    """

    __slots__ = ()

    # ------------------------------------------------------------------ arithmetic

    add_ = in_place(F.add)
    sub_ = subtract_ = in_place(F.sub)
    mul_ = multiply_ = in_place(F.mul)
    div_ = divide_ = true_divide_ = in_place(F.div)
    pow_ = in_place(F.pow)
    float_power_ = in_place(F.float_power)
    neg_ = negative_ = in_place(F.neg)
    floor_divide_ = in_place(F.floor_divide)
    remainder_ = in_place(F.remainder)
    fmod_ = in_place(F.fmod)
    lerp_ = in_place(F.lerp)
    addcmul_ = in_place(F.addcmul)
    addcdiv_ = in_place(F.addcdiv)
    addmm_ = in_place(F.addmm)
    addmv_ = in_place(F.addmv)
    addr_ = in_place(F.addr)
    addbmm_ = in_place(F.addbmm)
    baddbmm_ = in_place(F.baddbmm)
    gcd_ = in_place(F.gcd)
    lcm_ = in_place(F.lcm)
    ldexp_ = in_place(F.ldexp)

    # ------------------------------------------------------------------ element by element

    abs_ = absolute_ = in_place(F.abs)
    square_ = in_place(F.square)
    sqrt_ = in_place(F.sqrt)
    rsqrt_ = in_place(F.rsqrt)
    reciprocal_ = in_place(F.reciprocal)
    exp_ = in_place(F.exp)
    exp2_ = in_place(F.exp2)
    expm1_ = in_place(F.expm1)
    log_ = in_place(F.log)
    log2_ = in_place(F.log2)
    log10_ = in_place(F.log10)
    log1p_ = in_place(F.log1p)
    logit_ = in_place(F.logit)
    sin_ = in_place(F.sin)
    cos_ = in_place(F.cos)
    tan_ = in_place(F.tan)
    asin_ = arcsin_ = in_place(F.asin)
    acos_ = arccos_ = in_place(F.acos)
    atan_ = arctan_ = in_place(F.atan)
    atan2_ = arctan2_ = in_place(F.atan2)
    sinh_ = in_place(F.sinh)
    cosh_ = in_place(F.cosh)
    asinh_ = arcsinh_ = in_place(F.asinh)
    acosh_ = arccosh_ = in_place(F.acosh)
    atanh_ = arctanh_ = in_place(F.atanh)
    sinc_ = in_place(F.sinc)
    hypot_ = in_place(F.hypot)
    deg2rad_ = in_place(F.deg2rad)
    rad2deg_ = in_place(F.rad2deg)
    erf_ = in_place(F.erf)
    erfc_ = in_place(F.erfc)
    erfinv_ = in_place(F.erfinv)
    lgamma_ = in_place(F.lgamma)
    digamma_ = in_place(F.digamma)
    xlogy_ = in_place(F.xlogy)
    floor_ = in_place(F.floor)
    ceil_ = in_place(F.ceil)
    trunc_ = fix_ = in_place(F.trunc)
    round_ = in_place(F.round)
    frac_ = in_place(F.frac)
    sign_ = sgn_ = in_place(F.sign)
    copysign_ = in_place(F.copysign)
    heaviside_ = in_place(F.heaviside)
    nextafter_ = in_place(F.nextafter)
    nan_to_num_ = in_place(F.nan_to_num)
    clip_ = clamp_ = in_place(F.clip)
    clamp_min_ = in_place(F.clamp_min)
    clamp_max_ = in_place(F.clamp_max)

    # ------------------------------------------------------------------ activations

    relu_ = in_place(F.relu)
    sigmoid_ = in_place(F.sigmoid)
    tanh_ = in_place(F.tanh)

    # ------------------------------------------------------------------ comparisons, bits

    eq_ = in_place(F.eq)
    ne_ = not_equal_ = in_place(F.ne)
    lt_ = less_ = in_place(F.lt)
    le_ = less_equal_ = in_place(F.le)
    gt_ = greater_ = in_place(F.gt)
    ge_ = greater_equal_ = in_place(F.ge)
    logical_and_ = in_place(F.logical_and)
    logical_or_ = in_place(F.logical_or)
    logical_xor_ = in_place(F.logical_xor)
    logical_not_ = in_place(F.logical_not)
    bitwise_and_ = in_place(F.bitwise_and)
    bitwise_or_ = in_place(F.bitwise_or)
    bitwise_xor_ = in_place(F.bitwise_xor)
    bitwise_not_ = in_place(F.bitwise_not)
    bitwise_left_shift_ = in_place(F.bitwise_left_shift)
    bitwise_right_shift_ = in_place(F.bitwise_right_shift)

    # ------------------------------------------------------------------ along dimensions, masks

    cumsum_ = in_place(F.cumsum)
    cumprod_ = in_place(F.cumprod)
    tril_ = in_place(F.tril)
    triu_ = in_place(F.triu)
    masked_scatter_ = in_place(F.masked_scatter)
    scatter_reduce_ = in_place(F.scatter_reduce)
    put_ = in_place(F.put)

    def fill_diagonal_(self, fill_value: float, wrap: bool = False) -> Self:
        """Write a number to the main diagonal; ``wrap`` begins again below in a tall matrix.

        Raises
        ------
        ValueError
            If the tensor has fewer than two dimensions.
        """
        if self._data.ndim < 2:
            raise ValueError(f"fill_diagonal_: expects two dimensions, got {self.shape}")
        mask = np.zeros(self._data.shape, bool)
        np.fill_diagonal(mask, True, wrap)
        return self.masked_fill_(mask, fill_value)

    # ------------------------------------------------------------------ random numbers

    def _draw(self, draw: Callable[..., Any], *args: Any) -> Self:
        return self.copy_(np.asarray(draw(*args, self._data.shape)))

    def random_(
        self, from_: int = 0, to: int | None = None, *, generator: _Generator = None
    ) -> Self:
        """Write whole numbers from one up to another, which is left out: ``random_(10)`` from 0.

        Without a bound they are as large as the type holds exactly.
        """
        kind = self._data.dtype
        if to is None and from_:
            from_, to = 0, from_
        if to is None:
            exact = kind.kind == "f"
            to = 2 ** (np.finfo(kind).nmant + 1) if exact else int(np.iinfo(kind).max)
        return self._draw((generator or default_generator()).integers, from_, to)

    def exponential_(self, lambd: float = 1.0, *, generator: _Generator = None) -> Self:
        """Write random numbers of the exponential distribution with that rate."""
        return self._draw((generator or default_generator()).exponential, 1.0 / lambd)

    def geometric_(self, p: float, *, generator: _Generator = None) -> Self:
        """Write how many trials of that probability it takes to the first success."""
        return self._draw((generator or default_generator()).geometric, p)

    def log_normal_(
        self, mean: float = 1.0, std: float = 2.0, *, generator: _Generator = None
    ) -> Self:
        """Write random numbers whose logarithms have that mean and deviation."""
        return self._draw((generator or default_generator()).lognormal, mean, std)

    def cauchy_(
        self, median: float = 0.0, sigma: float = 1.0, *, generator: _Generator = None
    ) -> Self:
        """Write random numbers of the Cauchy distribution."""
        drawn = (generator or default_generator()).standard_cauchy(self._data.shape)
        return self.copy_(np.asarray(drawn * sigma + median))
