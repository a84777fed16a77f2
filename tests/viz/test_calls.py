"""Modules that are called more than once: a box for each call, and no arrow that runs back."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn, tensor
from tinygrad_cnn.viz import graph, summary
from tinygrad_cnn.viz.calls import without_calls


class SmallUNet(nn.Module):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.pool = nn.MaxPool2d(2)
        self.first = nn.Conv2d(1, 2, 3, padding=1, generator=rng)
        self.second = nn.Conv2d(2, 2, 3, padding=1, generator=rng)

    def forward(self, x):
        x = self.pool(F.relu(self.first(x)))
        x = self.pool(F.relu(self.second(x)))
        return self.second(x)


def drawn(model, shape=(1, 1, 8, 8), **options):
    x = tensor(np.random.default_rng(1).normal(size=shape), requires_grad=True)
    return graph(model(x).sum(), model=model, **options)


def scopes(picture, name):
    return [node.scope for node in picture.nodes if node.name == name]


def order_of(picture):
    return {node.id: place for place, node in enumerate(picture.nodes)}


def test_each_call_is_a_module_of_its_own():
    picture = drawn(SmallUNet())
    assert scopes(picture, "max_pool2d") == ["pool (1)", "pool (2)"]
    assert scopes(picture, "conv2d") == ["first", "second (1)", "second (2)"]
    modules = {module.path: module.type for module in picture.modules}
    assert modules == {
        "first": "Conv2d",
        "second (1)": "Conv2d",
        "second (2)": "Conv2d",
        "pool (1)": "MaxPool2d",
        "pool (2)": "MaxPool2d",
    }


def test_collapsed_modules_make_no_circle():
    picture = drawn(SmallUNet(), depth=1)
    order = order_of(picture)
    assert all(order[edge.source] < order[edge.target] for edge in picture.edges)
    names = [node.name for node in picture.nodes if node.kind == "module"]
    assert names == ["first", "pool (1)", "second (1)", "pool (2)", "second (2)"]


def test_a_parameter_of_two_calls_stands_outside_of_both():
    picture = drawn(SmallUNet())
    weights = {node.name: node.scope for node in picture.nodes if node.kind == "parameter"}
    assert weights == {
        "first.weight": "first",
        "first.bias": "first",
        "second.weight": "",
        "second.bias": "",
    }


def test_calls_inside_of_calls_are_counted_within():
    class Block(nn.Module):
        def __init__(self):
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(self.act(x) * 2)

    class Model(nn.Module):
        def __init__(self):
            self.block = Block()

        def forward(self, x):
            return self.block(self.block(x) + 1)

    assert scopes(drawn(Model()), "relu") == [
        "block (1).act (1)",
        "block (1).act (2)",
        "block (2).act (1)",
        "block (2).act (2)",
    ]


def test_a_layer_called_twice_in_a_row_is_two_boxes():
    class Model(nn.Module):
        def __init__(self):
            self.pool = nn.MaxPool2d(2)

        def forward(self, x):
            return self.pool(self.pool(x))

    assert scopes(drawn(Model()), "max_pool2d") == ["pool (1)", "pool (2)"]


def test_a_module_of_ones_own_may_repeat_itself_in_one_call():
    class Twice(nn.Module):
        def forward(self, x):
            return (x * 2) * 2

    class Model(nn.Module):
        def __init__(self):
            self.twice = Twice()

        def forward(self, x):
            return self.twice(x)

    assert scopes(drawn(Model()), "mul") == ["twice", "twice"]


def test_patterns_mean_the_module_whichever_call():
    picture = drawn(SmallUNet(), hide="pool")
    assert scopes(picture, "max_pool2d") == []
    assert len(scopes(drawn(SmallUNet(), show="pool"), "max_pool2d")) == 2


def test_a_summary_adds_up_all_calls_of_a_module():
    rows = {row.path: row for row in summary(SmallUNet(), (1, 1, 8, 8)).rows}
    assert set(rows) == {"", "pool", "first", "second"}
    assert rows["second"].multiply_adds == 2 * 2 * 9 * (16 + 4)


def test_turns_of_a_loop_fold_although_they_are_calls():
    class Model(nn.Module):
        def __init__(self):
            self.act = nn.Tanh()

        def forward(self, x):
            for _ in range(9):
                x = self.act(x * 0.5)
            return x

    picture = drawn(Model())
    assert [(node.name, node.times) for node in picture.nodes if node.times > 1] == [
        ("mul", 9),
        ("tanh", 9),
    ]
    assert scopes(picture, "tanh") == ["act"]


@pytest.mark.parametrize("path", ["", "pool", "a (1).b", "a (12).b (3)"])
def test_numbers_of_calls_come_off_a_path(path):
    assert "(" not in without_calls(path)
