"""The workloads, and how each becomes a row of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks import frameworks, layers
from benchmarks.frameworks import CAPTURED, IMPERATIVE, OURS
from benchmarks.machine import blas_product
from benchmarks.networks import NETWORKS, SIZES
from benchmarks.timing import exponent, interleave, sampler
from benchmarks.worker import Worker, import_seconds

Run = Callable[[], Any]


@dataclass
class Row:
    """One measured workload: seconds and peak bytes by framework, and what else is known."""

    name: str
    seconds: dict[str, float]
    flops: float | None = None
    memory: dict[str, int] = field(default_factory=dict)
    unit: str = "ms"  # or "µs/op"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours to the best PyTorch's."""
        best = frameworks.best_torch(self.seconds)
        return None if best is None else self.seconds[OURS] / best

    @property
    def memory_ratio(self) -> float | None:
        """Ours to the best PyTorch's, of peak memory."""
        best = frameworks.best_torch({k: float(v) for k, v in self.memory.items()})
        return self.memory[OURS] / best if best else None


@dataclass
class Settings:
    """What the user asked for."""

    peers: list[str]
    threads: int
    clock: str
    seconds: float

    def row(self, title: str, kind: str, name: str = "", size: int = 0) -> Row:
        """Time a workload in all frameworks that have it."""
        names = [
            OURS,
            IMPERATIVE,
            CAPTURED,
            *(v for p in self.peers for v in frameworks.VARIANTS[p]),
        ]
        names = [n for n in names if frameworks.takes_part(n, kind, name, size)]
        workload = [kind, name, size]
        workers = {n: Worker(n, self.threads, self.clock, workload) for n in names}
        try:
            for worker in workers.values():
                worker.wait_until_ready()
            check_agreement(workers, title)
            times = interleave({n: w.sample for n, w in workers.items()}, self.seconds, warm_up=1)
        finally:
            for worker in workers.values():
                worker.stop()
        row = Row(title, times)
        if kind == "step":
            row.memory = {n: w.peak for n, w in workers.items() if w.peak is not None}
        return row

    def time_ours(self, runs: dict[str, Run]) -> dict[str, float]:
        """Time functions of this process side by side."""
        return interleave({n: sampler(r, self.clock) for n, r in runs.items()}, self.seconds)


def check_agreement(workers: dict[str, Worker], title: str) -> None:
    """Raise if two frameworks compute another loss from the same weights and images."""
    losses = {name: w.answer for name, w in workers.items() if w.answer is not None}
    values = list(losses.values())
    if not np.allclose(values, values[:1], rtol=1e-3, atol=1e-5):
        raise RuntimeError(f"{title}: the first losses differ: {losses}")


def networks(settings: Settings) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Training steps and inference of the networks."""
    for kind in ("step", "inference"):
        for name, size in SIZES:
            title = f"{name} {size} {kind}"
            yield title, lambda t=title, k=kind, n=name, s=size: _network(settings, t, k, n, s)


def _network(settings: Settings, title: str, kind: str, name: str, size: int) -> Row:
    from benchmarks.ours import operations

    row = settings.row(title, kind, name, size)
    forward, step = operations(NETWORKS[name], size)
    row.flops = float(step if kind == "step" else forward)
    return row


def single_layers(settings: Settings) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Layers alone, forward and the gradients of input and weights."""
    for name in layers.SHAPES:
        yield f"layer {name}", lambda n=name: _layer(settings, n)


def _layer(settings: Settings, name: str) -> Row:
    row = settings.row(f"layer {name}", "layer", name)
    row.flops = layers.operations(name)
    return row


def engine(settings: Settings) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Record and walk graphs on 8 numbers: time an operation."""
    for kind, length in (("chain", 1000), ("fan_out", 10_000), ("chain", 1_000_000)):
        title = f"{kind.replace('_', '-')} of {length}"
        yield title, lambda t=title, k=kind, n=length: _engine(settings, t, k, n)


def _engine(settings: Settings, title: str, kind: str, length: int) -> Row:
    row = settings.row(title, kind, size=length)
    row.seconds = {name: t / length for name, t in row.seconds.items()}
    row.unit = "µs/op"
    return row


def startup(settings: Settings) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Time the import, and a gradient check of a small function."""
    yield "import", lambda: _import(settings)
    yield "gradient check", lambda: settings.row("gradient check", "gradient_check")


