"""A report of the verification goes straight into the pictures."""

import numpy as np
import pytest

from tests.viz.networks import recorded_loss
from tests.viz.wrong import wrong_network
from tinygrad_cnn import tensor
from tinygrad_cnn.verify import check_graph, check_module
from tinygrad_cnn.viz import graph


@pytest.fixture(scope="module")
def wrong():
    return wrong_network()


def test_a_report_marks_the_wrong_operation_and_says_why(wrong):
    model, loss, report = wrong
    drawn = graph(loss, model=model, verdicts=report)
    (failed,) = [node for node in drawn.nodes if node.verdict == "FAIL"]
    assert failed.name == "flipped"
    assert failed.report.startswith("FAIL flipped · x [2, 10]\n")
    assert "hint: the sign is flipped" in failed.report
    assert drawn.report == report.text()
    assert "FAIL 1" in drawn.dot()


def test_verdicts_of_nodes_are_those_of_the_report(wrong):
    model, loss, report = wrong
    drawn = graph(loss, model=model, verdicts=report)
    found = {node.seq: node.verdict for node in drawn.nodes if node.verdict}
    assert found == report.verdicts()
    rules = graph(loss, model=model, verdicts=report, backward=True).nodes
    assert [n.report for n in rules if n.kind == "rule" and n.verdict == "FAIL"] == [
        node.report for node in drawn.nodes if node.verdict == "FAIL"
    ]


def test_leaves_have_their_text_but_are_not_red_where_an_operation_is_to_blame(wrong):
    model, loss, report = wrong
    leaves = [n for n in graph(loss, model=model, verdicts=report).nodes if n.kind == "parameter"]
    assert len(leaves) == 3
    assert all(n.verdict is None and "wrong because" in n.report for n in leaves)


def test_a_leaf_is_red_where_no_operation_is_to_blame():
    x = tensor([1.0, 2.0], requires_grad=True, name="x")
    loss = (x * x.detach()).sum() + x.sum()
    report = check_graph(loss)
    drawn = graph(loss, verdicts=report)
    ends = [r for r in report.results if r.op == "end to end"]
    assert [n.verdict for n in drawn.nodes if n.name == "x" and n.requires_grad] == [
        r.verdict.value if not r.ok else None for r in ends
    ]
    assert ends[0].verdict.value == "FAIL"


def test_a_report_on_other_leaves_is_not_taken_for_these():
    model, loss = recorded_loss("sigmoid")
    x = tensor([1.0], requires_grad=True)
    drawn = graph(loss, model=model, verdicts=check_graph((x * x).sum()))
    assert not any(node.report for node in drawn.nodes if node.is_leaf)


def test_reports_by_node():
    x = tensor([1.0, 2.0], requires_grad=True)
    loss = (x * x).sum()
    report = check_graph(loss)
    (first, *_) = report.results
    drawn = graph(loss, verdicts={loss.grad_fn: first})
    assert [(n.verdict, n.report) for n in drawn.nodes if n.verdict] == [
        ("PASS", "PASS sum(axes=(0,), keepdims=False) · x [2]")
    ]


def test_a_collapsed_module_does_not_repeat_one_nodes_report(wrong):
    model, loss, report = wrong
    drawn = graph(loss, model=model, verdicts=report, statistics=True, depth=1)
    for node in drawn.nodes:
        if node.kind == "module":
            assert (node.report, node.value, node.gradient) == ("", None, None)


@pytest.mark.parametrize("verdicts", ["PASS", 3, np.zeros(2)])
def test_something_else_is_refused(verdicts):
    x = tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match="verdicts expects a report of check_graph or a dict"):
        graph(x * 2, verdicts=verdicts)


def test_a_report_without_nodes_is_taken_as_it_is():
    model, loss = recorded_loss("softmax", batch=1)
    report = check_module(model, tensor(np.zeros((1, 1, 28, 28))))
    assert graph(loss, model=model, verdicts=report).report == report.text()
