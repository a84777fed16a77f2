"""Grading in a process of its own: what never ends, or ends the process, costs only its exercise.

The child runs the file and writes a line of JSON for each exercise; what the file itself prints is
not shown, and there is nothing to read. A child that says nothing for too long is ended, with
whatever it has started, and another goes on behind the exercise that it was at.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import tinygrad_cnn

__all__ = ["Graded", "be_child", "grade_apart"]

_START = 120.0  # seconds that a child may take for its imports
_ROOT = str(Path(tinygrad_cnn.__file__).parents[1])
_CHILD = f"import sys; sys.path.append({_ROOT!r}); from {__name__} import be_child; be_child()"
_OWN_GROUP = os.name == "posix"  # so that whatever a file has started can be ended with it


@dataclass
class Graded:
    """What came of one file.

    Attributes
    ----------
    exercises
        Plain data of each, in the order asked for.
    lines
        The same in words.
    error
        Why the file could not be run; "" if it could.
    rest
        Exercises that were not come to.
    """

    exercises: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    error: str = ""
    rest: list[str] = field(default_factory=list)

    @property
    def points(self) -> int:
        """The sum."""
        return sum(exercise["points"] for exercise in self.exercises)

    @property
    def of(self) -> int:
        """The most there could be."""
        return sum(exercise["of"] for exercise in self.exercises)

    def text(self) -> str:
        """Return a line for each exercise, what is wrong below, and the sum."""
        from tinygrad_cnn.verify.grading.grades import total_line

        rest = [f"not graded: {', '.join(self.rest)}"] if self.rest else []
        return "\n".join([*self.lines, *rest, total_line(self.points, self.of)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        if self.error:
            return {"error": self.error}
        found = {"points": self.points, "of": self.of, "exercises": self.exercises}
        return {**found, "not_graded": self.rest} if self.rest else found


def grade_apart(
    path: Path, specs: Sequence[str], level: str, seed: int, max_seconds: float, graded: Graded
) -> None:
    """Grade a file in processes of their own; put what is known into ``graded`` as it comes.

    Each exercise may take so many seconds, and so may running the file.
    """
    graded.rest = rest = list(specs)
    while rest and not graded.error:
        for message in _said_by_child(path, tuple(rest), level, seed, max_seconds):
            if "why" in message and not message["ran"]:
                graded.error = f"{path}: running it {message['why']}"
                return
            if "error" in message:
                graded.error = message["error"]
                return
            if "why" in message:
                message = _not_graded(rest[0], level, message["why"])
            if "exercise" in message:
                graded.lines += message.pop("lines")
                graded.exercises.append(message["exercise"])
                del rest[0]


def _not_graded(spec: str, level: str, why: str) -> dict[str, Any]:
    """Return what is said of an exercise that did not come to its end."""
    from tinygrad_cnn.verify.grading.grades import unfinished

    grade = unfinished(spec, why)
    return {"exercise": grade.to_dict(level), "lines": grade.lines(level)}


def _said_by_child(
    path: Path, specs: Sequence[str], level: str, seed: int, max_seconds: float
) -> Iterator[dict[str, Any]]:
    """Iterate over what a child says; the last is why it ended before its end, if it did."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD, str(path), ",".join(specs), level, str(seed)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=_OWN_GROUP,
    )
    assert child.stdout is not None
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_pass_on, args=(child.stdout, lines), daemon=True)
    reader.start()
    started, ran, said = False, False, 0
    try:
        while said < len(specs):
            try:
                line = lines.get(timeout=max_seconds if started else max(max_seconds, _START))
            except queue.Empty:
                yield {"why": f"took longer than {max_seconds:g} s (an endless loop?)", "ran": ran}
                return
            if line is None:
                status = child.wait()
                yield {"why": f"ended its process (status {status})", "ran": ran}
                return
            message = json.loads(line)
            ran, started = started, True
            said += "exercise" in message
            yield message
            if "error" in message:
                return
    finally:
        _end(child)
        reader.join(timeout=1)  # not for ever: what it has started may hold the pipe


def _pass_on(pipe: IO[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    with pipe:
        for line in pipe:
            lines.put(line)
    lines.put(None)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child, and whatever it has started."""
    with suppress(ProcessLookupError, PermissionError):
        if _OWN_GROUP:
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()


def be_child() -> None:
    """Grade what the arguments name, and say so line by line on what was standard output."""
    from tinygrad_cnn.cli.arguments import UsageError
    from tinygrad_cnn.cli.user_file import load_file
    from tinygrad_cnn.training import RunError
    from tinygrad_cnn.verify.grading import grade

    path, specs, level, seed = sys.argv[1:]
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the file prints

        def say(**message: Any) -> None:
            channel.write(json.dumps(message) + "\n")
            channel.flush()

        say()  # imported: what takes long from here on is the file
        try:
            names = load_file(Path(path))
        except (RunError, UsageError) as error:
            say(error=str(error))
            return
        say()
        for spec in specs.split(","):
            [one] = grade(names, [spec], int(seed)).grades
            say(exercise=one.to_dict(level), lines=one.lines(level))
