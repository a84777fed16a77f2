"""A check of gradients that is one line of a test."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.nn import Module
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.verify.functions import gradcheck
from tinygrad_cnn.verify.modules import check_module
from tinygrad_cnn.verify.recorded import check_graph
from tinygrad_cnn.verify.report import Report


def assert_gradients(subject: Any, *inputs: Any, **settings: Any) -> Report:
    """Assert in a test that gradients are right, whatever is given; return the report.

    A test with pytest, or any other runner, is one line::

        def test_my_layer():
            assert_gradients(MyLayer(8), np.random.default_rng(0).standard_normal((4, 8)))


        def test_my_operation_twice():
            assert_gradients(my_operation, np.linspace(-2.0, 2.0, 9), order=2)


        def test_a_training_step():
            assert_gradients(loss_of(model, images, labels))  # recorded, before backward()

    It ends with the report where a gradient is wrong, and also where nothing could be said: a test
    that checks nothing does not pass. The same seed makes the same check. Kinks (ReLU at 0, tied
    maxima) are no failure.

    Parameters
    ----------
    subject
        A recorded tensor (see `check_graph`), a module with its inputs (see `check_module`), or a
        function of tensors with its inputs (see `gradcheck`).
    inputs
        What the module or function takes.
    settings
        Those of the check.

    Raises
    ------
    GradientError
        An AssertionError whose text is the report, if something is wrong or undecided.

    >>> import numpy as np
    >>> assert_gradients(lambda x, y: x * y, np.ones(2), np.ones(2)).verdict.value
    'PASS'
    >>> assert_gradients(lambda x: x * x.detach(), np.ones(2))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tinygrad_cnn.verify.report.GradientError: gradcheck of <lambda>: FAIL (1 FAIL)
    ...
    """
    if isinstance(subject, TensorBase):
        report = check_graph(subject, **settings)
    elif isinstance(subject, Module):
        report = check_module(subject, *inputs, **settings)
    else:
        report = gradcheck(subject, list(inputs), raise_exception=False, **settings)
    report.raise_if_wrong()
    return report
