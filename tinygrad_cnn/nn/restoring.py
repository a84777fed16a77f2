"""Whoever only looks at a network or a function leaves everything as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_cnn.graph import mode
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.random import default_generator

_KEPT = ("_data", "_grad", "_hooks", "_name", "_requires_grad")


def modules_in(*functions: Any) -> list[Module]:
    """Return the modules that functions are, belong to, or name: free variables and globals."""
    found: list[Any] = []
    for function in functions:
        cells = getattr(function, "__closure__", None) or ()
        found += [function, getattr(function, "__self__", None)]
        found += [cell.cell_contents for cell in cells if _is_filled(cell)]
        names = getattr(getattr(function, "__code__", None), "co_names", ())
        found += [function.__globals__[name] for name in names if name in function.__globals__]
    return list(dict.fromkeys(m for f in found if isinstance(f, Module) for m in f.modules()))


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # assigned to only later
        return False


@contextmanager
def left_alone(*functions: Any) -> Iterator[None]:
    """Put back at the end what calls of functions may change: the same objects as before.

    That is the default generator, what is being recorded, and of the functions' modules all
    attributes, with their tensors' gradients, and generators. Arrays that may be written to
    (buffers) are replaced by copies for the time, so that the originals are not touched and no
    pending backward pass takes notice.
    """
    before = [(module, dict(vars(module))) for module in modules_in(*functions)]
    values = {id(v): v for _, attributes in before for v in attributes.values()}.values()
    tensors = [v for v in values if isinstance(v, TensorBase)]
    slots = [(t, [getattr(t, name) for name in _KEPT]) for t in tensors]
    generators = [v for v in values if isinstance(v, np.random.Generator)]
    states = [(g, g.bit_generator.state) for g in {*generators, default_generator()}]
    now = dict(vars(mode))
    for tensor in tensors:
        if not isinstance(tensor, Parameter):
            tensor._data = tensor._data.copy()
    mode.scope, mode.module, mode.watch = "", None, None
    try:
        yield
    finally:
        vars(mode).update(now)
        for module, attributes in before:
            vars(module).clear()
            vars(module).update(attributes)
        for tensor, kept in slots:
            for name, value in zip(_KEPT, kept, strict=True):
                setattr(tensor, name, value)
        for generator, state in states:
            generator.bit_generator.state = state
