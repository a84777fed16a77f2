"""Cases that are checked together by one test, which names each that fails.

pytest and its workers need two milliseconds for a test, and most checks of a case need less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import pytest


class Case(Protocol):
    """What has a readable name."""

    @property
    def id(self) -> str: ...


C = TypeVar("C", bound=Case)


def together(argument: str, cases: Iterable[C], name: Callable[[C], str]) -> Any:
    """Call a test with the list of the cases of one name, for each name."""
    groups: dict[str, list[C]] = {}
    for case in cases:
        groups.setdefault(name(case), []).append(case)
    return pytest.mark.parametrize(argument, groups.values(), ids=groups)


def each(cases: Iterable[C], *checks: Callable[[C], None]) -> None:
    """Put each case through the checks, whatever the others do; raise all that was found."""
    failures, names = [], []
    for case in cases:
        try:
            for check in checks:
                check(case)
        except Exception as error:
            error.add_note(f"in {case.id}")
            failures.append(error)
            names.append(case.id)
    if failures:
        raise ExceptionGroup(", ".join(names), failures)
