"""Verification of layer classes that keep something between ``forward`` and ``backward``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.verify.adapters.attributes import text_of
from tinygrad_cnn.verify.adapters.layers import LayerSubject
from tinygrad_cnn.verify.adapters.methods import BACKWARD, FORWARD, method_of
from tinygrad_cnn.verify.core import Options, check_subject
from tinygrad_cnn.verify.numeric.elements import generator, random_direction
from tinygrad_cnn.verify.numeric.probe import Tolerance
from tinygrad_cnn.verify.report import Hint, InputReport, Report, Verdict
from tinygrad_cnn.verify.subjects.inputs import constants, overlapping
from tinygrad_cnn.verify.subjects.subject import RuleError, in_float64


def is_layer(value: Any) -> bool:
    """Whether an object, or a class, has a forward and a backward pass of its own.

    >>> class Double:
    ...     def forward(self, x):
    ...         return 2 * x
    ...
    ...     def backward(self, dout):
    ...         return 2 * dout
    >>> is_layer(Double()), is_layer(print)
    (True, False)
    """
    return bool(method_of(value, FORWARD) and method_of(value, BACKWARD))


def check_layer(
    layer: Any,
    *inputs: Any,
    parameters: Sequence[str] | None = None,
    gradients: Mapping[str, str] | None = None,
    input_gradient: str | None = None,
    raise_exception: bool = False,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    max_elements: int = 512,
    seed: int = 0,
) -> Report:
    """Verify a layer class: its gradients by the inputs, and by each parameter that it holds.

    ``forward(*inputs)`` returns an array or a number; ``backward(dout)`` returns the gradient of
    the input, or several, or stores them. A loss's ``backward()`` may take nothing, or what its
    forward pass takes; one that takes a learning rate and changes the parameters at once is judged
    by that change. The layer itself stays as it was: copies of it run.

    Parameters
    ----------
    layer
        An object, or a class that can be made without arguments.
    inputs
        Arrays and numbers; floating-point arrays are differentiated, in float64.
    parameters
        Which arrays of the layer are parameters, as ``"W"`` or ``"params['W']"``; None for all
        whose gradients are found.
    gradients
        Where the gradient of a parameter is stored, as ``{"W": "my_gradient"}``. Found without it:
        ``dW``, ``grad_W``, ``W_grad``, ``grads['W']`` beside ``params['W']``, ``W.grad``, and
        arrays that ``backward`` returns behind the gradients of the inputs.
    input_gradient
        Where the input's gradient is stored, if it is not returned.
    raise_exception, eps, atol, rtol, max_elements, seed
        As for `check_graph`.

    Raises
    ------
    ValueError
        If it is no layer, nothing is differentiable, or a gradient that was named is not there.

    >>> class Linear:
    ...     def __init__(self):
    ...         self.W = np.arange(6.0).reshape(3, 2)
    ...
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x @ self.W
    ...
    ...     def backward(self, dout):
    ...         self.dW = self.x.T @ dout
    ...         return dout @ self.W.T
    >>> print(check_layer(Linear(), np.ones((4, 3))).text(all=True))
    check_layer of Linear: PASS (2 PASS)
    PASS         Linear · x [4, 3]
    PASS         Linear · W [3, 2]
    """
    layer = _made(layer)
    forward, backward = method_of(layer, FORWARD), method_of(layer, BACKWARD)
    if forward is None or backward is None:
        raise ValueError(
            f"check_layer: expects an object with forward and backward, got "
            f"{type(layer).__name__} without {'backward' if forward else 'forward'}"
        )
    options = Options(Tolerance(eps, atol, rtol), max_elements, seed)
    points = [in_float64(x) for x in inputs]
    wanted = [i for i, x in enumerate(points) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    name = type(layer).__name__
    report = Report(f"check_layer of {name}", [], overlapping(inputs), seed)
    try:
        subject = LayerSubject(
            layer,
            points,
            wanted,
            methods=(forward, backward),
            parameters=parameters,
            gradients=gradients,
            input_gradient=input_gradient,
        )
        _check_layer(subject, options, report)
        report.results += constants("check_layer", name, points, wanted) if wanted else []
    except RuleError as error:
        result = InputReport(name, "layer", -1, ())
        result.say(Verdict.FAIL, error.kind, str(error))
        report.results.append(result)
    if raise_exception:
        report.raise_if_wrong()
    return report


def _made(layer: Any) -> Any:
    if not isinstance(layer, type):
        return layer
    try:
        return layer()
    except TypeError as error:
        raise ValueError(
            f"check_layer: {layer.__name__} cannot be made without arguments ({error}); give an "
            "object instead of the class"
        ) from error


def _check_layer(subject: LayerSubject, options: Options, report: Report) -> None:
    if not subject.wanted:
        raise ValueError(f"check_layer: {subject.name} has no floating-point input or parameter")
    report.results += check_subject(subject, options)
    if all(result.ok for result in report.results):
        _check_used_again(subject, options, report)
    for path in subject.without_gradient:
        result = InputReport(subject.name, text_of(path), -1, ())
        text = "the result changes with it, but no gradient of it was found after backward"
        result.say(Verdict.SKIPPED, "unreached", f"{text}; say where it is if there is one")
        report.results.append(result)
    report.notes += subject.notes


def _check_used_again(subject: LayerSubject, options: Options, report: Report) -> None:
    """Let one object run twice, as in training."""
    rng = generator(options.seed)
    others = list(subject.inputs)
    for index in subject.wanted:
        x = others[index]
        if index < len(others) - len(subject.parameters):
            others[index] = rng.permutation(x.reshape(-1)).reshape(x.shape)
    g = np.asarray(random_direction(rng, subject.forward(subject.inputs).shape))
    try:
        with np.errstate(all="ignore"):
            said = subject.used_again(others, g)
    except RuleError:  # outside of the domain
        return
    for result in report.results:
        if said.get(result.position) == "stale":
            text = "after the layer has run on other inputs, the same call gives another gradient"
            result.say(Verdict.FAIL, "stale", f"{text}: it keeps something of them")
            result.hints.append(Hint("earlier call", "it uses values of another call"))
    added = [subject.names[index] for index, what in said.items() if what == "adds"]
    if added:
        names = ", ".join(added)
        report.notes.append(f"gradients of {names} add up over calls: reset them before each step")
