"""What a figure depends on: processor, versions, threads, and the BLAS kernel that runs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import threadpoolctl

from benchmarks.timing import CLOCKS

_SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_BUSY_LOAD = 1.5
_SQUARE = 1536


def describe(peers: list[str], threads: int) -> list[str]:
    """Return lines about the machine and the software."""
    packages = ["tinygrad-cnn", "numpy", *peers]
    versions = [f"{name} {_version(name)}" for name in packages]
    blas = [
        f"{each['internal_api']} {each['version']} ({each.get('architecture', '?')} kernels)"
        for each in threadpoolctl.threadpool_info()
        if each["user_api"] == "blas"
    ]
    system = f"{platform.system()}; Python {platform.python_version()}"
    return [
        f"{_processor()}, {os.cpu_count()} processors, {system}",
        ", ".join(versions),
        f"threads: {threads}; BLAS of NumPy: {', '.join(blas) or 'unknown'}",
    ]


def warnings() -> list[str]:
    """Return what makes the figures worse than they need be."""
    found = [
        f"{name}={os.environ[name]} is set: BLAS may be slower than it can be"
        for name in _SLOWING
        if name in os.environ
    ]
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > _BUSY_LOAD:
        found.append(
            f"the machine is busy (load {os.getloadavg()[0]:.1f}): wall times are too long; "
            "--threads 1 --clock cpu compares all the same"
        )
    return found


def blas_product(threads: int) -> Callable[[], None]:
    """Return a function that multiplies two square float32 matrices by BLAS's own threads."""
    a, b = np.ones((_SQUARE, _SQUARE), np.float32), np.ones((_SQUARE, _SQUARE), np.float32)
    out = np.empty_like(a)
    controller = threadpoolctl.ThreadpoolController()  # finding the libraries takes a while

    def run() -> None:
        with controller.limit(limits=threads, user_api="blas"):
            np.matmul(a, b, out=out)

    return run


def peak_gflops(threads: int, clock: str) -> float:
    """Measure the fastest of these products, in GFLOP/s."""
    best = float("inf")
    run, now = blas_product(threads), CLOCKS[clock]
    deadline = time.perf_counter() + 1.0
    while time.perf_counter() < deadline:
        start = now()
        run()
        best = min(best, now() - start)
    return 2 * _SQUARE**3 / best / 1e9


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # a checkout that was not installed
        import tinygrad_cnn

        return tinygrad_cnn.__version__


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
