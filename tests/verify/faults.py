"""Wrong backward rules on purpose: an operation of a small graph gets a faulty rule.

A `Site` is an operation with inputs, a `Fault` is a way to be wrong, a `Pair` is both. A fault is
a function of the `Call` of a rule: it sees what the rule is given and the right answer, and
returns a wrong one. The graph around the operation stays right.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn import tensor
from tinygrad_cnn.data import load
from tinygrad_cnn.graph import Node, nodes_below
from tinygrad_cnn.op import Op, registry
from tinygrad_cnn.verify import Report, Verdict, check_graph
from tinygrad_cnn.verify.subjects.replay import Replay
from tinygrad_cnn.verify.subjects.tensors import OpSubject

Array = npt.NDArray[Any]


# ------------------------------------------------------------------------------- faulty rules


@dataclass
class Call:
    """One call of a rule: what it is given, and what the right one answers."""

    rule: Callable[..., Any]
    op: Op
    g: Array
    out: Array
    inputs: tuple[Any, ...]
    extra: dict[str, Any]
    memory: dict[str, Any]  # what a faulty operation keeps between calls

    def right(self, g: Any = None) -> list[Any]:
        """The right gradients, for this cotangent or another; arrays of the inputs' shapes."""
        given = self.g if g is None else g
        found = self.rule(self.op, given, self.out, *self.inputs, **self.extra)
        return [
            None if a is None else _sum_to(np.array(a), np.shape(x))
            for a, x in zip(found, self.inputs, strict=True)
        ]


Mutation = Callable[[Call], Sequence[Any]]


