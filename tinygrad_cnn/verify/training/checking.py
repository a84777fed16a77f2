"""`check_training` and `watch_training`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_cnn.anomaly import AnomalyError
from tinygrad_cnn.autograd import detect_anomaly, enable_grad, no_grad
from tinygrad_cnn.inplace import before_writing, changed
from tinygrad_cnn.modes import SetMode
from tinygrad_cnn.nn import Module
from tinygrad_cnn.nn.restoring import left_alone
from tinygrad_cnn.optim import LBFGS, Optimizer
from tinygrad_cnn.verify.training.evidence import ByHand, Step, StepWatcher, groups_of
from tinygrad_cnn.verify.training.experiments import (
    Question,
    ask_all,
    ask_rate,
    check_labels,
    explain_error,
)
from tinygrad_cnn.verify.training.findings import TrainingReport
from tinygrad_cnn.verify.training.parameters import check_parameters, names_of
from tinygrad_cnn.verify.training.pictures import check_graph_of_loss
from tinygrad_cnn.verify.training.updates import check_updates


def check_training(
    model: Module,
    loss_fn: Callable[[Any, Any], Any],
    optimizer: Any,
    batch: Sequence[Any],
    *,
    step: Callable[..., Any] | None = None,
    steps: int = 2,
    gradients: bool = True,
    raise_exception: bool = False,
) -> TrainingReport:
    """Find what is wrong with a training step although every operation may be right.

    Runs a step or two on the batch, looks at what was recorded and at what the update did, and asks
    the loss a few questions. Model, optimiser and random numbers are the same afterwards.

    Parameters
    ----------
    model
        Called as ``model(*inputs)``, in the mode that it is in.
    loss_fn
        ``loss_fn(model(*inputs), targets)`` is one number.
    optimizer
        Has a ``step``; one of `tinygrad_cnn.optim`, or anything else that updates parameters. None
        if ``step`` updates them by itself.
    batch
        ``(input, …, targets)``, as for training: tensors or arrays, N in the first dimension.
    step
        The user's own step, called as ``step(*batch)``: clears gradients, computes the loss and its
        gradients, and updates by ``optimizer.step()``. Without one the usual step is run.
    steps
        How many; 2 are needed to see gradients that are not cleared.
    gradients
        Whether to compare the gradients with the slope of the loss, too.
    raise_exception
        Raise a `TrainingError` if anything was found.

    Returns
    -------
    TrainingReport
        Truthy if nothing was found; its findings say what is wrong in a sentence each.

    Raises
    ------
    TypeError, ValueError
        If the arguments are not these.

    >>> from tinygrad_cnn import nn, optim, functional as F
    >>> model = nn.Linear(3, 2)
    >>> batch = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    >>> optimizer = optim.SGD([model.weight], lr=0.1)
    >>> print(check_training(model, F.cross_entropy, optimizer, batch))
    check_training of Linear: 1 found in 2 steps
      missing: the optimiser does not have bias: they keep their first values; give it \
