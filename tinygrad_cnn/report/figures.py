"""Figures of a training run, drawn with matplotlib (the extra ``plots``) where it is installed.

Each function returns a `matplotlib.figure.Figure`, which shows itself in a notebook and writes
itself with ``savefig``; pyplot and its global state are not used. Colours are those of Okabe and
Ito (2008), which are told apart with any colour vision; fields run from blue over white to red, or
from white to blue.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from tinygrad_cnn.report.gradients import EDGES, GradientLog
from tinygrad_cnn.report.run import Confusion, Rows
from tinygrad_cnn.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "FiguresMissing",
    "confusion_matrix",
    "curves",
    "feature_maps",
    "filters",
    "gradient_histograms",
    "svg",
    "worst_mistakes",
]

P = ParamSpec("P")

TRAINING, TEST = "#0072b2", "#d55e00"
INK, FAINT, HAIR = "#1e293b", "#56637a", "#dfe4eb"

STYLE: Any = {
    "font.size": 11,
    "text.color": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 11,
    "axes.labelcolor": FAINT,
    "axes.edgecolor": "#c3ccd8",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": HAIR,
    "grid.linewidth": 0.8,
    "xtick.color": "#c3ccd8",
    "ytick.color": "#c3ccd8",
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "legend.frameon": False,
    "figure.facecolor": "#ffffff",
    "axes.facecolor": "#ffffff",
    "svg.fonttype": "path",
    "svg.hashsalt": "tinygrad-cnn",
}

_MISSING = "figures need matplotlib: pip install 'tinygrad-cnn[plots]'"


class FiguresMissing(ImportError):  # noqa: N818  # says what is the matter
    """Matplotlib is not installed; the message says how to get it."""


def _styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the style of all figures, and say in one line what is missing."""

    @wraps(function)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        try:
            from matplotlib import rc_context
        except ImportError:
            raise FiguresMissing(_MISSING) from None
        with rc_context(STYLE):
            return function(*args, **kwargs)

    return drawn


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG, its text as outlines; the same figure gives the same bytes."""
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


# ------------------------------------------------------------------------------------------ curves


@_styled
def curves(
    steps: Rows, epochs: Rows, metric: str, panels: Sequence[str] = ("loss", "score", "lr")
) -> Figure:
    """Draw loss, score and learning rate over the epochs.

    Parameters
    ----------
    steps
        Columns "epoch", "train_loss", "train_score", "lr": lines.
    epochs
        Columns "epoch", "test_loss", "test_score": points.
    metric
        What the score is: the label of its axis.
    panels
        Which of the three, side by side.
    """
    figure = _figure(4.8 * len(panels), 3.2)
    for axes, panel in zip(_flat(figure.subplots(1, len(panels))), panels, strict=True):
        if panel == "lr":
            axes.plot(steps["epoch"], steps["lr"], color=TRAINING, linewidth=1.6)
            axes.set_ylim(bottom=0)
        else:
            _curve(axes, panel, steps, epochs)
        label = {"loss": "loss", "score": metric, "lr": "learning rate"}[panel]
        axes.set(xlabel="epoch", ylabel=label, xlim=(0, None))
        axes.grid(True)
        axes.locator_params(axis="x", integer=True)
    return figure


def _curve(axes: Axes, panel: str, steps: Rows, epochs: Rows) -> None:
    train, test = steps[f"train_{panel}"], epochs[f"test_{panel}"]
    axes.plot(steps["epoch"], train, color=TRAINING, linewidth=1.3, label="training")
    axes.plot(
        *(epochs["epoch"], test),
        color=TEST,
        marker="o",
        markersize=5,
        linewidth=1.3,
        linestyle=(0, (2, 2)),
        label="test",
    )
    values = [value for value in (*train, *test) if math.isfinite(value)]
    if panel == "loss" and values and min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")
    if panel == "score" and test and 0.9 <= min(test) <= 1 and max(values) <= 1:
        # Accuracies near 100 %: what happens there is what one wants to see.
        axes.set_ylim(0.9, 1.0)
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


# ----------------------------------------------------------------------------------------- filters


@_styled
def filters(weight: Array, title: str = "") -> Figure:
    """Draw the filters of a convolution: one row a filter, one column an input channel.

    A layer with a single input channel is wrapped into rows of eight.

    Parameters
    ----------
    weight
        (O, C, KH, KW).
    title
        Above it.
    """
    O, C = weight.shape[:2]
    shown = weight[:32, :32]
    wrapped = C == 1
    columns = 8 if wrapped else shown.shape[1]
    tiles = shown.reshape(-1, *shown.shape[2:])  # (O·C, KH, KW)
    field = _montage(tiles, min(columns, len(tiles)))
    limit = float(np.abs(weight).max()) or 1.0
    figure, axes = _field_axes(field, title)
    image = axes.imshow(field, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    cut = "" if len(shown) == O and shown.shape[1] == C else " (the first 32 of each)"
    across, down = ("", f"{O} filters") if wrapped else ("input channel", "filter")
    axes.set(xlabel=f"{across}{cut}", ylabel=down)
    _add_bar(figure, axes, image, "weight")
    return figure


@_styled
def feature_maps(name: str, maps: Array) -> Figure:
    """Draw what one layer makes of one image, one picture a channel; darker is larger.

    Parameters
    ----------
    name
        Of the layer.
    maps
        (C, H, W).
    """
    shown = maps[:32]
    field = _montage(shown, min(8, len(shown)))
    cut = "" if len(shown) == len(maps) else f" (the first {len(shown)})"
    C, H, W = maps.shape
    title = f"{name} · {C} × {H}×{W}{cut}"
    figure, axes = _field_axes(field, title)
    image = axes.imshow(field, cmap="Blues", interpolation="nearest")
    axes.set(xlabel="channels, left to right, top to bottom")
    _add_bar(figure, axes, image, "value")
    return figure


def _field_axes(field: Array, title: str) -> tuple[Figure, Axes]:
    """Return a figure with bare axes that fit a field."""
    height = 4.6 * field.shape[0] / field.shape[1]
    figure = _figure(5.6, min(max(height, 0.7), 7.0) + 0.7)
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes


def _add_bar(figure: Figure, axes: Axes, image: Any, label: str) -> None:
    """Add the scale of colours, as high as the field."""
    from matplotlib.ticker import MaxNLocator

    bar = figure.colorbar(image, cax=axes.inset_axes((1.025, 0, 0.02, 1)))
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(4)
    bar.ax.tick_params(length=0)


def _montage(tiles: Array, columns: int) -> Array:
    """Lay tiles (T, H, W) out in rows, with gaps of NaN between them."""
    T, H, W = tiles.shape
    rows = -(-T // columns)
    gap = max(1, W // 14)
    field = np.full((rows * (H + gap) - gap, columns * (W + gap) - gap), np.nan)
    for number, tile in enumerate(tiles):
        y, x = (H + gap) * (number // columns), (W + gap) * (number % columns)
        field[y : y + H, x : x + W] = tile
    return field


# ----------------------------------------------------------------------------------------- answers


@_styled
def confusion_matrix(confusion: Confusion) -> Figure:
    """Draw how often each class (row) was taken for each class (column).

    The colour is the share of the row, so that rare classes are seen as well.
    """
    counts = confusion.counts
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 1.6 + 0.48 * len(counts)
    figure = _figure(side + 0.6, side)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[i, j] > 0.5 else INK
            axes.text(j, i, f"{count}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(confusion.answers)), confusion.answers)
    axes.set_yticks(range(len(confusion.truths)), confusion.truths)
    axes.set(xlabel="answered", ylabel="true")
    return figure


@_styled
def worst_mistakes(images: Array, captions: Sequence[str]) -> Figure:
    """Draw images in rows of six, each with its caption.

    Parameters
    ----------
    images
        (N, H, W), of one N at least.
    captions
        N of them.
    """
    columns = min(6, len(images))
    rows = -(-len(images) // columns)
    figure = _figure(1.7 * columns, 2.1 * rows)
    places = _flat(figure.subplots(rows, columns))
    for axes in places:
        axes.set_axis_off()
    for axes, image, caption in zip(places, images, captions, strict=False):
        axes.imshow(image, cmap="gray_r")
        axes.set_title(caption, fontsize=9, loc="center", fontweight="normal")
    return figure


# --------------------------------------------------------------------------------------- gradients


@_styled
def gradient_histograms(log: GradientLog, names: Sequence[str] | None = None) -> Figure:
    """Draw, for each parameter, the histogram of its gradient's absolute values over the steps.

    Each column is a histogram on a logarithmic scale; the darker, the more of the elements.
    """
    chosen = list(log.counts) if names is None else list(names)
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = _figure(4.4 * columns, 2.7 * rows)
    places = _flat(figure.subplots(rows, columns))
    shares: Mapping[str, Array] = {
        name: np.array(log.counts[name]) / max(log.sizes[name], 1) for name in chosen
    }  # (R, B) each
    for axes in places[len(chosen) :]:
        axes.set_axis_off()
    steps = np.array([0, *log.steps], float)
    for axes, name in zip(places, chosen, strict=False):
        share = shares[name]
        axes.pcolormesh(steps, EDGES, share.T, cmap="Blues", rasterized=True)
        used = np.flatnonzero(share.sum(0) > 1e-3 * share.sum())  # lone outliers are not shown
        if used.size:
            axes.set_ylim(EDGES[used[0]], EDGES[used[-1] + 1])
        axes.set(xlabel="step", ylabel="|gradient|", title=name)
        axes.locator_params(axis="y", integer=True, nbins=6)
        axes.locator_params(axis="x", integer=True, nbins=6)
        axes.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")
    return figure


def _flat(axes: Any) -> list[Axes]:
    """Return what `Figure.subplots` gives as a list."""
    return list(np.atleast_1d(axes).ravel())
