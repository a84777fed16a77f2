"""The nodes of a recorded graph, checked one by one in place, nearest the root first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from tinygrad_cnn.graph import Node
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.core import Options, check_subject
from tinygrad_cnn.verify.light import check_lightly
from tinygrad_cnn.verify.numeric.elements import generator, random_direction
from tinygrad_cnn.verify.part import check_in_part
from tinygrad_cnn.verify.report import Hint, InputReport, Verdict
from tinygrad_cnn.verify.subjects.replay import Replay
from tinygrad_cnn.verify.subjects.subject import in_float64
from tinygrad_cnn.verify.subjects.tensors import DirectSubject, OpSubject


@dataclass(frozen=True)
class Selection:
    """Which nodes are checked, and for how long.

    Attributes
    ----------
    only
        Module paths or names of operations, as ``layer3`` or ``conv*``; None for all.
    every
        Each so manieth node of those.
    max_seconds
        After so long no further node is begun; None for no limit.
    thorough
        Whether a node that repeats another (the same operation, settings and shapes) is checked as
        closely as the first, and not by one direction alone; and a large one closely as a whole.
    progress
        Whether a bar is shown; None shows one in a terminal when it takes more than two seconds.
    """

    only: str | None = None
    every: int = 1
    max_seconds: float | None = None
    thorough: bool = False
    progress: bool | None = None
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every expects a positive number of nodes, got {self.every}")

    def has(self, node: Node) -> bool:
        """Whether a node is among those that ``only`` names."""
        return self.names(node.scope or "", node.op.name)

    def names(self, scope: str, name: str) -> bool:
        """Whether a path, or the name of what stands there, is among those."""
        if self.only is None:
            return True
        below = scope.startswith(f"{self.only}.")
        return below or any(fnmatchcase(n, self.only) for n in (scope, name))

    def is_over(self) -> bool:
        """Whether time is up."""
        return self.max_seconds is not None and time.monotonic() - self.started > self.max_seconds

    @contextmanager
    def bar(self, total: int) -> Iterator[Any]:
        """Show a progress bar; what is yielded moves it on by a node."""
        from tqdm import tqdm

        hidden = None if self.progress is None else not self.progress
        delay = 2.0 if self.progress is None else 0.0
        with tqdm(
            total=total, desc="check", unit="node", leave=False, disable=hidden, delay=delay
        ) as bar:
            yield bar.update


def check_nodes(
    replay: Replay, g: Array, options: Options, selection: Selection | None = None
) -> tuple[list[InputReport], dict[TensorBase, Array]]:
    """Check each node, nearest the root first; add up the gradients of the leaves on the way.

    The sums are made here, by none of the engine's code, for the comparison from end to end. What
    was gone through is forgotten, so that the whole takes no more memory than its largest part.
    """
    selection = selection or Selection()
    arriving: dict[Node, Array] = {replay.nodes[-1]: g}
    leaves: dict[TensorBase, Array] = {}
    results: list[InputReport] = []
    chosen = _chosen(replay.nodes, selection)
    kinds: set[Any] = set()
    with selection.bar(len(chosen)) as move:
        for node in reversed(replay.nodes):
            cotangent = arriving.pop(node, None)
            if node in chosen:
                results += _check_chosen(replay, node, cotangent, options, selection, kinds)
                move()
            passed = [] if cotangent is None else _through(replay, node, cotangent)
            replay.forget(node)
            for edge, gradient in passed:
                if isinstance(edge, Node):
                    arriving[edge] = gradient + arriving[edge] if edge in arriving else gradient
                else:
                    leaves[edge] = gradient + leaves[edge] if edge in leaves else gradient
    return results + _engine_result(results), leaves


_REPEATS = "repeats another node: one direction was compared"


def _chosen(nodes: Sequence[Node], selection: Selection) -> set[Node]:
    """Return the nodes that are checked; of two that repeat each other, ``every`` keeps order."""
    named = [node for node in reversed(nodes) if selection.has(node)]
    return set(named[:: selection.every])


def _kind(node: Node) -> Any:
    """Return what two nodes have in common that repeat each other."""
    shapes = tuple(
        np.shape(kept) if edge is None else tuple(edge.shape)
        for edge, kept in zip(node.edges, node.saved or [None] * len(node.edges), strict=True)
    )
    wanted = tuple(edge is not None for edge in node.edges)
    return type(node.op), node.op.describe(), shapes, wanted, str(node.dtype)


def _check_chosen(
    replay: Replay,
    node: Node,
    cotangent: Array | None,
    options: Options,
    selection: Selection,
    kinds: set[Any],
) -> list[InputReport]:
    """Check a node: closely the first of its kind, by one direction one that repeats another."""
    if selection.is_over():
        skipped = _subject_of(replay, node, None)
        results = [
            InputReport(skipped.name, skipped.names[i], i, np.shape(skipped.inputs[i]))
            for i in skipped.wanted
        ]
        for result in results:
            result.say(Verdict.SKIPPED, "note", "not checked: the time was up")
        return _placed(results, node)
    kind = _kind(node)
    if kind in kinds and not selection.thorough:
        found = check_lightly(_subject_of(replay, node, cotangent), options, _REPEATS)
        if found is not None:
            return _placed(found, node)
    results = check_node(replay, node, cotangent, options, selection.thorough)
    if all(result.ok for result in results):
        kinds.add(kind)
    return results


def _placed(results: list[InputReport], node: Node) -> list[InputReport]:
    for result in results:
        result.scope, result.source, result.seq = node.scope, node.source, node.seq
    return results


def _subject_of(replay: Replay, node: Node, cotangent: Array | None) -> OpSubject:
    wanted = [i for i, edge in enumerate(node.edges) if edge is not None]
    dtype = np.dtype(node.dtype) if np.dtype(node.dtype).kind == "f" else None
    return OpSubject(node.op, replay.inputs_of(node), wanted, cotangent, dtype=dtype, node=node)


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
    replay: Replay, node: Node, cotangent: Array | None, options: Options, thorough: bool = False
) -> list[InputReport]:
    """Check one node at its recorded inputs."""
    subject = _subject_of(replay, node, cotangent)
    results = None if thorough else check_in_part(subject, options)
    results = results or check_subject(subject, options)
    raised = any(finding.kind == "error" for r in results for finding in r.findings)
    failed = not raised and any(r.verdict is Verdict.FAIL for r in results)
    if failed and _blames_engine(subject, results, options):
        return _placed([_cleared(result) for result in results], node)
    if node.op.reference is not None and all(r.ok for r in results):
        wanted = list(subject.wanted)
        results = _with_reference(node, subject.inputs, wanted, results, options)
    return _placed(results, node)


_ALONE = "right when the rule is called alone; the backward pass hands on something else"


def _blames_engine(subject: OpSubject, results: list[InputReport], options: Options) -> bool:
    """Whether the rule is right where it is called without the engine."""
    op, dtype = subject.op, subject.dtype
    direct = DirectSubject(op, subject.inputs, subject.wanted, subject.recorded, dtype=dtype)
    wrong = any(finding.kind == "value" for r in results for finding in r.findings)
    if wrong and _agree(subject, direct, options):
        return False  # these values were compared already
    found = check_subject(direct, replace(options, explained=False))
    return all(result.ok for result in found)


def _agree(one: OpSubject, other: OpSubject, options: Options) -> bool:
    """Whether a rule gives the same gradients, called in two ways."""
    try:
        with np.errstate(all="ignore"):
            out = one.forward(one.inputs)
            g = np.asarray(random_direction(generator(options.seed), out.shape))
            found, others = (
                s.record([in_float64(a) for a in s.inputs])[1](np.array(g)) for s in (one, other)
            )
    except Exception:  # the full check that follows says what was raised
        return False
    return all(
        np.allclose(
            0.0 if found[i] is None else found[i],
            0.0 if others[i] is None else others[i],
            rtol=1e-9,
            atol=1e-12,
        )
        for i in one.wanted
    )


def _cleared(result: InputReport) -> InputReport:
    """Return the result of an operation that is right by itself."""
    cleared = InputReport(result.op, result.input, result.position, result.shape)
    cleared.say(Verdict.PASS, "engine", _ALONE)
    return cleared


def _engine_result(results: list[InputReport]) -> list[InputReport]:
    """Return a result for the engine if it is to blame."""
    blamed = [r for r in results if any(f.kind == "engine" for f in r.findings)]
    if not blamed:
        return []
    engine = InputReport("engine", "backward pass", -1, ())
    names = ", ".join(dict.fromkeys(r.op.partition("(")[0] for r in blamed))
    text = f"{len(blamed)} gradients ({names}) are {_ALONE}: the fault is the engine's, or a hook's"
    engine.say(Verdict.FAIL, "engine", text)
    engine.hints.append(Hint("engine", "the rules are right, what the engine makes of them is not"))
    return [engine]


def _with_reference(
    node: Node,
    inputs: list[Any],
    wanted: list[int],
    results: list[InputReport],
    options: Options,
) -> list[InputReport]:
    """Check also the way that second derivatives take through a fused operation."""
    fused, reference = (OpSubject(node.op, inputs, wanted, None, flag) for flag in (False, True))
    if _agree(fused, reference, options):
        return results
    found = check_subject(reference, options)
    for result in found:
        result.op += " (under create_graph)"
    return results + [result for result in found if result.verdict is not Verdict.PASS]
