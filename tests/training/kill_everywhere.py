"""Kill a training run at every write, and see what resuming makes of the folder.

    python tests/training/kill_everywhere.py

A small run is trained once undisturbed, and everything that it does to its folder is counted: files
made, pieces written, brought to the disk, renamed, removed. Then it is trained again and again, and
killed before the n-th of these, and in the middle of it where it is a piece that is written. Each
time ``train --resume`` (or, before there was anything to resume, ``train`` again) has to end with a
folder that is equal, file by file and byte by byte, to the undisturbed one. ``--twice`` kills the
resumed run too, at a random place, before it resumes again.

Clocks stand still in these runs, since files tell how many seconds a run took. It needs a system
that can fork.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import io
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.training.small import small_splits, write_folder
from tinygrad_cnn.cli import train as training
from tinygrad_cnn.cli.main import main as command
from tinygrad_cnn.training import session, trainer

RUN = "run"
NEVER = 1 << 60


class Writes:
    """Count what is done to the run's folder, and kill this process at the n-th.

    Parameters
    ----------
    folder
        Whose files count.
    at
        The number of the write before which, or in the middle of which, the process dies.
    middle
        Whether to do half of it first, where it has halves.
    """

    def __init__(self, folder: Path, at: int, middle: bool) -> None:
        self.folder = folder.absolute()
        self.at, self.middle = at, middle
        self.seen: list[str] = []
        self.announced: Path | None = None

    def event(self, what: str, path: Any, half: Callable[[], object] | None = None) -> None:
        name = Path(os.fsdecode(path)).name if isinstance(path, (str, bytes, os.PathLike)) else ""
        parts = name.split(".")
        if name.endswith(".part"):  # without the number and the chance in it
            name = ".".join(parts[1:-2]) + ".part"
        self.seen.append(f"{what} {name}".strip() + (" /2" if half else ""))
        if len(self.seen) == self.at:
            if self.middle and half:
                half()
            os.kill(os.getpid(), signal.SIGKILL)

    def ours(self, path: Any) -> bool:
        """Whether a path is the folder or in it."""
        return isinstance(path, (str, os.PathLike)) and Path(path).absolute().is_relative_to(
            self.folder
        )

    def install(self) -> None:
        """Take the place of what opens, renames and removes files, for good."""
        real_open = io.open

        def open_(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not self.ours(file) or not set(mode) & set("wxa+"):
                return real_open(file, mode, *args, **kwargs)
            self.event("make", file)
            self.announced = Path(file).absolute()
            return Counted(real_open(file, mode, *args, **kwargs), self, file)

        io.open = builtins.open = open_  # type: ignore[assignment]
        for name in ("replace", "rename", "unlink", "remove", "mkdir", "rmdir"):
            self._count(name, lambda path: self.ours(path))
        self._count("fsync", lambda _: True)
        sys.addaudithook(self._nothing_escapes)

    def _count(self, name: str, counts: Callable[[Any], bool]) -> None:
        real = getattr(os, name)

        def counted(path: Any, *args: Any, **kwargs: Any) -> Any:
            if counts(path):
                self.event(name, path)
            return real(path, *args, **kwargs)

        setattr(os, name, counted)

    def _nothing_escapes(self, event: str, args: tuple[Any, ...]) -> None:
        """Fail if a file of the folder is opened for writing in a way that is not counted."""
        if event == "open" and self.ours(args[0]):
            writes = args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and Path(args[0]).absolute() != self.announced:
                print(f"a write that is not counted: {args}", file=sys.stderr, flush=True)
                os._exit(70)


class Counted:
    """A file whose writes are counted."""

    def __init__(self, file: Any, writes: Writes, path: Any) -> None:
        self._file, self._writes, self._path = file, writes, path

    def write(self, data: Any) -> int:
        def half() -> None:
            self._file.write(bytes(memoryview(data).cast("B")[: memoryview(data).nbytes // 2]))
            self._file.flush()

        self._writes.event("write", self._path, half)
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def in_child(folder: Path, at: int, middle: bool, arguments: Sequence[str], log: Path) -> int:
    """Run the command in a child that dies at a write; return its status, negative for a signal."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 99
    try:
        os.chdir(folder)
        still = SimpleNamespace(perf_counter=lambda: 0.0)
        trainer.time = still  # type: ignore[attr-defined]
        ticks = itertools.count(step=6)  # so that every other step is saved
        session.time = SimpleNamespace(monotonic=lambda: float(next(ticks)))  # type: ignore[attr-defined]
        writes = Writes(Path(RUN), at, middle)
        with (
            log.open("w") as said,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            writes.install()
            status = command([*arguments])
        if at == NEVER:
            log.write_text("\n".join(writes.seen))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class Trials:
    """Runs that are killed, beside one that was not."""

    def __init__(self, place: Path, options: argparse.Namespace) -> None:
        self.place, self.random = place, random.Random(options.seed)
        self.twice = options.twice
        data = place / "data"
        data.mkdir()
        write_folder(data, small_splits(60, 20))
        how = ("--epochs", "2", "--batch-size", "20", "--threads", "1", "--no-check")
        self.start = ("train", options.network, "--data", str(data), "--out", RUN, *how)
        self.log = place / "log"
        self.events = self._whole("whole")
        self.expected = contents(place / "whole" / RUN)
        self._whole("whole again")
        if contents(place / "whole again" / RUN) != self.expected:
            raise SystemExit("two undisturbed runs differ: nothing can be compared")

    def _whole(self, name: str) -> list[str]:
        folder = self.place / name
        folder.mkdir()
        status = in_child(folder, NEVER, False, self.start, self.log)
        if status:
            raise SystemExit(f"the undisturbed run ends with status {status}")
        return self.log.read_text().splitlines()

    def cases(self, every: int) -> Iterator[tuple[int, bool]]:
        both = [(at, False) for at in range(1, len(self.events) + 1)]
        both += [(at, True) for at, what in enumerate(self.events, 1) if what.endswith("/2")]
        yield from sorted(both)[::every]

    def failure(self, at: int, middle: bool) -> str | None:
        """Kill a run there and resume it; return what is wrong, None if nothing is."""
        folder = self.place / "killed"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        status = in_child(folder, at, middle, self.start, self.log)
        if status != -signal.SIGKILL:
            return f"was to be killed, ended with {status}"
        if self.twice:
            self._resume(folder, self.random.randrange(1, len(self.events)))
        status = self._resume(folder, NEVER)
        if status:
            return f"resuming ended with {status}: {self.log.read_text()[-300:]}"
        found = contents(folder / RUN)
        different = [
            name
            for name in sorted(found.keys() | self.expected.keys())
            if found.get(name) != self.expected.get(name)
        ]
        return f"differ: {', '.join(different)}" if different else None

    def _resume(self, folder: Path, at: int) -> int:
        begun = (folder / RUN / "config.json").exists()
        arguments = ("train", "--resume", RUN) if begun else self.start
        return in_child(folder, at, False, arguments, self.log)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="softmax")
    parser.add_argument("--every", type=int, default=1, metavar="K", help="only each K-th case")
    parser.add_argument("--twice", action="store_true", help="kill the resumed run too")
    parser.add_argument("--seed", type=int, default=0, help="of the second kill")
    parser.add_argument("--no-report", action="store_true", help="without report.html: faster")
    options = parser.parse_args()
    if options.no_report:
        training.report_run = lambda *_args, **_kwargs: 0
    with tempfile.TemporaryDirectory() as place:
        trials = Trials(Path(place), options)
        cases = list(trials.cases(options.every))
        print(f"{len(trials.events)} writes, {len(cases)} kills")
        failed = 0
        for at, middle in cases:
            wrong = trials.failure(at, middle)
            if wrong:
                failed += 1
                where = "in the middle of" if middle else "before"
                print(f"killed {where} write {at} ({trials.events[at - 1]}): {wrong}", flush=True)
    print(f"{len(cases) - failed} of {len(cases)} folders equal to the undisturbed one")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
