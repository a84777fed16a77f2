"""Files and pictures, with each renderer and with none."""

import re
import shutil
import sysconfig
import zlib
from xml.etree import ElementTree as ET

import pytest
from graphviz.backend import dot_command

from tests.viz.names import AWKWARD, awkward
from tests.viz.networks import recorded_loss
from tinygrad_cnn import tensor
from tinygrad_cnn.viz import RendererMissing, graph, render
from tinygrad_cnn.viz import model as viz_model

PURE = shutil.which("graphviz-pure") or shutil.which(
    "graphviz-pure", path=sysconfig.get_path("scripts")
)
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not here")
needs_pure = pytest.mark.skipif(PURE is None, reason="graphviz-pure is not installed")

BEGINS = {".svg": b"<?xml", ".png": b"\x89PNG\r\n\x1a\n", ".pdf": b"%PDF-"}


@pytest.fixture
def drawn():
    model, loss = recorded_loss("sigmoid")
    return graph(loss, model=model)


@pytest.fixture
def only(monkeypatch, tmp_path):
    """Leave only the named programs to be found."""

    def leave(*programs):
        folder = tmp_path / "bin"
        folder.mkdir()
        for program in programs:
            (folder / program.rpartition("/")[2]).symlink_to(program)
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(folder))

    return leave


@pytest.mark.parametrize("suffix", [".dot", ".gv", ".GV"])
def test_text_needs_no_renderer(drawn, tmp_path, only, suffix):
    only()
    path = drawn.save(tmp_path / f"graph{suffix}")
    assert path.read_text("utf-8") == drawn.dot()


@needs_dot
@pytest.mark.parametrize("suffix", BEGINS)
def test_pictures_by_dot(drawn, tmp_path, suffix):
    path = drawn.render(str(tmp_path / f"graph{suffix}"))
    assert path.read_bytes().startswith(BEGINS[suffix])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@needs_pure
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_pictures_by_graphviz_pure(drawn, tmp_path, only, suffix):
    only(PURE)
    before = dot_command.DOT_BINARY
    path = drawn.save(tmp_path / f"graph{suffix}")
    assert path.read_bytes().startswith(BEGINS[suffix])
    assert dot_command.DOT_BINARY is before


@needs_pure
def test_graphviz_pure_writes_no_pdf(drawn, tmp_path, only):
    only(PURE)
    with pytest.raises(RendererMissing, match=r"drawing PDF needs.*SVG and PNG only"):
        drawn.save(tmp_path / "graph.pdf")


@needs_pure
def test_every_view_is_drawn_by_graphviz_pure(only):
    model, loss = recorded_loss("batchnorm")
    only(PURE)
    for options in ({"backward": True}, {"depth": 1}, {"verdicts": {loss.grad_fn: "FAIL"}}):
        picture = render.draw(graph(loss, model=model, **options), "svg").decode("utf-8")
        assert "cross_entropy" in picture


@needs_pure
def test_awkward_names_are_drawn_by_graphviz_pure(only):
    only(PURE)
    for name in AWKWARD:
        texts = [
            element.text for element in ET.fromstring(render.draw(awkward([name]), "svg")).iter()
        ]
        if name.isprintable() and name.strip():
            assert sum(name == (text or "").replace("\u00a0", " ") for text in texts) >= 4, name


def test_without_a_renderer_one_line_names_both_ways(drawn, tmp_path, only):
    only()
    with pytest.raises(RendererMissing) as caught:
        drawn.save(tmp_path / "graph.svg")
    message = str(caught.value)
    assert "\n" not in message
    assert "apt install graphviz" in message
    assert "pip install graphviz-pure" in message
    assert str(tmp_path / "graph.dot") in message
    assert (tmp_path / "graph.dot").read_text("utf-8") == drawn.dot()
    assert not (tmp_path / "graph.svg").exists()


def test_other_names_are_refused(drawn, tmp_path):
    with pytest.raises(ValueError, match=r"save: expects a name ending in .dot.*got 'graph.gif'"):
        drawn.save(tmp_path / "graph.gif")


def test_a_renderer_that_fails_says_why(drawn, tmp_path, only):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho no cairo here >&2\nexit 3\n")
    program.chmod(0o755)
    only(str(program), "/bin/sh", "/bin/echo")
    old = tmp_path / "graph.png"
    old.write_bytes(b"older")
    with pytest.raises(RuntimeError, match="could not draw the png: no cairo here"):
        drawn.save(old)
    assert old.read_bytes() == b"older"


@needs_dot
def test_a_png_is_sharp(drawn):
    inches = float(re.search(r'svg width="(\d+)pt"', render.draw(drawn, "svg").decode())[1]) / 72
    assert _width(render.draw(drawn, "png")) == pytest.approx(144 * inches, rel=0.01)


def _width(png: bytes) -> int:
    assert zlib.crc32(png[12:29]) == int.from_bytes(png[29:33])
    return int.from_bytes(png[16:20])


@needs_dot
def test_a_notebook_shows_the_picture(drawn):
    bundle = drawn._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<?xml")
    assert bundle["text/plain"] == drawn.text() == str(drawn)
    assert drawn._repr_mimebundle_(exclude=["image/svg+xml"]) == {"text/plain": drawn.text()}
    assert set(drawn._repr_mimebundle_(include=["text/plain"])) == {"text/plain"}


def test_a_notebook_without_a_renderer_shows_text(drawn, only):
    only()
    bundle = drawn._repr_mimebundle_()
    assert set(bundle) == {"text/plain"}
    assert bundle["text/plain"].startswith(drawn.text())
    assert "graphviz-pure" in bundle["text/plain"]


def test_a_notebook_shows_a_huge_graph_as_text(monkeypatch, drawn):
    monkeypatch.setattr(viz_model, "LARGEST_PICTURE", 5)
    assert set(drawn._repr_mimebundle_()) == {"text/plain"}


def test_the_text_has_a_line_for_every_box(drawn):
    lines = drawn.text().splitlines()
    assert len(lines) == 1 + len(drawn.nodes) + len(drawn.modules)
    assert lines[0].startswith("Sigmoid · 283 parameters · ")
    assert any("#1 conv2d(input, weight, bias)" in line for line in lines)


def test_text_stays_on_its_line():
    x = tensor([1.0], requires_grad=True, name="two\nlines\x1b[31m")
    assert len(graph(x * 2).text().splitlines()) == 3
    assert "\x1b" not in graph(x * 2).text()
