"""What a training step leaves behind: collected while it runs, without changing it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_cnn.graph import Node, mode, nodes_below
from tinygrad_cnn.nn import (
    AlphaDropout,
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    Module,
)
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.types import Array
from tinygrad_cnn.watching import Watcher


class Update:
    """What an optimiser was given and what it did to each of its parameters.

    Attributes
    ----------
    optimizer
        Anything with a ``step``; ``groups`` are its ``param_groups``, or one group made of what it
        calls its parameters.
    params
        All parameters that were looked at.
    grads, before, after, state, options
        By id of the parameter, copies.
    """

    def __init__(self, optimizer: Any, others: Iterable[TensorBase] = ()) -> None:
        self.optimizer = optimizer
        self.groups = groups_of(optimizer)
        mine = [p for group in self.groups for p in group["params"]]
        self.params = list({id(p): p for p in [*mine, *others]}.values())
        self.grads = {id(p): np.array(p._grad._data) for p in self.params if p._grad is not None}
        self.before = {id(p): np.array(p._data) for p in self.params}
        held = getattr(optimizer, "state", None) or {}
        self.state = {id(p): _arrays(held[p]) for p in mine if p in held}
        self.options = {
            id(p): {k: v for k, v in group.items() if k != "params"}
            for group in self.groups
            for p in group["params"]
        }
        self.after: dict[int, Array] = {}

    def finish(self) -> None:
        """Copy what the update left."""
        self.after = {id(p): np.array(p._data) for p in self.params}


class ByHand:
    """Stands for the optimiser of a step that updates parameters by itself."""

    def __init__(self, params: Iterable[TensorBase]) -> None:
        self.params = list(params)


def groups_of(optimizer: Any) -> list[dict[str, Any]]:
    """Return the groups of an optimiser, or of something that steps like one."""
    groups = getattr(optimizer, "param_groups", None)
    if groups is not None:
        return list(groups)
    held = list(getattr(optimizer, "__dict__", {}).values())
    lists = [v for v in held if isinstance(v, (list, tuple)) and v]
    params = [p for v in lists for p in v if isinstance(p, Parameter)]
    return [{"params": params}] if params else []


def _arrays(state: Any) -> dict[str, Any]:
    return {
        name: np.array(v._data) if isinstance(v, TensorBase) else v for name, v in state.items()
    }


class Step:
    """A training step: losses that were differentiated, and the update after them.

    Attributes
    ----------
    modules
        Those that were called from outside, where that was recorded.
    images
        The size of the batch, as far as a module's first input tells.
    values
        Of the losses.
    leaves
        Ids of the leaves that a loss leads to.
    found
        By id of a leaf, the gradient that it had when the first backward pass began.
    stale
        Parameters whose gradient was then still that of the update before.
    resting
        Paths of layers that behave as in evaluation.
    statistics
        Of layers that collect them: path, and copies of the running mean and variance.
    """

    def __init__(self) -> None:
        self.modules: dict[int, Module] = {}
        self.images = 0
        self.values: list[float] = []
        self.leaves: set[int] = set()
        self.found: dict[int, Array] = {}
        self.stale: list[TensorBase] = []
        self.resting: list[str] = []
        self.statistics: dict[str, list[Array]] = {}
        self.update: Update | None = None


class _Call:
    """A call of a module from outside: which nodes it made, by ``seq``, and how its layers were."""

    def __init__(self, module: Module, inputs: Any, result: Any) -> None:
        results = result if isinstance(result, (tuple, list)) else (result,)
        nodes = [r._node for r in results if isinstance(r, TensorBase)]
        self.made = {node.seq for node in nodes if node is not None}
        self.module = module
        shape = getattr(inputs[0], "shape", ()) if inputs else ()
        self.images = shape[0] if shape else 0
        self.resting: list[str] = []
        self.statistics: dict[str, list[Array]] = {}

    def join(self, step: Step) -> None:
        """Become part of a step."""
        step.modules[id(self.module)] = self.module
        step.images = max(step.images, self.images)
        step.resting += self.resting
        step.statistics.update(self.statistics)


class StepWatcher(Watcher):
    """Collects the first steps of whatever runs while it watches, for each optimiser apart.

    Parameters
    ----------
    most
        How many steps of an optimiser to look at.
    look
        Called with the nodes of each loss before its backward pass, while all arrays are there.
    others
        Parameters to look at that the optimiser may not name.
    """

    def __init__(
        self,
        most: int,
        look: Callable[[list[Node]], None],
        others: Iterable[TensorBase] = (),
    ) -> None:
        self.most = most
        self.look = look
        self.series: dict[int, list[Step]] = {}  # by id of the optimiser
        self._others = list(others)
        self._now = Step()
        self._calls: deque[_Call] = deque(maxlen=_MOST_CALLS)  # the last ones
        self._left = most * _OPTIMIZERS
        self._depth = 0

    @property
    def steps(self) -> list[Step]:
        """All steps, those of an optimiser together."""
        return [step for steps in self.series.values() for step in steps]

    def called(self, module: Any, inputs: Any, result: Any) -> None:
        """Note a call of a module from outside of any module."""
        if not self._left:
            return
        call = _Call(module, inputs, result)
        for path, part in module.named_modules():
            if not part.training and _rests(part):
                call.resting.append(path or type(part).__name__)
            elif isinstance(part, _NORMS) and part.training and part.running_mean is not None:
                buffers = (part.running_mean, part.running_var)
                call.statistics[path] = [np.array(b._data) for b in buffers if b is not None]
        if call.made:
            self._calls.append(call)

    def started(self, root: Any) -> None:
        """Look at what a backward pass begins with."""
        if not self._left:
            return
        step = self._now
        nodes = nodes_below(root)
        below = {node.seq for node in nodes}
        for call in self._calls:  # others, such as an evaluation, are no part of the step
            if below & call.made:
                call.join(step)
        leaves = [e for node in nodes for e in node.edges if isinstance(e, TensorBase)]
        if not step.values:
            step.found = {id(x): np.array(x._grad._data) for x in leaves if x._grad is not None}
        step.values.append(float(root._data.sum()))
        step.leaves.update(map(id, leaves))
        self.look(nodes)

    def before_update(self, optimizer: Any) -> None:
        """Copy what the optimiser is given."""
        self._depth += 1
        if self._depth > 1 or not self._left:
            return
        steps = self.series.setdefault(id(optimizer), [])
        step = self._now
        if len(steps) >= self.most:
            self._now = Step()
            self._left -= 1
            return
        step.update = Update(optimizer, self._others)
        before = steps[-1].update if steps else None
        if before is not None:
            step.stale = [
                p
                for p in before.params
                if (not before.groups or id(p) in before.options)
                and _is_old(step.found.get(id(p)), before.grads.get(id(p)))
            ]

    def updated(self, hand: ByHand, before: dict[int, Array]) -> None:
        """Note an update that was no call of an optimiser, with the parameters before the step."""
        self.before_update(hand)
        if self._now.update is not None:
            self._now.update.before = before
        self.after_update(hand)

    def after_update(self, optimizer: Any) -> None:
        """Copy what the optimiser did, and begin another step."""
        self._depth -= 1
        if not self._depth and self._now.update is not None:
            self._now.update.finish()
            self.series[id(optimizer)].append(self._now)
            self._now = Step()
            self._left -= 1
        if not self._left and mode.watch is self:
            mode.watch = None  # enough: the rest runs as if nobody looked


# A loop may train several networks, one after the other or in turns; a result may be differentiated
# after other calls.
_OPTIMIZERS = 6
_MOST_CALLS = 100

_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
_DROPOUTS = (Dropout, Dropout1d, Dropout2d, Dropout3d, AlphaDropout)


def _is_old(now: Array | None, before: Array | None) -> bool:
    """Whether a gradient is still the one of the update before."""
    if now is None or before is None:
        return False
    return bool(before.any()) and np.array_equal(now, before)


def _rests(part: Module) -> bool:
    """Whether a layer does something else in training; frozen normalisations are meant to rest."""
    if isinstance(part, _NORMS):
        weight = part.weight
        return weight is None or weight.requires_grad
    return isinstance(part, _DROPOUTS) and part.p > 0
