"""Gradient verification: which operation is wrong, where, and what it looks like.

`check_graph` verifies a recorded loss, `check_module` a module in training and evaluation,
`gradcheck` and `gradgradcheck` a function of tensors, `check_backward` a backward pass written by
hand on plain arrays. Other people's code: `check_layer` takes objects with ``forward`` and
``backward``, `check_torch` and `check_torch_module` what is PyTorch's, `check_jax` and
`check_autograd` functions of JAX and of HIPS autograd. `check` tells by what it is given which of
these it is, and `assert_gradients` takes that into a test.

`check_training` looks at the whole training step: its parameters, data, loss and update.

How a verdict comes about::

    recorded  functions  modules  arrays  adapters/   what a user calls; each makes subjects
        |         |         |        |        |
        +---------+----+----+--------+--------+
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

from tinygrad_cnn.verify.adapters.autograd_functions import check_autograd
from tinygrad_cnn.verify.adapters.choose import check
from tinygrad_cnn.verify.adapters.jax_functions import check_jax
from tinygrad_cnn.verify.adapters.layer_checks import check_layer
from tinygrad_cnn.verify.adapters.torch_checks import check_torch
from tinygrad_cnn.verify.adapters.torch_modules import check_torch_module
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
from tinygrad_cnn.verify.training import (
    TrainingError,
    TrainingFinding,
    TrainingReport,
    check_training,
    watch_training,
)

__all__ = [
    "Counts",
    "Finding",
    "GradientError",
    "Hint",
    "InputReport",
    "Report",
    "TrainingError",
    "TrainingFinding",
    "TrainingReport",
    "Verdict",
    "Wrong",
    "assert_gradients",
    "check",
    "check_autograd",
    "check_backward",
    "check_graph",
    "check_jax",
    "check_layer",
    "check_module",
    "check_torch",
    "check_torch_module",
    "check_training",
    "gradcheck",
    "gradgradcheck",
    "watch_training",
]
