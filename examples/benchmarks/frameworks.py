"""Which frameworks take part, and one way to ask each of them for a workload."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Any

from benchmarks.networks import NETWORKS

Run = Callable[[], Any]

OURS = "ours"
NETWORK_KINDS = ("step", "inference")
IMPERATIVE = "ours imperative"
"""The description of a network that is a module of `tinygrad_cnn.models` too."""
CAPTURED = "ours captured"
"""Inference through `tinygrad_cnn.capture`."""
VARIANTS = {"torch": ["torch", "torch cl"], "jax": ["jax"], "mygrad": ["mygrad"]}
"""Peers by module, each with the names under which it runs; "torch cl" is channels-last."""


def installed(peers: list[str]) -> list[str]:
    """Return those peers that can be imported."""
    return [name for name in peers if importlib.util.find_spec(name) is not None]


def takes_part(framework: str, kind: str, name: str, size: int) -> bool:
    """Whether a framework has a workload, and does it in less than seconds."""
    if framework in (CAPTURED, IMPERATIVE):
        has_module = name in NETWORKS and NETWORKS[name].model is not None
        return has_module and kind in (("inference",) if framework == CAPTURED else NETWORK_KINDS)
    if framework in ("jax", "mygrad") and kind in NETWORK_KINDS and NETWORKS[name].model is None:
        return False
    if kind in ("chain", "fan_out", "gradient_check"):
        return framework in (OURS, "torch")
    if kind == "layer":
        return framework in (OURS, *VARIANTS["torch"])
    too_slow = framework == "mygrad" and (name, size > 100) in {
        ("resnet20", True),
        ("batchnorm", True),
    }
    return not too_slow


def set_threads(framework: str, threads: int) -> None:
    """Let a framework use this many threads."""
    if framework == "jax" and threads == 1:  # it listens only before it is imported
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
        os.environ["NPROC"] = "1"
    elif framework == "torch":
        import torch

        torch.set_num_threads(threads)
    elif framework == "mygrad":
        import threadpoolctl

        threadpoolctl.threadpool_limits(threads, "blas")
    elif framework == OURS:
        import tinygrad_cnn

        tinygrad_cnn.set_num_threads(threads)


def make(framework: str, kind: str, name: str, size: int) -> Run:
    """Return a workload in a framework as a function; a step of training returns its loss.

    `kind` is "step" or "inference" of a network at a batch size, "layer", "chain" or "fan_out" of
    a length, or "gradient_check".
    """
    package = framework.partition(" ")[0]
    module_name = "ours" if package == OURS else f"with_{package}"
    module: Any = importlib.import_module(f"benchmarks.{module_name}")
    variant = [framework] if framework in (CAPTURED, IMPERATIVE, *VARIANTS["torch"]) else []
    run: Run
    if kind in NETWORK_KINDS:
        function = module.train_step if kind == "step" else module.inference
        run = function(NETWORKS[name], size, *variant)
    elif kind == "layer":
        run = module.layer(name, *variant)
    elif kind == "gradient_check":
        run = module.gradient_check()
    else:
        run = getattr(module, kind)(size)
    return run


def best_torch(figures: dict[str, float]) -> float | None:
    """Return PyTorch's better figure of its two memory formats."""
    return min((figures[v] for v in VARIANTS["torch"] if v in figures), default=None)
