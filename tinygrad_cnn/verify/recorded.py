"""Verification of a recorded graph: each node in place, then the whole from end to end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_cnn.graph import GraphError, nodes_below
from tinygrad_cnn.nn import Module
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.core import Options
from tinygrad_cnn.verify.endtoend import check_end_to_end
from tinygrad_cnn.verify.numeric.elements import generator, random_direction
from tinygrad_cnn.verify.numeric.probe import Tolerance
from tinygrad_cnn.verify.report import InputReport, Report
from tinygrad_cnn.verify.subjects.replay import Replay, check_kept
from tinygrad_cnn.verify.unreached import unreached
from tinygrad_cnn.verify.walk import Selection, check_nodes

Forward = Callable[[Mapping[TensorBase, Array]], Array]


def check_graph(
    loss: Any,
    *,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    max_elements: int = 24,
    seed: int = 0,
    raise_exception: bool = False,
    only: str | None = None,
    every: int = 1,
    max_seconds: float | None = None,
    thorough: bool = False,
    progress: bool | None = None,
    model: Module | None = None,
) -> Report:
    """Verify every node of a recorded graph in place, then the whole graph from end to end.

    Each node's forward is replayed in float64 on its recorded inputs (what no rule kept is
    computed again from the leaves; random masks are settings and stay; choices such as an arg-max
    are made anew; running statistics are not touched), and its rule is compared with numeric
    differentiation, independently of all other nodes. End to end, the gradient that the engine
    gives for each leaf is compared with the rules' products added up independently, and with
    numeric differentiation of the whole replay.

    Large operations, and those that repeat another, are compared as a whole along one direction;
    the former closely on a part of their inputs. Nodes are checked one after the other, as an
    operation may keep something between calls; kernels run on `get_num_threads()` threads.

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
    only
        Nodes to check: a module's path (``"layer3"``, with all below it), or a pattern of paths or
        names of operations (``"conv*"``). The whole is compared from end to end in any case.
    every
        Check each so manieth of these nodes.
    max_seconds
        Begin no further node after so long; what was not checked is listed as SKIPPED.
    thorough
        Check nodes that repeat another (the same operation, settings and shapes, as in a deep
        network) as closely as the first, and large ones closely as a whole.
    progress
        Whether a bar is shown; None shows one in a terminal when it takes more than two seconds.
    model
        A module whose parameters should all be reached: those that are not are listed.

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
    report = Report("check_graph", [], seed=seed)
    selection = Selection(only, every, max_seconds, thorough, progress)
    report.results = check_recorded("check_graph", loss, options, selection=selection)
    if model is not None:
        report.results += unreached(model, nodes_below(loss))
    hooked = sum(1 for node in nodes_below(loss) if node.notes is not None and node.notes.hooks)
    if hooked:
        report.notes.append(f"{hooked} results have hooks, which were not called")
    if raise_exception:
        report.raise_if_wrong()
    return report


def check_recorded(
    function: str,
    root: TensorBase,
    options: Options,
    forward: Forward | None = None,
    selection: Selection | None = None,
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
        shape = replay.record().shape
    except Exception as error:  # a user's op may raise anything
        raise GraphError(
            f"{function}: the graph cannot be replayed in float64: {type(error).__name__}: {error}"
        ) from error
    g = np.asarray(random_direction(rng, shape)) if math.prod(shape) > 1 else np.ones(shape)
    results, gradients = check_nodes(replay, g, options, selection)
    out = replay.record()  # what was gone through was forgotten, node by node
    return results + check_end_to_end(replay, out, g, gradients, results, options, forward)
