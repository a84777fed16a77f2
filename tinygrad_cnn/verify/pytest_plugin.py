"""A plugin for pytest, loaded wherever this package is installed.

It has a fixture, ``assert_gradients``, for whatever `check` takes; ``--gradient-seed N`` for all
checks of a run, that of ``tinygrad_cnn.verify.assert_gradients`` included; and a failed check is
reported by its own text, without the lines of code that led to it::

    def test_my_layer(assert_gradients):
        assert_gradients(MyLayer(3, 2), np.ones((4, 3)))
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tinygrad_cnn.verify import assertion
from tinygrad_cnn.verify.report import GradientError, Report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--gradient-seed``."""
    parser.getgroup("tinygrad_cnn").addoption(
        "--gradient-seed",
        metavar="N",
        default="0",
        help="seed of every check of gradients (default: 0), or random for another each time",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set the seed for all checks."""
    text = config.getoption("gradient_seed")
    if text == "random":
        text = str(secrets.randbelow(1 << 31))
        config.option.gradient_seed = text  # the same for all processes of a run
    if not text.isascii() or not text.isdigit():
        raise pytest.UsageError(f"--gradient-seed: expected a number or random, got {text!r}")
    assertion.DEFAULTS["seed"] = int(text)


def pytest_unconfigure() -> None:
    """Put the seed back."""
    assertion.DEFAULTS.pop("seed", None)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say the seed, if it is not the usual one."""
    seed = config.getoption("gradient_seed")
    return [] if seed == "0" else [f"gradient checks: --gradient-seed {seed}"]


@pytest.fixture
def assert_gradients() -> Callable[..., Report]:
    """Give the check that ends a test with its report unless all gradients are right."""
    return assertion.assert_gradients


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failed check be reported by its text."""
    report = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if report.failed and isinstance(error, GradientError):
        seed = item.config.getoption("gradient_seed")
        path, line = _line_in_test(item, call)
        report.longrepr = f"{error}\n\n{path}:{line}: GradientError (--gradient-seed {seed})"
    return report


def _line_in_test(item: pytest.Item, call: pytest.CallInfo[Any]) -> tuple[str, int]:
    """Return the place in the test's own file where the check was called."""
    assert call.excinfo is not None
    lines = [entry.lineno + 1 for entry in call.excinfo.traceback if entry.path == item.path]
    path, first, _ = item.location
    return path, lines[-1] if lines else (first or 0) + 1
