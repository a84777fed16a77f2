"""`Arithmetic`: what Python's operators mean between tensors, arrays and numbers."""

from __future__ import annotations

import operator
from typing import Any, Self

from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops import elementwise, linalg, piecewise, rounding
from tinygrad_cnn.ops.comparing import combine_bits, compare

# Called directly, without the functions around them: these operations are in every formula.
_add, _sub, _mul, _div = (
    op() for op in (elementwise.Add, elementwise.Sub, elementwise.Mul, elementwise.Div)
)


class Arithmetic(TensorBase):
    """Python's operators; `Tensor` inherits them."""

    __slots__ = ()

    def __add__(self, other: Any) -> Self:
        return _add(self, other)

    def __radd__(self, other: Any) -> Self:
        return _add(other, self)

    def __sub__(self, other: Any) -> Self:
        return _sub(self, other)

    def __rsub__(self, other: Any) -> Self:
        return _sub(other, self)

    def __mul__(self, other: Any) -> Self:
        return _mul(self, other)

    def __rmul__(self, other: Any) -> Self:
        return _mul(other, self)

    def __truediv__(self, other: Any) -> Self:
        return _div(self, other)

    def __rtruediv__(self, other: Any) -> Self:
        return _div(other, self)

    def __floordiv__(self, other: Any) -> Self:
        return rounding.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Self:
        return rounding.floor_divide(other, self)

    def __mod__(self, other: Any) -> Self:
        return rounding.remainder(self, other)

    def __rmod__(self, other: Any) -> Self:
        return rounding.remainder(other, self)

    def __divmod__(self, other: Any) -> tuple[Self, Self]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Self, Self]:
        return other // self, other % self

    def __pow__(self, other: Any) -> Self:
        return elementwise.pow(self, other)

    def __rpow__(self, other: Any) -> Self:
        return elementwise.pow(other, self)

    def __neg__(self) -> Self:
        return elementwise.neg(self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return piecewise.abs(self)

    def __round__(self, decimals: int = 0) -> Self:
        return rounding.round(self, decimals)

    def __matmul__(self, other: Any) -> Self:
        return linalg.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Self:
        return linalg.matmul(other, self)

    def __eq__(self, other: object) -> Self:  # type: ignore[override]  # element by element
        return compare(operator.eq, self, other)

    def __ne__(self, other: object) -> Self:  # type: ignore[override]  # element by element
        return compare(operator.ne, self, other)

    def __lt__(self, other: Any) -> Self:
        return compare(operator.lt, self, other)

    def __le__(self, other: Any) -> Self:
        return compare(operator.le, self, other)

    def __gt__(self, other: Any) -> Self:
        return compare(operator.gt, self, other)

    def __ge__(self, other: Any) -> Self:
        return compare(operator.ge, self, other)

    def __and__(self, other: Any) -> Self:
        return combine_bits("&", operator.and_, self, other)

    __rand__ = __and__  # the order does not matter

    def __or__(self, other: Any) -> Self:
        return combine_bits("|", operator.or_, self, other)

    __ror__ = __or__  # the order does not matter

    def __xor__(self, other: Any) -> Self:
        return combine_bits("^", operator.xor, self, other)

    __rxor__ = __xor__  # the order does not matter

    def __lshift__(self, other: Any) -> Self:
        return combine_bits("<<", operator.lshift, self, other)

    def __rlshift__(self, other: Any) -> Self:
        return combine_bits("<<", lambda x, y: operator.lshift(y, x), self, other)

    def __rshift__(self, other: Any) -> Self:
        return combine_bits(">>", operator.rshift, self, other)

    def __rrshift__(self, other: Any) -> Self:
        return combine_bits(">>", lambda x, y: operator.rshift(y, x), self, other)

    def __invert__(self) -> Self:
        return combine_bits("~", lambda x, _: ~x, self, 0)
