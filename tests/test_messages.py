"""Messages say what to write instead."""

# ruff: noqa: ARG002  # rules take every input: the protocol

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, nn, no_grad, tensor
from tinygrad_cnn import functional as F
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.op import Op
from tinygrad_cnn.verify import gradcheck


class Squared(Op):
    """Reads x and does not say so."""

    def forward(self, x: Any) -> Any:
        return x * x

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * 2.0 * x,)


class Rooted(Op):
    """Reads its result and does not say so."""

    def forward(self, x: Any) -> Any:
        return np.sqrt(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (0.5 / out * g,)


class Curved(Op):
    """Reads both with a function of NumPy's, and names one."""

    saves = ("out",)

    def forward(self, x: Any) -> Any:
        return np.exp(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * out * np.cos(x),)


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize(
    ("op", "missing", "saves"),
    [
        (Squared(), "x", r"\('x',\)"),
        (Rooted(), "out", r"\('out',\)"),
        (Curved(), "x", r"\('out', 'x'\)"),
    ],
)
def test_a_rule_that_reads_what_is_not_saved(op: Op, missing: str, saves: str, inner: bool) -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    y = op(x * 1.0 if inner else x).sum()
    message = (
        rf"^{op.name}: the rule reads {missing}, which saves does not name; write saves = {saves}"
    )
    with pytest.raises(GraphError, match=message):
        y.backward()


class Mistaken(Op):
    """Has a mistake of another kind."""

    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return x * 2.0

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g.no_such_thing,)


def test_other_mistakes_in_rules_stay_what_they_are() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        Mistaken()(tensor([1.0], requires_grad=True)).backward()


def test_an_operation_written_as_pytorchs() -> None:
    with pytest.raises(
        TypeError, match=r"^Doubled.forward: expects self and arrays, not PyTorch's"
    ):

        class Doubled(Op):
            @staticmethod
            def forward(_ctx: Any, x: Any) -> Any:  # type: ignore[override]
                return x * 2


LOGITS = tensor(np.ones((4, 3)), requires_grad=True)
IMAGES = tensor(np.ones((2, 28, 28, 3), np.float32))


class Foreign:
    """As another library's tensor."""

    shape, ndim = (4, 3), 2


Foreign.__module__ = "torch"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.cross_entropy(LOGITS, np.zeros(4)), TypeError, "classes are integers, got"),
        (lambda: F.nll_loss(LOGITS, np.zeros(4)), TypeError, r"give target.astype\(int\)"),
        (lambda: nn.Conv2d(3, 4, 3)(IMAGES), ValueError, r"last: give x.permute\(0, 3, 1, 2\)"),
        (lambda: nn.BatchNorm2d(3)(IMAGES), ValueError, r"of an array transpose\(0, 3, 1, 2\)"),
        (lambda: nn.Conv2d(3, 4, 3)(IMAGES[0]), ValueError, "put them before height and width"),
        (lambda: LOGITS + None, TypeError, "a function that returns nothing"),  # type: ignore[operator]
        (lambda: LOGITS * Foreign(), TypeError, r"of torch: give its detach\(\).numpy\(\)"),
    ],
)
def test_what_to_write_instead(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


def test_representations() -> None:
    report = gradcheck(lambda x: F.relu(x), (np.array([0.0, 1.0]),))
    assert repr(report) == f"<Report {str(report).splitlines()[0]}>"
    assert repr(nn.MSELoss(reduction="sum")) == "MSELoss(reduction='sum')"
    assert repr(nn.CrossEntropyLoss(label_smoothing=0.1)) == "CrossEntropyLoss(label_smoothing=0.1)"
    assert repr(nn.HuberLoss()) == "HuberLoss()"
    assert isinstance(LOGITS, Tensor)


def operands_of(function: Any) -> Iterator[tuple[str, list[Any], int]]:
    """For each argument that must be an operand: its name, good arguments, its place."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind <= 1]
    needed = sum(p.default is p.empty for p in parameters)
    x = np.ones((2, 3, 8, 8), np.float32)
    for place, parameter in enumerate(parameters):
        if str(parameter.annotation).startswith("Operand"):
            shown = parameters[: max(needed, place + 1)]
            plain = [x if "Operand" in str(p.annotation) else 1 for p in shown]
            given = [
                p.default if p.default is not p.empty else a
                for p, a in zip(shown, plain, strict=True)
            ]
            yield parameter.name, given, place


class OfTorch:
    """Stands for a tensor of another library."""


OfTorch.__module__ = "torch"
NO_OPERANDS = (None, object(), OfTorch())
FUNCTIONS = sorted(
    name
    for name in F.__all__
    if inspect.isfunction(getattr(F, name)) and any(operands_of(getattr(F, name)))
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_is_no_operand(name: str) -> None:
    function = getattr(F, name)
    annotations = inspect.signature(function).parameters
    named = {"upper": True} if name == "solve_triangular" else {}
    for argument, given, place in operands_of(function):
        for wrong in NO_OPERANDS:
            if wrong is None and "None" in str(annotations[argument].annotation):
                continue
            given[place] = wrong
            with pytest.raises((TypeError, ValueError, IndexError), match=r"^[a-z_0-9]+: "):
                function(*given, **named)


@pytest.mark.parametrize("name", ["sum", "mean", "softmax", "conv2d", "mse_loss", "max_pool2d"])
def test_lists_and_others_are_no_tensors(name: str) -> None:
    function = getattr(F, name)
    more = {"softmax": [0], "conv2d": [np.ones((1, 1, 2, 2))], "mse_loss": [1.0]}.get(name, [])
    more = [2] if name == "max_pool2d" else more
    with pytest.raises(TypeError, match=rf"^{name}: input expects .* got list: give tensor"):
        function([1.0, 2.0], *more)
    with pytest.raises(TypeError, match=rf"^{name}: input .* of torch: give its detach"):
        function(OfTorch(), *more)
    with pytest.raises(TypeError, match=rf"^{name}: input .* got None \(a function that returns"):
        function(None, *more)


def test_a_mistake_inside_of_a_function_stays_what_it_is() -> None:
    with pytest.raises(TypeError, match=r"^sum: dim expects an int"):
        F.sum(np.ones(3), "dim")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        F.softmax(None)  # type: ignore[call-arg]  # the mistake


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_weights_of_classes_lose_no_gradient_without_a_word(loss: Any) -> None:
    x, weight = tensor(np.ones((2, 3)), requires_grad=True), tensor(np.ones(3), requires_grad=True)
    with pytest.raises(GraphError, match=r"weight has no derivative .* detach\(\)"):
        loss(x, np.array([0, 1]), weight=weight)
    with no_grad():
        assert loss(x, np.array([0, 1]), weight=weight).shape == ()
    assert loss(x, np.array([0, 1]), weight=weight.detach()).requires_grad
