"""Verification of functions of tensors and of modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import enable_grad, grad, record_source
from tinygrad_cnn.graph import GraphError, nodes_below
from tinygrad_cnn.nn.restoring import left_alone
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.verify.core import Options, check_subject, gravest
from tinygrad_cnn.verify.numeric.elements import generator
from tinygrad_cnn.verify.numeric.probe import Tolerance
from tinygrad_cnn.verify.report import InputReport, Report, Verdict
from tinygrad_cnn.verify.subjects.inputs import constants, overlapping
from tinygrad_cnn.verify.subjects.replay import Replay
from tinygrad_cnn.verify.subjects.subject import RuleError, in_float64
from tinygrad_cnn.verify.subjects.tensors import FunctionSubject, is_cast, leaf, wrap
from tinygrad_cnn.verify.walk import check_nodes


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    order: int = 1,
    raise_exception: bool = True,
    seed: int = 0,
    max_elements: int = 512,
) -> Report:
    """Verify the gradients of a function of tensors, and name the operation where they are wrong.

    Parameters
    ----------
    func
        Takes the inputs positionally, returns a tensor or a tuple of tensors.
    inputs
        One tensor or array, or a sequence of them. Those tensors are differentiated that require
        a gradient, and floating-point arrays. All are copied to float64.
    eps, atol, rtol, max_elements, seed
        As for `check_graph`.
    order
        Up to which order derivatives are verified; 2 is what `gradgradcheck` does beside the
        first.
    raise_exception
        Raise a `GradientError` with the report's text unless all is well.

    Returns
    -------
    A report: one result for each input, and where one of these is wrong, those of the recorded
    operations.

    Raises
    ------
    ValueError
        If no input is differentiable, or the order is not positive.

    >>> import numpy as np
    >>> import tinygrad_cnn.functional as F
    >>> print(gradcheck(F.tanh, np.array([0.5, -1.0])))
    gradcheck of tanh: PASS (1 PASS)
    """
    if order < 1:
        raise ValueError(f"gradcheck: order expects a positive number, got {order}")
    options = Options(Tolerance(eps, atol, rtol), max_elements, seed)
    given = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    name = getattr(func, "__name__", type(func).__name__)
    points, wanted = _points(given)
    results = constants("gradcheck", name, given, wanted)
    with left_alone(func):
        for level in range(1, order + 1):
            label = name if level == 1 else f"{'gradient of ' * (level - 1)}{name}"
            found = _check_function(label, func, points, wanted, options)
            results = [*found, *results] if level == 1 else [*results, *found]
            if level < order:
                func, points, wanted = _gradient_of(func, points, wanted, seed)
    report = Report(f"gradcheck of {name}", results, overlapping(given), seed)
    if raise_exception:
        report.raise_if_wrong()
    return report


def gradgradcheck(func: Callable[..., Any], inputs: Any, **settings: Any) -> Report:
    """Verify second derivatives: those of the gradient, by the inputs and by its cotangent.

    The arguments are those of `gradcheck`; the first derivatives are verified on the way.

    >>> import numpy as np
    >>> bool(gradgradcheck(lambda x: x**3, np.array([0.5, -1.0])))
    True
    """
    return gradcheck(func, inputs, **{"order": 2, **settings})


def _points(given: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Return the inputs in float64, and which are differentiated."""
    points = [in_float64(x._data if isinstance(x, TensorBase) else x) for x in given]
    wanted = [
        i
        for i, (x, point) in enumerate(zip(given, points, strict=True))
        if (x._requires_grad if isinstance(x, TensorBase) else isinstance(x, np.ndarray))
        and point.dtype.kind == "f"
    ]
    return points, wanted


