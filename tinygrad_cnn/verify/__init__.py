"""Gradient verification: which operation is wrong, where, and what it looks like.

`check_graph` verifies a recorded loss, `check_module` a module in training and evaluation,
`gradcheck` and `gradgradcheck` a function of tensors, `check_backward` a backward pass written by
hand on plain arrays. `assert_gradients` takes any of the first three into a test.

How a verdict comes about::

    recorded  functions  modules  arrays    what a user calls; each makes subjects
        |         |         |        |
        +---------+----+----+--------+
                       v
    subjects/   Subject   forward(inputs), record(inputs) -> (result, rule), names
                       v
    core        check_subject: behaviour (linear? repeatable?), then each input of the subject
                       v
    numeric/    Point (inputs, cotangents, the rule's gradients) -> Prober (moves an input along
                directions) -> Slopes with error bars -> Miss where the rule is wrong; kinks
                       v
    hints/      place (where it is wrong), Evidence -> Hint (what the mistake looks like)
                       v
    report      an InputReport each, one Report; endtoend compares the whole graph besides

>>> import numpy as np
>>> report = check_backward(
...     lambda x: x**2, lambda g, x: (g * x,), [np.array([1.0, 3.0])], raise_exception=False
... )
>>> report.verdict.value
'FAIL'
"""

from tinygrad_cnn.verify.arrays import check_backward
from tinygrad_cnn.verify.assertion import assert_gradients
from tinygrad_cnn.verify.functions import gradcheck, gradgradcheck
from tinygrad_cnn.verify.modules import check_module
from tinygrad_cnn.verify.recorded import check_graph
from tinygrad_cnn.verify.report import (
    Counts,
    Finding,
    GradientError,
    Hint,
    InputReport,
    Report,
    Verdict,
    Wrong,
)

__all__ = [
    "Counts",
    "Finding",
    "GradientError",
    "Hint",
    "InputReport",
    "Report",
    "Verdict",
    "Wrong",
    "assert_gradients",
    "check_backward",
    "check_graph",
    "check_module",
    "gradcheck",
    "gradgradcheck",
]
