"""`Operators`: a tensor's methods named after operations.

A method is the function of that name in `functional`, called with the tensor first. A new one is
a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

import tinygrad_cnn.functional as F
from tinygrad_cnn.arithmetic import Arithmetic
from tinygrad_cnn.ops.arguments import NumpyWords, sizes_of

P = ParamSpec("P")
S = TypeVar("S")


class Method(Protocol[P]):
    """A function as a method: of a tensor it takes the other arguments and returns its like."""

    def __get__(self, tensor: S, owner: Any = ...) -> Callable[P, S]:
        """Bind to a tensor."""


class NumpyMethod(Protocol[P]):
    """The same of a function that takes ``axis`` and ``keepdims`` too."""

    def __get__(self, tensor: S, owner: Any = ...) -> NumpyWords[P, S]:
        """Bind to a tensor."""


class TupleMethod(Protocol[P]):
    """The same of a function that returns several."""

    def __get__(self, tensor: S, owner: Any = ...) -> NumpyWords[P, tuple[S, ...]]:
        """Bind to a tensor."""


def method(function: Callable[Concatenate[Any, P], Any]) -> Method[P]:
    """Return a function, which is a method as it is, with the type of one."""
    return function


def numpy_method(function: NumpyWords[Concatenate[Any, P], Any]) -> NumpyMethod[P]:
    """Return a function with ``dim`` or ``keepdim`` with the type of a method."""
    return function  # type: ignore[return-value]  # a tensor is returned where one is given


def tuple_method(function: NumpyWords[Concatenate[Any, P], tuple[Any, ...]]) -> TupleMethod[P]:
    """Return a function with ``dim`` that returns several with the type of a method."""
    return function  # type: ignore[return-value]  # tensors are returned where one is given


class Operators(Arithmetic):
    """Operations as methods; `Tensor` inherits them."""

    __slots__ = ()

    # ------------------------------------------------------------------ element by element

    add = method(F.add)
    sub = method(F.sub)
    mul = method(F.mul)
    div = method(F.div)
    neg = method(F.neg)
    rsub = method(F.rsub)
    subtract = method(F.subtract)
    multiply = method(F.multiply)
    divide = method(F.divide)
    true_divide = method(F.true_divide)
    negative = method(F.negative)
    positive = method(F.positive)
    absolute = method(F.absolute)
    float_power = method(F.float_power)
    gcd = method(F.gcd)
    lcm = method(F.lcm)
    exp = method(F.exp)
    log = method(F.log)
    log1p = method(F.log1p)
    sqrt = method(F.sqrt)
    abs = method(F.abs)
    sign = method(F.sign)
    floor = method(F.floor)
    ceil = method(F.ceil)
    trunc = method(F.trunc)
    round = method(F.round)
    tanh = method(F.tanh)
    sigmoid = method(F.sigmoid)
    relu = method(F.relu)
    pow = method(F.pow)
    acos = method(F.acos)
    acosh = method(F.acosh)
    asin = method(F.asin)
    asinh = method(F.asinh)
    atan = method(F.atan)
    atan2 = method(F.atan2)
    atanh = method(F.atanh)
    arccos = method(F.arccos)
    arccosh = method(F.arccosh)
    arcsin = method(F.arcsin)
    arcsinh = method(F.arcsinh)
    arctan = method(F.arctan)
    arctan2 = method(F.arctan2)
    arctanh = method(F.arctanh)
    cos = method(F.cos)
    cosh = method(F.cosh)
    sin = method(F.sin)
    sinc = method(F.sinc)
    sinh = method(F.sinh)
    tan = method(F.tan)
    hypot = method(F.hypot)
    deg2rad = method(F.deg2rad)
    rad2deg = method(F.rad2deg)
    exp2 = method(F.exp2)
    expm1 = method(F.expm1)
    log2 = method(F.log2)
    log10 = method(F.log10)
    logit = method(F.logit)
    reciprocal = method(F.reciprocal)
    rsqrt = method(F.rsqrt)
    lgamma = method(F.lgamma)
    digamma = method(F.digamma)
    erf = method(F.erf)
    erfc = method(F.erfc)
    erfinv = method(F.erfinv)
    logaddexp = method(F.logaddexp)
    logaddexp2 = method(F.logaddexp2)
    xlogy = method(F.xlogy)
    lerp = method(F.lerp)
    addcmul = method(F.addcmul)
    addcdiv = method(F.addcdiv)
    fmax = method(F.fmax)
    fmin = method(F.fmin)
    frac = method(F.frac)
    fix = method(F.fix)
    fmod = method(F.fmod)
    remainder = method(F.remainder)
    floor_divide = method(F.floor_divide)
    heaviside = method(F.heaviside)
    copysign = method(F.copysign)
    nextafter = method(F.nextafter)
    sgn = method(F.sgn)
    nan_to_num = method(F.nan_to_num)

    def polygamma(self, n: int) -> Self:
        """Take the n-th derivative of `digamma`."""
        return F.polygamma(n, self)

    def square(self) -> Self:
        """Square."""
        return F.pow(self, 2)

    clip = method(F.clip)
    clamp = method(F.clamp)
    clamp_min = method(F.clamp_min)
    clamp_max = method(F.clamp_max)
    hardshrink = method(F.hardshrink)
    prelu = method(F.prelu)
    ldexp = method(F.ldexp)
    frexp = method(F.frexp)
    maximum = method(F.maximum)
    minimum = method(F.minimum)

    def where(self, condition: Any, other: Any) -> Self:
        """Keep these elements where the condition holds, take the others elsewhere."""
        return F.where(condition, self, other)

    clone = method(F.clone)

    # ------------------------------------------------------------------ reductions

    sum = numpy_method(F.sum)
    mean = numpy_method(F.mean)
    prod = numpy_method(F.prod)
    amax = numpy_method(F.amax)
    amin = numpy_method(F.amin)
    logsumexp = numpy_method(F.logsumexp)
    max = numpy_method(F.max)
    min = numpy_method(F.min)
    var = numpy_method(F.var)
    std = numpy_method(F.std)
    argmax = numpy_method(F.argmax)
    argmin = numpy_method(F.argmin)
    softmax = numpy_method(F.softmax)
    log_softmax = numpy_method(F.log_softmax)

    nansum = numpy_method(F.nansum)
    nanmean = numpy_method(F.nanmean)
    any = numpy_method(F.any)
    all = numpy_method(F.all)
    count_nonzero = numpy_method(F.count_nonzero)
    norm = numpy_method(F.norm)
    aminmax = numpy_method(F.aminmax)
    dist = method(F.dist)
    cov = method(F.cov)
    corrcoef = method(F.corrcoef)

    # ------------------------------------------------------------------ in order

    cumsum = numpy_method(F.cumsum)
    cumprod = numpy_method(F.cumprod)
    cummax = numpy_method(F.cummax)
    cummin = numpy_method(F.cummin)
    logcumsumexp = numpy_method(F.logcumsumexp)
    diff = numpy_method(F.diff)
    sort = numpy_method(F.sort)
    argsort = numpy_method(F.argsort)
    topk = numpy_method(F.topk)
    kthvalue = numpy_method(F.kthvalue)
    median = numpy_method(F.median)
    nanmedian = numpy_method(F.nanmedian)
    mode = numpy_method(F.mode)
    quantile = numpy_method(F.quantile)
    nanquantile = numpy_method(F.nanquantile)
    msort = method(F.msort)

    # ------------------------------------------------------------------ questions, no gradient

    eq = method(F.eq)
    ne = method(F.ne)
    lt = method(F.lt)
    le = method(F.le)
    gt = method(F.gt)
    ge = method(F.ge)
    not_equal = method(F.not_equal)
    less = method(F.less)
    less_equal = method(F.less_equal)
    greater = method(F.greater)
    greater_equal = method(F.greater_equal)
    bitwise_and = method(F.bitwise_and)
    bitwise_or = method(F.bitwise_or)
    bitwise_xor = method(F.bitwise_xor)
    bitwise_not = method(F.bitwise_not)
    bitwise_left_shift = method(F.bitwise_left_shift)
    bitwise_right_shift = method(F.bitwise_right_shift)
    isreal = method(F.isreal)
    isnan = method(F.isnan)
    isinf = method(F.isinf)
    isfinite = method(F.isfinite)
    isposinf = method(F.isposinf)
    isneginf = method(F.isneginf)
    isclose = method(F.isclose)
    logical_not = method(F.logical_not)
    logical_and = method(F.logical_and)
    logical_or = method(F.logical_or)
    logical_xor = method(F.logical_xor)
    signbit = method(F.signbit)
    histc = method(F.histc)
    bincount = method(F.bincount)
    unique = method(F.unique)
    unique_consecutive = method(F.unique_consecutive)
    nonzero = method(F.nonzero)
    argwhere = method(F.argwhere)
    allclose = method(F.allclose)
    equal = method(F.equal)

    # ------------------------------------------------------------------ indexing

    gather = numpy_method(F.gather)
    take_along_dim = numpy_method(F.take_along_dim)
    scatter = numpy_method(F.scatter)
    scatter_add = numpy_method(F.scatter_add)
    scatter_reduce = numpy_method(F.scatter_reduce)
    index_select = numpy_method(F.index_select)
    index_add = numpy_method(F.index_add)
    index_copy = numpy_method(F.index_copy)
    index_fill = numpy_method(F.index_fill)
    take = method(F.take)
    put = method(F.put)
    masked_fill = method(F.masked_fill)
    masked_select = method(F.masked_select)
    masked_scatter = method(F.masked_scatter)

    # ------------------------------------------------------------------ shape

    reshape = method(F.reshape)
    view = method(F.view)
    flatten = method(F.flatten)
    transpose = method(F.transpose)
    permute = method(F.permute)
    squeeze = numpy_method(F.squeeze)
    unsqueeze = numpy_method(F.unsqueeze)
    expand = method(F.expand)
    broadcast_to = method(F.broadcast_to)

    pad = method(F.pad)
    split = tuple_method(F.split)
    tile = method(F.tile)
    repeat = method(F.repeat)

    def flip(self, *dims: int | Sequence[int]) -> Self:
        """Reverse dimensions: ``x.flip(0, 1)`` or ``x.flip((0, 1))``."""
        return F.flip(self, sizes_of("flip", dims))

    fliplr = method(F.fliplr)
    flipud = method(F.flipud)
    rot90 = method(F.rot90)
    movedim = method(F.movedim)
    moveaxis = method(F.moveaxis)
    swapaxes = method(F.swapaxes)
    swapdims = method(F.swapdims)
    t = method(F.t)
    ravel = method(F.ravel)
    diagonal = method(F.diagonal)
    diag = method(F.diag)
    diag_embed = method(F.diag_embed)
    diagflat = method(F.diagflat)
    tril = method(F.tril)
    triu = method(F.triu)
    trace = method(F.trace)
    roll = numpy_method(F.roll)
    repeat_interleave = numpy_method(F.repeat_interleave)
    unflatten = numpy_method(F.unflatten)
    narrow = numpy_method(F.narrow)
    select = numpy_method(F.select)
    unbind = tuple_method(F.unbind)
    chunk = tuple_method(F.chunk)
    tensor_split = tuple_method(F.tensor_split)
    hsplit = method(F.hsplit)
    vsplit = method(F.vsplit)
    dsplit = method(F.dsplit)

    @property
    def T(self) -> Self:  # noqa: N802  # NumPy's and PyTorch's name
        """The dimensions in reverse order."""
        return F.permute(self, *reversed(range(self.ndim)))

    def __getitem__(self, key: Any) -> Self:
        """Pick elements: ints, slices, None, Ellipsis, integer or boolean arrays."""
        return F.getitem(self, key)

    # ------------------------------------------------------------------ linear algebra

    matmul = method(F.matmul)
    dot = method(F.dot)
    outer = method(F.outer)
    mm = method(F.mm)
    bmm = method(F.bmm)
    mv = method(F.mv)
    vdot = method(F.vdot)
    addmm = method(F.addmm)
    addmv = method(F.addmv)
    addr = method(F.addr)
    baddbmm = method(F.baddbmm)
    addbmm = method(F.addbmm)
    inner = method(F.inner)
    kron = method(F.kron)
    inverse = method(F.inverse)
    det = method(F.det)
    logdet = method(F.logdet)
    slogdet = method(F.slogdet)
    matrix_power = method(F.matrix_power)
    cholesky = method(F.cholesky)
    pinverse = method(F.pinverse)
    qr = method(F.qr)
    cross = numpy_method(F.cross)