model.parameters(), after all layers are made
      what to do: docs/training_step.md
    """
    if not isinstance(model, Module):
        raise TypeError(f"check_training: model expects a Module, got {type(model).__name__}")
    if optimizer is None and step is None:
        raise TypeError("check_training: expects an optimizer, or a step that updates by itself")
    if len(batch) < 2:
        raise ValueError(f"check_training: batch expects inputs and targets, got {len(batch)}")
    question = Question(model, loss_fn, batch[:-1], batch[-1])
    report = TrainingReport(f"check_training of {type(model).__name__}")
    with _put_back(model, loss_fn, optimizer, step):
        watcher = StepWatcher(
            steps, lambda nodes: check_graph_of_loss(report, nodes), model.parameters()
        )
        own = step or _usual_step(question, optimizer)
        if optimizer is None:
            own = _by_hand(model, own, watcher)
        last = math.nan
        try:
            with _Watching(watcher), _watched(optimizer, watcher), enable_grad(), _quiet():
                for _ in range(steps):
                    own(*batch)
            with no_grad(), _quiet():
                last = float(question.loss()._data)
        except AnomalyError:
            raise
        except Exception as error:  # whatever the user's code raises is what was found
            explain_error(report, question, error)
    report.steps = len(watcher.steps)
    conclude(report, watcher, [model])
    if watcher.steps:
        ask_rate(report, watcher.steps, last)
        with _put_back(model, loss_fn, optimizer, step), enable_grad(), _quiet():
            _check_finite(report, question, watcher.steps)
            check_labels(report, question)
            ask_all(report, question, watcher.steps, gradients)
    if raise_exception:
        report.raise_if_wrong()
    return report


class watch_training(SetMode):  # noqa: N801  # beside its siblings
    """Look at the first training steps of whatever runs inside; nothing there is changed.

    A step is what lies between two calls of an optimiser's ``step``. What needs another run, such
    as other targets, is left to `check_training`.

    Parameters
    ----------
    steps
        How many to look at.

    >>> from tinygrad_cnn import nn, optim, functional as F
    >>> model = nn.Linear(3, 2)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> with watch_training() as watched:
    ...     for _ in range(2):
    ...         F.cross_entropy(model(np.eye(3, dtype=np.float32)), np.array([0, 1, 1])).backward()
    ...         optimizer.step()
    >>> watched.report().codes
    ['not cleared']
    """

    _attribute = "watch"

    def __new__(cls, steps: int = 2) -> watch_training:  # noqa: ARG004, D102
        return object.__new__(cls)

    def __init__(self, steps: int = 2) -> None:
        self._report = TrainingReport("watch_training")
        self._value = StepWatcher(steps, lambda nodes: check_graph_of_loss(self._report, nodes))

    def __enter__(self) -> watch_training:  # type: ignore[override]
        super().__enter__()
        return self

    def report(self) -> TrainingReport:
        """Return what was found so far."""
        watcher = self._value
        self._report.steps = len(watcher.steps)
        called = {key: m for step in watcher.steps for key, m in step.modules.items()}
        conclude(self._report, watcher, outermost(called.values()))
        return self._report


class _Watching(SetMode):
    """Let a watcher look at what runs inside."""

    _attribute = "watch"

    def __new__(cls, watcher: StepWatcher) -> _Watching:  # noqa: ARG004
        return object.__new__(cls)

    def __init__(self, watcher: StepWatcher) -> None:
        self._value = watcher


def outermost(modules: Any) -> list[Module]:
    """Return those modules that are part of no other."""
    given = list(modules)
    inner = {id(part) for m in given for part in m.modules() if part is not m}
    return [m for m in given if id(m) not in inner]


def conclude(report: TrainingReport, watcher: StepWatcher, models: Sequence[Module]) -> None:
    """Say what the steps show."""
    named = names_of(models)

    def name(p: Any) -> str:
        if id(p) in named:
            return named[id(p)][0]
        return p._name or f"a tensor of shape {p.shape}"

    check_parameters(report, models, watcher.steps)
    for steps in watcher.series.values():
        check_updates(report, steps, name)


def _check_finite(report: TrainingReport, question: Question, steps: Sequence[Step]) -> None:
    """Say where a loss that is not finite comes from."""
    if all(np.isfinite(value) for value in steps[0].values):
        return
    try:
        with left_alone(question.model, question.loss_fn), detect_anomaly():
            question.loss()
        report.say("not finite", f"the loss is {steps[0].values[0]}")
    except AnomalyError as error:
        report.say("not finite", f"the loss is {steps[0].values[0]}: {error.why} in {error.op}")


def _usual_step(question: Question, optimizer: Any) -> Callable[..., Any]:
    def closure() -> Any:
        getattr(optimizer, "zero_grad", question.model.zero_grad)()
        loss = question.loss()
        loss.backward()
        return loss

    def step(*_: Any) -> None:
        if isinstance(optimizer, LBFGS):
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()

    return step


def _by_hand(model: Module, step: Callable[..., Any], watcher: StepWatcher) -> Callable[..., Any]:
    """Return a step after which the watcher is told of what it did to the parameters."""
    hand = ByHand(model.parameters())

    def watched(*batch: Any) -> None:
        before = {id(p): np.array(p._data) for p in hand.params}
        step(*batch)
        watcher.updated(hand, before)

    return watched


@contextmanager
def _watched(optimizer: Any, watcher: StepWatcher) -> Iterator[None]:
    """Let the watcher see updates of an optimiser whose ``step`` is its own."""
    if optimizer is None or type(optimizer).step is Optimizer.step:
        yield  # it tells of itself
        return
    step = optimizer.step

    def watched(*args: Any, **kwargs: Any) -> Any:
        watcher.before_update(optimizer)
        answer = step(*args, **kwargs)
        watcher.after_update(optimizer)
        return answer

    optimizer.step = watched
    try:
        yield
    finally:
        del optimizer.step


@contextmanager
def _put_back(model: Module, *others: Any) -> Iterator[None]:
    """Give parameters, gradients, buffers and the optimiser's state back as they were."""
    loss_fn, optimizer, step = others
    params = [p for group in groups_of(optimizer) for p in group["params"]]
    tensors = list({id(t): t for t in [*model.parameters(), *params]}.values())
    values = [(t, t._data, np.array(t._data), t._grad) for t in tensors]
    grads = [(g, np.array(g._data)) for g in (t._grad for t in tensors) if g is not None]
    ours = isinstance(optimizer, Optimizer)
    keep: dict[int, Any] = {id(t): t for t in tensors}
    kept: Any = None
    if optimizer is not None:
        kept = copy.deepcopy(optimizer.state_dict() if ours else vars(optimizer), keep)
    try:
        with left_alone(model, loss_fn, step):
            yield
    finally:
        for t, data, value, grad in values:
            t._data, t._grad = data, grad
            _write(data, value)
        for g, value in grads:
            _write(g._data, value)
        if ours:
            optimizer.load_state_dict(kept)
        elif optimizer is not None:
            vars(optimizer).clear()
            vars(optimizer).update(kept)


def _quiet() -> Any:
    """Leave it to the report to say what is not finite."""
    return np.errstate(all="ignore")


def _write(array: Any, value: Any) -> None:
    if not np.array_equal(array, value, equal_nan=True):
        before_writing(array)
        array[...] = value
        changed(array)
