"""Arrays inside of an object, and where it keeps the gradient of which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array

Way = tuple[Any, ...]
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


def arrays_in(thing: Any) -> dict[Way, Array]:
    """Return the floating-point arrays that an object holds, by the way to each.

    >>> from types import SimpleNamespace
    >>> layer = SimpleNamespace(W=np.ones(2), params={"b": np.zeros(1)}, n=3)
    >>> [text_of(path) for path in arrays_in(layer)]
    ['W', "params['b']"]
    """
    return dict(_walk(thing, (), set()))


def _walk(thing: Any, path: Way, seen: set[int]) -> Iterator[tuple[Way, Array]]:
    if isinstance(thing, np.ndarray):
        if thing.dtype.kind == "f" and path:
            yield path, thing
        return
    if len(path) >= _DEEPEST or id(thing) in seen or isinstance(thing, type):
        return
    seen.add(id(thing))
    for step, value in _members(thing):
        yield from _walk(value, (*path, step), seen)


def _members(thing: Any) -> list[tuple[Any, Any]]:
    if isinstance(thing, dict):
        return [((key,), value) for key, value in thing.items()]
    if isinstance(thing, (list, tuple)):
        return [((key,), value) for key, value in enumerate(thing)]
    named = dict(getattr(thing, "__dict__", {}))
    for kind in type(thing).__mro__:
        slots = getattr(kind, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if isinstance(name, str) and not name.startswith("__") and hasattr(thing, name):
                named.setdefault(name, getattr(thing, name))
    return list(named.items())


def read(thing: Any, path: Way) -> Any:
    """Return what lies at the end of a way; None where the way ends early."""
    for step in path:
        try:
            thing = thing[step[0]] if isinstance(step, tuple) else getattr(thing, step)
        except (AttributeError, KeyError, IndexError, TypeError):
            return None
    return thing


def text_of(path: Way) -> str:
    """Return a way as it is written in Python.

    >>> text_of(("layers", (0,), "W"))
    'layers[0].W'
    """
    text = ""
    for step in path:
        text += f"[{step[0]!r}]" if isinstance(step, tuple) else f".{step}"
    return text.removeprefix(".")


def way_of(text: str) -> Way:
    """Return the way that a user wrote.

    >>> way_of("layers[0].W"), way_of("grads['W']")
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


def gradient_of(path: Way, among: Sequence[Way]) -> Way | None:
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
