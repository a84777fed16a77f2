"""Verification of a recorded graph: each node in place, then the whole from end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.graph import GraphError, Node, nodes_below
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.verify.core import Options, check_subject
from tinygrad_cnn.verify.endtoend import check_end_to_end
from tinygrad_cnn.verify.numeric.elements import generator, random_direction
from tinygrad_cnn.verify.numeric.probe import Tolerance
from tinygrad_cnn.verify.report import InputReport, Report, Verdict
from tinygrad_cnn.verify.subjects.replay import Replay, check_kept
from tinygrad_cnn.verify.subjects.subject import in_float64
from tinygrad_cnn.verify.subjects.tensors import OpSubject

Array = npt.NDArray[Any]
Forward = Callable[[dict[TensorBase, Array]], Array]


def check_graph(
    loss: Any,
    *,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    max_elements: int = 24,
    seed: int = 0,
    raise_exception: bool = False,
) -> Report:
    """Verify every node of a recorded graph in place, then the whole graph from end to end.

    Each node's forward is replayed in float64 on its recorded inputs (what no rule kept is
    computed again from the leaves; random masks are settings and stay; choices such as an arg-max
    are made anew; running statistics are not touched), and its rule is compared with numeric
    differentiation, independently of all other nodes. End to end, the gradient that the engine
    gives for each leaf is compared with the rules' products added up independently, and with
    numeric differentiation of the whole replay.

    Parameters
    ----------
    loss
        A recorded tensor of any shape, before a backward pass releases the graph.
    eps
        The step; None chooses it by the size of each input.
    atol, rtol
        The largest error bar that a verdict may rest on: ``atol + rtol · |numeric|``. Whether a
        gradient is wrong is judged by the error bar itself, most often about 1e-9 of its size.
    max_elements
        Inputs up to this size are moved element by element, of larger ones so many elements;
        every element takes part in the random directions.
    seed
        Of directions and cotangents.
    raise_exception
        Raise a `GradientError` with the report's text unless all is well.

    Returns
    -------
    A report with one result for each input of each node, nearest the loss first, then one for
    each leaf end to end. It is truthy when nothing is wrong.

    Raises
    ------
    TypeError
        If the loss is not a tensor.
    GraphError
        If nothing was recorded, the graph was released, or an input was changed in place.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> print(check_graph((x * x).sum()).text(all=True))
    check_graph: PASS (4 PASS)
    PASS         sum(axes=(0,), keepdims=False) · x [2]
    PASS         mul · a [2]
    PASS         mul · b [2]
    PASS         end to end · x [2]
    """
    if not isinstance(loss, TensorBase):
        raise TypeError(f"check_graph: expects a recorded tensor, got {type(loss).__name__}")
    options = Options(Tolerance(eps, atol, rtol), max_elements, seed)
    report = Report("check_graph", check_recorded("check_graph", loss, options), seed=seed)
    hooked = sum(1 for node in nodes_below(loss) if node.notes is not None and node.notes.hooks)
    if hooked:
        report.notes.append(f"{hooked} results have hooks, which were not called")
    if raise_exception:
        report.raise_if_wrong()
    return report


def check_recorded(
    function: str, root: TensorBase, options: Options, forward: Forward | None = None
) -> list[InputReport]:
    """Return the results for all nodes below a tensor, nearest first, then end to end.

    ``forward`` computes the root from leaves by other means than a replay, for example by calling
    the model again.
    """
    nodes = nodes_below(root)
    if not nodes:
        raise GraphError(
            f"{function}: the tensor was not recorded: it was not computed from a tensor with "
            "requires_grad=True, or was computed under no_grad() or detached"
        )
    check_kept(function, nodes)
    replay = Replay(root, nodes)
    rng = generator(options.seed)
    try:
        out = replay.record()
    except Exception as error:  # a user's op may raise anything
        raise GraphError(
            f"{function}: the graph cannot be replayed in float64: {type(error).__name__}: {error}"
        ) from error
    g = np.ones(out.shape) if out.size == 1 else np.asarray(random_direction(rng, out.shape))
    results, gradients = check_nodes(replay, g, options)
    return results + check_end_to_end(replay, out, g, gradients, results, options, forward)


def check_nodes(
    replay: Replay, g: Array, options: Options
) -> tuple[list[InputReport], dict[TensorBase, Array]]:
    """Check each node, nearest the root first; add up the gradients of the leaves on the way.

    The sums are made here, by none of the engine's code, for the comparison from end to end.
    """
    arriving: dict[Node, Array] = {replay.nodes[-1]: g}
    leaves: dict[TensorBase, Array] = {}
    results: list[InputReport] = []
    for node in reversed(replay.nodes):
        cotangent = arriving.pop(node, None)
        results += check_node(replay, node, cotangent, options)
        if cotangent is None:
            continue
        for edge, gradient in _through(replay, node, cotangent):
            if isinstance(edge, Node):
                arriving[edge] = gradient + arriving[edge] if edge in arriving else gradient
            else:
                leaves[edge] = gradient + leaves[edge] if edge in leaves else gradient
    return results, leaves


def _through(replay: Replay, node: Node, cotangent: Array) -> list[tuple[Node | TensorBase, Array]]:
    """Return the gradients that a node's rule passes on, at the replayed values."""
    values = [
        replay.constant(node, i)
        if edge is None
        else replay.tensors[edge]._data
        if isinstance(edge, Node)
        else replay.copies[edge]._data
        for i, edge in enumerate(node.edges)
    ]
    wanted = [i for i, edge in enumerate(node.edges) if edge is not None]
    copies = [np.array(v) if isinstance(v, np.ndarray) else v for v in values]
    try:
        with np.errstate(all="ignore"):
            found = OpSubject(node.op, values, wanted).record(copies)[1](np.array(cotangent))
    except Exception:  # whatever a wrong rule raises; the node's own result says so
        return []
    passed = []
    for index in wanted:
        edge, gradient = node.edges[index], found[index]
        if edge is not None and gradient is not None:
            passed.append((edge, np.asarray(gradient, np.float64)))
    return passed


def check_node(
    replay: Replay, node: Node, cotangent: Array | None, options: Options
) -> list[InputReport]:
    """Check one node at its recorded inputs."""
    wanted = [i for i, edge in enumerate(node.edges) if edge is not None]
    inputs = replay.inputs_of(node)
    subject = OpSubject(node.op, inputs, wanted, cotangent)
    results = check_subject(subject, options)
    if node.op.reference is not None and all(r.ok for r in results):
        results = _with_reference(node, inputs, wanted, results, options)
    for result in results:
        result.scope, result.source, result.seq = node.scope, node.source, node.seq
    return results


def _with_reference(
    node: Node,
    inputs: list[Any],
    wanted: list[int],
    results: list[InputReport],
    options: Options,
) -> list[InputReport]:
    """Check also the way that second derivatives take through a fused operation."""
    rng = generator(options.seed)
    fused, reference = (OpSubject(node.op, inputs, wanted, None, flag) for flag in (False, True))
    try:
        out = fused.forward(inputs)
        g = np.asarray(random_direction(rng, out.shape))
        one, other = (s.record([in_float64(a) for a in inputs])[1](g) for s in (fused, reference))
    except Exception:  # the full check below says what was raised
        pass
    else:
        if all(
            np.allclose(
                0.0 if one[i] is None else one[i],
                0.0 if other[i] is None else other[i],
                rtol=1e-9,
                atol=1e-12,
            )
            for i in wanted
        ):
            return results
    found = check_subject(reference, options)
    for result in found:
        result.op += " (under create_graph)"
    return results + [result for result in found if result.verdict is not Verdict.PASS]
