"""Loops folded in pictures: one box for the equal operations of all turns."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import nn, tensor
from tinygrad_cnn.viz import graph
from tinygrad_cnn.viz.page.data import page_data


def parameter(*shape: int, name: str) -> Any:
    return tensor(np.ones(shape), requires_grad=True, name=name)


def convolution(size: int = 6) -> Any:
    """A convolution as nested loops."""
    x = np.arange(float(size * size)).reshape(size, size)
    w = parameter(3, 3, name="w")
    rows = [
        np.stack([(x[i : i + 3, j : j + 3] * w).sum() for j in range(size - 2)])
        for i in range(size - 2)
    ]
    return np.stack(rows)


def boxes(drawn: Any) -> list[tuple[str, int]]:
    return [(node.name, node.times) for node in drawn.nodes]


def test_the_turns_of_nested_loops_share_their_boxes() -> None:
    drawn = graph(convolution(8).sum())
    assert boxes(drawn) == [
        ("input", 36),
        ("w", 1),
        ("mul", 36),
        ("sum", 36),
        ("stack", 6),
        ("stack", 1),
        ("sum", 1),
    ]
    ids = {node.id for node in drawn.nodes}
    assert all(edge.source in ids and edge.target in ids for edge in drawn.edges)
    assert len(drawn.edges) == 6


def test_nameless_leaves_are_numbered_as_they_are_left() -> None:
    drawn = graph((convolution(8) * np.ones((6, 6))).sum())
    assert [node.name for node in drawn.nodes if node.is_leaf] == ["input", "w", "input 2"]


def test_sums_are_those_of_the_whole_graph() -> None:
    loss = (convolution(8) @ parameter(6, 2, name="v")).sum()
    folded, whole = graph(loss), graph(loss, fold=False)
    assert len(folded.nodes) < len(whole.nodes)
    assert folded.multiply_adds == whole.multiply_adds
    assert folded.saved_nbytes == whole.saved_nbytes
    for attribute in ("nbytes", "saved_nbytes", "operations"):
        assert sum(getattr(n, attribute) for n in folded.nodes) == sum(
            getattr(n, attribute) for n in whole.nodes
        )


def test_every_view_says_how_often() -> None:
    drawn = graph(convolution(8).sum())
    assert "mul × 36" in drawn.dot()
    assert "mul × 36(input × 36, w)" in drawn.text()
    names = [node["name"] for node in page_data(drawn)["nodes"]]
    assert "mul × 36" in names
    assert "mul backward × 36" in graph(convolution(8).sum(), backward=True).dot()


def test_settings_that_change_are_told_from_first_to_last() -> None:
    x = parameter(9, name="x")
    total = sum((x[i] * i for i in range(9)), start=x.sum() * 0.0)
    drawn = graph(total)
    (picked,) = [n for n in drawn.nodes if n.name == "slice"]
    assert picked.times == 9
    assert dict(picked.settings)["key"] == "(0,) … (8,)"
    (scaled,) = [n for n in drawn.nodes if n.name == "mul" and n.times > 1]
    assert dict(scaled.settings)["b"] == "0 … 8"


def test_what_a_turn_hands_to_the_next_is_told_in_words() -> None:
    y = parameter(3, name="x")
    for _ in range(7):
        y = (y * 2.0).tanh()
    drawn = graph(y.sum())
    assert boxes(drawn) == [("x", 1), ("mul", 7), ("tanh", 7), ("sum", 1)]
    (mul,) = [n for n in drawn.nodes if n.name == "mul"]
    assert mul.settings[-1] == ("from the turn before", "tanh")
    order = {node.id: place for place, node in enumerate(drawn.nodes)}
    assert all(order[edge.source] < order[edge.target] for edge in drawn.edges)


def test_few_turns_and_other_parameters_stay_apart() -> None:
    y = parameter(3, name="x")
    for _ in range(4):
        y = y.tanh()
    assert len(graph(y).nodes) == 5
    model = nn.Sequential(*[nn.Linear(3, 3) for _ in range(8)])
    drawn = graph(model(np.ones((2, 3), np.float32)).sum(), model=model)
    assert all(node.times == 1 for node in drawn.nodes)
    y = parameter(3, name="x")
    for i in range(8):
        y = y * parameter(3, name=f"w{i}")
    assert len(graph(y).nodes) == 17


def test_the_worst_verdict_stands_on_the_box() -> None:
    loss = convolution(8).sum()
    node = loss.grad_fn
    stack = [node]
    muls = []
    while stack:
        node = stack.pop()
        stack += [edge for edge in node.edges if hasattr(edge, "edges")]
        muls += [node] if node.op.name == "mul" else []
    verdicts = dict.fromkeys(muls, "PASS") | {muls[7]: "FAIL"}
    (mul,) = [n for n in graph(loss, verdicts=verdicts).nodes if n.name == "mul"]
    assert mul.verdict == "FAIL"


def test_ten_thousand_turns_fold_quickly_enough() -> None:
    x = parameter(3, name="x")
    y = x
    for i in range(10_000):
        y = y * 1.0001 + x if i % 2 else y.tanh()
    before = time.process_time()
    assert len(graph(y).nodes) == 4
    assert time.process_time() - before < 60  # a loop over all pairs would take hours


@pytest.mark.parametrize("turns", [5, 6, 31])
@pytest.mark.parametrize("body", [1, 2, 3, 7])
def test_bodies_of_any_length_fold_whole(turns: int, body: int) -> None:
    x = parameter(2, name="x")
    functions = [lambda t: t * 2.0, lambda t: t.tanh(), lambda t: t.exp(), lambda t: t + 1.0]
    y = x.sqrt()
    for _ in range(turns):
        for k in range(body):
            y = functions[(k * k + k // 4) % 4](y)
    drawn = graph(y.log())
    assert sum(node.operations for node in drawn.nodes) == turns * body + 2
    assert max(node.times for node in drawn.nodes) >= turns
    assert len(drawn.nodes) <= body + 3
