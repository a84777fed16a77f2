"""The page of a run: all sections are there, nothing breaks out, nothing is fetched."""

import html.parser
import importlib.util
import json
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.report.conftest import train
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.cli.report import read_run
from tinygrad_cnn.random import get_rng_state
from tinygrad_cnn.report import GradientLog, report_text, sections
from tinygrad_cnn.training.predict import Predictor
from tinygrad_cnn.verify import InputReport, Report, Verdict

SECTIONS = [
    "Course of training",
    "Confusion matrix",
    "Worst mistakes",
    "Verified gradients",
    "Network",
    "Filters",
    "Feature maps",
    "Gradients",
    "Configuration",
]


class Page(html.parser.HTMLParser):
    """Headings, what would be fetched, images by description, cells of tables."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.fetched, self.images, self.open = [], [], {}, []
        self.cells = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.fetched += [v for k, v in attributes if k in ("src", "href", "srcset", "action")]
        if tag == "img":
            self.images[given["alt"]] = given["src"]
        self.open.append(tag)

    def handle_data(self, text):
        if self.open and self.open[-1] == "h2":
            self.headings.append(text)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(text)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass


def without_matplotlib(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(
        "tinygrad_cnn.report.page.find_spec", lambda n: None if n == "matplotlib" else real(n)
    )


@pytest.fixture(scope="module")
def text(trained):
    return (trained / "report.html").read_text("utf-8")


def test_training_writes_a_page_with_all_sections(text):
    page = Page(text)
    assert [heading for heading in page.headings if heading in SECTIONS] == SECTIONS
    assert "tinygrad-cnn train " in text  # what repeats the run
    assert len(text) < 5_000_000
    assert "<h1>momentum</h1>" in text
    assert "18 gradients were compared" in text
    assert {"conv2d", "conv1.weight", "4×1×3×3"} <= set(page.cells)
    assert text.count("<figcaption>") == 18


def test_nothing_is_fetched(text):
    page = Page(text)
    assert all(url.startswith(("data:", "#")) for url in page.fetched)
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"']?https?:", text)
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in text


def test_pictures_where_there_is_matplotlib(text):
    pytest.importorskip("matplotlib")
    images = Page(text).images
    for name in (
        "loss over the epochs",
        "accuracy over the epochs",
        "learning rate over the epochs",
        "filters of conv1.weight",
        "feature maps of conv1 · conv2d",
        "gradients of conv2.weight by step",
    ):
        assert images[name].startswith("data:image/svg+xml;base64,")


def test_the_numbers_are_those_of_the_run(trained, text):
    run = read_run(trained)
    assert run.answers.shape == (40, 10)
    predictor = Predictor(trained)
    assert np.array_equal(run.answers, predictor.answers(run.images))
    assert f"answered {round(40 * run.score)} of 40 images" in text
    last = float((trained / "metrics.csv").read_text().splitlines()[-1].split(",")[5])
    assert run.score == pytest.approx(last)
    assert run.epochs["epoch"] == [1, 2]
    assert run.settings["batch_size"] == 30


def test_gradients_of_each_step_were_kept(trained):
    log = GradientLog.load(trained / "gradients.npz")
    assert log.steps == [1, 2, 3, 4, 5, 6]
    names = [name for name, _ in Predictor(trained).model.named_parameters()]
    assert list(log.counts) == names
    assert all(sum(row.sum() for row in log.counts[name]) > 0 for name in names)


@pytest.mark.slow
def test_making_it_changes_nothing(trained):
    run = read_run(trained)
    before = get_rng_state(), {n: a.numpy().tobytes() for n, a in run.model.state_dict().items()}
    grads = [parameter.grad for parameter in run.model.parameters()]
    report_text(run)
    read_run(trained)
    after = get_rng_state(), {n: a.numpy().tobytes() for n, a in run.model.state_dict().items()}
    assert before == after
    assert grads == [parameter.grad for parameter in run.model.parameters()]


def test_text_of_others_stays_text(trained, monkeypatch):
    without_matplotlib(monkeypatch)  # which takes less time
    evil = "<script>alert(1)</script>\"'&"
    run = replace(
        read_run(trained),
        network=evil,
        about=evil,
        place=evil,
        classes=[evil] * 10,
        settings={evil: evil},
        facts={"target": evil},
        note=evil,
        gradients=None,
    )
    text = report_text(run)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" in text
    assert "kept no histograms" in text


def test_without_matplotlib_tables_stand_in_its_place(trained, monkeypatch):
    without_matplotlib(monkeypatch)
    text = report_text(read_run(trained))
    page = Page(text)
    assert [heading for heading in page.headings if heading in SECTIONS] == SECTIONS
    assert not any(source.startswith("data:image/svg") for source in page.images.values())
    assert {"training loss", "test accuracy", "deviation", "zeros at last"} <= set(page.cells)
    assert "pip install &#x27;tinygrad-cnn[plots]&#x27;" in text
    assert text.count("pip install") == 1


@pytest.mark.parametrize("network", ["regression", "sigmoid"])
def test_other_tasks(network, tmp_path, small_data, monkeypatch):
    without_matplotlib(monkeypatch)
    folder = train(tmp_path / "run", small_data, network)
    text = (folder / "report.html").read_text("utf-8")
    assert [heading for heading in Page(text).headings if heading in SECTIONS] == SECTIONS
    assert ("was off by" if network == "regression" else "images it had not seen") in text


def test_report_can_be_written_elsewhere(trained, tmp_path, capsys, monkeypatch):
    without_matplotlib(monkeypatch)
    out = tmp_path / "page.html"
    assert cli.main(["report", str(trained), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_a_run_that_is_not_finished(trained, tmp_path, monkeypatch):
    without_matplotlib(monkeypatch)
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    (folder / "model.npz").unlink()
    for name in ("metrics.csv", "steps.csv"):
        head = (folder / name).read_text().splitlines()[0]
        (folder / name).write_text(f"{head}\n")
    assert cli.main(["report", str(folder)]) == 0
    text = (folder / "report.html").read_text("utf-8")
    assert "No epoch has been finished yet." in text
    assert "is not finished: weights after 2 epochs" in text


def damage_config(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["versions"]
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "metrics.csv").write_text("epoch\nx\n"), "metrics.csv is damaged"),
        (lambda f: (f / "steps.csv").write_text(""), "steps.csv is damaged"),
        (lambda f: (f / "gradients.npz").write_text("no"), "gradients.npz is no log of gradients"),
        (damage_config, "config.json is damaged"),
        (lambda f: (f / "metrics.csv").unlink(), "metrics.csv: No such file"),
    ],
)
def test_damaged_folders_are_named_in_one_line(trained, tmp_path, capsys, damage, said):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    (folder / "report.html").unlink()
    damage(folder)
    assert cli.main(["report", str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("tinygrad-cnn report: ")
    assert said in error
    assert error.count("\n") == 1
    assert not (folder / "report.html").exists()


def test_what_is_no_run_is_said_in_one_line(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path / "nothing")]) == 1
    assert re.fullmatch(r"tinygrad-cnn report: there is no folder \S+\n", capsys.readouterr().err)


# ------------------------------------------------------------------------------- in a browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="the page is not tried: no Chromium on the PATH")
def test_it_opens_in_a_browser_without_errors_or_requests(trained):
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the page is not tried: Playwright is not installed"
    )
    said, requests = [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for width, height in ((1440, 900), (390, 844)):
            page = browser.new_page(viewport={"width": width, "height": height})
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            page.goto((trained / "report.html").as_uri())
            page.wait_for_selector("#network[data-ready=true]")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide == width  # nothing makes the page scroll sideways
            broken = "Array.from(document.images).filter(i => !i.naturalWidth).map(i => i.alt)"
            assert page.evaluate(broken) == []
            page.get_by_role("link", name="Feature maps").click()
            page.wait_for_function("location.hash == '#maps'")
        browser.close()
    assert said == []
    assert {url.split("#")[0] for url in requests if not url.startswith("data:")} == {
        (trained / "report.html").as_uri()
    }


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (["PASS", "PASS", "SKIPPED"], "2 right"),
        (["PASS", "KINK", "SKIPPED"], "2 right, 1 of them at a kink"),
        (["PASS", "INCONCLUSIVE", "INCONCLUSIVE"], "2 undecided"),
        (["FAIL", "INCONCLUSIVE", "PASS"], "1 wrong"),
    ],
)
def test_the_tile_says_wrong_of_what_is_wrong_only(verdicts, said):
    results = [InputReport("relu", "x", 0, (1,), Verdict[name]) for name in verdicts]
    assert sections.verdict_words(Report("check_graph", results)) == said
