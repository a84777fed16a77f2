"""One framework in a process of its own, so that none changes how another runs.

They would otherwise share the C library's allocator, thread pools and settings. A worker reads
requests from its input, one line of JSON each, and answers on its output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.frameworks import OURS

EXAMPLES = Path(__file__).resolve().parent.parent
_CLEAR = Path("/proc/self/clear_refs")


class Worker:
    """A framework's process, seen from the benchmark.

    Attributes
    ----------
    answer
        What the workload returned at its first run: a loss, or None.
    peak
        By how many bytes the first runs raised the memory in use; None where that is unknown.
    """

    def __init__(self, framework: str, threads: int, clock: str, workload: list[Any]) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.worker"]
        self.name = framework
        self.process = subprocess.Popen(
            [*command, framework, str(threads), clock, json.dumps(workload)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(framework),
        )
        self.answer: float | None = None
        self.peak: int | None = None

    def wait_until_ready(self) -> None:
        """Wait for the first runs."""
        ready = self._reply()
        self.answer, self.peak = ready["answer"], ready["peak"]

    def sample(self, repeats: int) -> float:
        """Run the workload that many times and return the seconds of one."""
        assert self.process.stdin is not None
        print(repeats, file=self.process.stdin, flush=True)
        return float(self._reply()["seconds"])

    def _reply(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} stopped; its message stands above")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def _environment(framework: str = OURS) -> dict[str, str]:
    """Let new processes import what this one can; peers allocate as they do for their users.

    They import this project for the networks' descriptions, which would tell the C library to keep
    freed memory in their processes too.
    """
    path = os.pathsep.join(p or str(Path.cwd()) for p in (str(EXAMPLES), *sys.path))
    alone = {} if framework.startswith(OURS) else {"TINYGRAD_CNN_KEEP_MEMORY": "0"}
    return {**os.environ, **alone, "PYTHONPATH": path}


def import_seconds(modules: dict[str, str], repeats: int = 7) -> dict[str, float]:
    """Return the median seconds that a statement takes in a new interpreter, by name.

    Each runs once untimed, which compiles what no installer has compiled yet.
    """
    environment = {k: v for k, v in _environment().items() if k != "PYTHONDONTWRITEBYTECODE"}
    samples: dict[str, list[float]] = {name: [] for name in modules}
    code = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
    for _ in range(repeats + 1):
        for name, statement in modules.items():
            command = [sys.executable, "-c", code.format(statement)]
            answer = subprocess.run(
                command, capture_output=True, text=True, env=environment, check=True
            )
            samples[name].append(float(answer.stdout))
    return {name: median(each[1:]) for name, each in samples.items()}


def _memory(field: str) -> int:
    """Return the bytes in a field of Linux's account of this process."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def _main(framework: str, threads: str, clock: str, workload: str) -> None:
    from benchmarks import frameworks
    from benchmarks.timing import sampler

    frameworks.set_threads(framework.partition(" ")[0], int(threads))
    kind, *rest = json.loads(workload)
    if kind in ("step", "inference"):
        # What a first step loads for good (libraries, threads) is not this network's.
        frameworks.make(framework, kind, "softmax", 1)()
    run = frameworks.make(framework, kind, *rest)
    start = 0
    if _CLEAR.exists():
        _CLEAR.write_text("5", encoding="ascii")  # the peak is counted anew
        start = _memory("VmRSS")
    first = run()
    for _ in range(2):
        run()
    peak = _memory("VmHWM") - start if _CLEAR.exists() else None
    answer = first if isinstance(first, float) else None
    print(json.dumps({"answer": answer, "peak": peak}), flush=True)
    sample = sampler(run, clock)
    for line in sys.stdin:
        print(json.dumps({"seconds": sample(int(line))}), flush=True)


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except KeyboardInterrupt:  # the benchmark says it
        sys.exit(130)
