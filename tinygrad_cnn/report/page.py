"""The page of a run: one HTML file that needs no network, read from top to bottom."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.report import sections
from tinygrad_cnn.report.parts import number, safe
from tinygrad_cnn.report.run import Run
from tinygrad_cnn.verify import Report, check_graph
from tinygrad_cnn.viz import graph
from tinygrad_cnn.viz.page.assemble import POLICY

__all__ = ["report_text", "save_report"]

_GRAPH_WORDS = (
    "<p>One training step as it was recorded, with the verdict on each operation’s gradient.</p>\n"
)
_ELEMENTS = 12  # of each input that the verification moves one by one: it takes seconds


def save_report(run: Run, path: Path) -> Path:
    """Write the page of a run to a file, whole or not at all; see `report_text`."""
    text = report_text(run)
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))
    return path


def report_text(run: Run) -> str:
    """Return the page of a run as HTML.

    The gradients of the run's loss are verified for it, which takes seconds; nothing of the run is
    changed. Without matplotlib there are tables in place of curves and other figures.
    """
    report = check_graph(run.loss, max_elements=_ELEMENTS)
    drawn = graph(run.loss, model=run.model, verdicts=report)
    parts = [
        ("curves", "Course of training", sections.course(run)),
        ("confusion", "Confusion matrix", sections.confusion(run)),
        ("mistakes", "Worst mistakes", sections.mistakes(run)),
        ("verification", "Verified gradients", sections.verification(report)),
        ("graph", "Network", _GRAPH_WORDS + sections.network(drawn)),
        ("filters", "Filters", sections.filters(run.model)),
        ("maps", "Feature maps", sections.feature_maps(run)),
        ("gradients", "Gradients", sections.gradients(run)),
        ("configuration", "Configuration", sections.configuration(run)),
    ]
    links = "".join(f'<a href="#{id}">{title}</a>' for id, title, _ in parts)
    body = "\n".join(
        f'<section class="part" id="{id}" aria-labelledby="{id}-title">\n'
        f'<h2 id="{id}-title">{title}</h2>\n{content}\n</section>'
        for id, title, content in parts
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="color-scheme" content="light">
<link rel="icon" href="data:,">
<title>{safe(run.network)} · {safe(_score(run))}</title>
<style>
{files(__package__).joinpath("report.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
{_opening(run, report)}
</header>
<nav aria-label="Sections">{links}</nav>
<main>
{body}
</main>
</body>
</html>
"""


def _score(run: Run) -> str:
    if run.metric == "accuracy":
        return f"{100 * run.score:.1f} % accuracy"
    return f"{run.metric} {run.score:.3f}"


def _opening(run: Run, report: Report) -> str:
    """Say in a few lines what came of the run."""
    count = len(run.labels)
    if run.metric == "accuracy":
        right = round(run.score * count)
        result = f"answered {right:,} of {count:,} images it had not seen correctly"
    else:
        result = f"was off by {run.score:.2f} on average, on {count:,} images it had not seen"
    epochs = len(run.epochs["epoch"])
    trained = f"after {epochs} epoch{'' if epochs == 1 else 's'} of training"
    tiles = [
        (f"test {run.metric}", _tile(run)),
        ("verified gradients", sections.verdict_words(report)),
    ]
    if epochs:
        tiles.append(("test loss", number(run.epochs["test_loss"][-1])))
        tiles.append(("training", f"{run.epochs['seconds'][-1]:.1f} s"))
    tiles.append(("parameters", number(sum(p.numel() for p in run.model.parameters()))))
    shown = "\n".join(
        f"<div><dt>{safe(n)}</dt><dd>{_short(value)}</dd></div>" for n, value in tiles
    )
    notes = [run.note] if run.note else []
    if find_spec("matplotlib") is None:
        notes.append(
            "tables stand in place of the pictures; to get these: pip install "
            "'tinygrad-cnn[plots]', then tinygrad-cnn report RUN"
        )
    notes_shown = "\n".join(f'<p class="note">{safe(note)}</p>' for note in notes)
    return (
        f'<p class="over">training run · {safe(run.place)}</p>\n'
        f"<h1>{safe(run.network)}</h1>\n"
        f'<p class="lead">The network ({safe(run.about)}) {safe(result)}, {trained}.</p>\n'
        f'<dl class="tiles">\n{shown}\n</dl>\n{notes_shown}'
    )


def _short(value: str) -> str:
    """Set what comes after a comma and a space smaller."""
    first, _, rest = value.partition(", ")
    return f"{safe(first)}<small>{safe(rest)}</small>" if rest else safe(first)


def _tile(run: Run) -> str:
    return f"{100 * run.score:.1f} %" if run.metric == "accuracy" else f"{run.score:.3f}"
