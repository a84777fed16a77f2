"""Settings of all tests.

How many examples hypothesis draws for a property is said here, once: `pytest` takes the profile
`quick`; `--hypothesis-profile=thorough` tries more. The same are drawn every time, by hypothesis
and by every generator of random numbers: a test does in any company what it does alone.
"""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest
import threadpoolctl
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

from tinygrad_cnn import deferring, manual_seed
from tinygrad_cnn.ops.conv.arguments import checked_conv

quick = settings(derandomize=True, deadline=None, database=None, max_examples=40)
settings.register_profile("quick", quick)
settings.register_profile("thorough", quick, max_examples=100)
settings.load_profile("quick")

# Threads of BLAS wait for the next product in a loop. Two workers with two threads each on two
# processors took several times the time for the small products of a gradient check that one thread
# each took; here for this process, and for workers and others that it starts. Tests of threads set
# their own number.
threadpoolctl.threadpool_limits(1, user_api="blas")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Run in the background of a script, this process and all that it starts would ignore Ctrl-C, and so
# would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Keep what hypothesis knows of the source, a second to find out, in pytest's own cache."""
    cache = getattr(config, "cache", None)
    if cache is None:
        folder = tempfile.TemporaryDirectory(prefix="hypothesis-")
        config.add_cleanup(folder.cleanup)
        set_hypothesis_home_dir(folder.name)
    else:
        set_hypothesis_home_dir(cache.mkdir("hypothesis"))


# Rounds of the garbage collector take 4 % of the time, most of them for trees of syntax.
gc.set_threshold(100_000)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without rounds of the collector, and keep what was collected out of later ones."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


# The generators that each module of tests draws from, with their states before the first test.
STATES: dict[str, list[tuple[np.random.BitGenerator, Any]]] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note the generators of all modules: their own, and those that hand on a method."""
    for module in {item.module for item in items if isinstance(item, pytest.Function)}:
        values = vars(module).values()
        owners = [owner for value in values for owner in (value, getattr(value, "__self__", None))]
        STATES[module.__name__] = [
            (owner.bit_generator, owner.bit_generator.state)
            for owner in owners
            if isinstance(owner, np.random.Generator)
        ]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start all generators anew."""
    if isinstance(item, pytest.Function):
        manual_seed(0)
        for bits, state in STATES[item.module.__name__]:
            bits.state = state


@pytest.fixture
def everything_waits() -> Iterator[None]:
    """Let small results wait to be computed with what follows, too."""
    # A convolution remembers whether its result is large.
    checked_conv.cache_clear()
    with mock.patch.object(deferring, "LEAST", 0):
        yield
    checked_conv.cache_clear()
