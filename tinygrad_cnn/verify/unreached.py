"""Parameters that no gradient reaches: unused, detached, computed with under no_grad, or frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinygrad_cnn.graph import Node
from tinygrad_cnn.nn import Module
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.verify.report import InputReport, Verdict


def unreached(
    model: Module,
    nodes: Sequence[Node],
    changes_result: Callable[[TensorBase], bool] | None = None,
) -> list[InputReport]:
    """Return a result for each parameter of a module that no recorded operation leads to.

    ``changes_result`` tells whether the result changes when a parameter does: then it is used, in
    a way that is not recorded.
    """
    reached = {id(edge) for node in nodes for edge in node.edges if isinstance(edge, TensorBase)}
    memory = {id(a) for node in nodes for a in node.saved or () if a is not None}
    results = []
    for path, parameter in model.named_parameters():
        if id(parameter) in reached:
            continue
        result = InputReport("end to end", path, -1, parameter.shape)
        if not parameter.requires_grad:
            result.say(Verdict.SKIPPED, "unreached", "frozen: it wants no gradient")
        elif id(parameter._data) in memory or (changes_result and changes_result(parameter)):
            result.say(
                Verdict.FAIL,
                "unreached",
                "the result is computed with its values, but not recorded: through detach(), .data "
                "or no_grad(); it gets no gradient",
            )
        else:
            result.say(
                Verdict.UNSEEN,
                "unreached",
                "never reached: nothing that was recorded leads from the loss to it (unused, or "
                "used under no_grad() or through detach()); it gets no gradient",
            )
        results.append(result)
    return results
