"""Somebody's operations, forward and backward, against this package's."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_cnn.verify.adapters.attributes import (
    AttributePath,
    arrays_in,
    gradient_of,
    plain,
    text_of,
)
from tinygrad_cnn.verify.adapters.layer_checks import check_layer, is_layer
from tinygrad_cnn.verify.adapters.methods import (
    FORWARD,
    method_of,
    parameters_of,
    required,
    said_by,
    same_draws,
)
from tinygrad_cnn.verify.arrays import check_backward
from tinygrad_cnn.verify.grading.exercises import EXERCISES, SYNONYMS, Exercise
from tinygrad_cnn.verify.report import InputReport, Report, Verdict

LEVELS = ("none", "place", "hint")
_CLOSE = 1e-4  # of the largest result; another epsilon in a normalisation makes 1e-5
_SUFFIX = re.compile(r"(?:layer|op|function|forward|naive|vectorized)+$")


@dataclass
class Grade:
    """What one exercise got.

    Attributes
    ----------
    exercise, found
        Its name, and the name of what was found for it ("" for nothing).
    points, of
        One for the forward pass, one for each gradient.
    forward
        What is wrong with the forward pass; "" for nothing.
    report
        Of the backward pass, None where it could not be run.
    """

    exercise: str
    found: str
    points: int
    of: int
    forward: str = ""
    report: Report | None = None

    def lines(self, level: str) -> list[str]:
        """Return the grade in words, at the level that a teacher sets."""
        lines = [f"{self.exercise:<22} {self.found or 'missing':<24} {self.points} of {self.of}"]
        if level == "none":
            return lines
        lines += [f"    forward: {self.forward}"] if self.forward else []
        for result in self._wrong():
            text = result.text() if level == "hint" else _without_hints(result).text()
            lines += ["    " + line for line in text.splitlines()]
        return lines

    def _wrong(self) -> list[InputReport]:
        results = [] if self.report is None else self.report.results
        return [r for r in results if r.verdict not in (Verdict.PASS, Verdict.KINK)]

    def to_dict(self, level: str) -> dict[str, Any]:
        """Return plain data for JSON."""
        report = None
        if self.report is not None and level != "none":
            kept = copy.deepcopy(self.report)
            if level == "place":
                kept.results = [_without_hints(result) for result in kept.results]
            report = kept.to_dict()
        said = {"forward": self.forward} if level != "none" else {}
        return {
            "exercise": self.exercise,
            "found": self.found,
            "points": self.points,
            "of": self.of,
            **said,
            "report": report,
        }


def total_line(points: int, of: int) -> str:
    """Return the sum, under the points of each."""
    return f"{'total':<47} {points} of {of}"


def unfinished(spec: str, why: str) -> Grade:
    """Return the grade of an exercise that did not come to its end."""
    name, _, called = spec.partition("=")
    return Grade(name, called or name, 0, EXERCISES[name].points, why)


def _without_hints(result: InputReport) -> InputReport:
    kept = copy.copy(result)
    kept.hints = []
    return kept


@dataclass
class Grades:
    """The grades of one file. Truthy when every point was reached."""

    grades: list[Grade] = field(default_factory=list)

    @property
    def points(self) -> int:
        """The sum."""
        return sum(grade.points for grade in self.grades)

    @property
    def of(self) -> int:
        """The most there could be."""
        return sum(grade.of for grade in self.grades)

    def __bool__(self) -> bool:
        return self.points == self.of

    def text(self, level: str = "hint") -> str:
        """Return a line for each exercise, what is wrong below, and the sum."""
        lines = [line for grade in self.grades for line in grade.lines(level)]
        return "\n".join([*lines, total_line(self.points, self.of)])

    def to_dict(self, level: str = "hint") -> dict[str, Any]:
        """Return plain data for JSON."""
        exercises = [grade.to_dict(level) for grade in self.grades]
        return {"points": self.points, "of": self.of, "exercises": exercises}


def grade(names: Mapping[str, Any], specs: Sequence[str], seed: int = 0) -> Grades:
    """Grade operations among a file's names against this package's, forward and backward.

    Parameters
    ----------
    names
        What a file defines: classes with ``forward`` and ``backward``, pairs such as
        ``conv_forward`` with ``conv_backward``, functions that return a loss with its gradient.
    specs
        Exercises, as ``"conv2d"``, or ``"conv2d=MyConvolution"`` where the name is another.
    seed
        Of inputs and parameters.

    Raises
    ------
    ValueError
        If there is no such exercise.

    >>> class ReLU:
    ...     def forward(self, x):
    ...         self.x = x
    ...         return np.maximum(x, 0)
    ...
    ...     def backward(self, dout):
    ...         return dout
    >>> print(grade({"ReLU": ReLU}, ["relu"]).text("none"))
    relu                   ReLU                     1 of 2
    total                                           1 of 2
    """
    grades = Grades()
    for spec in specs:
        name, _, called = spec.partition("=")
        if name not in EXERCISES:
            known = ", ".join(EXERCISES)
            raise ValueError(f"grade: expects exercises of {known}, got {name!r}")
        grades.grades.append(_grade_one(name, EXERCISES[name], _found(names, name, called), seed))
    return grades


Found = tuple[str, Any, Any]
"""A name, a class or a forward pass, and a backward pass or None."""


def _found(names: Mapping[str, Any], exercise: str, called: str) -> Found | None:
    """Find what is meant for an exercise."""
    wanted = {called} if called else set(EXERCISES[exercise].names)
    pairs, others = [], []
    for name, value in names.items():
        if not callable(value) or name.startswith("_"):
            continue
        low = name.replace("_", "").lower()
        short = name if called else _SUFFIX.sub("", low)
        begin = name.removesuffix("_naive").removesuffix("_forward")
        backward = names.get(name.replace("forward", "backward")) if "forward" in name else None
        if short not in wanted and low not in wanted and (not called or begin not in wanted):
            continue
        if callable(backward):
            pairs.append((name, value, backward))
        elif not low.endswith("backward"):
            others.append((name, value, None))
    layers = [found for found in others if isinstance(found[1], type) and is_layer(found[1])]
    functions = [found for found in others if not isinstance(found[1], type)]
    return next(iter([*layers, *pairs, *functions]), None)


def _grade_one(name: str, exercise: Exercise, found: Found | None, seed: int) -> Grade:
    gradients = exercise.points - 1
    if found is None:
        return Grade(name, "", 0, exercise.points, "there is none")
    label, forward, backward = found
    values = exercise.values(np.random.default_rng(seed))
    try:
        with np.errstate(all="ignore"):
            said, report = (
                _judge_layer(exercise, forward, values, seed)
                if isinstance(forward, type)
                else _judge_functions(exercise, forward, backward, values, seed)
            )
    except Exception as error:  # whatever somebody's code raises
        return Grade(name, label, 0, exercise.points, f"raised {type(error).__name__}: {error}")
    judged = [r for r in report.results if r.input not in ("y", "labels")]
    right = [r for r in judged if r.verdict in (Verdict.PASS, Verdict.KINK)]
    points = (not said) + min(len(right), gradients)
    return Grade(name, label, points, exercise.points, said, report)


# ---------------------------------------------------------------------------------------- settings


def _setting(name: str, settings: Mapping[str, Any]) -> str | None:
    """Return which setting a name of an argument stands for."""
    low = name.replace("_", "").lower()
    return next((s for s, names in SYNONYMS.items() if low in names and s in settings), None)


def _arguments(
    function: Callable[..., Any], exercise: Exercise, values: dict[str, Any], skip: int = 0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return arguments of a constructor or function by name, and the settings that are in force."""
    given: dict[str, Any] = {}
    inside = {"stride": 1, "padding": 0} if "out" in exercise.settings else {}
    if exercise.names[0].endswith("pool2d"):
        inside = {"stride": exercise.settings["kernel_size"]}
    used = {**exercise.settings, **inside}
    needed = required(function)
    for name in list(parameters_of(function))[skip:]:
        setting = _setting(name, exercise.settings)
        if setting is not None:
            given[name] = used[setting] = exercise.settings[setting]
        elif name.endswith("param"):
            given[name] = _bundle(exercise.settings)
            used |= exercise.settings
        elif plain(name) in values:
            given[name] = values[plain(name)]
        elif name in needed:
            raise ValueError(f"what to give for {name} is not known")
    return given, used


