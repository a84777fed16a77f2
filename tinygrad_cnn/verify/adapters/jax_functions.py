"""JAX's functions, those with rules of their own included, as subjects."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.adapters.methods import same_draws
from tinygrad_cnn.verify.adapters.pairs import argument_names
from tinygrad_cnn.verify.core import Options, check_subject
from tinygrad_cnn.verify.numeric.probe import Tolerance
from tinygrad_cnn.verify.report import Report
from tinygrad_cnn.verify.subjects.inputs import constants, overlapping
from tinygrad_cnn.verify.subjects.subject import Pull, RuleError, Subject, in_float64, side_by_side


def framework() -> Any:
    """Return JAX, which whoever has an array or a function of it has imported."""
    jax = sys.modules.get("jax")
    if jax is None:
        raise ValueError("check: JAX's functions need jax, which nobody has imported")
    return jax


@contextmanager
def in_double() -> Iterator[None]:
    """Let JAX compute in float64 for a while, whatever it is set to."""
    jax = framework()
    enable = getattr(jax, "enable_x64", None)
    with jax.experimental.enable_x64() if enable is None else enable(True), same_draws():
        yield


class JaxSubject(Subject):
    """A function of JAX's arrays, or of trees of them: each leaf of a tree is an input.

    Attributes
    ----------
    tree
        How the inputs nest.
    """

    subsets = False

    def __init__(self, function: Callable[..., Any], inputs: Sequence[Any]) -> None:
        jax = framework()
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        leaves, self.tree = jax.tree_util.tree_flatten(tuple(inputs))
        arrays = [
            np.asarray(x) if hasattr(x, "dtype") or isinstance(x, float) else x for x in leaves
        ]
        self.inputs = [in_float64(a) for a in arrays]
        self.given = arrays
        self.wanted = tuple(
            i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"
        )
        self.names = _names_of(jax, function, inputs)
        own = {arrays[i].dtype for i in self.wanted}
        self.dtype = np.dtype(np.float32) if own == {np.dtype(np.float32)} else None

    def _called(self, leaves: Sequence[Any]) -> Any:
        tree_util = framework().tree_util
        out = self.function(*tree_util.tree_unflatten(self.tree, list(leaves)))
        return [x for x in tree_util.tree_leaves(out) if _is_float(x)]

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the results side by side."""
        with in_double():
            outs = self._called(_as_jax(inputs))
            return side_by_side([np.array(out) for out in outs]) if outs else np.array(0)

    def record(
        self, inputs: Sequence[Any], wanted: Sequence[int] | None = None
    ) -> tuple[Array, Pull]:
        """Let JAX make the rule."""
        wanted = self.wanted if wanted is None else wanted
        given = _as_jax(inputs)

        def along(*moved: Any) -> Any:
            leaves = list(given)
            for index, array in zip(wanted, moved, strict=True):
                leaves[index] = array
            return self._called(leaves)

        with in_double():
            outs, rule = framework().vjp(along, *(given[index] for index in wanted))
        if not outs:
            raise RuleError(f"{self.name} returns no floating-point array")

        def pull(g: Array) -> list[Any]:
            flat, at, parts = g.reshape(-1), 0, []
            with in_double():
                for out in outs:
                    part = flat[at : at + out.size].reshape(out.shape)
                    parts.append(framework().numpy.asarray(part, out.dtype))
                    at += out.size
                found = rule(parts)
                gradients: list[Any] = [None] * len(inputs)
                for index, gradient in zip(wanted, found, strict=True):
                    gradients[index] = np.array(gradient)
            return gradients

        return side_by_side([np.array(out) for out in outs]), pull


def _is_float(x: Any) -> bool:
    return np.dtype(getattr(x, "dtype", np.int64)).kind == "f"


def _as_jax(inputs: Sequence[Any]) -> list[Any]:
    with in_double():
        convert = framework().numpy.array
        return [convert(x) if isinstance(x, np.ndarray) else x for x in inputs]


def _names_of(jax: Any, function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[str, ...]:
    wrapped = getattr(function, "__wrapped__", getattr(function, "fun", function))
    arguments = argument_names(wrapped, len(inputs))
    names = []
    for path, _ in jax.tree_util.tree_flatten_with_path(tuple(inputs))[0]:
        names.append(arguments[path[0].idx] + jax.tree_util.keystr(path[1:]))
    return tuple(names)


def check_jax(
    function: Any,
    *inputs: Any,
    raise_exception: bool = False,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    max_elements: int = 512,
    seed: int = 0,
) -> Report:
    """Verify the reverse-mode gradients of a JAX function, as one with a ``custom_vjp``.

    Parameters
    ----------
    function
        Takes the inputs positionally; returns an array, or a tree of them.
    inputs
        Arrays, or trees of arrays (a dict of parameters): floating-point ones are differentiated,
        in float64, whether JAX is set to it or not.
    raise_exception, eps, atol, rtol, max_elements, seed
        As for `check_graph`.

    Raises
    ------
    ValueError
        If no input is differentiable.
    """
    options = Options(Tolerance(eps, atol, rtol), max_elements, seed)
    subject = JaxSubject(function, inputs)
    skipped = constants("check_jax", subject.name, subject.given, subject.wanted)
    for result in skipped:
        result.input = subject.names[result.position]
    notes = overlapping(subject.given)
    report = Report(f"check_jax of {subject.name}", check_subject(subject, options), notes, seed)
    report.results += skipped
    if raise_exception:
        report.raise_if_wrong()
    return report
