"""The five notebooks' networks with their mistakes, found and drawn: pictures of `docs/story.md`.

Each mistake is put into the operation that had it, for as long as the network is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinygrad_cnn.functional as F
from site_parts.flows import without_figures
from tinygrad_cnn import Op, Tensor, data, models, nn, tensor
from tinygrad_cnn.ops.activation import Relu
from tinygrad_cnn.ops.conv.trilinear import Conv2d
from tinygrad_cnn.verify import Report, check_graph
from tinygrad_cnn.viz import graph
from tinygrad_cnn.viz.fonts import fit_text

Rule = Callable[..., tuple[Any, ...]]


def last_window(right: Rule, g: Any, *rest: Any, **needs: Any) -> tuple[Any, ...]:
    """Assign the filter's gradient at each window, instead of adding."""
    dx, _, db = right(g, *rest, **needs)
    last = np.zeros_like(g)
    last[:, :, -1, -1] = g[:, :, -1, -1]
    return dx, right(last, *rest, **needs)[1], db


def flipped(right: Rule, *arguments: Any, **needs: Any) -> tuple[Any, ...]:
    """Read the input at i − u for i + u."""
    dx, dw, db = right(*arguments, **needs)
    return dx, None if dw is None else dw[:, :, ::-1, ::-1].copy(), db


def unwritten(right: Rule, *arguments: Any, **needs: Any) -> tuple[Any, ...]:
    """Have no gradient of the filter at all."""
    dx, dw, db = right(*arguments, **needs)
    return dx, None if dw is None else np.zeros_like(dw), db


def mask_of_gradient(_right: Rule, g: Any, *_rest: Any, **_needs: Any) -> tuple[Any, ...]:
    """Take the mask from the gradient's sign, not from the input's."""
    g = np.asarray(g)
    return (g * (g > 0),)


class SquaredError(Op):
    """The mean of (y − target)², whose rule forgets the target and the count."""

    name = "squared_error"
    saves = ("y",)

    def forward(self, y: Any, target: Any) -> Any:
        """Compute the mean."""
        return np.mean((y - target) ** 2)

    def backward(self, g: Any, _out: Any, y: Any, _target: Any) -> tuple[Any, ...]:
        """Pull the answer towards 0, whatever the target."""
        return g * 2 * y, None


@contextmanager
def mistaken(mistakes: dict[type[Op], Rule]) -> Iterator[None]:
    """Put mistakes into the rules of operations."""
    right = {op: op.__dict__.get("backward") for op in mistakes}
    try:
        for op, mistake in mistakes.items():
            rule = op.backward

            def wrong(
                self: Op, *args: Any, rule: Any = rule, mistake: Any = mistake, **needs: Any
            ) -> Any:
                return mistake(lambda *a, **n: rule(self, *a, **n), *args, **needs)

            setattr(op, "backward", wrong)  # noqa: B010  # a method of a class
        yield
    finally:
        for op, rule in right.items():
            if rule is None:
                del op.backward
            else:
                setattr(op, "backward", rule)  # noqa: B010  # the same


def squared_error(answers: Tensor, labels: Any) -> Any:
    """Return the loss of the notebook that learnt the digit's value."""
    return SquaredError()(answers, labels[:, None].astype("float32"))


def is_zero(answers: Tensor, labels: Any) -> Any:
    """Return the loss of the notebook that asked whether it is a 0."""
    return F.binary_cross_entropy(answers, (labels[:, None] == 0).astype("float32"))


class Notebook(NamedTuple):
    """A network, its loss, and what was wrong in it."""

    network: type[nn.Module]
    loss: Callable[[Tensor, Any], Any]
    mistakes: dict[type[Op], Rule]
    size: int = 32  # of images, which are digits with a margin
    whole: bool = True  # draw the loss too


NOTEBOOKS = {
    "momentum": Notebook(
        models.Momentum, F.cross_entropy, {Conv2d: last_window, Relu: mask_of_gradient}
    ),
    "regression": Notebook(models.Regression, squared_error, {}),
    "sigmoid": Notebook(models.Sigmoid, is_zero, {Conv2d: flipped}, whole=False),
    "softmax": Notebook(models.Softmax, F.cross_entropy, {Conv2d: unwritten}, 28),
}


def checked(name: str) -> tuple[Report, str]:
    """Return what the check of a notebook's network says, and its picture for Graphviz."""
    notebook = NOTEBOOKS[name]
    train, _ = data.digits()
    margin = (notebook.size - 28) // 2
    padded = np.pad(train.images[:8, None], [(0, 0), (0, 0), (margin, margin), (margin, margin)])
    model = notebook.network()
    draws = np.random.default_rng(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.0, 0.1, generator=draws)
    with mistaken(notebook.mistakes):
        images = tensor(padded.astype("float32") / 255, name="images")
        answers = model(images)
        loss = notebook.loss(answers, train.labels[:8])
        report = check_graph(loss)
        end = loss if notebook.whole else answers
        hidden = ("images", "target", "reshape")
        text = graph(end, model=model, verdicts=report, depth=1, hide=hidden).dot()
    return report, without_figures(text).replace("rankdir=TB", "rankdir=LR", 1)


def draw(folder: Path) -> list[Path]:
    """Draw those pictures that are not there, and return them."""
    import graphviz

    made = []
    for name in NOTEBOOKS:
        path = folder / f"notebook_{name}.svg"
        if not path.is_file():
            picture = graphviz.pipe("dot", "svg", checked(name)[1].encode()).decode()
            path.write_text(fit_text(picture), encoding="utf-8")
            made.append(path)
    return made
