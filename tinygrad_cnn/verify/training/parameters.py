"""Parameters that will not learn, or not alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_cnn.nn import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.training.evidence import Step, Update
from tinygrad_cnn.verify.training.findings import TrainingReport, listing

_TELLING = 8  # with fewer images in a batch, a gradient of zeros tells little


def names_of(models: Iterable[Module]) -> dict[int, tuple[str, Parameter]]:
    """Return the parameters of modules with their paths, by id."""
    found: dict[int, tuple[str, Parameter]] = {}
    for model in models:
        for name, p in model.named_parameters():
            found.setdefault(id(p), (name, p))
    return found


def check_parameters(
    report: TrainingReport, models: Sequence[Module], steps: Sequence[Step]
) -> None:
    """Say which parameters the steps of all optimisers leave out, and why."""
    named = names_of(models)
    updates = [step.update for step in steps if step.update is not None]
    if not updates:
        return
    optimizers = {id(update.optimizer): update for update in updates}.values()
    held = Counter(id(p) for u in optimizers for g in u.groups for p in g["params"])
    _check_groups(report, named, held, [g for u in optimizers for g in u.groups])
    reached = set().union(*(step.leaves for step in steps))
    unreached = [
        (name, id(p)) for name, p in named.values() if p.requires_grad and id(p) not in reached
    ]
    if unreached:
        names = [name for name, _ in unreached]
        report.say(
            "unreached",
            f"the loss does not lead to {listing(names)}: unused, detached, or used under "
            "no_grad(); no gradient arrives there",
            *names,
        )
    _check_zero(report, named, updates, max(step.images for step in steps))
    _check_memory(report, named)


def _check_groups(
    report: TrainingReport,
    named: dict[int, tuple[str, Parameter]],
    held: Counter[int],
    groups: list[Any],
) -> None:
    missing = [name for i, (name, p) in named.items() if p.requires_grad and i not in held]
    if missing and held:
        report.say(
            "missing",
            f"the optimiser does not have {listing(missing)}: they keep their first values; give "
            "it model.parameters(), after all layers are made",
            *missing,
        )
    elif missing:
        report.note("the optimiser does not say which parameters it has (no param_groups)")
    twice = [name for i, (name, _) in named.items() if held[i] > 1]
    if twice:
        report.say(
            "twice", f"the optimiser has {listing(twice)} twice: each step counts twice", *twice
        )
    frozen = [name for i, (name, p) in named.items() if i in held and not p.requires_grad]
    if frozen:
        report.say(
            "frozen",
            f"{listing(frozen)}: requires_grad is False, yet the optimiser has it; it will not "
            "learn: requires_grad_(), or leave it out of the optimiser",
            *frozen,
        )
    strangers = [
        p._name or f"a tensor of shape {p.shape}"
        for group in groups
        for p in group["params"]
        if id(p) not in named
    ]
    if strangers and missing:
        report.say(
            "other parameters",
            f"the optimiser has {listing(strangers)}, which the model does not use: it was made "
            "for another model, or before a layer was replaced",
            *strangers,
        )


def _check_zero(
    report: TrainingReport,
    named: dict[int, tuple[str, Parameter]],
    updates: Sequence[Update],
    images: int,
) -> None:
    """Gradients that arrive, and are 0 in every element of every step."""
    if images < _TELLING:
        return
    arrived = [u.grads for u in updates]
    zero = [
        name
        for i, (name, p) in named.items()
        if p.requires_grad and _all_zero([g[i] for g in arrived if i in g])
    ]
    if zero:
        everything = len(zero) == sum(p.requires_grad for _, p in named.values())
        which = "every parameter" if everything else listing(zero)
        report.say(
            "zero gradient",
            f"the gradient of {which} is exactly 0 in every element: it will not learn; a rule "
            "lost it, or the units after it are dead",
            *zero,
        )


def _all_zero(grads: list[Array]) -> bool:
    return bool(grads) and not any(g.any() for g in grads)


def _check_memory(report: TrainingReport, named: dict[int, tuple[str, Parameter]]) -> None:
    """Two parameters in the same memory: an update of one moves the other."""
    held: list[tuple[str, TensorBase]] = sorted(
        ((name, p) for name, p in named.values() if p._data.size),
        key=lambda pair: np.lib.array_utils.byte_bounds(pair[1]._data)[0],
    )
    for (one, p), (other, q) in pairwise(held):
        if np.shares_memory(p._data, q._data):
            report.say(
                "shared memory",
                f"{one} and {other} lie in the same memory: an update of one changes the other, "
                "and each moves twice; make one parameter serve both places, or copy",
                one,
                other,
            )
