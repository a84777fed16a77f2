"""Questions to a loss: other targets, parts of the batch, the slope along its gradient.

Nothing is changed here: whoever asks puts parameters, buffers and random numbers back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.nn import Module
from tinygrad_cnn.nn.restoring import left_alone
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.tensor import tensor
from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.training.evidence import Step
from tinygrad_cnn.verify.training.findings import TrainingReport, listing
from tinygrad_cnn.verify.training.pictures import looks_nhwc, nhwc_text
from tinygrad_cnn.verify.training.slopes import check_gradients, check_slope

Loss = Callable[[Any, Any], Any]

_LEAP = 10.0  # so many times the loss after one step: the learning rate is too large
_ALONE = 1e-3  # an answer that changes by more, relative, depends on the rest of the batch


class Question:
    """A model, its loss and a batch, to be asked again and again."""

    def __init__(self, model: Module, loss_fn: Loss, inputs: Sequence[Any], targets: Any) -> None:
        self.model, self.loss_fn = model, loss_fn
        self.inputs, self.targets = tuple(inputs), targets

    def loss(self, targets: Any = None) -> Any:
        """Return the loss, recorded, with other targets if they are given."""
        return self.loss_fn(self.model(*self.inputs), self.targets if targets is None else targets)

    def gradients(self, targets: Any = None) -> tuple[float, list[Array]]:
        """Return the loss and the gradients of all parameters; the model is left alone."""
        with left_alone(self.model, self.loss_fn):
            for p in self.model.parameters():
                p._grad = None
            loss = self.loss(targets)
            loss.backward()
            found = [
                np.array(p._grad._data) for p in self.model.parameters() if p._grad is not None
            ]
            return float(loss._data), found

    def answers(self, *parts: slice) -> list[Array]:
        """Return the answers to parts of the batch in evaluation, one row an input."""
        found = []
        with left_alone(self.model), no_grad():
            for module in self.model.modules():
                module.training = False
            for part in parts:
                out = self.model(*(x[part] if getattr(x, "shape", ()) else x for x in self.inputs))
                array = out._data if isinstance(out, TensorBase) else out
                if isinstance(array, np.ndarray) and array.ndim:
                    found.append(array)
        return found


def ask_all(report: TrainingReport, question: Question, steps: Sequence[Step], slope: bool) -> None:
    """Ask about targets, batch and gradients; with ``exact``, whether these are its slope."""
    ask_targets(report, question)
    ask_batch(report, question)
    ask_share(report, question, steps)
    if slope:
        ask_slope(report, question)


def ask_targets(report: TrainingReport, question: Question) -> None:
    """Whether loss and gradients change with the targets."""
    variants = list(other_targets(question.targets))
    if not variants:
        report.note("the targets are no numbers: whether the loss depends on them was not asked")
        return
    value, gradients = question.gradients()
    same_value = same_gradient = True
    for other in variants:
        try:
            changed, others = question.gradients(other)
        except (ValueError, IndexError, TypeError, GraphError):
            continue  # not a target that this loss takes
        same_value = same_value and changed == value
        same_gradient = same_gradient and all(map(np.array_equal, gradients, others))
        if not same_value and not same_gradient:
            return
    if same_value:
        report.say(
            "targets unused",
            "the loss is the same with other targets: it does not depend on them, and the model "
            "learns to answer one thing to everything",
        )
    elif same_gradient and any(g.any() for g in gradients):
        report.say(
            "targets unused",
            "the gradients are the same with other targets, though the loss is not: a rule leaves "
            "the targets out, and the model learns to answer one thing to everything",
        )


def array_of(value: Any) -> Array:
    """Return the array of a tensor, or of what can be one."""
    return value._data if isinstance(value, TensorBase) else np.asarray(value)


def is_numeric(targets: Any) -> bool:
    """Whether targets are numbers, of whatever kind."""
    return array_of(targets).dtype.kind in "fiub"


def other_targets(targets: Any) -> Iterator[Any]:
    """Make other targets of the same kind: turned round, the next class, far up and down."""
    array = array_of(targets)
    if array.dtype.kind not in "fiub" or not array.size:
        return
    variants = [np.roll(array, 1, 0)] if array.ndim else []
    if array.dtype.kind == "f":
        far = 10 * (1 + float(np.abs(array).max()))
        variants += [1 - array, array + far, array - far]
    elif array.dtype.kind == "b":
        variants.append(~array)
    else:
        low, high = array.min(), max(array.max(), array.min() + 1)
        variants += [(array - low + 1) % (high - low + 1) + low, np.full_like(array, low)]
    for variant in variants:
        if not np.array_equal(variant, array):
            changed = np.ascontiguousarray(variant, array.dtype)
            yield tensor(changed) if isinstance(targets, TensorBase) else changed


def ask_batch(report: TrainingReport, question: Question) -> None:
    """Whether in evaluation the answer to an input depends on the others of its batch."""
    images = _images(question)
    if images < 2:
        return
    everything = question.answers(slice(None), slice(None))  # with other random numbers
    if len(everything) < 2 or everything[0].shape[0] != images:
        return
    whole, again = everything
    size = max(float(np.abs(whole).max(initial=0)), 1e-30)
    if float(np.abs(whole - again).max()) > _ALONE * size:
        report.say(
            "random in evaluation",
            "in evaluation the same inputs get other answers each time: dropout without "
            "training=self.training, or random numbers drawn in forward",
        )
        return
    try:
        (part,) = question.answers(slice(0, (images + 1) // 2))
        alone = float(np.abs(whole[: len(part)] - part).max()) <= _ALONE * size
    except (ValueError, GraphError):
        alone = False  # a part that is too small to normalise over
    if not alone:
        report.say(
            "batch leaks",
            "in evaluation the answer to an input depends on the others of its batch: statistics "
            "of the batch where running ones should serve (track_running_stats, eval())",
        )


def _images(question: Question) -> int:
    shape = getattr(question.inputs[0], "shape", ()) if question.inputs else ()
    return int(shape[0]) if shape else 0


def ask_rate(report: TrainingReport, steps: Sequence[Step], last: float) -> None:
    """Whether a step on the same batch made the loss much larger, and the last one not small again.

    An optimiser whose first step is larger than all others (RMSprop) throws the loss up once.
    """
    values = [*(step.values[0] for step in steps), last]
    first = values[0]
    limit = abs(first) * _LEAP + 1e-6
    leapt = any(not after <= limit for after in values[1:])
    if not np.isfinite(first) or not leapt or last <= first:
        return
    update = steps[0].update
    groups = update.groups if update is not None else []
    rates = sorted({f"{float(g['lr']):g}" for g in groups if "lr" in g})
    rate = f" {' and '.join(rates)}" if rates else ""
    losses = ", ".join(f"{value:.4g}" for value in values)
    report.say(
        "learning rate",
        f"at the learning rate{rate} the loss of the same batch goes {losses} from step to step: a "
        "tenth of it may do",
    )


def ask_share(report: TrainingReport, question: Question, steps: Sequence[Step]) -> None:
    """Whether the gradients that were used are the loss's, in the same measure for all layers."""
    update = steps[0].update if steps else None
    if update is None:
        return
    with left_alone(question.model, question.loss_fn):
        for p in question.model.parameters():
            p._grad = None
        question.loss().backward()
        factors: dict[str, float] = {}
        for name, p in question.model.named_parameters():
            used = update.grads.get(id(p))
            if used is None or p._grad is None:
                continue
            true = np.asarray(p._grad._data, np.float64)
            norm = float((true**2).sum())
            factor = float((used * true).sum()) / norm if norm else 0.0
            if (
                norm
                and np.abs(used - factor * true).max() <= 1e-2 * abs(factor) * np.abs(true).max()
            ):
                factors[name] = factor
    if len(factors) < 2:
        return
    usual = float(np.median(list(factors.values())))
    images = _images(question)
    for factor in factors.values():
        ratio = factor / usual if usual else 0.0
        if images > 1 and _near(ratio, (1 / images, float(images))):
            odd = [n for n, f in factors.items() if usual and _near(f / usual, (ratio,))]
            how = "divided by" if ratio < 1 else "multiplied with"
            report.say(
                "divided differently",
                f"the gradients of {listing(odd)} are {how} {images}, the size of the batch, once "
                "more than those of other layers: layers learn at different rates",
                *odd,
            )
            return


