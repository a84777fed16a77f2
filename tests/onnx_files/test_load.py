"""Loaded networks: names, roles, training, scopes, what is folded, and what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.onnx_files.build import graph, model, node, value
from tinygrad_cnn import no_grad, tensor
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.onnx import OnnxError, info, load
from tinygrad_cnn.onnx.coding import decode
from tinygrad_cnn.onnx.messages import Attribute, Function, OperatorSet

RNG = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def small_cnn() -> bytes:
    """Normalised pixels, a convolution with batch normalisation, a linear layer."""
    return model(
        [
            node("Sub", "x mean", "centred"),
            node("Conv", "centred net.conv.weight", "a", "/net/conv/Conv", pads=[1, 1, 1, 1]),
            node(
                "BatchNormalization",
                "a net.bn.weight net.bn.bias net.bn.running_mean net.bn.running_var",
                "b",
                "/net/bn/BatchNormalization",
            ),
            node("Relu", "b", "c", "/net/Relu"),
            node("Shape", "c", "shape"),
            node("Gather", "shape zero", "N", axis=0),
            node("Unsqueeze", "N axes", "n"),
            node("Concat", "n rest", "sizes", axis=0),
            node("Reshape", "c sizes", "flat"),
            node("Gemm", "flat fc.weight fc.bias", "y", "/fc/Gemm", transB=1),
        ],
        [value("x", "N", 1, 4, 4)],
        "y",
        {
            "mean": np.full((1, 1, 1, 1), 0.5, np.float32),
            "net.conv.weight": floats(2, 1, 3, 3),
            "net.bn.weight": floats(2),
            "net.bn.bias": floats(2),
            "net.bn.running_mean": floats(2),
            "net.bn.running_var": np.ones(2, np.float32),
            "zero": np.array(0),
            "axes": np.array([0]),
            "rest": np.array([-1]),
            "fc.weight": floats(3, 32),
            "fc.bias": floats(3),
        },
    )


def test_names_and_roles() -> None:
    net = load(small_cnn())
    assert [name for name, _ in net.named_parameters()] == [
        *("net.conv.weight", "net.bn.weight", "net.bn.bias", "fc.weight", "fc.bias"),
    ]
    assert dict(net.named_buffers()).keys() == {"net.bn.running_mean", "net.bn.running_var"}
    assert net.state_dict().keys() == {
        *(name for name, _ in net.named_parameters()),
        *(name for name, _ in net.named_buffers()),
    }
    assert not net.training
    net.load_state_dict({name: array * 2 for name, array in net.state_dict().items()})


def test_training_moves_statistics_and_weights_get_gradients() -> None:
    net = load(small_cnn()).train()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    net(floats(5, 1, 4, 4)).sum().backward()
    after = net.state_dict()
    for name in ("net.bn.running_mean", "net.bn.running_var"):
        assert (before[name] != after[name]).any(), name
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.numpy().any() or name == "net.conv.weight", name
    net.eval()
    net(floats(5, 1, 4, 4))
    np.testing.assert_array_equal(net.state_dict()["net.bn.running_mean"], after[name_of_mean])


name_of_mean = "net.bn.running_mean"


def test_what_follows_from_shapes_is_computed_once() -> None:
    net = load(small_cnn())
    plan = net._plan
    for size in (2, 3, 2):
        assert net(floats(size, 1, 4, 4)).shape == (size, 3)
    assert len(plan._folded) == 2
    kept = next(iter(plan._folded.values()))
    assert [step.op_type for step in kept.steps] == [
        *("Sub", "Conv", "BatchNormalization", "Relu", "Reshape", "Gemm")
    ]


def test_scopes_and_names_of_nodes() -> None:
    net = load(small_cnn())
    y = net(tensor(floats(2, 1, 4, 4), requires_grad=True))
    found = {node.op.name: (node.scope, node.label) for node in nodes_below(y)}
    assert found["conv2d"] == ("net.conv", "/net/conv/Conv")
    assert found["relu"] == ("net", "/net/Relu")
    assert found["linear"] == ("fc", "/fc/Gemm")


def test_repeated_blocks_become_scopes() -> None:
    nodes = [node("Abs", "x", "v0")]
    for i in range(4):
        nodes += [
            node("Relu", f"v{i}", f"a{i}"),
            node("Mul", f"a{i} a{i}", f"b{i}"),
            node("Add", f"b{i} v{i}", f"v{i + 1}"),
        ]
    net = load(model(nodes, [value("x", 2)], "v4"))
    assert net._plan.paths() == [
        "",
        *(f"block1.{i}" for i in range(4) for _ in range(3)),
    ]


def test_all_missing_operators_are_named_at_once() -> None:
    nodes = [
        node("LSTM", "x", "a", "rnn1"),
        node("Fused", "a", "b", "f", domain="com.microsoft"),
        node("LSTM", "b", "y", "rnn2"),
    ]
    data = model(nodes, [value("x", 2)], "y")
    with pytest.raises(OnnxError) as caught:
        load(data)
    text = str(caught.value)
    assert "2 operators are not there" in text
    assert "LSTM: nodes 'rnn1', 'rnn2'" in text
    assert "com.microsoft.Fused: node 'f'" in text
    assert info(data).missing == ("LSTM", "com.microsoft.Fused")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Relu", "nothing", "y")], "read the value 'nothing'"),
        ([node("Relu", "x", "y"), node("Relu", "x", "y")], "'y' is made twice"),
        ([node("Conv", "x w", "y", strides=1.5)], "strides to be a list of integers"),
        ([node("MaxPool", "x", "y", "pool")], "'pool': MaxPool expects kernel_shape"),
        ([node("Cast", "x", "y", to=8)], "string, which NumPy has not"),
        ([node("If", "x", "y")], "then_branch to be a graph"),
        ([node("Abs", "x", "z")], "read the value 'y'"),
    ],
)
def test_files_that_do_not_fit_themselves(nodes: Any, message: str) -> None:
    with pytest.raises(OnnxError, match=message):
        load(model(nodes, [value("x", 2)], "y", {"w": floats(1, 1, 1, 1)}))


def test_a_node_that_does_not_fit_its_input_is_named() -> None:
    net = load(small_cnn())
    with pytest.raises(OnnxError, match=r"node '/net/conv/Conv' \(Conv\): Conv: weight of shape"):
        net(floats(1, 3, 4, 4))
    with pytest.raises(OnnxError, match=r"expects 1 inputs \(x\), got 2"):
        net(1, 2)


@pytest.mark.parametrize("opset", [6, 29])
def test_other_opsets_are_refused(opset: int) -> None:
    with pytest.raises(OnnxError, match=f"opset {opset}; read are 7 to 28"):
        load(model([node("Relu", "x", "y")], [value("x", 2)], "y", opset=opset))


def test_branches_and_loops() -> None:
    then = graph([node("Add", "x one", "t")], [], "t", {"one": np.array(1.0, np.float32)})
    other = graph([node("Neg", "x", "e")], [], "e", {})
    chosen = node("If", "c", "y", then_branch=then, else_branch=other)
    net = load(model([chosen], [value("c", dtype=bool), value("x", 2)], "y"))
    x = tensor([1.0, 2.0], requires_grad=True)
    assert net(True, x).tolist() == [2.0, 3.0]
    net(np.array(False), x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1.0, -1.0]
    body = graph(
        [node("Mul", "v x", "w"), node("Identity", "go", "on"), node("Identity", "w", "row")],
        [value("i", dtype=np.int64), value("go", dtype=bool), value("v", 2)],
        "on w row",
        {},
    )
    turning = node("Loop", "times - x", "last rows", body=body)
    net = load(model([turning], [value("x", 2)], "last rows", {"times": np.array(3)}))
    last, rows = net(np.array([2.0, 3.0], np.float32))
    assert last.tolist() == [16.0, 81.0]
    assert rows.tolist() == [[4.0, 9.0], [8.0, 27.0], [16.0, 81.0]]


def test_functions_are_written_out() -> None:
    scale = Attribute(name="alpha", type=1, ref_attr_name="slope")
    inner = node("LeakyRelu", "v", "w")
    inner.attribute = [scale]
    function = Function(
        name="Twice",
        domain="mine",
        input=["v"],
        output=["r"],
        attribute=["slope"],
        node=[inner, node("Add", "w w", "r")],
        opset_import=[OperatorSet(version=17)],
    )
    nodes = [
        node("Twice", "x", "a", "first", domain="mine", slope=0.5),
        node("Twice", "a", "y", "second", domain="mine", slope=0.25),
    ]
    net = load(model(nodes, [value("x", 2)], "y", functions=[function]))
    assert net(np.array([-4.0, 1.0], np.float32)).tolist() == [-2.0, 4.0]
    round_ = Function(
        name="Twice",
        domain="mine",
        input=["v"],
        output=["r"],
        node=[node("Twice", "v", "r", domain="mine")],
        opset_import=[OperatorSet(version=17)],
    )
    with pytest.raises(OnnxError, match="deep in others"):
        load(model(nodes, [value("x", 2)], "y", functions=[round_]))


def test_awkward_names_of_tensors() -> None:
    names = ["forward", "training", "a.b", "", "weight:0"]
    tensors = {name: floats(2, 2) for name in names if name}
    nodes = [node("MatMul", f"v{i} {name}", f"v{i + 1}") for i, name in enumerate(tensors)]
    net = load(model(nodes, [value("v0", 1, 2)], f"v{len(tensors)}", tensors))
    assert [n for n, _ in net.named_parameters()] == ["forward_", "training_", "a.b", "weight:0"]
    with no_grad():
        assert net(floats(1, 2)).shape == (1, 2)


def test_info() -> None:
    found = info(small_cnn())
    assert found.inputs == {"x": "float[N, 1, 4, 4]"}
    assert found.operators["Conv"] == 1
    assert found.parameters == 18 + 2 + 2 + 96 + 3
    assert found.statistics == ("net.bn.running_mean", "net.bn.running_var")
    assert "written by tests; IR 8; opset onnx 17" in str(found)
    assert "121 parameters in 5 tensors" in str(found)


def test_nothing_of_the_file_is_shared() -> None:
    data = model([node("Identity", "w", "y")], [], "y", {"w": floats(2)})
    net = load(data)
    first = net()
    first.numpy()[:] = 7
    assert (net().numpy() != 7).all()
    assert decode(type(net.model), data).graph is not None


def test_folded_normalisations_follow_every_change() -> None:
    net = load(small_cnn())
    x = floats(2, 1, 4, 4)
    parameters, buffers = dict(net.named_parameters()), dict(net.named_buffers())
    weight, scale = parameters["net.conv.weight"], parameters["net.bn.weight"]
    mean = buffers["net.bn.running_mean"]

    def check() -> Any:
        with no_grad():
            quick = net(x).numpy().copy()
        np.testing.assert_allclose(quick, net(x).detach().numpy(), 1e-4, 1e-5)
        return quick

    def change_weight() -> None:
        with no_grad():
            weight.mul_(2.0)

    def change_scale() -> None:
        scale.detach().numpy()[:] = 3.0

    def change_mean() -> None:
        net.train()(x)
        net.eval()

    def change_all() -> None:
        net.load_state_dict({name: array * 1.5 for name, array in net.state_dict().items()})

    def replace_array() -> None:
        weight.data = weight.detach().numpy() * 0.5

    kept = scale.detach().numpy()

    def write_to_memory_of_its_own() -> None:
        kept[:] += 1.0

    before = check()
    again = write_to_memory_of_its_own, write_to_memory_of_its_own
    for change in (*again, change_weight, change_scale, change_mean, change_all, replace_array):
        change()
        after = check()
        assert not np.allclose(before, after), change.__name__
        before = after
    assert mean.requires_grad is False
    assert [s.op_type for s in net._plan.quick].count("Conv and BatchNormalization") == 1
