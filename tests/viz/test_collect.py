"""The plain graph holds what was recorded, all of it, and nothing that lives."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_cnn.functional as F
from tests.viz.networks import recorded_loss
from tinygrad_cnn import Tensor, grad, nn, no_grad, tensor
from tinygrad_cnn.autograd import record_source
from tinygrad_cnn.graph import GraphError, Node
from tinygrad_cnn.models import NETWORKS, ResNet20
from tinygrad_cnn.viz import Graph, graph


def named(drawn: Graph, name: str):
    (found,) = [node for node in drawn.nodes if node.name == name]
    return found


def count(root: Node) -> tuple[int, int, int]:
    """Count operations, leaves and arrows by a walk of its own."""
    nodes, leaves, arrows = set(), set(), 0
    pending = [root]
    while pending:
        node = pending.pop()
        if node in nodes:
            continue
        nodes.add(node)
        for index, edge in enumerate(node.edges):
            if isinstance(edge, Node):
                pending.append(edge)
                arrows += 1
            elif edge is not None:
                leaves.add(id(edge))
                arrows += 1
            elif isinstance(node.saved[index], np.ndarray):
                leaves.add(id(node.saved[index]))
                arrows += 1
    return len(nodes), len(leaves), arrows


STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=25
)


@given(STEPS)
def test_random_graphs_have_the_boxes_and_arrows_that_were_recorded(steps):
    known: list = [tensor([1.0, 2.0], requires_grad=True), tensor([3.0, 4.0]), np.ones(2), 2.0]
    for kind, i, j in steps:
        a, b = known[i % len(known)], known[j % len(known)]
        if kind < 3 and not isinstance(a, float):
            known.append((F.relu, F.tanh, F.sigmoid)[kind](a))
        else:
            known.append(
                (F.add, F.minimum, F.maximum)[kind % 3](a, b) if kind != 5 else F.sub(a, a)
            )
    recorded = [x for x in known if isinstance(x, Tensor) and x.grad_fn is not None]
    if not recorded:
        return
    root = recorded[-1]
    drawn = graph(root)
    ops, leaves, arrows = count(root.grad_fn)
    assert sum(node.kind in ("op", "loss") for node in drawn.nodes) == ops
    assert sum(node.is_leaf for node in drawn.nodes) == leaves
    assert len(drawn.edges) == arrows
    text = drawn.dot()
    assert text.count(" -> ") == arrows
    assert text.count("[shape=") == ops + leaves
    mirrored = graph(root, backward=True)
    assert sum(node.kind == "rule" for node in mirrored.nodes) == ops


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_the_boxes_and_arrows_that_were_recorded(name):
    model, loss = recorded_loss(name)
    drawn = graph(loss, model=model)
    ops, leaves, arrows = count(loss.grad_fn)
    assert (len(drawn.nodes), len(drawn.edges)) == (ops + leaves, arrows)
    assert drawn.size == sum(p.size for p in model.parameters())
    assert {n.name for n in drawn.nodes if n.kind == "parameter"} == {
        path for path, _ in model.named_parameters()
    }
    assert drawn.nodes[0].kind == "input"  # images need no gradient, and are there all the same
    assert drawn.nodes[0].shape[0] == 4
    assert drawn.nodes[-1].kind == "loss"


def test_an_operation_tells_what_it_is():
    model, loss = recorded_loss("momentum")
    conv = next(node for node in graph(loss, model=model).nodes if node.name == "conv2d")
    assert (conv.scope, conv.shape, conv.dtype) == ("conv1", (4, 4, 16, 16), "float32")
    assert conv.nbytes == 4 * 4 * 16 * 16 * 4
    assert conv.multiply_adds == 4 * 4 * 16 * 16 * 1 * 3 * 3
    assert dict(conv.settings) == {"stride": "2", "padding": "1", "dilation": "1", "groups": "1"}
    assert conv.saved_nbytes == 4 * 32 * 32 * 4  # the images; the weight is there anyway


def test_multiply_adds_of_resnet20_are_the_known_number():
    model = ResNet20().eval()
    drawn = graph(model(tensor(np.zeros((1, 3, 32, 32), np.float32))), model=model)
    assert drawn.multiply_adds == 40_551_040
    assert drawn.size == 269_722


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [((2, 3), (3, 4), 24), ((3,), (3,), 3), ((5, 2, 3), (3, 4), 120), ((3,), (3, 4), 12)],
)
def test_multiply_adds_of_products(a, b, expected):
    x, y = np.ones(a, np.float32), np.ones(b, np.float32)
    for left, right in [
        (tensor(x, requires_grad=True), y),
        (x, tensor(y, requires_grad=True)),
        (tensor(x, requires_grad=True), tensor(y, requires_grad=True)),
    ]:
        assert graph(F.matmul(left, right)).multiply_adds == expected


def test_a_gradient_that_nobody_computed_is_not_zero():
    x = tensor([3.0, 4.0], requires_grad=True, name="x")
    loss = (x * x).sum()
    assert named(graph(loss), "x").grad_norm is None
    assert "not computed" in graph(loss).text()
    loss.backward(retain_graph=True)
    assert named(graph(loss), "x").grad_norm == pytest.approx(10.0)
    x.grad = x.grad * 0
    assert named(graph(loss), "x").grad_norm == 0.0
    assert "gradient norm 0" in graph(loss).dot()


def test_inputs_get_the_names_that_they_are_given():
    w = tensor([1.0], requires_grad=True)
    x, mask = tensor([2.0]), np.array([1.0])
    drawn = graph(w * x * mask, inputs={"pixels": x})
    assert [node.kind for node in drawn.nodes if node.is_leaf] == ["input", "input", "constant"]
    assert named(drawn, "pixels").kind == "input"
    x.name = "x itself"
    assert named(graph(w * x), "x itself").kind == "input"
    assert named(graph(w * x, inputs=[x]), "x itself").kind == "input"
    with pytest.raises(TypeError, match="inputs expects tensors or arrays, got str for 'a'"):
        graph(w * x, inputs={"a": "b"})


def test_an_array_used_twice_is_one_box():
    w, x = tensor([1.0], requires_grad=True), np.array([2.0])
    drawn = graph(w * x + w * x)
    assert [node.name for node in drawn.nodes] == ["input", "input 2", "mul", "mul", "add"]
    assert len(drawn.edges) == 6


def test_a_number_is_a_setting():
    drawn = graph(tensor([1.0], requires_grad=True) + 0.25)
    assert drawn.nodes[-1].settings == (("b", "0.25"),)


def test_buffers_and_frozen_parameters_keep_their_names():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()
    model.load_state_dict(model.state_dict())
    for p in list(model.parameters())[:1]:
        p.requires_grad = False
    drawn = graph(model(tensor(np.ones((2, 2), np.float32))), model=model)
    kinds = {node.name: (node.kind, node.scope) for node in drawn.nodes if node.is_leaf}
    assert kinds["1.running_mean"] == ("buffer", "1")
    assert kinds["0.weight"] == ("parameter", "0")
    assert kinds["input"] == ("input", "")
    assert not named(drawn, "0.weight").requires_grad


def test_parameters_without_a_model_have_their_own_names():
    model = nn.Sequential(nn.Linear(2, 3))
    output = model(tensor(np.ones((2, 2), np.float32)))
    assert {n.name for n in graph(output).nodes if n.kind == "parameter"} == {
        "parameter",
        "parameter 2",
    }
    graph(output, model=model)
    assert (model[0].weight.name, model[0].bias.name) == (None, None)  # drawing named nothing
    list(model.parameters())
    assert named(graph(output), "0.bias").scope == "0"


def test_outputs_are_marked():
    x = tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    drawn = graph({"doubled": y, "loss": y.sum()})
    assert [(n.kind, n.output) for n in drawn.nodes] == [
        ("input", None),
        ("op", "doubled"),
        ("loss", "loss"),
    ]
    assert [n.output for n in graph([y, y.sum()]).nodes] == [None, "output 1", "output 2"]
    assert [(n.name, n.output) for n in graph(x).nodes] == [("input", "")]


def test_labels_and_source_lines_are_there_when_asked_for():
    x = tensor([1.0], requires_grad=True)
    with record_source():
        y = x * 2
    y.name = "twice"
    box = graph(y).nodes[-1]
    assert box.label == "twice"
    assert box.source[0] == __file__
    assert "twice" in graph(y).dot()
    assert "test_collect.py" in graph(y).dot()


def test_a_gradient_has_a_graph_under_create_graph():
    x = tensor([1.0, 2.0], requires_grad=True, name="x")
    (dx,) = grad((x**3).sum(), x, create_graph=True)
    (ddx,) = grad(dx.sum(), x, create_graph=True)
    assert count(ddx.grad_fn)[0] == sum(n.kind == "op" for n in graph(ddx).nodes)
    (plain,) = grad((x**3).sum(), x)
    with pytest.raises(GraphError, match="without create_graph=True"):
        graph(plain)


def test_the_backward_pass_is_the_mirror():
    model, loss = recorded_loss("softmax")
    drawn = graph(loss, model=model, backward=True)
    rules = [n.name for n in drawn.nodes if n.kind == "rule"]
    assert rules == [n.name for n in drawn.nodes if n.kind in ("op", "loss")][::-1]
    gradients = {n.name: n.grad_norm for n in drawn.nodes if n.kind == "gradient"}
    assert gradients == {"linear.weight": None, "linear.bias": None, "conv.weight": None}
    forward = {
        (e.source[1:], e.target[1:]) for e in drawn.edges if e.kind == "value" and e.differentiable
    }
    back = {
        (e.target[1:], e.source[1:])
        for e in drawn.edges
        if e.kind == "gradient" and e.source[0] != "s"
    }
    assert back == forward
    (seed,) = [e for e in drawn.edges if e.source[0] == "s"]
    assert next(n.name for n in drawn.nodes if n.id == seed.target) == "cross_entropy"


def test_verdicts_by_node_or_seq():
    x = tensor([1.0], requires_grad=True)
    y = F.relu(x)
    z = F.exp(y)
    drawn = graph(z, verdicts={y.grad_fn: "FAIL", z.grad_fn.seq: "pass", 10**9: "KINK"})
    assert [n.verdict for n in drawn.nodes] == [None, "FAIL", "PASS"]
    assert "FAIL 1" in drawn.dot()
    assert "FAIL 1" in graph(z, verdicts={y.grad_fn: "FAIL"}, backward=True).dot()
    assert "legend" not in graph(z).dot()
    with pytest.raises(ValueError, match=r"a verdict is one of FAIL.*got 'GOOD'"):
        graph(z, verdicts={y.grad_fn: "GOOD"})
    with pytest.raises(TypeError, match="verdicts expects recorded nodes"):
        graph(z, verdicts={"relu": "PASS"})


def test_what_was_not_recorded_is_refused():
    x = tensor([1.0], requires_grad=True)
    with no_grad():
        y = x * 2
    with pytest.raises(GraphError, match=r"not recorded: it was computed under no_grad\(\)"):
        graph(y)
    with pytest.raises(TypeError, match="outputs expects tensors, got float"):
        graph(1.0)
    with pytest.raises(GraphError, match="at least one output"):
        graph([])


@pytest.mark.parametrize("backward", [False, True])
def test_drawing_keeps_nothing_alive(backward):
    gc.disable()  # a cycle through the arrays would be a leak as well
    try:
        model, loss = recorded_loss("batchnorm")
        drawn = graph(loss, model=model, backward=backward)
        arrays = [weakref.ref(p._data) for p in model.parameters()]
        node = weakref.ref(loss.grad_fn)
        text = drawn.dot()
        del model, loss
        assert node() is None
        assert [ref() for ref in arrays] == [None] * len(arrays)
        assert drawn.dot() == text
    finally:
        gc.enable()


def test_drawing_changes_nothing():
    model, loss = recorded_loss("batchnorm")
    loss.backward(retain_graph=True)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    grads = {k: p.grad.numpy().copy() for k, p in model.named_parameters()}
    graph(loss, model=model, backward=True, depth=1).dot()
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())
    model.zero_grad()
    loss.backward()
    for k, p in model.named_parameters():
        np.testing.assert_array_equal(p.grad.numpy(), grads[k])


def test_products_are_counted_by_one_factor_once_the_other_is_released():
    b = tensor(np.ones((5, 3, 4), np.float32), requires_grad=True)
    product = F.matmul(np.ones((2, 3), np.float32), b)
    product.sum().backward()
    assert graph(product).multiply_adds == 5 * 2 * 3 * 4


def test_a_view_keeps_all_of_its_memory():
    table = np.ones((100, 4), np.float32)
    drawn = graph(tensor(np.ones(4, np.float32), requires_grad=True) * table[0])
    assert (drawn.nodes[-1].saved_nbytes, drawn.saved_nbytes) == (16, 1600)
