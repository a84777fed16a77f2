"""What the recorded loss shows: its inputs, its units, and how predictions meet targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.deferring import kept_result
from tinygrad_cnn.graph import Node
from tinygrad_cnn.verify.training.findings import TrainingReport

_PIXELS = 50.0  # from this value on, inputs that are never negative are taken for pixels up to 255
_DEAD = 0.9  # of a layer's units: so many may not be dead
_FEW = 4  # of fewer units, all may be dead for some first weights


def check_graph_of_loss(report: TrainingReport, nodes: Sequence[Node]) -> None:
    """Look at the nodes of a loss while their arrays are there."""
    _check_images(report, nodes)
    _check_units(report, nodes)
    for node in nodes:
        _check_broadcast(report, node)
        _check_softmax(report, node)


def _weighted(node: Node) -> bool:
    """Whether an operation multiplies with weights: a linear layer or a convolution."""
    return node.op.name in ("linear", "conv1d", "conv2d", "conv3d")


def _check_images(report: TrainingReport, nodes: Sequence[Node]) -> None:
    """Look at what the first layer gets, if that is the data."""
    first = next((node for node in nodes if _weighted(node)), None)
    if first is None or first.edges[0] is not None:
        return
    x = first.inputs[0]
    if not isinstance(x, np.ndarray) or not x.size:
        return
    where = first.scope or first.op.name
    if x.min() >= 0 and x.max() > _PIXELS and x.size >= 64:
        report.say(
            "pixels",
            f"{where} gets values from {x.min():.4g} to {x.max():.4g}: pixels as they are stored; "
            "divide by 255, or subtract the mean and divide by the standard deviation",
        )
    if x.ndim == 4 and looks_nhwc(x.shape):
        report.say("NHWC", nhwc_text(where, x.shape))


def looks_nhwc(shape: tuple[int, ...]) -> bool:
    """Whether four sizes are those of square images with their channels last."""
    return len(shape) == 4 and shape[3] in (1, 3, 4) and shape[1] == shape[2] > 4


def nhwc_text(where: str, shape: tuple[int, ...]) -> str:
    """Say that images have their channels last."""
    return (
        f"{where} gets images of shape {shape}, which look like (N, H, W, C): convolutions take "
        "(N, C, H, W); write images.permute(0, 3, 1, 2)"
    )


def _check_units(report: TrainingReport, nodes: Sequence[Node]) -> None:
    """Units that are 0 for the whole batch: no gradient passes through them."""
    for node in nodes:
        out = kept_result(node)
        if node.op.name != "relu" or out is None or out.ndim < 2 or out.shape[0] < 8:
            continue
        alive = out.any(axis=tuple(i for i in range(out.ndim) if i != 1))
        dead = alive.size - int(np.count_nonzero(alive))
        if dead == alive.size or (alive.size >= _FEW and dead >= _DEAD * alive.size):
            where = node.scope or "relu"
            report.say(
                "dead units",
                f"{dead} of {alive.size} units of {where} are 0 for all {out.shape[0]} inputs: "
                "nothing passes through them and no gradient comes back; smaller biases, a "
                "smaller learning rate, or another initialisation",
                where,
            )


def _check_broadcast(report: TrainingReport, node: Node) -> None:
    """(N, 1) against (N,): each prediction is compared with every target."""
    if node.op.name not in ("sub", "mul", "add", "div") or len(node.shape) != 2 or node.scope:
        return
    rows, columns = node.shape
    if rows != columns or rows < 2:
        return
    shapes = [getattr(a, "shape", ()) for a in node.inputs]
    if sorted(shapes, key=len) == [(rows,), (rows, 1)]:
        report.say(
            "broadcast",
            f"{node.op.name} of shapes {shapes[0]} and {shapes[1]} makes ({rows}, {rows}): every "
            "prediction is compared with every target; give both the same shape, such as "
            "targets[:, None] or predictions.squeeze(1)",
        )


def _check_softmax(report: TrainingReport, node: Node) -> None:
    """Find a softmax before a loss that has its own."""
    if node.op.name == "cross_entropy":
        made = _behind_views(node.edges[0])
        if made == "softmax" or _are_probabilities(node.inputs[0]):
            report.say(
                "softmax twice",
                "cross_entropy gets probabilities, and takes their softmax once more: gradients "
                "are small and the loss cannot come near 0; give it the logits",
            )
    elif node.op.name == "softplus" and _behind_views(node.edges[0]) == "sigmoid":
        report.say(
            "softmax twice",
            "binary_cross_entropy_with_logits gets the result of a sigmoid, and has its own: give "
            "it the logits, or use binary_cross_entropy",
        )


def _behind_views(edge: Any) -> str:
    """Return the name of the operation that made a value, looking through changes of shape."""
    while isinstance(edge, Node) and edge.op.name in ("reshape", "permute", "slice", "clone"):
        edge = edge.edges[0]
    return edge.op.name if isinstance(edge, Node) else ""


def _are_probabilities(logits: Any) -> bool:
    """Whether each row of logits is not negative and sums to 1, as logits never do by chance."""
    if not isinstance(logits, np.ndarray) or logits.ndim < 2 or logits.shape[1] < 2:
        return False
    return bool((logits >= 0).all() and np.allclose(logits.sum(1), 1, atol=1e-4))