def _import(settings: Settings) -> Row:
    statements = {OURS: "import tinygrad_cnn", "numpy": "import numpy"}
    times = import_seconds(statements | {peer: f"import {peer}" for peer in settings.peers})
    beyond = 1e3 * (times[OURS] - times["numpy"])
    return Row("import", times, note=f"{beyond:.0f} ms beyond NumPy's")


def growth(settings: Settings) -> Iterator[tuple[str, Callable[[], Row]]]:
    """How the cost grows, what a second thread brings, and the notebook's own run."""
    for what, sizes in (
        ("batch", [16, 32, 64, 128]),
        ("channels²", [16, 32, 64, 128]),
        ("depth", [4, 8, 16, 32]),
    ):
        yield f"scaling in {what}", lambda w=what, s=sizes: _scaling(settings, w, s)
    for name, size in SIZES[:2]:
        yield f"{name} {size} two threads", lambda n=name, s=size: _two_threads(settings, n, s)
    yield "notebook's 50 iterations", lambda: _notebook(settings)


def _scaling(settings: Settings, what: str, sizes: list[int]) -> Row:
    make: dict[str, Callable[[int], Run]] = {
        "batch": lambda size: frameworks.make(OURS, "step", "mnist", size),
        "channels²": lambda channels: _stack(channels, 1),
        "depth": lambda depth: _stack(16, depth),
    }
    times = settings.time_ours({str(size): make[what](size) for size in sizes})
    measures = [float(size * size if what == "channels²" else size) for size in sizes]
    power = exponent(measures, [times[str(size)] for size in sizes])
    shown = ", ".join(f"{size}: {1e3 * times[str(size)]:.2f}" for size in sizes)
    largest = {OURS: times[str(sizes[-1])]}
    return Row(f"scaling in {what}", largest, note=f"exponent {power:.2f} ({shown})")


def _stack(channels: int, depth: int) -> Run:
    """Return a pass through convolutions of one width, and back."""
    from tinygrad_cnn import nn, tensor

    net = nn.Sequential(*(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth)))
    x = tensor(np.ones((32, channels, 16, 16), np.float32), requires_grad=True)
    return lambda: net(x).sum().backward()


def _two_threads(settings: Settings, name: str, size: int) -> Row:
    import tinygrad_cnn

    step = frameworks.make(OURS, "step", name, size)

    def on(threads: int) -> Run:
        def run() -> None:
            tinygrad_cnn.set_num_threads(threads)
            step()

        return run

    # Always by the wall clock: processor time does not see what a second thread brings. Products
    # of large matrices show what the machine has to give at that moment.
    runs = {"1": on(1), "2": on(2), "BLAS 1": blas_product(1), "BLAS 2": blas_product(2)}
    times = interleave({name: sampler(run, "wall") for name, run in runs.items()}, settings.seconds)
    tinygrad_cnn.set_num_threads(settings.threads)
    note = f"{times['1'] / times['2']:.2f} times as fast as one thread, {1e3 * times['1']:.1f} ms"
    note += f"; BLAS's products {times['BLAS 1'] / times['BLAS 2']:.2f}"
    return Row(f"{name} {size} two threads", {OURS: times["2"]}, note=note)


def _notebook(settings: Settings) -> Row:
    step = frameworks.make(OURS, "step", "batchnorm", 1000)
    step()
    seconds = 50 * sampler(step, settings.clock)(50)
    return Row("notebook's 50 iterations", {OURS: seconds}, note="in its own loops: 151 s")


SECTIONS = {
    "networks": networks,
    "layers": single_layers,
    "engine": engine,
    "startup": startup,
    "scaling": growth,
}
