"""Text in pictures keeps to the length that it was laid out for."""

from __future__ import annotations

import re

import pytest

from tests.viz.networks import recorded_loss
from tinygrad_cnn.viz import RendererMissing, graph
from tinygrad_cnn.viz.fonts import _DEJAVU, fit_text, width_of

LINE = '<text text-anchor="start" x="{x}" y="5" font-family="Arial" font-size="10.00">{text}</text>'


@pytest.mark.parametrize("bold", [False, True])
def test_widths_are_those_of_arial(bold):
    """Matplotlib carries the metrics of Helvetica, whose widths are Arial's."""
    data = pytest.importorskip("matplotlib").get_data_path()
    from matplotlib._afm import AFM

    name = "phvb8a" if bold else "phvr8a"
    with open(f"{data}/fonts/afm/{name}.afm", "rb") as file:  # noqa: PTH123  # what AFM reads
        metrics = AFM(file)
    names = {39: "quotesingle", 96: "grave"}
    for code in range(33, 127):
        named = metrics.get_width_from_char_name(names[code]) if code in names else None
        wanted = metrics.get_width_char(code) if named is None else named
        assert width_of(chr(code), 1000.0, bold) == (
            584 if code == 45 and wanted == 584 else wanted
        )


def test_every_piece_of_text_is_told_its_length():
    svg = fit_text(LINE.format(x=1, text="mm &#45; &lt;"))
    assert 'textLength="31.39" lengthAdjust="spacingAndGlyphs">mm &#45; &lt;</text>' in svg
    assert fit_text(svg) == svg, "once is enough"
    unknown = LINE.format(x=1, text="卷积")
    assert fit_text(unknown) == unknown, "its length is not known: it is left alone"


BOX = '<g id="node1" class="node"><polygon points="0,0 100,0 100,30 0,30"/>{}</g>'


def lengths(svg):
    """The lengths that pieces of text are told."""
    return re.findall(r'textLength="([0-9.]+)"', fit_text(svg))


def test_a_box_shows_how_long_its_lines_are():
    name = LINE.format(x=29, text="mmmm").replace("<text ", '<text font-weight="bold" ')
    assert lengths(BOX.format(name)) == ["42.00"], "35.56 in Arial; the centre is 50"
    line = LINE.format(x=20, text="mmmm") + LINE.format(x=60, text="mm")
    assert lengths(BOX.format(line)) == ["40.00", "20.00"], "a line in two pieces"
    assert lengths(BOX.format(LINE.format(x=2, text="mmmm"))) == ["33.32"], "not in the middle"
    assert lengths(name) == ["35.56"], "no box: Arial"
    assert lengths(BOX.format(name) + '<g id="edge1" class="edge">' + name)[1] == "41.68", "DejaVu"


def test_widths_are_those_of_dejavu():
    matplotlib = pytest.importorskip("matplotlib")
    from matplotlib.ft2font import FT2Font, LoadFlags

    for bold, file in ((False, "DejaVuSans.ttf"), (True, "DejaVuSans-Bold.ttf")):
        font = FT2Font(f"{matplotlib.get_data_path()}/fonts/ttf/{file}")
        font.set_size(1000, 72)
        for sign in _DEJAVU[bold]:
            wanted = font.load_char(ord(sign), flags=LoadFlags.NO_SCALE).linearHoriAdvance
            assert width_of(sign, 1000.0, bold, _DEJAVU) == pytest.approx(wanted / 65536, abs=1)


def test_saved_pictures_tell_their_texts_lengths(tmp_path):
    model, loss = recorded_loss("batchnorm")
    try:
        file = graph(loss, model=model).save(tmp_path / "graph.svg")
    except RendererMissing as missing:
        pytest.skip(str(missing))
    svg = file.read_text(encoding="utf-8")
    texts = re.findall(r"<text [^>]*>", svg)
    assert len(texts) > 50
    assert all("textLength" in text for text in texts)
    inside = 0
    for box in re.findall(r'class="node">.*?</g>', svg, re.DOTALL):
        outline = re.search(r' (?:points|d)="([^"]*)"', box)
        pieces = re.findall(r'"start" x="(-?[\d.]+)".*?textLength="([\d.]+)"', box)
        across = [float(x) for x in re.findall(r"(-?[\d.]+),", outline[1])] if outline else []
        for x, length in pieces if across else ():
            inside += 1
            assert min(across) <= float(x)
            assert float(x) + float(length) <= max(across)
    assert inside > 50 or "start" not in svg
