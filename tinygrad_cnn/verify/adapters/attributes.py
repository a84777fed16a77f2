"""Arrays inside of an object, and where it keeps the gradient of which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array

AttributePath = tuple[Any, ...]
"""Names of attributes (text that is one) and keys of containers (anything in a tuple of one)."""

_DEEPEST = 5
_SYNONYMS = {
    **dict.fromkeys(("weight", "weights", "kernel", "kernels", "filter", "filters"), "w"),
    **dict.fromkeys(("bias", "biases"), "b"),
    **dict.fromkeys(("input", "inputs", "data", "in"), "x"),
}
_GRADIENT = re.compile(r"^(?:gradients?|grads?|delta|d|g)(.+)$|^(.+?)(?:gradients?|grads?|delta)$")
_PARAMETERS = frozenset(("params", "param", "parameters", "trainable", "p"))
_GRADIENTS = frozenset(("grads", "grad", "gradients", "gradient", "dparams", "gradparams", "g"))
_VALUE = frozenset(("data", "value", "val", "w", "values", "x"))
_HELD = frozenset(("grad", "gradient", "g", "diff", "d", "dw", "grads"))


def arrays_in(owner: Any) -> dict[AttributePath, Array]:
    """Return the floating-point arrays that an object holds, by the way to each.

    >>> from types import SimpleNamespace
    >>> layer = SimpleNamespace(W=np.ones(2), params={"b": np.zeros(1)}, n=3)
    >>> [text_of(path) for path in arrays_in(layer)]
    ['W', "params['b']"]
    """
    return dict(_walk(owner, (), set()))


def _walk(owner: Any, path: AttributePath, seen: set[int]) -> Iterator[tuple[AttributePath, Array]]:
    if isinstance(owner, np.ndarray):
        if owner.dtype.kind == "f" and path:
            yield path, owner
        return
    if len(path) >= _DEEPEST or id(owner) in seen or isinstance(owner, type):
        return
    seen.add(id(owner))
    for step, value in _members(owner):
        yield from _walk(value, (*path, step), seen)


def _members(owner: Any) -> list[tuple[Any, Any]]:
    if isinstance(owner, dict):
        return [((key,), value) for key, value in owner.items()]
    if isinstance(owner, (list, tuple)):
        return [((key,), value) for key, value in enumerate(owner)]
    named = dict(getattr(owner, "__dict__", {}))
    for kind in type(owner).__mro__:
        slots = getattr(kind, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if isinstance(name, str) and not name.startswith("__") and hasattr(owner, name):
                named.setdefault(name, getattr(owner, name))
    return list(named.items())


def read(owner: Any, path: AttributePath) -> Any:
    """Return what lies at the end of a way; None where the way ends early."""
    for step in path:
        try:
            owner = owner[step[0]] if isinstance(step, tuple) else getattr(owner, step)
        except (AttributeError, KeyError, IndexError, TypeError):
            return None
    return owner


def text_of(path: AttributePath) -> str:
    """Return a way as it is written in Python.

    >>> text_of(("layers", (0,), "W"))
    'layers[0].W'
    """
    text = ""
    for step in path:
        text += f"[{step[0]!r}]" if isinstance(step, tuple) else f".{step}"
    return text.removeprefix(".")


def path_of(text: str) -> AttributePath:
    """Return the way that a user wrote.

    >>> path_of("layers[0].W"), path_of("grads['W']")
    (('layers', (0,), 'W'), ('grads', ('W',)))
    """
    steps: list[Any] = []
    for name, number, key in re.findall(
        r"([^.\[\]]+)(?![^\[]*\])|\[(\d+)\]|\[['\"](.*?)['\"]\]", text
    ):
        steps.append(name if name else (int(number),) if number else (key,))
    return tuple(steps)


def plain(name: Any) -> str:
    """Return a name without case and underscores, synonyms as one.

    >>> plain("_Weights"), plain("W"), plain("running_mean")
    ('w', 'w', 'runningmean')
    """
    text = str(name).replace("_", "").lower()
    return _SYNONYMS.get(text, text)


def is_gradient_of(name: Any, parameter: Any) -> bool:
    """Whether a name is one that people give to the gradient of a parameter.

    >>> is_gradient_of("dW", "weights"), is_gradient_of("grad_b", "b"), is_gradient_of("b", "b")
    (True, True, False)
    """
    found = _GRADIENT.match(str(name).replace("_", "").lower())
    return found is not None and plain(found[1] or found[2]) == plain(parameter)


def gradient_of(path: AttributePath, among: Sequence[AttributePath]) -> AttributePath | None:
    """Return the way to the gradient of the parameter at the end of another, None if none is known.

    >>> gradient_of(("params", ("W",)), [("x",), ("grads", ("W",))])
    ('grads', ('W',))
    """
    *front, last = path
    name = last[0] if isinstance(last, tuple) else last
    for other in among:
        if len(other) != len(path) or other == path:
            continue
        *other_front, other_last = other
        other_name = other_last[0] if isinstance(other_last, tuple) else other_last
        if other_front == front:
            held = plain(name) in _VALUE and plain(other_name) in _HELD and len(path) > 1
            if held or is_gradient_of(other_name, name):
                return other
        elif front and other_front[:-1] == front[:-1]:
            here, there = (plain(f[-1]) for f in (front, other_front))
            holds = here in _PARAMETERS and there in _GRADIENTS
            if (holds or is_gradient_of(there, here)) and (
                other_name == name or is_gradient_of(other_name, name)
            ):
                return other
    return None