def _gradient_of(
    func: Callable[..., Any], points: list[Any], wanted: list[int], seed: int
) -> tuple[Callable[..., Any], list[Any], list[int]]:
    """Return the gradient of a function as a function of the inputs and of the cotangent."""
    rng = generator(seed)
    with enable_grad():
        out = func(*[leaf(in_float64(p)) if i in wanted else wrap(p) for i, p in enumerate(points)])
    outs = out if isinstance(out, (tuple, list)) else (out,)
    live = [k for k, o in enumerate(outs) if isinstance(o, Tensor) and o.requires_grad]
    count = len(points)

    def gradient(*inputs: Any) -> tuple[Any, ...]:
        with enable_grad():
            made = func(*inputs[:count])
            made = made if isinstance(made, (tuple, list)) else (made,)
            return grad(
                [made[k] for k in live],
                [inputs[i] for i in wanted],
                grad_outputs=list(inputs[count:]),
                create_graph=True,
                allow_unused=True,
            )

    def without_none(*inputs: Any) -> tuple[Any, ...]:
        found = gradient(*inputs)
        return tuple(
            inputs[i] * 0.0 if g is None else g for i, g in zip(wanted, found, strict=True)
        )

    cotangents = [rng.standard_normal(outs[k].shape) for k in live]
    return (
        without_none,
        [*points, *map(np.asarray, cotangents)],
        [*wanted, *range(count, count + len(live))],
    )


def _check_function(
    name: str, func: Callable[..., Any], points: list[Any], wanted: list[int], options: Options
) -> list[InputReport]:
    """Check a function as a whole, and its operations where the whole is not well."""
    subject = FunctionSubject(_without_casts(func), points, wanted, create_graph=False)
    subject.name = name
    results = check_subject(subject, replace(options, explained=False))
    if gravest(results) not in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        return results
    nodes = _check_inside(func, points, wanted, options) or []
    wrong = [n for n in nodes if n.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)]
    failed = [n for n in wrong if n.verdict is Verdict.FAIL]
    kinked = any(n.verdict is Verdict.KINK for n in nodes)
    for result in results:
        if result.verdict is not Verdict.FAIL:
            continue
        if failed:
            where = ", ".join(dict.fromkeys(f"{n.input} of {n.op}" for n in failed))
            result.say(Verdict.FAIL, "end to end", f"wrong is the gradient of {where}; see below")
        elif kinked and result.wrong is not None and result.wrong.where == "kink":
            result.verdict = Verdict.KINK
            result.wrong = None
    if not failed and gravest(results) is Verdict.FAIL:
        # Where kinks of several operations meet, what each gives there need not add up.
        results = check_subject(subject, replace(options, special=not nodes))
        for result in results:
            if nodes and any(f.kind == "value" for f in result.findings):
                result.say(
                    Verdict.FAIL,
                    "end to end",
                    "every recorded operation is right by itself: something is not recorded "
                    "(detach(), .data, numpy(), no_grad()) or is added up wrongly",
                )
    return [*results, *wrong]


def _without_casts(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose recorded conversions to float32 keep float64."""

    def replayed_func(*tensors: Any) -> Any:
        out = func(*tensors)
        if not isinstance(out, Tensor) or out._node is None:
            return out
        nodes = nodes_below(out)
        if not any(is_cast(node.op) for node in nodes):
            return out
        return Replay(out, nodes, copy=False).record()

    return replayed_func


def _check_inside(
    func: Callable[..., Any], points: list[Any], wanted: list[int], options: Options
) -> list[InputReport] | None:
    """Check every operation that a function records; None if it cannot be recorded."""
    try:
        with enable_grad(), record_source(), np.errstate(all="ignore"):
            out = func(
                *[leaf(in_float64(p)) if i in wanted else wrap(p) for i, p in enumerate(points)]
            )
            outs = out if isinstance(out, (tuple, list)) else (out,)
            results: list[InputReport] = []
            for root in outs:
                if isinstance(root, Tensor) and root._node is not None:
                    replay = Replay(root, nodes_below(root))
                    value = replay.record()
                    g = generator(options.seed).standard_normal(value.shape)
                    results += check_nodes(replay, np.asarray(g), options)[0]
    except (RuleError, GraphError, ValueError, TypeError, ArithmeticError):
        return None
    return results
