"""What the verification may say of an operation."""

from __future__ import annotations

from enum import Enum
from typing import Any

VERDICTS = ("FAIL", "INCONCLUSIVE", "KINK", "SKIPPED", "PASS")
"""All verdicts, worst first."""


def verdict_of(value: Any) -> str:
    """Return a verdict given as text or as a member of an enumeration.

    >>> verdict_of("pass")
    'PASS'
    """
    verdict = str(value.value if isinstance(value, Enum) else value).upper()
    if verdict not in VERDICTS:
        raise ValueError(f"graph: a verdict is one of {', '.join(VERDICTS)}, got {value!r}")
    return verdict
