"""Time several things side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Sample = Callable[[int], float]
"""``sample(n)`` runs something n times and returns the seconds of one."""

_FEWEST_SAMPLES = 3
_SAMPLE_SECONDS = 0.02  # what is shorter is repeated within a sample
# Each turn begins with runs that do not count. A peer's threads go on spinning after its turn,
# those of OpenBLAS for a tenth of a second, and the caches hold its arrays: right after MyGrad's
# turn the MNIST example took 49 ms on two threads, and 30 once it had been running that long.
_LEAD_SECONDS = 0.15


def sampler(run: Callable[[], Any], clock: str) -> Sample:
    """Make a sampler of a function in this process.

    "cpu" counts the time that this process had the processors, which on one thread is a fair
    measure on a busy machine too. Every sample begins with runs that are not timed.
    """
    now = CLOCKS[clock]

    def sample(repeats: int) -> float:
        lead = time.perf_counter() + _LEAD_SECONDS
        run()
        while time.perf_counter() < lead:
            run()
        start = now()
        for _ in range(repeats):
            run()
        return (now() - start) / repeats

    return sample


def interleave(
    samples: dict[str, Sample], seconds: float = 3.0, warm_up: int = 3
) -> dict[str, float]:
    """Return the median seconds of each, all of them sampled in turn.

    What else the machine does then falls on all alike. Each takes about as many seconds as given.
    """
    repeats = {}
    for name, sample in samples.items():
        for _ in range(warm_up):
            sample(1)
        repeats[name] = max(1, int(_SAMPLE_SECONDS / max(sample(1), 1e-9)))
    times: dict[str, list[float]] = {name: [] for name in samples}
    deadline = time.perf_counter() + seconds * len(samples)
    while len(next(iter(times.values()))) < _FEWEST_SAMPLES or time.perf_counter() < deadline:
        for name, sample in samples.items():
            times[name].append(sample(repeats[name]))
    return {name: median(each) for name, each in times.items()}


def exponent(sizes: list[float], times: list[float]) -> float:
    """Fit time = a · sizeᵏ and return k."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
