"""The path of the module that called an operation stands in its node."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest

from tests.nn.nets import Net, Scale
from tinygrad_cnn import tensor
from tinygrad_cnn.graph import mode
from tinygrad_cnn.nn import Identity, Linear, Module, ModuleList, Parameter, ReLU, Sequential


def scopes(result):
    """The scopes of the nodes below a result, oldest first."""
    nodes, stack = [], [result.grad_fn]
    while stack:
        node = stack.pop()
        nodes.append(node)
        stack += [edge for edge in node.edges if hasattr(edge, "edges")]
    return [node.scope for node in sorted(nodes, key=lambda node: node.seq)]


def test_nodes_record_the_path_of_their_module():
    result = Net()(tensor([1.0, 2.0]))
    assert scopes(result) == ["first", "", "rest.0", "rest.1"]
    assert scopes(Scale()(tensor([1.0]))) == [""]


def test_modules_in_lists_have_their_whole_path():
    class Listed(Module):
        def __init__(self):
            self.blocks = ModuleList([Scale(), Sequential(Scale())])

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    assert scopes(Listed()(tensor([1.0]))) == ["blocks.0", "blocks.1.0"]


def test_paths_follow_changes_of_the_tree():
    net = Net()
    x = tensor([1.0, 2.0])
    net(x)
    net.rest = Sequential(Scale(), net.first)
    assert scopes(net(x)) == ["first", "", "rest.0", "rest.1"]
    net.begin, net.first = net.first, Identity()
    net.offset = Parameter([0.0, 0.0])
    assert scopes(net.rest(x)) == ["0", "1"]
    assert scopes(net(x)) == ["", "rest.0", "rest.1"]
    twin = copy.deepcopy(net)
    assert scopes(twin(x)) == ["", "rest.0", "rest.1"]


def test_modules_that_change_places_change_their_paths():
    first, second = Scale(), Scale()
    net = Sequential(first, second)
    x = tensor([1.0])
    assert scopes(net(x)) == ["0", "1"]
    setattr(net, "0", second)
    setattr(net, "1", first)
    assert scopes(net(x)) == ["0", "1"]


def test_a_module_from_elsewhere_counts_as_part_of_its_caller():
    outside = Scale()

    class Caller(Module):
        def __init__(self):
            self.inner = Scale()

        def forward(self, x):
            return outside(self.inner(x))

    net = Sequential(Caller())
    assert scopes(net(tensor([1.0]))) == ["0.inner", "0"]


def test_scope_returns_after_an_error_and_is_each_threads_own():
    class Broken(Module):
        def forward(self, x):
            raise KeyError(x)

    net = Sequential(Sequential(Broken()))
    with pytest.raises(KeyError):
        net(1)
    assert (mode.scope, mode.module) == ("", None)

    class Spawning(Module):
        def __init__(self):
            self.inner = Scale()

        def forward(self, x):
            found = []
            thread = threading.Thread(target=lambda: found.append(scopes(self.inner(x))))
            thread.start()
            thread.join()
            return found[0]

    assert Sequential(Spawning())(tensor([1.0])) == [""]


def test_an_error_in_a_forward_pass_names_the_layer() -> None:
    net = Sequential(ReLU(), Linear(3, 2))
    with pytest.raises(ValueError, match="expects 3 input features") as caught:
        net(np.ones((1, 4), np.float32))
    assert caught.value.__notes__ == ["in 1: Linear.forward"]
    assert (mode.scope, mode.module) == ("", None)