def _sum_to(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum over broadcast dimensions, as the engine would."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 != g.shape[i])
    return np.asarray(g.sum(axis=axes, keepdims=True) if axes else g)


def faulty(op: type[Op], mutate: Mutation) -> type[Op]:
    """The same operation with a wrong rule, which may look at all inputs and the result."""
    memory: dict[str, Any] = {}
    rule = op.backward

    def backward(self: Op, g: Any, out: Any, *inputs: Any, **extra: Any) -> tuple[Any, ...]:
        return tuple(mutate(Call(rule, self, g, out, inputs, extra, memory)))

    signature = inspect.signature(rule)
    backward.__signature__ = signature  # type: ignore[attr-defined]
    kinds = [(p.name, p.kind) for p in signature.parameters.values()][3:]
    names = [name for name, kind in kinds if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    body = {
        "__slots__": (),
        "__module__": __name__,
        "name": op.name,
        "saves": (*names, "out"),
        "backward": backward,
        "backward_owned": None,  # the engine would take this right one instead
    }
    made: type[Op] = type(op.__name__, (op,), body)
    del registry[f"{__name__}.{op.__name__}"]
    return made


def broken(op: Op, mutate: Mutation) -> Op:
    """A copy of an operation, settings and all, with a wrong rule."""
    op = copy.copy(op)
    op.__class__ = faulty(type(op), mutate)
    return op


# ------------------------------------------------------------------------------- inputs


@cache
def _images() -> Array:
    return load("digits").test.images[:256] / 255.0


def pixels(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Real digits sampled to a shape: one image for each of the leading indices."""
    if len(shape) < 2:
        values = _images()[rng.integers(256), 4:24, 4:24].reshape(-1)
        places = np.linspace(90, 310, shape[0] if shape else 1).astype(int)
        return np.asarray(values[places].reshape(shape))
    count = int(np.prod(shape[:-2])) if len(shape) > 2 else 1
    rows, columns = (_places(n) for n in shape[-2:])
    chosen = _images()[rng.choice(256, count, replace=False)]
    return np.asarray(chosen[:, rows][:, :, columns].reshape(shape))


def _places(n: int) -> Array:
    """Rows or columns of an image, about its middle."""
    return np.round(13.5 + (np.arange(n) - (n - 1) / 2) * min(2.0, 20 / n)).astype(int)


def edges(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Differences of neighbouring pixels of digits: zeros in the background, both signs."""
    wide = pixels(rng, (*shape[:-1], shape[-1] + 1) if shape else (2,))
    return np.asarray(np.diff(wide, axis=-1).reshape(shape))


Draw = Callable[[np.random.Generator, bool], Array]


def normal(*shape: int) -> Draw:
    """Normal numbers, or differences of digits' pixels."""
    return lambda rng, digits: edges(rng, shape) if digits else rng.standard_normal(shape)


def image(*shape: int) -> Draw:
    """Normal numbers, or digits."""
    return lambda rng, digits: pixels(rng, shape) if digits else rng.standard_normal(shape)


def positive(*shape: int) -> Draw:
    """Numbers away from 0, or digits that are a little grey."""

    def draw(rng: np.random.Generator, digits: bool) -> Array:
        return pixels(rng, shape) + 0.25 if digits else rng.uniform(0.5, 2.0, shape)

    return draw


def weight(*shape: int) -> Draw:
    """Normal numbers, also beside digits."""
    return lambda rng, digits: rng.standard_normal(shape)


def spread(*shape: int) -> Draw:
    """Positive numbers, also beside digits."""
    return lambda rng, digits: rng.uniform(0.5, 2.0, shape)


def fixed(values: Any) -> Draw:
    """The same array always."""
    return lambda rng, digits: np.asarray(values)


# ------------------------------------------------------------------------------- pairs


@dataclass(frozen=True)
class Fault:
    """A way to be wrong.

    Attributes
    ----------
    hints
        The codes of hints that name it, any of them; none if there is no hint for it.
    quiet
        The numbers at the recorded point are right, or as good as right.
    """

    name: str
    mutate: Mutation
    hints: tuple[str, ...] = ()
    quiet: bool = False


@dataclass(frozen=True)
class Site:
    """An operation at inputs."""

    family: str
    name: str
    op: type[Op]
    function: Callable[..., Any]
    inputs: tuple[Draw, ...]
    faults: tuple[Fault, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Pair:
    """An operation with a fault."""

    site: Site
    fault: Fault

    @property
    def id(self) -> str:
        return f"{self.site.family}-{self.site.name}-{self.fault.name}".replace(" ", "_")


@dataclass(frozen=True)
class Setting:
    """On what a pair is tried."""

    digits: bool
    dtype: type[np.floating[Any]]
    seed: int

    @property
    def name(self) -> str:
        return f"{'digits' if self.digits else 'random'} {np.dtype(self.dtype).name}"


SETTINGS = (
    Setting(digits=False, dtype=np.float64, seed=1),
    Setting(digits=False, dtype=np.float32, seed=2),
    Setting(digits=True, dtype=np.float32, seed=3),
)


def arrays_of(site: Site, setting: Setting) -> list[Array]:
    rng = np.random.default_rng(setting.seed)
    drawn = [draw(rng, setting.digits) for draw in site.inputs]
    return [a.astype(setting.dtype) if a.dtype.kind == "f" else a for a in drawn]


def record(site: Site, setting: Setting) -> tuple[Any, Node]:
    """Record the operation between others; return the loss and the operation's node."""
    arrays = arrays_of(site, setting)
    leaves = [tensor(a, requires_grad=True) if a.dtype.kind == "f" else a for a in arrays]
    hidden = [x if isinstance(x, np.ndarray) else x * 1.25 for x in leaves]
    before = max(x._node.seq for x in hidden if not isinstance(x, np.ndarray))
    y = site.function(*hidden)
    nodes = [n for n in nodes_below(y) if type(n.op) is site.op and n.seq > before]
    signs = np.random.default_rng(setting.seed).uniform(0.5, 1.5, y.shape)
    signs = (signs * np.where(signs > 1, 1, -1)).astype(y.dtype)
    return (F.sigmoid(y) * tensor(signs)).mean(), nodes[-1]


# ------------------------------------------------------------------------------- outcomes


@dataclass(frozen=True)
class Outcome:
    """What the verification said of a pair.

    Attributes
    ----------
    differs
        Whether the rule is wrong at these inputs at all.
    detected
        Whether the operation's node fails.
    named
        Whether it fails and no other node does.
    hinted
        Whether a hint names the fault.
    """

    differs: bool
    detected: bool
    named: bool
    hinted: bool
    codes: tuple[str, ...]
    report: Report


def try_pair(pair: Pair, setting: Setting) -> Outcome:
    """Give an operation a fault and verify the graph around it."""
    loss, node = record(pair.site, setting)
    differs = pair.fault.quiet or _differs(loss, node, pair.fault.mutate)
    node.op = broken(node.op, pair.fault.mutate)
    report = check_graph(loss)
    failed = {r.seq for r in report.failures if r.seq is not None}
    codes = tuple(h.code for r in report.failures for h in r.hints if r.seq == node.seq)
    hinted = any(code in pair.fault.hints for code in codes)
    return Outcome(differs, node.seq in failed, failed == {node.seq}, hinted, codes, report)


def _differs(loss: Any, node: Node, mutate: Mutation) -> bool:
    """Whether the wrong rule's numbers are others than the right one's."""
    replay = Replay(loss, nodes_below(loss))
    replay.record()
    inputs = replay.inputs_of(node)
    wanted = [i for i, edge in enumerate(node.edges) if edge is not None]
    found = []
    for op in (node.op, broken(node.op, mutate)):
        out, pull = OpSubject(op, copy.deepcopy(inputs), wanted).record(copy.deepcopy(inputs))
        found.append(pull(np.random.default_rng(7).standard_normal(out.shape)))
    return any(not np.allclose(found[0][i], found[1][i], rtol=1e-9, atol=0) for i in wanted)


def false_alarms(site: Site, setting: Setting) -> list[str]:
    """What is said against the right operation."""
    report = check_graph(record(site, setting)[0])
    return [r.text() for r in report.results if not r.ok and r.verdict is not Verdict.SKIPPED]