def _bundle(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings under all names that functions look up in a dict of them."""
    size = settings.get("kernel_size")
    sizes = {"pool_height": size, "pool_width": size, "kernel_size": size}
    return {**settings, "pad": settings.get("padding"), **sizes}


# ------------------------------------------------------------------------------------------ judging


def _difference(got: Any, wanted: Any) -> str:
    """Say how a result differs from what it should be."""
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    if got.shape != wanted.shape and got.size == wanted.size == 1:
        got = got.reshape(wanted.shape)
    if got.shape != wanted.shape:
        return f"the result has shape {got.shape}, expected {wanted.shape}"
    wrong = ~(np.abs(got - wanted) <= _CLOSE * np.max(np.abs(wanted)))
    if not wrong.any():
        return ""
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"{np.count_nonzero(wrong)} of {wrong.size} values are wrong, first at {list(place)}: "
        f"{got[place]:.6g} instead of {wanted[place]:.6g}"
    )


def _inputs(exercise: Exercise, values: dict[str, Any]) -> list[Any]:
    return [values[name] for name in list(exercise.shapes)[: exercise.inputs]]


def _judge_layer(
    exercise: Exercise, kind: type, values: dict[str, Any], seed: int
) -> tuple[str, Report]:
    arguments, settings = _arguments(kind, exercise, values)
    with same_draws():
        layer = kind(**arguments)
    forward = str(method_of(layer, FORWARD))
    inputs = _fitting(getattr(layer, forward), _inputs(exercise, values))
    held = _parameters_in(layer)
    roles = {path: _role(text_of(path), array, values) for path, array in held.items()}
    memo: dict[int, Any] = {
        id(held[path]): _shaped(values[role], held[path].shape)
        for path, role in roles.items()
        if role
    }
    layer = copy.deepcopy(layer, memo)
    with same_draws(), said_by(forward):
        got = getattr(copy.deepcopy(layer), forward)(*inputs)
    right = exercise.reference({**values, **_missing(exercise, roles.values())}, settings)
    said = _difference(got[0] if isinstance(got, tuple) else got, right)
    report = check_layer(layer, *inputs, seed=seed)
    report.results = [r for r in report.results if r.position < 1 or r.position >= len(inputs)]
    return said, report


def _parameters_in(layer: Any) -> dict[AttributePath, Any]:
    """Return the arrays of a layer but gradients and running statistics."""
    arrays = arrays_in(layer)
    gradients = [gradient_of(path, list(arrays)) for path in arrays]
    return {
        path: array
        for path, array in arrays.items()
        if path not in gradients and not re.search("run|moving|mean|var", text_of(path))
    }


def _missing(exercise: Exercise, roles: Iterable[str | None]) -> dict[str, Any]:
    """Return the neutral values of parameters that a layer does not have, as a bias."""
    parameters = list(exercise.shapes)[exercise.inputs :]
    return {n: np.zeros(exercise.shapes[n]) for n in parameters if n not in set(roles)}


def _role(name: str, array: Any, values: Mapping[str, Any]) -> str | None:
    """Return which parameter an array of a layer is: by its size, then by its name."""
    fits = [n for n in ("w", "b") if n in values and values[n].size == array.size]
    if len(fits) == 2:
        low = name.lower()
        return "b" if any(word in low for word in ("bias", "beta", "shift")) or low == "b" else "w"
    return fits[0] if fits else None


def _shaped(value: Any, shape: tuple[int, ...]) -> Any:
    if value.shape != shape and value.T.shape == shape:
        return np.array(value.T)
    return np.array(value).reshape(shape)


def _fitting(call: Callable[..., Any], inputs: list[Any]) -> list[Any]:
    """Return inputs that a forward pass takes: labels as numbers, or else one row for each."""
    if len(inputs) < 2 or inputs[1].dtype.kind != "i":
        return inputs
    rows = [inputs[0], np.eye(inputs[0].shape[-1])[inputs[1]]]
    owner = getattr(call, "__self__", None)
    call = call if owner is None else getattr(copy.deepcopy(owner), call.__name__)
    for candidate in (inputs, rows):
        try:
            out = call(*candidate)
        except Exception:  # it takes the other form
            continue
        if np.size(out[0] if isinstance(out, tuple) else out) == 1:
            return candidate
    return inputs


def _judge_functions(
    exercise: Exercise,
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    values: dict[str, Any],
    seed: int,
) -> tuple[str, Report]:
    tensors = [values[name] for name in exercise.shapes]
    extra, settings = _arguments(forward, exercise, {}, skip=len(tensors))

    def run(*arrays: Any) -> Any:
        return forward(*arrays, **extra)

    tensors = _fitting(run, tensors)
    right = exercise.reference(values, settings)
    with same_draws():
        try:
            got = run(*[np.array(t) for t in tensors])
        except ValueError:  # weights the other way round
            tensors = [t.T.copy() if i == 1 and t.ndim == 2 else t for i, t in enumerate(tensors)]
            got = run(*[np.array(t) for t in tensors])
    said = _difference(got[0] if isinstance(got, tuple) else got, right)
    if backward is None and not isinstance(got, tuple):
        raise ValueError(f"there is no backward pass beside {forward.__name__}")
    called = required(forward)[: len(tensors)]
    run.__name__ = forward.__name__
    floats = [t for t in tensors if t.dtype.kind == "f"]
    report = check_backward(run, backward, tensors, raise_exception=False, seed=seed)
    for result in report.results:
        if 0 <= result.position < len(called):
            result.input = called[result.position]
    report.results = [r for r in report.results if r.position < len(floats)]
    return said, report
