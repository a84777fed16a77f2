"""What was found about a training step: plain data that prints well and turns into JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from tinygrad_cnn.verify.hints.catalogue import anchor

PAGE = "docs/training_step.md"

SCHEMA_VERSION = 1
"""Of the plain data that a report becomes; its form stands in ``schema.json`` beside this file."""


class TrainingError(AssertionError):
    """A training step is wrong; the text is the report's."""


@dataclass(frozen=True)
class TrainingFinding:
    """One thing that is wrong.

    Attributes
    ----------
    code
        A short name; a row of the page that says what to do.
    text
        The finding in a sentence.
    names
        The parameters or modules that it is about.
    """

    code: str
    text: str
    names: tuple[str, ...] = ()


@dataclass
class TrainingReport:
    """All that was found. Truthy when steps were looked at and nothing is wrong.

    Attributes
    ----------
    function
        The check that made it.
    findings
        What is wrong, each once.
    notes
        What could not be looked at, and why.
    steps
        How many steps were looked at.
    """

    function: str
    findings: list[TrainingFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: int = 0

    def say(self, code: str, text: str, *names: str) -> None:
        """Add a finding, once: the same thing is found in each step."""
        if all((code, names) != (f.code, f.names) for f in self.findings):
            self.findings.append(TrainingFinding(code, text, names))

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def codes(self) -> list[str]:
        """The codes of the findings, in order."""
        return [finding.code for finding in self.findings]

    def __bool__(self) -> bool:
        return self.steps > 0 and not self.findings

    def __iter__(self) -> Iterator[TrainingFinding]:
        return iter(self.findings)

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """Return the report in words."""
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        head = f"{self.function}: {len(self.findings) or 'nothing'} found in {steps}"
        if not self.steps and not self.findings:
            head = f"{self.function}: no training step was seen"
        lines = [f"{finding.code}: {finding.text}" for finding in self.findings]
        lines += [f"note: {note}" for note in self.notes]
        if self.findings:
            lines.append(f"what to do: {PAGE}")
        return "\n  ".join([head, *lines])

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data for JSON."""
        plain = {"schema_version": SCHEMA_VERSION, **asdict(self), "ok": bool(self)}
        for finding in plain["findings"]:
            finding["names"] = list(finding["names"])
            finding["page"] = f"{PAGE}#{anchor(finding['code'])}"
        return plain

    def raise_if_wrong(self) -> None:
        """Raise a `TrainingError` with the report's text if anything was found, or no step seen."""
        if not self:
            raise TrainingError(self.text())


def listing(names: list[str], most: int = 6) -> str:
    """Name a few things, and how many more there are.

    >>> listing(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
