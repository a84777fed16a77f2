"""A check of gradients that is one line of a test."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.verify.adapters.choose import check
from tinygrad_cnn.verify.report import Report

DEFAULTS: dict[str, Any] = {}
"""Settings of checks that say nothing else: the plugin for pytest sets the seed."""


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
        A recorded tensor, a module, an operation, a function of tensors; a module or a function of
        PyTorch, a function of JAX or of HIPS autograd, an object with ``forward`` and ``backward``,
        a pair of functions of arrays: whatever `check` takes.
    inputs
        What it takes.
    settings
        Those of the check, and ``framework``.

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
    report = check(subject, *inputs, **{**DEFAULTS, **settings})
    report.raise_if_wrong()
    return report
