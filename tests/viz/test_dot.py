"""The text in Graphviz's language: the same each time, safe with any name, telling at a glance."""

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.viz.names import AWKWARD, awkward
from tests.viz.networks import recorded_loss
from tinygrad_cnn import tensor
from tinygrad_cnn.models import NETWORKS, ResNet20
from tinygrad_cnn.viz import Graph, GraphNode, graph
from tinygrad_cnn.viz.dot import LOOKS, VERDICT_COLOURS
from tinygrad_cnn.viz.render import draw

GOLDEN = Path(__file__).parent / "golden"
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not here")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_five_networks_look_as_they_did(name):
    """Run with UPDATE_GOLDEN=1 to write the files anew, then look at what changed."""
    model, loss = recorded_loss(name)
    text = graph(loss, model=model).dot()
    file = GOLDEN / f"{name}.dot"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_the_same_model_gives_the_same_text():
    def text():
        model, loss = recorded_loss("batchnorm")
        return [
            graph(loss, model=model, backward=b, depth=d).dot() for b in (0, 1) for d in (1, None)
        ]

    assert text() == text()


def test_kinds_differ_in_colour_and_in_shape():
    drawn = [LOOKS[kind] for kind in ("parameter", "buffer", "input", "op", "loss")]
    assert len({look.shape for look in drawn}) == len(drawn)
    assert len({look.fill for look in drawn}) == len(drawn)
    assert len(set(VERDICT_COLOURS.values())) == len(VERDICT_COLOURS) == 6


def test_colours_have_six_digits():
    model, loss = recorded_loss("batchnorm")
    text = graph(loss, model=model, backward=True, verdicts={loss.grad_fn: "FAIL"}).dot()
    colours = re.findall(r'color="([^"]*)"', text)
    assert len(colours) > 50
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)


def test_modules_are_nested_clusters():
    model = ResNet20()
    images = tensor(np.zeros((2, 3, 32, 32), np.float32))
    text = graph(model(images), model=model).dot()
    opened = []
    around = {}
    for line in text.splitlines():
        if "subgraph cluster_" in line:
            opened.append(None)
        elif line.strip() == "}" and opened:
            opened.pop()
        elif (found := re.search(r'tooltip="([\w.]+)"\];$', line)) and opened and not opened[-1]:
            opened[-1] = found[1]
            around[found[1]] = opened[-2] if len(opened) > 1 else ""
    assert around["layer2.0.conv1"] == "layer2.0"
    assert around["layer2.0"] == "layer2"
    assert around["layer2"] == ""
    assert len(around) == sum(1 for _ in model.modules()) - 1


def test_a_long_chain_needs_no_recursion():
    length = 3_000  # three times what Python allows
    y = tensor([1.0], requires_grad=True)
    for _ in range(length):
        y = y * 1.0001
    assert graph(y, fold=False).dot().count(" -> ") == length
    assert graph(y).dot().count(" -> ") == 1
    assert graph(y, fold=False, backward=True, hide="mul").dot().count(" -> ") == 0


def parsed(drawn: Graph) -> list[str]:
    """Return the texts of the picture, after Graphviz accepted it without a word."""
    text = drawn.dot().encode("utf-8")
    done = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return [
        e.text or "" for e in ET.fromstring(done.stdout).iter("{http://www.w3.org/2000/svg}text")
    ]


@needs_dot
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_are_drawn(name):
    texts = parsed(awkward([name]))
    if name.isprintable() and name.strip():
        assert sum(name == text.replace("\u00a0", " ") for text in texts) >= 4


@needs_dot
@settings(max_examples=settings().max_examples // 6)  # a process each
@given(st.lists(st.text(st.characters(), max_size=12), min_size=1, max_size=8))
def test_any_name_is_drawn(names):
    parsed(awkward(names))


@needs_dot
def test_tooltips_hold_the_name_as_it_is():
    name = 'a "b" <c> & \\N d\\'
    picture = draw(awkward([name]), "svg")
    titles = {
        value
        for e in ET.fromstring(picture).iter()
        for key, value in e.attrib.items()
        if key.endswith("title")
    }
    assert any(title.startswith(f"op {name} in") for title in titles), titles


def test_a_verdict_is_a_word_as_well_as_a_colour():
    box = GraphNode("n1", "op", "relu")
    for verdict, (fill, _) in VERDICT_COLOURS.items():
        text = Graph("g", (replace(box, verdict=verdict),), ()).dot()
        assert f'fillcolor="{fill}"' in text
        assert f"{verdict} 1" in text
