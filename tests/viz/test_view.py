"""Parts of a graph: what is collapsed, shown and hidden, and how arrows go on."""

import math

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.viz.networks import recorded_loss
from tinygrad_cnn import nn, tensor
from tinygrad_cnn.models import ResNet20
from tinygrad_cnn.viz import Graph, graph


@pytest.fixture(scope="module")
def resnet():
    model = ResNet20()
    images = tensor(np.ones((2, 3, 32, 32), np.float32))
    return model, F.cross_entropy(model(images), tensor(np.array([0, 1])))


def arrows(drawn: Graph) -> set[tuple[str, str, str]]:
    names = {node.id: node.name for node in drawn.nodes}
    return {(names[e.source], names[e.target], e.kind) for e in drawn.edges}


def test_depth_one_shows_the_modules_of_the_model(resnet):
    model, loss = resnet
    drawn = graph(loss, model=model, depth=1)
    names = [n.name for n in drawn.nodes if n.kind == "module"]
    assert names == [path for path, _ in model.named_children()]
    assert ("layer1", "layer2", "value") in arrows(drawn)
    whole = graph(loss, model=model)
    assert (drawn.size, drawn.multiply_adds) == (whole.size, whole.multiply_adds)
    box = drawn.nodes[[n.name for n in drawn.nodes].index("layer2")]
    assert (box.type, box.shape, box.operations) == ("Sequential", (2, 32, 16, 16), 23)
    assert drawn.modules == ()


def test_depth_two_keeps_the_modules_around(resnet):
    model, loss = resnet
    drawn = graph(loss, model=model, depth=2)
    assert sum(n.kind == "module" for n in drawn.nodes) == 9
    assert {m.path for m in drawn.modules} == {path for path, _ in model.named_children()}
    assert ("layer1.0", "layer1.1", "value") in arrows(drawn)
    assert graph(loss, model=model, depth=9) == graph(loss, model=model)


def test_a_view_of_a_view_is_the_view(resnet):
    model, loss = resnet
    whole = graph(loss, model=model)
    once, twice = whole.view(depth=1), whole.view(depth=2).view(depth=1)
    for a, b in zip(once.nodes, twice.nodes, strict=True):
        assert (a.name, a.kind, a.size, a.operations, a.multiply_adds) == (
            b.name,
            b.kind,
            b.size,
            b.operations,
            b.multiply_adds,
        )
    assert arrows(once) == arrows(twice)


def test_a_collapsed_module_has_the_norm_and_the_worst_verdict_inside():
    model, loss = recorded_loss("momentum")
    loss.backward(retain_graph=True)
    node = loss.grad_fn
    while node.op.name != "linear":
        node = node.edges[0]
    drawn = graph(loss, model=model, depth=1, verdicts={node: "KINK", loss.grad_fn: "PASS"})
    box = next(n for n in drawn.nodes if n.name == "linear")
    assert box.verdict == "KINK"
    grads = [p.grad.numpy() for p in model.linear.parameters()]
    expected = math.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in grads))
    assert box.grad_norm == pytest.approx(expected, rel=1e-5)


def test_rules_collapse_into_a_box_of_their_own():
    model, loss = recorded_loss("momentum")
    drawn = graph(loss, model=model, depth=1, backward=True)
    rules = [n.name for n in drawn.nodes if n.kind == "rule"]
    assert rules == ["cross_entropy", "linear", "reshape", "relu", "conv2", "relu", "conv1"]
    assert not [n for n in drawn.nodes if n.kind in ("parameter", "gradient")]
    kinds = {n.id: n.kind for n in drawn.nodes}
    saved = [e for e in drawn.edges if e.kind == "saved"]
    assert len(saved) == len(rules)
    assert all(kinds[e.target] == "rule" for e in saved)


def test_a_parameter_that_two_modules_share_stays_outside():
    class Tied(nn.Module):
        def __init__(self):
            self.a = nn.Linear(2, 2, bias=False)
            self.b = nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    model = Tied()
    drawn = graph(model(tensor(np.ones((1, 2), np.float32))), model=model, depth=1)
    assert [(n.kind, n.name) for n in drawn.nodes] == [
        ("input", "input"),
        ("parameter", "a.weight"),
        ("module", "a"),
        ("module", "b"),
    ]
    assert drawn.size == 4


@pytest.mark.parametrize("depth", [0, -1, 1.5, True, "1"])
def test_a_depth_is_a_positive_integer(depth):
    x = tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match="depth expects a positive integer or None, got"):
        graph(x * 2, depth=depth)


def test_hidden_operations_let_the_arrows_through():
    model, loss = recorded_loss("batchnorm")
    drawn = graph(loss, model=model, hide=["relu", "reshape", "max_pool*"])
    assert not {"relu", "reshape", "max_pool2d"} & {n.name for n in drawn.nodes}
    assert ("batch_norm", "conv2d", "through") in arrows(drawn)
    assert ("batch_norm", "linear", "through") in arrows(drawn)
    assert ("conv2d", "batch_norm", "value") in arrows(drawn)


def test_hiding_a_module_hides_what_is_inside(resnet):
    model, loss = resnet
    drawn = graph(loss, model=model, hide="layer2")
    assert not [n for n in drawn.nodes if n.scope.startswith("layer2")]
    assert not [m for m in drawn.modules if m.path.startswith("layer2")]
    assert ("relu", "conv2d", "through") in arrows(drawn)


def test_leaves_can_be_hidden_by_kind_or_name():
    model, loss = recorded_loss("batchnorm")
    assert not [
        n for n in graph(loss, model=model, hide="parameter").nodes if n.kind == "parameter"
    ]
    left = [n.name for n in graph(loss, model=model, hide="*.bias").nodes if n.kind == "parameter"]
    assert left
    assert not [name for name in left if name.endswith("bias")]


def test_showing_leaves_only_what_matches_and_what_feeds_it(resnet):
    model, loss = resnet
    drawn = graph(loss, model=model, show="layer2.0.conv*")
    assert {n.scope for n in drawn.nodes} == {"", "layer2.0.conv1", "layer2.0.conv2"}
    assert [n.kind for n in drawn.nodes] == ["input", "parameter", "op", "parameter", "op"]
    assert ("conv2d", "conv2d", "through") in arrows(drawn)
    assert ("input", "conv2d", "through") in arrows(drawn)


def test_a_pattern_that_shows_nothing_is_a_mistake(resnet):
    model, loss = resnet
    with pytest.raises(ValueError, match="show='layr2' matches no module or operation; there are"):
        graph(loss, model=model, show=["layer1", "layr2"])
    with pytest.raises(TypeError, match="hide expects patterns, got int"):
        graph(loss, model=model, hide=[1])
