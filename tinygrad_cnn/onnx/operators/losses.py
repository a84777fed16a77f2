"""Losses of classes, for files that hold a training step."""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn.onnx.operators.base import Call, Run, array, named, operator

__all__: list[str] = []

_REDUCTIONS = ("mean", "sum", "none")
_NO_CLASS = -(1 << 62)


def _settings(call: Call) -> tuple[int, Any]:
    reduction: Any = named(
        f"{call.op_type}: reduction", call.text("reduction", "mean"), _REDUCTIONS
    )
    return call.integer("ignore_index", _NO_CLASS), reduction


@operator("NegativeLogLikelihoodLoss")
def negative_log_likelihood(call: Call) -> Run:
    """Take the logarithms of the probabilities of the right classes, with the other sign."""
    ignored, reduction = _settings(call)

    def run(logs: Any, target: Any, weight: Any = None) -> Any:
        return F.nll_loss(logs, array(target), weight, ignored, reduction)

    return run


@operator("SoftmaxCrossEntropyLoss")
def softmax_cross_entropy(call: Call) -> Run:
    """Compare scores with the right classes; with a second output also the log-probabilities."""
    ignored, reduction = _settings(call)

    def run(scores: Any, target: Any, weight: Any = None) -> Any:
        if not call.wants(1) and weight is None:
            return F.cross_entropy(scores, array(target), None, ignored, reduction)
        logs = F.log_softmax(scores, 1)
        loss = F.nll_loss(logs, array(target), weight, ignored, reduction)
        return (loss, logs) if call.wants(1) else loss

    return run