def _near(value: float, wanted: Sequence[float]) -> bool:
    return any(abs(value - w) <= 0.02 * abs(w) for w in wanted)


def ask_slope(report: TrainingReport, question: Question) -> None:
    """Whether the gradients are the slope of the loss; if not, of which parameters they are not."""
    if len(question.inputs) != 1 or not is_numeric(question.targets):
        report.note("gradients were not compared with slopes: not one input and targets of numbers")
        return
    x, y = array_of(question.inputs[0]), array_of(question.targets)
    images = _images(question)
    with left_alone(question.model, question.loss_fn):
        if check_slope(question.model, question.loss_fn, x, y):
            return
        checked = check_gradients(question.model, question.loss_fn, x, y)
    known = {name for f in report if f.code == "unreached" for name in f.names}
    failures = [f for f in checked.failures if f.name not in known]
    if not failures:
        return
    worst = failures[0]
    ratio = worst.rule / worst.measured if worst.measured else 0.0
    said = str(worst)
    if images > 1 and _near(ratio, (1 / images, float(images))):
        how = "divided by" if ratio < 1 else "multiplied with"
        said += f": {how} {images}, the size of the batch, once too often"
    if len(failures) > 1:
        said += f"; wrong, too: {listing([f.name for f in failures[1:]])}"
    names = [f.name for f in failures]
    report.say("wrong gradient", f"{said}; verify.check_module names the operation", *names)


def explain_error(report: TrainingReport, question: Question, error: Exception) -> None:
    """Say why a step cannot be done, as far as shapes and labels tell."""
    shape = getattr(question.inputs[0], "shape", ()) if question.inputs else ()
    labels = array_of(question.targets)
    said = str(error).split("\n")[0]
    if looks_nhwc(tuple(shape)):
        report.say("NHWC", f"{nhwc_text('the model', tuple(shape))} ({said})")
    elif "target expects classes" in said:
        report.say(
            "labels outside",
            f"the labels go from {labels.min()} to {labels.max()}, which the model does not have "
            f"answers for ({said})",
        )
    else:
        report.say("error", f"the step raises {type(error).__name__}: {said}")


def check_labels(report: TrainingReport, question: Question) -> None:
    """Probabilities as answers, and targets that are none."""
    labels = array_of(question.targets)
    if labels.dtype.kind not in "fiu" or not labels.size:
        return
    with left_alone(question.model):
        out = question.model(*question.inputs)
    node = out._node if isinstance(out, TensorBase) else None
    if node is None or node.op.name not in ("sigmoid", "softmax") or labels.shape != out.shape:
        return
    if labels.min() < 0 or labels.max() > 1:
        report.say(
            "labels outside",
            f"the model answers with probabilities ({node.op.name}), and the targets go from "
            f"{labels.min():.4g} to {labels.max():.4g}",
        )
