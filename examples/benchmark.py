"""Time this project's workloads side by side with other frameworks.

    python examples/benchmark.py                          # against what is installed
    python examples/benchmark.py --only mnist,softmax     # workloads whose names hold a word
    python examples/benchmark.py --threads 1 --clock cpu  # a fair comparison on a busy machine

Every framework runs in a process of its own, with the same threads; they take turns, after
warm-up, and the figures are medians. Peers allocate memory as they do for their users: without this
project's request to the C library to keep what is freed. All start from the same weights and
images, and the benchmark stops if their first losses differ. `ratio` is this project's time to
PyTorch's in the better of its two memory formats ("torch cl" is channels-last): below 1 this
project is faster; "ours imperative" is the same network written as functions one after the other,
"ours captured" inference through `tinygrad_cnn.capture`. `of which sgemm` is the share of what this
machine's BLAS reaches on large square matrices, `memory` the peak beyond what was in use before the
first step, with its ratio to PyTorch's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.frameworks import OURS, VARIANTS, installed, set_threads
from benchmarks.machine import describe, peak_gflops, warnings
from benchmarks.workloads import SECTIONS, Row, Settings


def arguments() -> argparse.Namespace:
    """Read the command line."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=about)
    peers = ",".join(VARIANTS)
    parser.add_argument("--against", default=peers, metavar="PEERS", help=f"of {peers}; or none")
    parser.add_argument("--only", default="", metavar="WORDS", help="part of a workload's name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every framework")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each run of a workload")
    parser.add_argument("--list", action="store_true", help="print the workloads' names and stop")
    chosen = parser.parse_args()
    unknown = set(chosen.against.split(",")) - {*VARIANTS, "none", ""}
    if unknown:
        parser.error(f"--against expects some of {peers}, got {','.join(sorted(unknown))}")
    if chosen.clock == "cpu" and chosen.threads != 1:
        parser.error("--clock cpu adds up what all threads take: use it with --threads 1")
    return chosen


def show(row: Row, peak: float) -> str:
    """Return a row of the table."""
    factor = 1e6 if row.unit == "µs/op" else 1e3
    times = "  ".join(f"{name} {factor * t:.3g}" for name, t in row.seconds.items() if name != OURS)
    parts = [f"{row.name:28}", f"{factor * row.seconds[OURS]:9.3g} {row.unit:5}"]
    parts.append(f"{row.ratio:5.2f}" if row.ratio is not None else "     ")
    if row.flops:
        rate = row.flops / row.seconds[OURS] / 1e9
        parts.append(f"{rate:6.0f} GFLOP/s {100 * rate / peak:3.0f} %")
    else:
        parts.append(" " * 20)
    memory = {name: f"{size / 2**20:.3g} MB" for name, size in row.memory.items()}
    if row.memory_ratio is not None:
        times += f"  memory {memory.pop(OURS)} ({row.memory_ratio:.2f}; "
        times += ", ".join(f"{name} {size}" for name, size in memory.items()) + ")"
    return "  ".join([*parts, times, row.note]).rstrip()


def write_json(path: Path, about: list[str], peak: float, rows: list[Row]) -> None:
    """Write all figures to a file, or none."""
    figures: dict[str, Any] = {"about": about, "sgemm_gflops": peak}
    figures["rows"] = [
        {**asdict(row), "ratio": row.ratio, "memory_ratio": row.memory_ratio} for row in rows
    ]
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(figures, indent=1, ensure_ascii=False), encoding="utf-8")
    temporary.replace(path)


def measure(runs: list[Callable[[], Row]], peak: float) -> tuple[list[Row], bool]:
    """Print a row for each run; return the rows, and whether Ctrl-C left some out."""
    rows: list[Row] = []
    try:
        for run in runs:
            rows.append(run())
            print(show(rows[-1], peak), flush=True)
    except KeyboardInterrupt:
        return rows, True
    return rows, False


def main() -> None:
    """Run the workloads that were asked for."""
    chosen = arguments()
    peers = installed([p for p in chosen.against.split(",") if p in VARIANTS])
    settings = Settings(peers, chosen.threads, chosen.clock, chosen.seconds)
    words = [word for word in chosen.only.split(",") if word]
    cases = [
        (title, run)
        for section, make in SECTIONS.items()
        for title, run in make(settings)
        if not words or any(word in f"{section} {title}" for word in words)
    ]
    if not cases:
        sys.exit(f"benchmark.py: error: --only expects part of a name of --list, got {chosen.only}")
    if chosen.list:
        print("\n".join(title for title, _ in cases))
        return
    set_threads(OURS, chosen.threads)
    peak = peak_gflops(chosen.threads, chosen.clock)
    about = [*describe(peers, chosen.threads), f"sgemm: {peak:.0f} GFLOP/s; {chosen.clock} time"]
    about += [f"WARNING: {line}" for line in warnings()]
    print("\n".join(about), end="\n\n")
    print(f"{'workload':28}  {'ours':>15}  ratio  {'of which sgemm':>20}  others, same unit")
    rows, stopped = measure([run for _, run in cases], peak)
    if chosen.json:
        write_json(chosen.json, about, peak, rows)
    if stopped:
        kept = f"; {chosen.json} has the workloads above" if chosen.json else ""
        print(f"\nstopped{kept}", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
