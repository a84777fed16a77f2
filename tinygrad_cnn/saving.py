"""What a recorded operation keeps for its rule, worked out once a class from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_cnn.op import Op

Plan = tuple[tuple[int, ...] | None, bool]
"""Which inputs are dropped, None for all of them, and whether the result is kept."""


def plan_saving(cls: type[Op]) -> None:
    """Work out, once a class, what to keep for each combination of wanted gradients."""
    for name in ("forward", "backward"):
        if isinstance(inspect.getattr_static(cls, name), (staticmethod, classmethod)):
            raise TypeError(
                f"{cls.__name__}.{name}: expects self and arrays, not PyTorch's ctx; write "
                'forward(self, x) and backward(self, g, out, x), and saves = ("x",) for what the '
                "rule reads"
            )
    parameters = list(inspect.signature(cls.backward).parameters.values())[3:]
    positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    variadic = any(p.kind is p.VAR_POSITIONAL for p in positional)
    keywords = frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    names = tuple(p.name for p in positional)
    if {"needs", "aux"} & {*names}:
        raise TypeError(
            f"{cls.__name__}.backward: needs and aux are keywords, no inputs; write "
            "backward(self, g, out, x, *, needs)"
        )
    if keywords - {"needs", "aux"}:
        raise TypeError(f"{cls.__name__}.backward: keywords may be needs and aux, got {keywords}")
    saves = cls.saves
    listed = [saves] if isinstance(saves, tuple) else [tuple(saves), *saves.values()]
    unknown = {name for group in listed for name in group} - {*names, "out"}
    if unknown:
        raise TypeError(
            f"{cls.__name__}.saves: {sorted(unknown)} are not among the rule's {[*names, 'out']}"
        )
    if variadic and saves not in ((), ("out",)):
        raise TypeError(f"{cls.__name__}.saves: an op of any number of inputs saves none of them")
    if cls.reference is not None and not {*names} <= set(saves):
        raise TypeError(f"{cls.__name__}: reference needs every input in saves, {names}")
    cls._arguments = () if variadic else names
    cls._takes_needs, cls._takes_aux = "needs" in keywords, "aux" in keywords
    plans: tuple[Plan, ...] = ()
    cls._needs = ()
    if not variadic:
        cls._needs = tuple(
            tuple(bool(bits >> i & 1) for i in range(len(names))) for bits in range(1 << len(names))
        )
        plans = tuple(plan_of(saves, names, needs) for needs in cls._needs)
    waits = cls.postpone is not None
    special = cls.has_aux or cls.widens or cls.infer is not None or waits or cls._outside
    cls._traits = plans, special, cls.views or waits
    cls._in_parts = cls.add_into is not None or cls.backward_owned is not None
    cls._ordinary = not (cls.widens or cls._takes_aux or cls._outside or cls._in_parts)


def needed_by(
    saves: tuple[str, ...] | dict[str, tuple[str, ...]],
    names: tuple[str, ...],
    needs: Sequence[bool],
) -> set[str]:
    """Return the names of what the rule reads, given which gradients are wanted."""
    if isinstance(saves, tuple):
        return set(saves)
    readers = [name for name, wanted in zip(names, needs, strict=True) if wanted]
    return {name for reader in readers for name in saves.get(reader, ())}


def plan_of(
    saves: tuple[str, ...] | dict[str, tuple[str, ...]],
    names: tuple[str, ...],
    needs: Sequence[Any],
) -> Plan:
    """Return which inputs to drop and whether to keep the result.

    Constants are kept in any case: they cannot be computed again from the leaves, which is what
    the verification does with inputs that no rule kept.
    """
    wanted = [bool(need) for need in needs] if names else [edge is not None for edge in needs]
    kept = needed_by(saves, names, wanted)
    drops = tuple(i for i, w in enumerate(wanted) if w and not (names and names[i] in kept))
    return None if len(drops) == len(wanted) else drops, "out" in kept
