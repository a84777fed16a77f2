"""What the verification may say of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tinygrad_cnn.anomaly import AnomalyError
from tinygrad_cnn.graph import Node

VERDICTS = ("FAIL", "INCONCLUSIVE", "KINK", "SKIPPED", "UNSEEN", "PASS")
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a verification said.

    Attributes
    ----------
    nodes
        Of recorded nodes by their ``seq``: the verdict, and the report's text.
    leaves
        Of leaves in the order of their first use: shape, the verdict on the gradient of the whole
        graph, and the text.
    text
        The report as a whole.
    """

    nodes: dict[int, tuple[str, str]] = field(default_factory=dict)
    leaves: list[tuple[tuple[int, ...], str, str]] = field(default_factory=list)
    text: str = ""


def judgement_of(verdicts: Any) -> Judgement:
    """Read verdicts by node or ``seq``, a whole report of `tinygrad_cnn.verify`, or an anomaly.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If a verdict is not one.
    """
    if verdicts is None:
        return Judgement()
    if isinstance(verdicts, Mapping):
        return Judgement({_seq_of(key): _judged(value) for key, value in verdicts.items()})
    if isinstance(verdicts, AnomalyError):
        seq = verdicts.seq
        nodes = {} if seq is None else {seq: _judged(verdicts)}
        return Judgement(nodes, text=verdicts.text())
    if not hasattr(verdicts, "results") or not hasattr(verdicts, "verdicts"):
        raise TypeError(
            "graph: verdicts expects a report of check_graph or a dict by node or seq, "
            f"got {type(verdicts).__name__}"
        )
    texts: dict[int, list[str]] = {}
    leaves: list[tuple[tuple[int, ...], str, str]] = []
    for result in verdicts.results:
        if result.seq is not None:
            texts.setdefault(result.seq, []).append(_text_of(result))
        elif result.op == "end to end":
            leaves.append((tuple(result.shape), *_judged(result)))
    found = verdicts.verdicts()
    nodes = {seq: (verdict_of(found[seq]), "\n".join(lines)) for seq, lines in texts.items()}
    return Judgement(nodes, leaves, verdicts.text())


def _judged(value: Any) -> tuple[str, str]:
    """Return a verdict and its text: given as a word, or as a report on a node."""
    if hasattr(value, "verdict") and hasattr(value, "text"):
        return verdict_of(value.verdict), _text_of(value)
    return verdict_of(value), ""


def _text_of(report: Any) -> str:
    """Return a report's text without the place, which is shown beside it anyway."""
    head, *rest = report.text().split("\n")
    place = getattr(report, "place", "")
    head = head.replace(f" ({place})", "") if place else head
    return "\n".join([" ".join(head.split()), *rest])


def _seq_of(key: Any) -> int:
    if isinstance(key, Node):
        return key.seq
    if isinstance(key, int):
        return key
    raise TypeError(
        f"graph: verdicts expects recorded nodes or their seq as keys, got {type(key).__name__}"
    )
