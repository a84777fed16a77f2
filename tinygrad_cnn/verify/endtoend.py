"""The whole graph: what the engine gives for each leaf, compared with two independent computations.

The rules' products, added up without the engine, agree with it at every point, kinks included:
lost fan-out and a wrong order show here. Numeric differentiation of the whole shows what was not
recorded: a forgotten detach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import grad
from tinygrad_cnn.detaching import Origin
from tinygrad_cnn.graph import Node
from tinygrad_cnn.inplace import name_of
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.core import UNSEEN, Options
from tinygrad_cnn.verify.numeric.elements import generator, random_direction, tied_direction
from tinygrad_cnn.verify.numeric.point import Point
from tinygrad_cnn.verify.numeric.probe import Prober
from tinygrad_cnn.verify.numeric.slopes import norm
from tinygrad_cnn.verify.report import Counts, Hint, InputReport, Verdict, Wrong
from tinygrad_cnn.verify.subjects.line import LineSubject
from tinygrad_cnn.verify.subjects.replay import Replay
from tinygrad_cnn.verify.subjects.subject import Pull, Subject

Forward = Callable[[Mapping[TensorBase, Array]], Array]

_SAME = 1e-9  # relative; sums in another order differ by 1e-15


@np.errstate(all="ignore")
def check_end_to_end(
    replay: Replay,
    out: Any,
    g: Array,
    summed: dict[TensorBase, Array],
    nodes: Sequence[InputReport],
    options: Options,
    forward: Forward | None = None,
) -> list[InputReport]:
    """Return one result for each leaf."""
    results = []
    for position, x in enumerate(replay.leaves):
        name = x._name or name_of(x._data) or f"leaf {position}"
        results.append(InputReport("end to end", name, position, x.shape))
    if any("rule raised" in f.text or f.kind == "shape" for r in nodes for f in r.findings):
        for result in results:
            result.say(Verdict.SKIPPED, "note", "a rule on the way cannot be called; see above")
        return results
    replay.reuses = all(result.verdict is not Verdict.FAIL for result in nodes)
    whole = _Whole(replay, out, g, options, forward)
    if not np.isfinite(whole.out).all():
        for result in results:
            result.say(Verdict.INCONCLUSIVE, "finite", "the result is NaN or infinite")
        return results
    for result, x in zip(results, replay.leaves, strict=True):
        _compare_sums(result, whole.gradients[x], summed.pop(x, None))
    _check_accumulation(results, whole, g)
    rest = [
        r for r in results if r.verdict is not Verdict.FAIL and r.verdict is not Verdict.SKIPPED
    ]
    wrong = any(result.verdict is Verdict.FAIL for result in nodes)
    if len(rest) == len(results) and len(rest) > 1 and not wrong:
        rest = _compare_together(results, whole, options)
    for result in rest:
        _compare_numeric(result, whole, nodes, options)
    return results


def _check_accumulation(results: list[InputReport], whole: _Whole, g: Array) -> None:
    """Let backward() fill ``grad`` twice: the second pass adds to it as much again."""
    copies = [whole.replay.copies[x] for x in whole.leaves]
    try:
        for times in (1, 2):
            whole.root.backward(Tensor._wrap(np.array(g), None), retain_graph=True)
            for result, x, copy in zip(results, whole.leaves, copies, strict=True):
                right = whole.gradients[x]
                got = np.zeros(x.shape) if copy._grad is None else copy._grad._data
                if result.ok and norm(got - times * right) > _SAME * times * norm(right):
                    result.say(
                        Verdict.FAIL,
                        "accumulation",
                        f"after backward() {'once' if times == 1 else 'twice'}, grad is not the "
                        f"gradient{'' if times == 1 else ' times 2'}: it is not added up",
                    )
    finally:
        for copy in copies:
            copy._grad = None


def _compare_together(
    results: list[InputReport], whole: _Whole, options: Options
) -> list[InputReport]:
    """Move all leaves at once; return the results that are to be looked at alone.

    Each leaf is moved as far as makes its share of the change as large as that of the others: if
    the gradient of one is wrong, or its way not recorded, the sum shows it.
    """
    rng, leaves = whole.rng, whole.leaves
    directions: dict[TensorBase, Array] = {}
    for x in leaves:
        d = random_direction(rng, x.shape).astype(np.float32)
        share = norm(d * whole.gradients[x])
        directions[x] = d / np.float32(share or 1.0)
    # So that no leaf moves further than by its own size times the step.
    size = max(float(np.max(np.abs(d), initial=0.0)) for d in directions.values())
    directions = {
        x: np.asarray(d * np.float32(1 / size) if whole.gradients[x].any() else d)
        for x, d in directions.items()
    }
    base = {x: whole.replay.copies[x]._data for x in leaves}
    line = LineSubject(whole.run, whole.pull, base, directions)
    point = Point(line, line.inputs, rng, whole.point.cotangents)
    prober = Prober(point, 0, options.tolerance, Counts())
    prober.probe(np.ones(()))
    if prober.misses or prober.unsure or not prober.decided:
        return results
    rest = []
    for result, x in zip(results, leaves, strict=True):
        result.counts.directions += 1
        if norm(whole.gradients[x] * directions[x]) <= prober.bar:
            rest.append(result)
        elif prober.counts.kinks:
            result.say(Verdict.KINK, "note", _KINK)
    return rest


_KINK = "the loss has no derivative here; the gradient is the sum of the operations' rules"


class _Whole(Subject):
    """The whole graph as one function of its leaves."""

    name = "whole"

    def __init__(
        self, replay: Replay, out: Any, g: Array, options: Options, forward: Forward | None
    ) -> None:
        self.replay = replay
        self.leaves = replay.leaves
        self.run = forward or replay.run
        self.rng = generator(options.seed)
        self.inputs = [replay.copies[x]._data for x in self.leaves]
        self.wanted = tuple(range(len(self.inputs)))
        self.names = tuple(str(i) for i in self.wanted)
        self.root = out
        self.point = Point(self, self.inputs, self.rng, [g])
        self.gradients = dict(zip(self.leaves, self.point.analytic[0], strict=True))
        self.out = self.point.out

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Run the graph with other leaves."""
        return self.run(dict(zip(self.leaves, inputs, strict=True)))

    def record(
        self,
        inputs: Sequence[Any],  # noqa: ARG002  # recorded already
        wanted: Sequence[int] | None = None,  # noqa: ARG002  # all
    ) -> tuple[Array, Pull]:
        """Return what was recorded."""
        return self.root._data, self.pull

    def pull(self, g: Array) -> list[Any]:
        """Let the engine go back through the replayed graph."""
        found = grad(
            self.root,
            [self.replay.copies[x] for x in self.leaves],
            grad_outputs=g,
            retain_graph=True,
            allow_unused=True,
        )
        return [
            np.zeros(x.shape) if f is None else f._data
            for x, f in zip(self.leaves, found, strict=True)
        ]

    def choices_change(self, index: int, direction: Array, h: float) -> bool:
        """Whether an operation on the way chooses otherwise at x − h·d, at x or at x + h·d."""
        x = self.leaves[index]
        base = self.replay.copies[x]._data
        seen = [self.replay.choices({x: np.asarray(base + t * direction)}) for t in (-h, 0.0, h)]
        return any(
            not np.array_equal(a, b)
            for other in (seen[0], seen[2])
            for a, b in zip(seen[1], other, strict=True)
        )


