"""What a verification found: plain data that prints well and turns into JSON."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from tinygrad_cnn.verify.hints.catalogue import HINTS, PAGE, anchor

SCHEMA_VERSION = 1
"""Of the plain data that a report becomes."""


class GradientError(AssertionError):
    """A gradient is wrong, or nothing could be said about it; the text is the report's."""


class Verdict(StrEnum):
    """What is said of the gradient of one input of one operation."""

    PASS = "PASS"  # it agrees with numeric differentiation
    KINK = "KINK"  # it agrees, and at points without a derivative lies between the slopes
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"  # the numeric value is too uncertain, or not finite
    UNSEEN = "UNSEEN"  # no difference, but nothing to compare: 0, or lost in rounding
    SKIPPED = "SKIPPED"  # there is nothing to check; the findings say why


# What stands for the whole: the first of these that occurs.
_GRAVEST = (
    Verdict.FAIL,
    Verdict.INCONCLUSIVE,
    Verdict.KINK,
    Verdict.PASS,
    Verdict.UNSEEN,
    Verdict.SKIPPED,
)


@dataclass(frozen=True)
class Finding:
    """One thing that was noticed.

    Attributes
    ----------
    kind
        "value", "zero", "ties", "linearity", "repeat", "stale", "mutation", "precision", "shape",
        "finite", "error", "random", "forward", "detached", "accumulation", "needs", "dtype",
        "engine", "unreached", "end to end" or "note".
    text
        The finding in words.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Hint:
    """What a wrong gradient looks like; given only where it explains every number measured.

    Attributes
    ----------
    code
        A short name, such as "sign" or "last window".
    text
        The hint in words.
    """

    code: str
    text: str


@dataclass(frozen=True)
class Wrong:
    """Where a gradient is wrong, and by how much.

    Attributes
    ----------
    index
        Of the worst element, None where only sums along directions were measured.
    analytic, numeric, error_bar
        At the worst element, or along the worst direction.
    count, looked
        How many elements are wrong of how many that were looked at.
    size
        The number of elements of the input.
    where
        "every element", "only the border", "only channel 3", …
    """

    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    error_bar: float
    count: int
    looked: int
    size: int
    where: str


@dataclass
class Counts:
    """How much was measured.

    Attributes
    ----------
    elements
        Single elements that were moved.
    directions
        Directions that move many elements.
    kinks
        Probes that met a point without a derivative.
    worst_error
        The largest difference between the rule and a numeric derivative along a direction, of the
        size of the terms; None where none was compared.
    """

    elements: int = 0
    directions: int = 0
    kinks: int = 0
    worst_error: float | None = None

    def note_error(self, error: float) -> None:
        """Remember the largest error."""
        self.worst_error = error if self.worst_error is None else max(self.worst_error, error)

    def add(self, other: Counts) -> None:
        """Count what was measured elsewhere, too."""
        self.elements += other.elements
        self.directions += other.directions
        self.kinks += other.kinks
        if other.worst_error is not None:
            self.note_error(other.worst_error)


@dataclass
class InputReport:
    """The verdict on the gradient of one input of an operation or function.

    Attributes
    ----------
    op
        The operation with its settings, or the function's name.
    input, position
        The input's name and its place among the inputs.
    shape
        Of the input.
    scope, source, seq
        Of the recorded node: module path, (file, line) of the call, place in time; "" and None
        for functions.
    """

    op: str
    input: str
    position: int
    shape: tuple[int, ...]
    verdict: Verdict = Verdict.PASS
    scope: str = ""
    source: tuple[str, int] | None = None
    seq: int | None = None
    counts: Counts = field(default_factory=Counts)
    findings: list[Finding] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)
    wrong: Wrong | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.verdict not in (Verdict.FAIL, Verdict.INCONCLUSIVE)

    def say(self, verdict: Verdict, kind: str, text: str) -> None:
        """Add a finding; the gravest verdict counts."""
        if all(text != finding.text for finding in self.findings):
            self.findings.append(Finding(kind, text))
        if _GRAVEST.index(verdict) < _GRAVEST.index(self.verdict) or (
            verdict in (Verdict.SKIPPED, Verdict.UNSEEN) and self.verdict is Verdict.PASS
        ):
            self.verdict = verdict

    @property
    def place(self) -> str:
        """Where it is: module path, file and line."""
        parts = [f"in {self.scope}"] if self.scope else []
        if self.source is not None:
            parts.append(f"{self.source[0]}:{self.source[1]}")
        return ", ".join(parts)

    def text(self) -> str:
        """Return the verdict in words, a few lines for a failure."""
        head = f"{self.verdict.value:<12} {self.op} · {self.input} {list(self.shape)}"
        lines = [head + (f" ({self.place})" if self.place else "")]
        if self.wrong is not None:
            lines += ["    " + line for line in _wrong_lines(self.wrong)]
        lines += [f"    {finding.text}" for finding in self.findings]
        lines += [f"    hint: {hint.text}" for hint in self.hints]
        return "\n".join(lines)


def _wrong_lines(wrong: Wrong) -> list[str]:
    if wrong.index is None:
        worst = "along the worst direction"
    else:
        worst = f"at {list(wrong.index)}" if wrong.index else "the value"
    looked = "" if wrong.looked == wrong.size else f" looked at (of {wrong.size})"
    numeric = f"{wrong.numeric:.9g} ± {wrong.error_bar:.1g}"
    lines = [f"{worst}: analytic {wrong.analytic:.9g}, numeric {numeric}"]
    if wrong.looked:
        lines.append(f"wrong: {wrong.count} of {wrong.looked} elements{looked}: {wrong.where}")
    return lines


@dataclass
class Report:
    """All verdicts of one check. Truthy when something was checked and nothing is wrong.

    Attributes
    ----------
    function
        The check that made it, and what of.
    results
        One for each input of each operation, those nearest the loss first.
    notes
        What else there is to know.
    seed
        That makes the same check again.
    """

    function: str
    results: list[InputReport]
    notes: list[str] = field(default_factory=list)
    seed: int = 0

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict."""
        found = {result.verdict for result in self.results}
        return next((v for v in _GRAVEST if v in found), Verdict.SKIPPED)

    @property
    def counts(self) -> dict[str, int]:
        """How often each verdict was given, SKIPPED included."""
        counted = Counter(result.verdict for result in self.results)
        return {verdict.value: counted[verdict] for verdict in Verdict}

    @property
    def failures(self) -> list[InputReport]:
        """The results with the verdict FAIL, those nearest the loss first."""
        return [result for result in self.results if result.verdict is Verdict.FAIL]

    def verdicts(self) -> dict[int, str]:
        """Return the gravest verdict of each recorded node by its ``seq``, for pictures."""
        found: dict[int, Verdict] = {}
        for result in self.results:
            if result.seq is not None:
                before = found.get(result.seq, result.verdict)
                found[result.seq] = min(before, result.verdict, key=_GRAVEST.index)
        return {seq: verdict.value for seq, verdict in found.items()}

    def __bool__(self) -> bool:
        return self.verdict in (Verdict.PASS, Verdict.KINK)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Report {self._headline()}>"

    def _headline(self) -> str:
        counted = ", ".join(f"{n} {name}" for name, n in self.counts.items() if n)
        return f"{self.function}: {self.verdict.value} ({counted or 'nothing to check'})"

    def text(self, all: bool = False) -> str:
        """Return the report in words: what is wrong or undecided, or with ``all`` every line."""
        lines = [self._headline()]
        shown = [r for r in self.results if all or not r.ok or r.verdict is Verdict.SKIPPED]
        if not self and not all:
            shown += [r for r in self.results if r.verdict is Verdict.UNSEEN]
        lines += [result.text() for result in shown]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, *self.advice()])

    def advice(self) -> list[str]:
        """Return a line of what to do next for each hint, and where to read what it means."""
        codes = dict.fromkeys(hint.code for result in self.failures for hint in result.hints)
        lines = [f"next, {code}: {HINTS[code].next}" for code in codes if code in HINTS]
        if not self:
            lines.append(f"what it means: {PAGE}#{anchor(self.verdict.value)}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data for JSON; numbers that are not finite become text.

        ``schema.json`` beside this file says its form; ``schema_version`` counts its changes.
        """
        plain = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        plain["page"] = f"{PAGE}#{anchor(self.verdict.value)}"
        for result in plain["results"]:
            for hint in result["hints"]:
                hint["page"] = f"{PAGE}#{anchor(hint['code'])}"
        plain["verdict"] = self.verdict.value
        plain["counts"] = self.counts
        cleaned: dict[str, Any] = _clean(plain)
        return cleaned

    def raise_if_wrong(self) -> None:
        """Raise a `GradientError` with the report's text unless all is well."""
        if not self:
            raise GradientError(self.text())


def _clean(value: Any) -> Any:
    """Make a value fit for JSON."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
