"""What tests of the verification have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tinygrad_cnn import manual_seed
from tinygrad_cnn.op import registry


@pytest.fixture
def _leave_the_registry_alone() -> Iterator[None]:
    """Operations that tests define are none of the package's."""
    known = dict(registry)
    yield
    registry.clear()
    registry.update(known)


@pytest.fixture
def seeded() -> None:
    """Random numbers that are always the same."""
    manual_seed(1)
