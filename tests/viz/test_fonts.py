"""Text in pictures keeps to the length that it was laid out for."""

from __future__ import annotations

import re

import pytest

from tests.viz.networks import recorded_loss
from tinygrad_cnn.viz import RendererMissing, graph
from tinygrad_cnn.viz.fonts import fit_text, width_of

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


def test_a_wider_font_of_the_layout_is_noticed():
    # A bold "mmmm" is 35.56 long in Arial; here what follows it begins at 42.67, a fifth later.
    bold = LINE.format(x=0, text="mmmm").replace("<text ", '<text font-weight="bold" ')
    svg = fit_text(bold + LINE.format(x=42.67, text="mm"))
    assert re.findall(r'textLength="([0-9.]+)"', svg) == ["42.67", "18.33"]


def test_saved_pictures_tell_their_texts_lengths(tmp_path):
    model, loss = recorded_loss("batchnorm")
    try:
        file = graph(loss, model=model).save(tmp_path / "graph.svg")
    except RendererMissing as missing:
        pytest.skip(str(missing))
    texts = re.findall(r"<text [^>]*>", file.read_text(encoding="utf-8"))
    assert len(texts) > 50
    assert all("textLength" in text for text in texts)
