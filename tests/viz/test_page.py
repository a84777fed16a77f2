"""The interactive page as text and data: all is there, in its place, and nothing breaks out."""

import hashlib
import html.parser
import json
import re
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.viz.names import AWKWARD, awkward
from tests.viz.networks import recorded_loss
from tinygrad_cnn import nn, tensor
from tinygrad_cnn.models import NETWORKS, ResNet20
from tinygrad_cnn.viz import Graph, GraphNode, graph, page
from tinygrad_cnn.viz.dot import LOOKS, VERDICT_COLOURS
from tinygrad_cnn.viz.page import assemble, colours, data, places

FOLDER = files(page)


def chain(length):
    x = tensor([1.0, 2.0], requires_grad=True, name="x")
    y = x
    for i in range(length):
        y = y * 1.5 if i % 2 else y.tanh()
    return graph(y.sum(), fold=False)


def resnet(**options):
    model = ResNet20()
    logits = model(tensor(np.ones((2, 3, 32, 32), np.float32), name="images"))
    return graph(logits.sum(), model=model, **options)


class Scripts(html.parser.HTMLParser):
    """Everything that a browser would fetch, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.texts, self.tags, self.stack = [], {}, [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given_ = dict(attributes)
        self.tags.append(tag)
        self.fetched += [v for k, v in attributes if k in ("src", "href", "srcset", "action")]
        self.stack = given_.get("type") if tag == "script" else tag

    def handle_data(self, text):
        self.texts[self.stack] = self.texts.get(self.stack, "") + text


def told(text):
    return json.loads(Scripts(text).texts["application/json"])


# ------------------------------------------------------------------------------- the data


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("backward", [False, True])
def test_boxes_arrows_and_modules_are_those_of_the_graph(name, backward):
    model, loss = recorded_loss(name)
    drawn = graph(loss, model=model, backward=backward)
    found = data.page_data(drawn)
    assert [node["kind"] for node in found["nodes"]] == [node.kind for node in drawn.nodes]
    ids = [node.id for node in drawn.nodes]
    assert [(ids[s], ids[t], kind) for s, t, kind, *_ in found["edges"]] == [
        (edge.source, edge.target, edge.kind) for edge in drawn.edges
    ]
    assert [m["path"] for m in found["modules"]] == [m.path for m in drawn.modules]
    for node, box in zip(found["nodes"], drawn.nodes, strict=True):
        around = node.get("in", -1)
        path = found["modules"][around]["path"] if around >= 0 else ""
        assert path == box.scope


@pytest.mark.parametrize("backward", [False, True])
def test_steps_are_the_order_of_execution(backward):
    model, loss = recorded_loss("batchnorm")
    drawn = graph(loss, model=model, backward=backward)
    found = data.page_data(drawn)
    forward = [drawn.nodes[i] for i in found["forward"]]
    assert [n.seq for n in forward] == sorted(
        n.seq for n in drawn.nodes if n.kind in ("op", "loss")
    )
    back = [drawn.nodes[i] for i in found["backward"]]
    assert [n.seq for n in back] == [n.seq for n in reversed(forward)]
    assert {n.kind for n in back} == ({"rule"} if backward else {"op", "loss"})


def test_what_stands_beside_what():
    model, loss = recorded_loss("softmax")
    drawn = graph(loss, model=model, backward=True)
    found = data.page_data(drawn)["nodes"]
    hosts = {
        (box.kind, box.name): (drawn.nodes[node["host"]].kind, drawn.nodes[node["host"]].name)
        for node, box in zip(found, drawn.nodes, strict=True)
        if "host" in node
    }
    assert hosts["parameter", "linear.weight"] == ("op", "linear")
    assert hosts["rule", "linear"] == ("op", "linear")
    assert hosts["gradient", "linear.weight"] == ("rule", "linear")
    assert hosts["seed", "seed"] == ("rule", "cross_entropy")
    assert not any(kind in ("op", "loss", "input") for kind, _ in hosts)


def test_a_shared_parameter_stands_between_its_users():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(2, 2), nn.Linear(2, 2)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.two(self.one(x))

    model = Shared()
    found = data.page_data(graph(model(tensor([[1.0, 2.0]])), model=model, backward=True))["nodes"]
    (weight,) = [n for n in found if n["kind"] == "parameter" and n["name"].endswith("weight")]
    assert "host" not in weight
    assert weight.get("in", -1) == -1
    gradient = next(n for n in found if n["kind"] == "gradient" and "weight" in n["name"])
    assert found[gradient["host"]] == weight


@pytest.mark.parametrize("name", NETWORKS)
def test_closed_modules_say_what_the_collapsed_view_says(name):
    model, loss = recorded_loss(name)
    loss.backward(retain_graph=True)
    drawn = graph(loss, model=model)
    modules = {m["path"]: dict(m["facts"]) for m in data.page_data(drawn)["modules"]}
    boxes = [node for node in drawn.view(depth=1).nodes if node.kind == "module"]
    assert boxes
    for box in boxes:
        facts = modules[box.name]
        assert facts["operations"] == f"{box.operations:,}"
        assert facts["parameters"] == f"{box.size:,}"
        assert facts["output"].startswith("×".join(map(str, box.shape)))
        if box.multiply_adds is not None:
            assert facts["multiply-adds"] == f"{box.multiply_adds:,}"
        if box.grad_norm is not None:
            assert float(facts["gradient norm"]) == pytest.approx(box.grad_norm, rel=1e-3)


def test_a_gradient_that_nobody_computed_is_not_nought():
    model, loss = recorded_loss("sigmoid")
    found = data.page_data(graph(loss, model=model))
    facts = [dict(n["facts"]) for n in found["nodes"] if n["kind"] == "parameter"]
    assert {f["gradient norm"] for f in facts} == {"not computed"}


# ------------------------------------------------------------------------------- large graphs


def test_a_long_chain_is_put_into_groups_and_opens_closed():
    found = data.page_data(chain(10_000))
    assert all(module["group"] and "open" not in module for module in found["modules"])
    members = {}
    for i, node in enumerate(found["nodes"]):
        members.setdefault(node.get("in", -1), []).append(i)
    assert -1 not in members
    assert max(map(len, members.values())) <= places.LARGEST_FLAT
    assert len(found["modules"]) <= places.LARGEST_FLAT
    for s, t, *_ in found["edges"]:
        assert found["nodes"][s].get("in", -1) <= found["nodes"][t].get("in", -1)
    assert len(found["forward"]) == 10_001


def test_groups_of_groups(monkeypatch):
    monkeypatch.setattr(places, "LARGEST_FLAT", 6)
    monkeypatch.setattr(places, "GROUP", 3)
    drawn = chain(80)
    found = places.places_of(drawn)
    assert max(found.rows.values()) <= 6
    for box in range(len(drawn.nodes)):
        around = list(found.around(box))
        assert len(around) == len(set(around)) >= 3
    assert sum(found.rows.values()) == len(drawn.nodes) + len(found.modules)


def test_modules_and_boxes_are_grouped_together(monkeypatch):
    monkeypatch.setattr(places, "LARGEST_FLAT", 4)
    monkeypatch.setattr(places, "GROUP", 2)
    model, loss = recorded_loss("batchnorm")
    drawn = graph(loss, model=model)
    found = places.places_of(drawn)
    assert max(found.rows.values()) <= 4
    for i, module in enumerate(drawn.modules):
        assert found.modules[i].path == module.path
    data.page_data(drawn)


def test_what_no_browser_can_hold_is_refused():
    node = GraphNode("n1", "op", "relu", operations=1)
    huge = Graph("huge", (node,) * (data.LARGEST_PAGE + 1), ())
    with pytest.raises(ValueError, match=r"html: the graph has 60,001 boxes.*depth="):
        data.page_data(huge)


def opened(found):
    return {module["path"] for module in found["modules"] if module.get("open")}


def test_modules_start_open_as_far_as_they_fit():
    model, loss = recorded_loss("softmax")
    found = data.page_data(graph(loss, model=model))
    assert opened(found) == {"conv", "linear"}
    found = data.page_data(resnet())
    assert "layer1" in opened(found)
    assert not any(path.startswith("layer1.0") for path in opened(found))


def test_depth_says_which_modules_start_closed():
    drawn = resnet()
    assert opened(data.page_data(drawn, depth=1)) == set()
    assert all("." not in path for path in opened(data.page_data(drawn, depth=2)))
    assert len(opened(data.page_data(drawn, depth=9))) == len(drawn.modules)
    for depth in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="html: depth expects a positive integer"):
            data.page_data(drawn, depth=depth)


# ------------------------------------------------------------------------------- the file


def test_the_file_is_whole_and_small(tmp_path):
    path = resnet(backward=True, statistics=True).html(tmp_path / "graph.html")
    assert [p.name for p in tmp_path.iterdir()] == ["graph.html"]
    assert path.stat().st_size < 1 << 20  # of the 5 MB that are allowed
    text = path.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert told(text)["title"] == "ResNet20"


def test_nothing_is_fetched():
    model, loss = recorded_loss("sigmoid")
    text = page.page_text(graph(loss, model=model))
    assert Scripts(text).fetched == ["data:,"]
    assert "default-src 'none'" in text
    assert "url(" not in Scripts(text).texts["style"]
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|importScripts)\b", text)
    assert "sourceMappingURL" not in text


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_stay_data(name):
    drawn = awkward([name])
    text = page.page_text(drawn)
    text.encode("utf-8")
    found = told(text)
    assert found["title"] == json.loads(json.dumps(name))  # two surrogates become one character
    assert found == json.loads(json.dumps(data.page_data(drawn)))


@given(st.text(alphabet=st.characters(), max_size=20).map(lambda s: f"{s}</script><!--<script>{s}"))
def test_no_name_ends_the_script(name):
    text = page.section(awkward([name]))
    tags = Scripts(text).tags
    assert tags == ["section", "style", "script", "noscript", "script"]
    assert told(text)["title"] == name


def test_sections_stand_in_larger_pages():
    model, loss = recorded_loss("sigmoid")
    drawn = graph(loss, model=model)
    first, second = page.section(drawn, "first"), page.section(drawn, "second", depth=1)
    assert first.count('id="first"') == 1
    assert 'getElementById("second")' in second
    assert opened(told(first))
    assert not opened(told(second))
    for id in ("", "1st", 'a"b', "a b", "x\n"):
        with pytest.raises(ValueError, match="section: expects an id"):
            page.section(drawn, id)


def test_the_page_is_the_same_each_time():
    pages = []
    for _ in range(2):
        model, loss = recorded_loss("batchnorm")
        pages.append(page.page_text(graph(loss, model=model, statistics=True, backward=True)))
    assert pages[0] == pages[1]


# ------------------------------------------------------------------------------- the scripts


def declared(text):
    return re.findall(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", text, re.M)


def test_scripts_import_what_is_there_and_stand_in_order():
    known = {}
    for name in assemble.SCRIPTS:
        text = (FOLDER / name).read_text("utf-8")
        for names, source in re.findall(
            r'^import \{ ([\w, ]+) \} from "\./([\w.]+)";$', text, re.M
        ):
            assert set(names.split(", ")) <= known[source], f"{name}: {names} from {source}"
        known[name] = set(
            re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", text, re.M)
        )
    assert set(assemble.SCRIPTS) == {f.name for f in FOLDER.iterdir() if f.name.endswith(".js")}


def test_scripts_declare_every_name_once():
    names = [n for s in assemble.SCRIPTS for n in declared((FOLDER / s).read_text("utf-8"))]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)


def test_imports_and_exports_fall_away():
    own = page.section(awkward(["a"])).rpartition("// Making elements")[2]
    assert not re.search(r"^(import|export) ", own, re.M)


def test_the_vendored_library_is_the_one_that_is_named():
    text = (FOLDER / "vendor/README.txt").read_text("utf-8")
    digest = hashlib.sha256((FOLDER / "vendor/dagre.min.js").read_bytes()).hexdigest()
    assert f"SHA-256   {digest}" in text
    assert "Permission is hereby granted" in (FOLDER / "vendor/dagre.LICENSE.txt").read_text()
    assert "Permission is hereby granted" in page.section(awkward(["a"]))


def test_colours_are_those_of_the_pictures():
    assert colours.DARK_LOOKS.keys() == LOOKS.keys()
    assert colours.DARK_VERDICTS.keys() == VERDICT_COLOURS.keys()
    styles = colours.colour_styles()
    for kind, look in LOOKS.items():
        assert f"--{kind}-fill: light-dark({look.fill}, " in styles
        assert f".kind-{kind} {{" in (FOLDER / "page.css").read_text("utf-8")
    for verdict in VERDICT_COLOURS:
        assert f".verdict-{verdict} {{" in (FOLDER / "page.css").read_text("utf-8")


def contrast(one, other):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_can_be_read_on_every_box():
    css = (FOLDER / "page.css").read_text("utf-8")
    inks = [
        re.search(rf"--{name}: light-dark\((.*?), (.*?)\)", css).groups()
        for name in ("ink", "faint")
    ]
    fills = re.findall(r"-fill: light-dark\((.*?), (.*?)\)", colours.colour_styles())
    assert len(fills) == len(LOOKS) + len(VERDICT_COLOURS)
    for theme in (0, 1):
        for fill in fills:
            assert contrast(inks[0][theme], fill[theme]) >= 7, fill
        for fill in fills[: len(LOOKS)]:
            assert contrast(inks[1][theme], fill[theme]) >= 4.5, fill
    assert '.box[class*="verdict-"] .line { fill: var(--ink); }' in css
