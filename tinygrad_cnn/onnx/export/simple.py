"""Writing what is computed element by element, and reductions."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.export.writer import WRITERS, Pair, Write, Writer, writes
from tinygrad_cnn.onnx.tensors import NUMBERS
from tinygrad_cnn.ops import activation, elementwise, extreme, piecewise, reduce, rounding, softmax
from tinygrad_cnn.ops.matrices.norms import VectorNorm
from tinygrad_cnn.ops.ordering.scan import Cumsum
from tinygrad_cnn.ops.pointwise import combining, gamma, hard, powers, trigonometry, units

__all__: list[str] = []


def _plainly(op_type: str) -> Write:
    return lambda writer, _, inputs: writer.emit(op_type, *inputs)


WRITERS.update(
    {
        op: _plainly(op_type)
        for op, op_type in {
            elementwise.Add: "Add",
            elementwise.Sub: "Sub",
            elementwise.Mul: "Mul",
            elementwise.Div: "Div",
            elementwise.Neg: "Neg",
            elementwise.PowTensor: "Pow",
            elementwise.Exp: "Exp",
            elementwise.Log: "Log",
            elementwise.Sqrt: "Sqrt",
            elementwise.Clone: "Identity",
            piecewise.Abs: "Abs",
            piecewise.Sign: "Sign",
            piecewise.Maximum: "Max",
            piecewise.Minimum: "Min",
            rounding.Floor: "Floor",
            rounding.Ceil: "Ceil",
            activation.Relu: "Relu",
            activation.Sigmoid: "Sigmoid",
            activation.Tanh: "Tanh",
            activation.Erf: "Erf",
            activation.Softsign: "Softsign",
            hard.Hardswish: "HardSwish",
            powers.Reciprocal: "Reciprocal",
            trigonometry.Sin: "Sin",
            trigonometry.Cos: "Cos",
            trigonometry.Tan: "Tan",
            trigonometry.Asin: "Asin",
            trigonometry.Acos: "Acos",
            trigonometry.Atan: "Atan",
            trigonometry.Sinh: "Sinh",
            trigonometry.Cosh: "Cosh",
            trigonometry.Asinh: "Asinh",
            trigonometry.Acosh: "Acosh",
            trigonometry.Atanh: "Atanh",
        }.items()
    }
)


@writes(elementwise.Pow)
def _pow(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Pow", *inputs, writer.number(pair.op.exponent))


@writes(combining.Lerp)
def _lerp(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    start, end, weight = inputs
    moved = writer.emit("Mul", weight, writer.emit("Sub", end, start))
    return writer.emit("Add", start, moved)


@writes(combining.Logaddexp)
def _logaddexp(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    apart = writer.emit("Neg", writer.emit("Abs", writer.emit("Sub", *inputs)))
    return writer.emit("Add", writer.emit("Max", *inputs), writer.emit("Softplus", apart))


@writes(gamma.Erfc)
def _erfc(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Sub", writer.number(1.0), writer.emit("Erf", *inputs))


@writes(trigonometry.Hypot)
def _hypot(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    squares = [writer.emit("Mul", x, x) for x in inputs]
    return writer.emit("Sqrt", writer.emit("Add", *squares))


def _with_sign(writer: Writer, x: str, size: str) -> str:
    return writer.emit("Mul", writer.emit("Sign", x), size)


@writes(powers.Cbrt)
def _cbrt(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    root = writer.emit("Pow", writer.emit("Abs", *inputs), writer.number(1 / 3))
    return _with_sign(writer, inputs[0], root)


@writes(rounding.Trunc)
def _trunc(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return _with_sign(writer, inputs[0], writer.emit("Floor", writer.emit("Abs", *inputs)))


@writes(rounding.Remainder)
def _remainder(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    whole = writer.emit("Floor", writer.emit("Div", *inputs))
    return writer.emit("Sub", inputs[0], writer.emit("Mul", whole, inputs[1]))


@writes(rounding.Fmod)
def _fmod(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Mod", *inputs, fmod=1)


@writes(elementwise.Log1p)
def _log1p(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Log", writer.emit("Add", *inputs, writer.number(1.0)))


@writes(powers.Expm1)
def _expm1(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Sub", writer.emit("Exp", *inputs), writer.number(1.0))


@writes(powers.Exp2)
def _exp2(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Exp", writer.emit("Mul", *inputs, writer.number(math.log(2.0))))


@writes(powers.Log2)
def _log2(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Div", writer.emit("Log", *inputs), writer.number(math.log(2.0)))


@writes(powers.Log10)
def _log10(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Div", writer.emit("Log", *inputs), writer.number(math.log(10.0)))


@writes(powers.Rsqrt)
def _rsqrt(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Reciprocal", writer.emit("Sqrt", *inputs))


@writes(rounding.Round)
def _round(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    if pair.op.decimals:
        raise OnnxError("ONNX rounds to whole numbers only")
    return writer.emit("Round", *inputs)


@writes(elementwise.Cast)
def _cast(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Cast", *inputs, to=NUMBERS[np.dtype(pair.op.dtype)])


@writes(piecewise.Where)
def _where(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Where", *inputs)


@writes(piecewise.Clip)
def _clip(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    limits = (pair.op.low, pair.op.high)
    return writer.emit("Clip", *inputs, *("" if v is None else writer.number(v) for v in limits))


@writes(hard.Hardtanh)
def _hardtanh(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    limits = writer.number(pair.op.low), writer.number(pair.op.high)
    return writer.emit("Clip", *inputs, *limits)


@writes(piecewise.ClipBetween)
def _clip_between(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    x, low, high = inputs
    x = writer.emit("Max", x, low) if low else x
    return writer.emit("Min", x, high) if high else x


# ------------------------------------------------------------------ activations


@writes(activation.LeakyRelu)
def _leaky_relu(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("LeakyRelu", *inputs, alpha=float(pair.op.negative_slope))


@writes(activation.Silu)
def _silu(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Mul", *inputs, writer.emit("Sigmoid", *inputs))


@writes(activation.Gelu)
def _gelu(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    if writer.opset >= 20:
        return writer.emit("Gelu", *inputs)
    scaled = writer.emit("Mul", *inputs, writer.number(math.sqrt(0.5)))
    share = writer.emit("Add", writer.emit("Erf", scaled), writer.number(1.0))
    half = writer.emit("Mul", *inputs, writer.number(0.5))
    return writer.emit("Mul", half, share)


@writes(activation.GeluTanh)
def _gelu_tanh(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    if writer.opset >= 20:
        return writer.emit("Gelu", *inputs, approximate="tanh")
    (x,) = inputs
    cube = writer.emit("Mul", writer.emit("Mul", x, x), x)
    inner = writer.emit("Add", x, writer.emit("Mul", cube, writer.number(0.044715)))
    bent = writer.emit("Tanh", writer.emit("Mul", inner, writer.number(math.sqrt(2 / math.pi))))
    half = writer.emit("Mul", x, writer.number(0.5))
    return writer.emit("Mul", half, writer.emit("Add", bent, writer.number(1.0)))


@writes(activation.Softplus)
def _softplus(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    beta = pair.op.beta
    if beta == 1:
        return writer.emit("Softplus", *inputs)
    scaled = writer.emit("Softplus", writer.emit("Mul", *inputs, writer.number(beta)))
    return writer.emit("Div", scaled, writer.number(beta))


@writes(units.Elu)
def _elu(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    op = pair.op
    if op.rate == 1:
        if op.positive == 1:
            return writer.emit("Elu", *inputs, alpha=float(op.negative))
        y = writer.emit("Elu", *inputs, alpha=float(op.negative / op.positive))
        return writer.emit("Mul", y, writer.number(op.positive))
    if op.positive == 1 and math.isclose(op.negative * op.rate, 1.0):
        return writer.emit("Celu", *inputs, alpha=float(op.negative))
    raise OnnxError("an exponential unit of this kind is none of ONNX's")


@writes(units.PRelu)
def _prelu(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("PRelu", *inputs)


@writes(hard.Threshold)
def _threshold(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    above = writer.emit("Greater", *inputs, writer.number(pair.op.limit))
    return writer.emit("Where", above, *inputs, writer.number(pair.op.value))


@writes(hard.Hardshrink)
def _hardshrink(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Shrink", *inputs, lambd=float(pair.op.limit), bias=0.0)


@writes(hard.Softshrink)
def _softshrink(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    limit = float(pair.op.limit)
    return writer.emit("Shrink", *inputs, lambd=limit, bias=limit)


@writes(softmax.Softmax)
def _softmax(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Softmax", *inputs, axis=pair.op.axis)


@writes(softmax.LogSoftmax)
def _log_softmax(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("LogSoftmax", *inputs, axis=pair.op.axis)


# ------------------------------------------------------------------ reductions


def _reduction(op_type: str) -> Write:
    def write(writer: Writer, pair: Pair, inputs: list[str]) -> str:
        return writer.reduce(op_type, inputs[0], _axes(pair), pair.op.keepdims)

    return write


def _axes(pair: Pair) -> list[int]:
    """Return the axes that an operation goes over."""
    op = pair.op
    axes = op.axis if hasattr(op, "axis") else op.axes
    if axes is None:
        return list(range(len(pair.shape)))
    return [axes] if isinstance(axes, int) else list(axes)


for _op, _op_type in {
    reduce.Sum: "ReduceSum",
    reduce.Mean: "ReduceMean",
    reduce.Prod: "ReduceProd",
    reduce.LogSumExp: "ReduceLogSumExp",
    extreme.Amax: "ReduceMax",
    extreme.Amin: "ReduceMin",
    extreme.Max: "ReduceMax",
    extreme.Min: "ReduceMin",
}.items():
    WRITERS[_op] = _reduction(_op_type)


@writes(VectorNorm)
def _vector_norm(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    p, (x,), axes, keep = pair.op.p, inputs, _axes(pair), pair.op.keepdims
    kinds = {1: "ReduceL1", 2: "ReduceL2"}
    if p in kinds:
        return writer.reduce(kinds[p], x, axes, keep)
    if not math.isfinite(p) or p == 0:
        raise OnnxError(f"a norm of order {p} is none of ONNX's")
    powers_ = writer.emit("Pow", writer.emit("Abs", x), writer.number(p))
    total = writer.reduce("ReduceSum", powers_, axes, keep)
    return writer.emit("Pow", total, writer.number(1 / p))


@writes(reduce.Var, reduce.Std)
def _var(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    axes = _axes(pair)
    counts = [math.prod(shape[axis] for axis in axes) for shape in pair.shapes()]
    if counts[0] != counts[1] and pair.op.correction:
        raise OnnxError("a variance over the batch with a correction depends on the batch's size")
    mean = writer.reduce("ReduceMean", inputs[0], axes, True)
    centred = writer.emit("Sub", inputs[0], mean)
    square = writer.emit("Mul", centred, centred)
    out = writer.reduce("ReduceMean", square, axes, pair.op.keepdims)
    if pair.op.correction:
        factor = counts[0] / (counts[0] - pair.op.correction)
        out = writer.emit("Mul", out, writer.number(factor))
    return writer.emit("Sqrt", out) if isinstance(pair.op, reduce.Std) else out


@writes(Cumsum)
def _cumsum(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    axis = writer.constant(np.asarray(pair.op.axis, np.int64), "axis")
    return writer.emit("CumSum", *inputs, axis, reverse=int(pair.op.reverse))
