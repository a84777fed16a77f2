"""``torch.jit``: there is no compiler; functions and modules run as they are."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.nn import Module
from tinygrad_cnn.torch.absent import absent

__all__ = [
    "Final",
    "ScriptModule",
    "annotate",
    "export",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "script",
    "script_if_tracing",
    "trace",
    "unused",
]

Final = Any
ScriptModule = Module


def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the function or module."""
    return obj


export = unused = interface = script_if_tracing = script


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Return the function; ``@ignore`` and ``@ignore()`` both."""
    return drop if callable(drop) else script


def trace(func: Any, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Return the function or module; `tinygrad_cnn.capture` records one, for inference."""
    return func


def annotate(the_type: Any, the_value: Any) -> Any:
    """Return the value."""
    return the_value


def is_scripting() -> bool:
    """Return False."""
    return False


def is_tracing() -> bool:
    """Return False."""
    return False


def _overload_method(function: Any) -> Any:
    return function


__getattr__ = absent("torch.jit")
