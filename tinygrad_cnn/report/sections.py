"""The sections of the page, each made of a run's data alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.nn import Module
from tinygrad_cnn.report import figures
from tinygrad_cnn.report.parts import facts, picture, safe, table
from tinygrad_cnn.report.picture import data_uri, grey_png
from tinygrad_cnn.report.run import Confusion, Run
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.verify import Report
from tinygrad_cnn.verify.subjects.replay import Replay
from tinygrad_cnn.viz import Graph, RendererMissing
from tinygrad_cnn.viz.page import section
from tinygrad_cnn.viz.render import draw

__all__ = [
    "configuration",
    "confusion",
    "course",
    "feature_maps",
    "filters",
    "gradients",
    "mistakes",
    "network",
    "verdict_words",
    "verification",
]

_MISTAKES = 18
_WORDS = {
    "batch_size": "batch size",
    "lr": "learning rate",
    "mean": "mean of pixels",
    "std": "deviation of pixels",
    "shift": "shift in pixels",
    "target": "learns",
    "train_images": "training images",
    "test_images": "test images",
    "steps_per_epoch": "steps an epoch",
    "data_crc32": "checksum of data",
}
_ROWS = 60  # of a table in place of a picture


def configuration(run: Run) -> str:
    """Tell what was asked for, and on what it ran."""
    settings = facts((_WORDS.get(name, name), value) for name, value in run.settings.items())
    others = facts((_WORDS.get(name, name), value) for name, value in run.facts.items())
    again = f"<h3>To repeat it</h3>\n<pre>{safe(run.command)}</pre>\n" if run.command else ""
    return f"{again}<h3>Settings</h3>\n{settings}\n<h3>Data and versions</h3>\n{others}"


# ------------------------------------------------------------------------------------------ curves


def course(run: Run) -> str:
    """Show loss, score and learning rate over the epochs, as pictures or as a table."""
    text = f"<p>{safe(_course_sentence(run))}</p>"
    rows = _epoch_table(run)
    if not run.epochs["epoch"]:
        return text
    try:
        shown = [
            (panel, figures.curves(run.steps, run.epochs, run.metric, [panel]))
            for panel in ("loss", "score", "lr")
        ]
    except figures.FiguresMissing:
        return f"{text}\n{rows}"
    names = {"loss": "loss", "score": run.metric, "lr": "learning rate"}
    images = "\n".join(picture(figure, f"{names[kind]} over the epochs") for kind, figure in shown)
    return (
        f'{text}\n<div class="figures three">\n{images}\n</div>\n'
        f"<details><summary>The numbers, epoch by epoch</summary>\n{rows}\n</details>"
    )


def _course_sentence(run: Run) -> str:
    losses = run.epochs["test_loss"]
    if not losses:
        return "No epoch has been finished yet."
    best = int(np.nanargmin(losses)) if np.isfinite(losses).any() else 0
    first, last = run.epochs["train_loss"][0], run.epochs["train_loss"][-1]
    at = run.epochs["epoch"][best]
    where = "the last epoch" if best == len(losses) - 1 else f"epoch {at:g} of {len(losses)}"
    if len(losses) == 1:
        return f"One epoch: mean training loss {last:.4g}, test loss {losses[0]:.4g} after it."
    return (
        f"The mean training loss went from {first:.4g} in the first epoch to {last:.4g} in the "
        f"last. The test loss was lowest, {losses[best]:.4g}, after {where}."
    )


def _epoch_table(run: Run) -> str:
    columns = {
        "epoch": "epoch",
        "train_loss": "training loss",
        "train_score": f"training {run.metric}",
        "test_loss": "test loss",
        "test_score": f"test {run.metric}",
        "lr": "learning rate",
        "seconds": "seconds",
    }
    rows = list(zip(*(run.epochs[name] for name in columns), strict=True))
    every = -(-len(rows) // _ROWS) or 1
    shown = [(int(row[0]), *row[1:]) for row in rows[::-1][::every][::-1]]
    return table(list(columns.values()), shown, range(len(columns)))


# ----------------------------------------------------------------------------------------- network


def network(graph: Graph) -> str:
    """Show the compute graph: interactive; else as a picture, else as text."""
    try:
        return section(graph, "network")
    except ValueError:  # too large for a browser
        pass
    try:
        source = data_uri(draw(graph, "svg"), "image/svg+xml")
        return f'<img src="{source}" alt="compute graph">'
    except (RendererMissing, RuntimeError):
        return f'<pre class="scroll" tabindex="0">{safe(graph.text())}</pre>'


def verification(report: Report) -> str:
    """Show the verdict on every gradient, and what is wrong in words."""
    counted = ", ".join(f"{n} {name}" for name, n in report.counts.items() if n)
    meaning = {
        "PASS": "each agrees with numeric differentiation",
        "KINK": "each agrees; some were measured at points without a derivative, where they lie "
        "between the slopes",
        "FAIL": "what is marked red is wrong",
        "INCONCLUSIVE": "of some the numeric value is too uncertain to tell",
        "UNSEEN": "all are 0, or too small to be seen beside rounding",
        "SKIPPED": "there was nothing to check",
    }[report.verdict.value]
    text = (
        f'<p><strong class="verdict {report.verdict.value}">{safe(verdict_words(report))}</strong> '
        f"{len(report.results)} gradients were compared with numeric differentiation: {counted}; "
        f"{meaning}.</p>"
    )
    wrong = [result.text() for result in report.results if not result.ok]
    if wrong:
        text += f'\n<pre class="wrong scroll" tabindex="0">{safe(chr(10).join(wrong))}</pre>'
    rows = []
    for result in report.results:
        size = "×".join(map(str, result.shape)) or "number"
        operation = result.op.partition("(")[0]
        measured = result.counts.elements + result.counts.directions
        rows.append((result.verdict.value, operation, result.scope, result.input, size, measured))
    head = ("verdict", "operation", "module", "input", "shape", "comparisons")
    kinds = [row[0] for row in rows]
    return (
        f"{text}\n<details><summary>Every gradient, one by one</summary>\n"
        f"{table(head, rows, [5], kinds)}\n</details>"
    )


def verdict_words(report: Report) -> str:
    """Say in a few words what the verification found, the gravest first."""
    if report.failures:
        return f"{len(report.failures)} wrong"
    counts = report.counts
    if counts["INCONCLUSIVE"]:
        return f"{counts['INCONCLUSIVE']} undecided"
    right, kinks = counts["PASS"] + counts["KINK"], counts["KINK"]
    return f"{right} right, {kinks} of them at a kink" if kinks else f"{right} right"


# ----------------------------------------------------------------------------------------- answers


def confusion(run: Run) -> str:
    """Show how often each class was taken for each, coloured by the share of the row."""
    found = run.confusion()
    off = found.counts * (1 - np.eye(len(found.counts), dtype=int))
    text = "Each row is a true class, each column an answer; darker is a larger share of the row."
    if run.target == "value":
        text += " Answers are rounded to the nearest class."
    if off.any():
        i, j = np.unravel_index(off.argmax(), off.shape)
        text += (
            f" The most frequent mistake: {found.truths[i]} taken for {found.answers[j]}, "
            f"{off[i, j]} of {found.counts[i].sum()} times."
        )
    return f"<p>{safe(text)}</p>\n{_matrix(found)}"


def _matrix(found: Confusion) -> str:
    head = "".join(f'<th scope="col">{safe(name)}</th>' for name in found.answers)
    lines: list[str] = []
    for name, row in zip(found.truths, found.counts.tolist(), strict=True):
        total = max(sum(row), 1)
        cells = "".join(_cell(count, count / total) for count in row)
        right = row[len(lines)] / total
        lines.append(
            f'<tr><th scope="row">{safe(name)}</th>{cells}<td class="n">{100 * right:.1f} %</td>'
            "</tr>"
        )
    body = "\n".join(lines)
    return (
        '<div class="scroll" tabindex="0"><table class="matrix">\n'
        f'<thead><tr><th scope="col">true</th>{head}<th scope="col" class="n">right</th></tr>'
        f"</thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(count: int, share: float) -> str:
    if not count:
        return '<td class="none">·</td>'
    ink = "#ffffff" if share > 0.38 else "#1e293b"
    # from white to the dark blue of the figures; the root keeps single mistakes visible
    weight = share**0.5
    red, green, blue = (round(255 + (to - 255) * weight) for to in (8, 69, 148))
    return f'<td style="background:rgb({red},{green},{blue});color:{ink}">{count:,}</td>'


def mistakes(run: Run) -> str:
    """Show the images that were answered worst, with both answers."""
    found = run.mistakes(_MISTAKES)
    if not found:
        return "<p>There are none: every test image was answered correctly.</p>"
    cards = []
    for mistake in found:
        image = run.images[mistake.index]
        source = data_uri(grey_png(255 - image.reshape(image.shape[-2:])), "image/png")
        cards.append(
            f'<figure><img class="digit" src="{source}" alt="test image {mistake.index}">'
            f"<figcaption><b>{safe(mistake.truth)} → {safe(mistake.answer)}</b>"
            + "".join(f"<span>{safe(part)}</span>" for part in mistake.detail.split(", "))
            + f"<small>test image {mistake.index}</small></figcaption></figure>"
        )
    order = "furthest off" if run.target == "value" else "least probability given to the truth"
    return (
        f"<p>True → answered; the {order} first.</p>\n"
        f'<div class="cards">\n{chr(10).join(cards)}\n</div>'
    )


# ----------------------------------------------------------------------------------------- insides


def filters(model: Module) -> str:
    """Show the filters of every convolution, or how large they are."""
    found = [(n, p.detach().numpy()) for n, p in model.named_parameters() if p.ndim == 4]
    if not found:
        return "<p>This network has no convolution.</p>"
    text = "<p>Blue weights are negative, red ones positive, white is 0.</p>"
    try:
        images = "\n".join(
            picture(figures.filters(weight, _title(name, weight)), f"filters of {name}")
            for name, weight in found
        )
        return f'{text}\n<div class="figures two">\n{images}\n</div>'
    except figures.FiguresMissing:
        rows = [
            (name, _size(w), float(w.min()), float(w.mean()), float(w.max()), float(w.std()))
            for name, w in found
        ]
        head = ("parameter", "shape", "least", "mean", "largest", "deviation")
        return table(head, rows, range(2, 6))


def feature_maps(run: Run) -> str:
    """Show what each layer makes of the first test image."""
    found = _layers(run.example)
    image = run.images[0]
    source = data_uri(grey_png(255 - image.reshape(image.shape[-2:])), "image/png")
    text = (
        f'<p class="first"><img class="digit" src="{source}" alt="the first test image">'
        f"<span>What the layers make of the first test image, a {safe(run.classes[run.labels[0]])}"
        "; darker is larger.</span></p>"
    )
    try:
        images = "\n".join(
            picture(figures.feature_maps(name, maps), f"feature maps of {name}")
            for name, maps in found
        )
        return f'{text}\n<div class="figures two">\n{images}\n</div>'
    except figures.FiguresMissing:
        rows = [
            (name, _size(m), float(m.min()), float(m.mean()), float(m.max())) for name, m in found
        ]
        return f"{text}\n{table(('layer', 'shape', 'least', 'mean', 'largest'), rows, (2, 3, 4))}"


def _layers(example: Tensor) -> list[tuple[str, Any]]:
    """Return the images that operations made on the way to an answer, by name."""
    replay = Replay(example, nodes_below(example))
    replay.record()
    found = []
    for node in replay.nodes:
        if len(node.shape) == 4 and node.shape[-1] > 1:
            scope = f"{node.scope} · " if node.scope else ""
            found.append((f"{scope}{node.op.name}", replay.tensors[node].detach().numpy()[0]))
    return found[:12]


def gradients(run: Run) -> str:
    """Show the sizes of each parameter's gradient in the course of training."""
    log = run.gradients
    if log is None or not log.steps:
        return "<p>This run kept no histograms of its gradients.</p>"
    text = (
        "<p>Each column is a histogram of one step’s gradient, on a logarithmic scale: the darker, "
        "the more of the elements. A band that sinks is a gradient that vanishes, one that rises "
        "a gradient that explodes; exact zeros are in the table.</p>"
    )
    names = list(log.counts)[:24]
    rows = []
    for name in names:
        zeros = log.zeros(name)
        rows.append((name, log.sizes[name], f"{100 * zeros[0]:.1f} %", f"{100 * zeros[-1]:.1f} %"))
    head = ("parameter", "elements", "zeros at first", "zeros at last")
    zeros_table = table(head, rows, (1, 2, 3))
    try:
        images = "\n".join(
            picture(figures.gradient_histograms(log, [name]), f"gradients of {name} by step")
            for name in names
        )
        return f'{text}\n<div class="figures three">\n{images}\n</div>\n{zeros_table}'
    except figures.FiguresMissing:
        return zeros_table


def _title(name: str, weight: Any) -> str:
    return f"{name} · {_size(weight)}"


def _size(array: Any) -> str:
    return "×".join(map(str, array.shape))
