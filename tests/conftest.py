"""Settings of all tests.

How many examples hypothesis draws for a property is said here, once: `pytest` takes the profile
`quick`; `--hypothesis-profile=thorough` tries more. The same are drawn every time, and no folder is
left behind.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from unittest import mock

import pytest
import threadpoolctl
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

from tinygrad_cnn import deferring

quick = settings(derandomize=True, deadline=None, database=None, max_examples=40)
settings.register_profile("quick", quick)
settings.register_profile("thorough", quick, max_examples=150)
settings.load_profile("quick")

# Threads of BLAS wait for the next product in a loop. Two workers with two threads each on two
# processors took several times the time for the small products of a gradient check that one thread
# each took; here for this process, and for workers and others that it starts. Tests of threads set
# their own number.
threadpoolctl.threadpool_limits(1, user_api="blas")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Its tables of characters and constants are written even where examples are not.
HOME = tempfile.TemporaryDirectory(prefix="hypothesis-")
set_hypothesis_home_dir(HOME.name)


# Rounds of the garbage collector take 4 % of the time, most of them for trees of syntax.
gc.set_threshold(20_000)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without rounds of the collector, and keep what was collected out of later ones."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def everything_waits() -> Iterator[None]:
    """Let small results wait to be computed with what follows, too."""
    with mock.patch.object(deferring, "LEAST", 0):
        yield


def pytest_unconfigure() -> None:
    HOME.cleanup()
