"""``tinygrad-cnn check FILE.py:NAME``: the gradients of a user's function, class or module."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli.arguments import UsageError
from tinygrad_cnn.cli.inputs import Given, guess, make
from tinygrad_cnn.cli.user_file import find, load_file, public_names

if TYPE_CHECKING:
    from tinygrad_cnn.verify import Report

__all__ = ["check_file", "is_file_target"]


def is_file_target(text: str) -> bool:
    """Whether a text names something in a file.

    >>> is_file_target("layers.py:Conv(3, 8)"), is_file_target("batchnorm")
    (True, False)
    """
    return text.partition(":")[0].endswith(".py")


def check_file(arguments: argparse.Namespace) -> tuple[Report, dict[str, Any]]:
    """Check what a target names; return the report, and what was checked as plain data."""
    import numpy as np

    from tinygrad_cnn.op import TensorBase
    from tinygrad_cnn.verify import check
    from tinygrad_cnn.verify.adapters.choose import framework_of

    file, _, name = arguments.network.partition(":")
    path = Path(file)
    names = load_file(path)
    if not name:
        own = ", ".join(public_names(names, path.stem)) or "nothing that can be called"
        raise UsageError(f"expected {path}:NAME; it defines {own}")
    subject = find(names, name, path)
    if arguments.framework is not None:
        _import(arguments.framework)
    framework = arguments.framework or framework_of(subject, ())
    subject = _made(subject, framework, name)
    inputs = list(arguments.input or ())
    if not inputs and not isinstance(subject, TensorBase):
        inputs = _guess(subject, framework, arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    arrays = [make(one, rng) for one in inputs]
    if (
        arguments.framework is None
        and framework == "tinygrad"
        and _gives_gradients(subject, arrays)
    ):
        framework = "numpy"
    try:
        report = check(subject, *arrays, framework=framework, seed=arguments.seed)
    except ValueError as error:
        raise UsageError(str(error)) from error
    about = {
        "target": arguments.network,
        "framework": framework,
        "inputs": [str(one) for one in inputs],
        "guessed": bool(inputs) and not arguments.input,
    }
    return report, about


def _import(framework: str) -> None:
    """Import the framework that was asked for, if it is another's."""
    import importlib

    if framework in ("torch", "jax", "autograd"):
        try:
            importlib.import_module(framework)
        except ImportError as error:
            raise UsageError(
                f"argument --framework: {framework} cannot be imported: {error}"
            ) from None


def _made(subject: Any, framework: str, name: str) -> Any:
    """Make an object of a class that is to be checked as one; refuse what nothing can check."""
    from tinygrad_cnn.nn import Module
    from tinygrad_cnn.op import Op, TensorBase
    from tinygrad_cnn.verify.adapters.layer_checks import is_layer
    from tinygrad_cnn.verify.adapters.methods import FORWARD, method_of

    kind = subject if isinstance(subject, type) else type(subject)
    layer = issubclass(kind, (Module, Op)) or is_layer(subject)
    foreign = framework == "torch"  # its modules and autograd.Functions have no backward
    if not (layer or foreign) and method_of(kind, set(FORWARD) - {"__call__"}):
        raise UsageError(f"{name} has a forward pass and no backward: nothing to check")
    if not isinstance(subject, type):
        if layer or callable(subject) or isinstance(subject, (TensorBase, tuple)):
            return subject
        raise UsageError(
            f"{name} is of type {kind.__name__}: expected a function, a class, a module, an "
            "operation, or a recorded tensor"
        )
    if foreign and not hasattr(subject, "parameters"):
        return subject  # an autograd.Function
    if not (layer or foreign):
        return subject
    try:
        return subject()
    except TypeError as error:
        raise UsageError(f"{name} needs arguments, as {name}(3, 8): {error}") from error


def _guess(subject: Any, framework: str, seed: int) -> list[Given]:
    """Find inputs that fit by running it."""
    import sys

    from tinygrad_cnn.verify.adapters.attributes import arrays_in
    from tinygrad_cnn.verify.adapters.methods import required

    call: Any = subject[0] if isinstance(subject, tuple) else subject
    shapes = [array.shape for array in arrays_in(call).values()]
    if hasattr(call, "parameters"):
        shapes = [tuple(p.shape) for p in call.parameters()]
    if isinstance(call, type):  # an autograd.Function
        names, call = required(getattr(call, "forward", call))[1:], getattr(call, "apply", call)
    elif hasattr(call, "forward"):
        names, call = required(call.forward), call if callable(call) else call.forward
    else:
        names = required(call)

    def run(*arrays: Any) -> Any:
        if framework == "torch":
            tensors = [sys.modules["torch"].from_numpy(a) for a in arrays]
            return call(*[t.float() if t.is_floating_point() else t for t in tensors])
        return call(*arrays)

    return guess(run, names or ["x"], shapes, seed)


def _gives_gradients(subject: Any, arrays: list[Any]) -> bool:
    """Whether a function of arrays returns its value with its gradients."""
    import numpy as np

    if not callable(subject) or isinstance(subject, type) or hasattr(subject, "parameters"):
        return False
    try:
        with np.errstate(all="ignore"):
            out = subject(*[np.array(a) for a in arrays])
    except Exception:  # the check says so
        return False
    return isinstance(out, tuple) and len(out) > 1 and isinstance(out[0], (float, np.floating))
