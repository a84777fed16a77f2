"""Python in a process of its own, where this package is the one that is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.sources import REPOSITORY

TIMEOUT = 300  # seconds


def python(
    *arguments: object, env: Mapping[str, str] = os.environ, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments and variables; options are those of `subprocess.run`."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**env, "PYTHONPATH": str(REPOSITORY)},
        text=True,
        check=False,
        timeout=TIMEOUT,
        **options,
    )


def printed(program: str, *arguments: object, **variables: str) -> str:
    """Return what a program prints that has to end well."""
    done = python("-c", program, *arguments, env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr
    return done.stdout
