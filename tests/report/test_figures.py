"""Figures: labelled axes, what is drawn is what was given, no state left behind."""

import sys

import numpy as np
import pytest

from tinygrad_cnn import tensor
from tinygrad_cnn.report import figures
from tinygrad_cnn.report.figures import FiguresMissing
from tinygrad_cnn.report.gradients import EDGES, GradientLog
from tinygrad_cnn.report.run import Confusion

STEPS = {
    "epoch": [0.5, 1.0, 1.5, 2.0],
    "train_loss": [2.0, 1.0, 0.5, 0.01],
    "train_score": [0.1, 0.5, 0.7, 0.9],
    "lr": [0.1, 0.1, 0.05, 0.01],
}
EPOCHS = {"epoch": [1.0, 2.0], "test_loss": [0.9, 0.4], "test_score": [0.6, 0.8]}


def log_of(*gradients):
    log = GradientLog()
    for step, gradient in enumerate(gradients, 1):
        x = tensor(np.zeros(len(gradient)), requires_grad=True)
        (x * np.array(gradient)).sum().backward()
        log.add(step, [("x", x)])
    return log


MADE = {
    "curves": lambda: figures.curves(STEPS, EPOCHS, "accuracy"),
    "filters": lambda: figures.filters(np.ones((3, 2, 3, 3)), "conv.weight"),
    "feature maps": lambda: figures.feature_maps("conv", np.ones((3, 4, 4))),
    "confusion": lambda: figures.confusion_matrix(Confusion(np.eye(2, dtype=int), "ab", "ab")),
    "mistakes": lambda: figures.worst_mistakes(np.ones((8, 4, 4)), list("abcdefgh")),
    "gradients": lambda: figures.gradient_histograms(log_of([1.0, 0.1], [0.0, 2.0])),
}


@pytest.fixture(autouse=True)
def needed(request):
    if "without" not in request.node.name:
        pytest.importorskip("matplotlib")


@pytest.mark.parametrize("name", MADE)
def test_figures_are_figures_and_leave_no_state(name):
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    before = rcParams.copy()  # dict(rcParams) would load pyplot
    figure = MADE[name]()
    assert isinstance(figure, Figure)
    first = figures.svg(figure)
    assert b"<svg" in first
    assert figures.svg(MADE[name]()) == first  # the same data, the same bytes
    assert rcParams.copy() == before
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize("name", MADE)
def test_without_matplotlib_one_line_says_how_to_get_it(name, monkeypatch):
    log_of([1.0])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        FiguresMissing, match=r"^figures need matplotlib: pip install '.*\[plots]'$"
    ):
        MADE[name]()


def test_curves_have_axes_with_names_and_the_data():
    figure = MADE["curves"]()
    loss, score, rate = figure.axes
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch"] * 3
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy", "learning rate"]
    train, test = loss.get_lines()
    assert train.get_ydata().tolist() == STEPS["train_loss"]
    assert test.get_xdata().tolist() == EPOCHS["epoch"]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "test"]
    assert (loss.get_yscale(), score.get_yscale()) == ("log", "linear")
    assert rate.get_lines()[0].get_ydata().tolist() == STEPS["lr"]


def test_curves_of_a_single_panel_and_of_losses_that_are_not_finite():
    steps = STEPS | {"train_loss": [1.0, float("inf"), float("nan"), 0.5]}
    (axes,) = figures.curves(steps, EPOCHS, "accuracy", ["loss"]).axes
    assert axes.get_yscale() == "linear"


def test_filters_are_laid_out_by_filter_and_channel():
    weight = np.arange(2 * 3 * 2 * 2, dtype=float).reshape(2, 3, 2, 2) - 5
    axes = figures.filters(weight, "conv.weight").axes[0]
    field = np.asarray(axes.get_images()[0].get_array().filled(np.nan))
    assert field.shape == (2 * 3 - 1, 3 * 3 - 1)
    assert field[3:5, 6:8].tolist() == weight[1, 2].tolist()
    assert np.isnan(field[2]).all()
    assert axes.get_images()[0].get_clim() == (-18, 18)  # so that white is 0
    assert (axes.get_title("left"), axes.get_xlabel()) == ("conv.weight", "input channel")


def test_confusion_shows_counts_but_no_zeros():
    counts = np.array([[7, 0], [2, 5]])
    (axes,) = figures.confusion_matrix(Confusion(counts, ["no", "0"], ["no", "0"])).axes
    assert sorted(text.get_text() for text in axes.texts) == ["2", "5", "7"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answered", "true")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["no", "0"]


def test_gradients_have_axes_with_names():
    (axes,) = MADE["gradients"]().axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "|gradient|")
    assert axes.get_title("left") == "x"


# ------------------------------------------------------------------------------- the log


def test_a_log_counts_each_gradient_in_its_bin():
    log = log_of([1.5e-3, -1.5e-3, 0.0, 50.0], [1e-30, 1e30, float("nan"), 0.0])
    first, second = log.counts["x"]
    bins = {float(EDGES[i]): int(n) for i, n in enumerate(first) if n}
    assert bins == {-3.0: 2, 1.5: 1}
    assert (second[0], second[-1], second.sum()) == (1, 1, 2)
    assert log.zeros("x") == [0.25, 0.5]


def test_a_log_comes_back_from_its_file(tmp_path):
    log = log_of([1.0, 2.0], [0.0, 3.0], [4.0, 5.0])
    log.save(tmp_path / "log.npz")
    again = GradientLog.load(tmp_path / "log.npz")
    assert again.steps == [1, 2, 3]
    assert again.sizes == {"x": 2}
    assert np.array_equal(again.counts["x"], log.counts["x"])
    log.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "log.npz").read_bytes()
    (tmp_path / "log.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ValueError, match="is no log of gradients"):
        GradientLog.load(tmp_path / "log.npz")


def test_a_thinned_log_goes_on_where_it_stopped():
    whole, x = GradientLog(), tensor([1.0], requires_grad=True)
    parted = GradientLog()
    for step in range(1, 1001):
        whole.add(step, [("x", x)])
        parted.add(step, [("x", x)])
        if step in (17, 403, 807):
            state, parted = parted.state(), GradientLog()
            parted.load_state(state)
    assert parted.steps == whole.steps


@pytest.mark.parametrize("name", ["steps", "every", "edges", "names", "sizes", "counts0"])
def test_a_log_that_does_not_fit_is_refused(name):
    state = log_of([1.0, 2.0], [0.0, 3.0]).state()
    for damaged in (state[name][:-1], state[name][..., np.newaxis]):
        with pytest.raises(ValueError, match="it "):
            GradientLog().load_state({**state, name: damaged})
    with pytest.raises(ValueError, match=f"it lacks '{name}'"):
        GradientLog().load_state({key: value for key, value in state.items() if key != name})


def test_a_long_log_is_thinned_evenly():
    log = GradientLog()
    x = tensor([1.0], requires_grad=True)
    for step in range(1, 2001):
        log.add(step, [("x", x)])
    assert 200 <= len(log.steps) <= 400
    assert len(set(np.diff(log.steps))) == 1
    assert len(log.counts["x"]) == len(log.steps)