def _compare_sums(result: InputReport, engine: Array, summed: Array | None) -> None:
    """Compare the engine's gradient with the rules' products added up here."""
    summed = np.zeros(engine.shape) if summed is None else summed
    if engine.size == 0:
        result.say(Verdict.SKIPPED, "note", "the leaf has no elements")
        return
    gap = np.abs(engine - summed)
    if not np.isfinite(engine).all():
        result.say(Verdict.FAIL, "finite", "the gradient is NaN or infinite")
    elif norm(gap) > _SAME * (norm(summed) + norm(engine)) + 1e-300:
        worst = np.unravel_index(int(np.argmax(gap)), gap.shape)
        count = int(np.count_nonzero(gap > _SAME * np.max(np.abs(summed))))
        result.wrong = Wrong(
            tuple(int(i) for i in worst),
            float(engine[worst]),
            float(summed[worst]),
            0.0,
            count,
            gap.size,
            gap.size,
            "every element" if count == gap.size else "some",
        )
        result.say(
            Verdict.FAIL,
            "accumulation",
            "the backward pass gives another gradient than the rules of the operations added up "
            "over all paths: a contribution is lost, counted twice, or passed on too early",
        )


def _compare_numeric(
    result: InputReport, whole: _Whole, nodes: Sequence[InputReport], options: Options
) -> None:
    index = result.position
    x = whole.point.inputs[index]
    if x.size == 0:
        return
    prober = Prober(whole.point, index, options.tolerance, result.counts)
    directions = [random_direction(whole.rng, x.shape) for _ in range(2)]
    tied = tied_direction(whole.rng, x)
    for direction in [*directions, *([] if tied is None else [tied])]:
        prober.probe(direction)
    wrong_nodes = [r for r in nodes if r.verdict is Verdict.FAIL]
    misses = [m for m in prober.misses if not m.at_kink or wrong_nodes]
    if misses and not wrong_nodes:
        h = prober.h / 32**3
        misses = [m for m in misses if not whole.choices_change(index, m.direction, h)]
    if misses:
        worst = max(misses, key=lambda m: abs(m.analytic - m.numeric))
        result.wrong = Wrong(None, worst.analytic, worst.numeric, worst.bar, 0, 0, x.size, "")
        _say_why(result, whole, wrong_nodes)
    elif prober.misses or result.counts.kinks:
        result.say(Verdict.KINK, "note", _KINK)
    elif not prober.decided:  # one direction is enough to tell what was not recorded
        bar = max((e.bar for e in prober.unsure), default=float("nan"))
        result.say(
            Verdict.INCONCLUSIVE, "note", f"the numeric derivative is too uncertain: ± {bar:.1g}"
        )
    elif not prober.seen:
        result.say(Verdict.UNSEEN, "note", UNSEEN)


def _say_why(result: InputReport, whole: _Whole, wrong_nodes: Sequence[InputReport]) -> None:
    if wrong_nodes:
        wrong = ", ".join(
            dict.fromkeys(f"{r.op} ({r.place})" if r.place else r.op for r in wrong_nodes)
        )
        result.say(Verdict.FAIL, "end to end", f"wrong because of operations above: {wrong}")
        return
    links: dict[Any, Any] = {**whole.replay.detached, **whole.replay.origins}
    for (node, position), source in links.items():
        recorded = isinstance(source, (Node, Origin))
        what = source.op.name if recorded else (source._name or "a leaf")
        names = node.op._arguments
        name = names[position] if names else f"input {position}"
        where = f" in {node.scope}" if node.scope else ""
        text = f"{name} of {node.op.name}{where} is the result of {what}, detached"
        result.say(Verdict.FAIL, "detached", f"no gradient flows through a value: {text}")
        result.hints.append(Hint("detached", text))
    if not links:
        result.say(
            Verdict.FAIL,
            "end to end",
            "every operation is right by itself, but the result depends on this in a way that was "
            "not recorded: through detach(), .data, numpy() or no_grad()",
        )
