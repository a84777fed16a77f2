"""Networks from ONNX files here and in onnxruntime: time of a run, of loading, and memory.

    python -m examples.benchmarks.onnx [--threads 2] [--batch 1] [--size 224] FILE …

Both run in turns on the same random input; the quickest of each counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygrad_cnn import no_grad, set_num_threads
from tinygrad_cnn.onnx import load
from tinygrad_cnn.onnx.examples import random_inputs

_SECONDS = 3.0  # for each network

# What a process took at most, in KiB: Linux tells it, and forgets it where a program begins.
_MEMORY = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
{body}
print(peak() - before)
"""
_OURS = """
import numpy as np
from tinygrad_cnn import no_grad
from tinygrad_cnn.onnx import load
from tinygrad_cnn.onnx.examples import random_inputs
before = peak()
network = load({path!r})
with no_grad():
    for _ in range(3):
        network(*random_inputs(network, {batch}, {size}, 0).values())
"""
_THEIRS = """
import numpy as np, onnxruntime
arrays = dict(np.load({inputs!r}))
before = peak()
session = onnxruntime.InferenceSession({path!r})
for _ in range(3):
    session.run(None, arrays)
"""


def quickest(*functions: Callable[[], Any]) -> list[float]:
    """Seconds of the quickest call of each, in turns."""
    best = [float("inf")] * len(functions)
    end = time.perf_counter() + _SECONDS
    while time.perf_counter() < end:
        for place, function in enumerate(functions):
            began = time.perf_counter()
            function()
            best[place] = min(best[place], time.perf_counter() - began)
    return best


def peak(body: str, **values: Any) -> float:
    """Megabytes that a fresh interpreter takes for some lines."""
    program = _MEMORY.format(body=body.format(**values))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return int(done.stdout) / 1024


def compare(path: Path, arguments: argparse.Namespace) -> str:
    """One network here and there, as a line."""
    import numpy as np
    import onnx
    import onnxruntime

    network = load(path)
    arrays = random_inputs(network, arguments.batch, arguments.size, 0)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def ours() -> Any:
        with no_grad():
            out = network(*arrays.values())
        return [o.numpy() for o in (out if isinstance(out, tuple) else (out,))]

    expected = session.run(None, arrays)
    error = max(
        float(np.abs(a - b).max() / max(1e-30, np.abs(b).max()))
        for a, b in zip(ours(), expected, strict=True)
    )
    run, there = quickest(ours, lambda: session.run(None, arrays))
    loading, reading = quickest(lambda: load(path), lambda: onnx.load(path))
    inputs = Path(f"{path.stem}.inputs.npz")
    np.savez(inputs, allow_pickle=False, **arrays)
    try:
        memory = peak(_OURS, path=str(path), batch=arguments.batch, size=arguments.size)
        theirs = peak(_THEIRS, path=str(path), inputs=str(inputs))
    finally:
        inputs.unlink()
    return (
        f"{path.name:<36} {1e3 * run:8.2f} {1e3 * there:8.2f} {run / there:5.2f}  "
        f"{1e3 * loading:8.2f} {1e3 * reading:8.2f} {loading / reading:5.1f}  "
        f"{memory:7.0f} {theirs:7.0f} {memory / max(1.0, theirs):5.2f}  {error:.0e}"
    )


def main() -> None:
    """Compare all networks that were named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=224, help="of images, where the file is open")
    arguments = parser.parse_args()
    set_num_threads(arguments.threads)
    print(
        f"{'':<36} {'run ms':>8} {'runtime':>8} ratio  {'load ms':>8} {'onnx':>8} ratio  "
        f"{'MB':>7} {'runtime':>7} ratio  error"
    )
    for path in arguments.files:
        print(compare(path, arguments), flush=True)


if __name__ == "__main__":
    main()
