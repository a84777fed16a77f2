"""`Module`: what is registered, how it is named, and what is saved."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from tests.nn.nets import Net
from tinygrad_cnn import no_grad, tensor
from tinygrad_cnn.nn import BatchNorm2d, Identity, Linear, Module, ModuleList, Parameter, Sequential
from tinygrad_cnn.optim import SGD
from tinygrad_cnn.tensor import Tensor


def names(pairs):
    return [name for name, _ in pairs]


# ------------------------------------------------------------------ registering


def test_attributes_register_own_ones_first():
    net = Net()
    expected = ["offset", "first.factor", "rest.0.factor", "rest.1.factor"]
    assert names(net.named_parameters()) == expected
    assert names(net.named_parameters("net")) == [f"net.{name}" for name in expected]
    assert names(net.named_parameters(recurse=False)) == ["offset"]
    assert [id(p) for p in net.parameters()] == [id(p) for _, p in net.named_parameters()]
    assert names(net.named_buffers()) == ["first.count", "rest.0.count", "rest.1.count"]
    assert len(list(net.buffers())) == 3
    assert names(net.named_children()) == ["first", "rest"]
    assert list(net.children()) == [net.first, net.rest]
    assert names(net.named_modules()) == ["", "first", "rest", "rest.0", "rest.1"]
    assert next(iter(net.modules())) is net


def test_assigning_replaces_and_deleting_removes():
    net = Net()
    net.offset = Parameter([7.0, 7.0])
    net.first = Identity()
    assert names(net.named_parameters()) == ["offset", "rest.0.factor", "rest.1.factor"]
    assert dict(net.named_parameters())["offset"].tolist() == [7.0, 7.0]
    del net.offset, net.rest
    assert names(net.named_parameters()) == []
    net.first = None
    assert names(net.named_modules()) == [""]


def test_a_plain_tensor_stays_plain():
    net = Net()
    assert "plain" not in net.state_dict()
    assert all(value is not net.plain for value in (*net.parameters(), *net.buffers()))


def test_shared_ones_are_found_once_and_saved_by_each_name():
    net = Net()
    net.tied = net.first
    net.again = net.offset
    assert names(net.named_parameters()) == [
        "offset",
        "first.factor",
        "rest.0.factor",
        "rest.1.factor",
    ]
    assert "tied" not in names(net.named_modules())
    state = net.state_dict()
    assert {"again", "tied.factor", "tied.count"} < set(state)
    net.load_state_dict({**state, "tied.factor": np.array([9.0]), "first.factor": np.array([9.0])})
    assert net.first.factor.tolist() == [9.0]


def test_a_module_that_holds_itself_is_walked_once():
    net = Net()
    net.first.parent = net
    assert names(net.named_modules()) == ["", "first", "rest", "rest.0", "rest.1"]
    assert len(net.state_dict()) == 7


def test_forgetting_super_init_does_no_harm():
    class Careless(Module):
        def __init__(self):
            self.weight = Parameter([1.0])
            self.register_buffer("seen", tensor([0.0]))

        def forward(self, x):
            return x * self.weight

    net = Careless()
    assert list(net.state_dict()) == ["weight", "seen"]
    assert net.eval().training is False
    assert Careless().training is True
    assert net(tensor([3.0])).tolist() == [3.0]


def test_register_by_name():
    net = Module()
    net.register_parameter("weight", Parameter([1.0]))
    net.register_parameter("bias", None)
    net.register_buffer("kept", tensor([1.0]))
    net.register_buffer("passing", tensor([1.0]), persistent=False)
    net.register_buffer("none", None)
    net.add_module("0", Identity())
    assert net.bias is None
    assert list(net.state_dict()) == ["weight", "kept"]
    assert names(net.named_buffers()) == ["kept", "passing"]
    net.none = tensor([2.0])
    net.kept = tensor([3.0])
    assert list(net.state_dict()) == ["weight", "kept", "none"]
    assert net.state_dict()["kept"].tolist() == [3.0]
    del net.kept
    assert names(net.named_buffers()) == ["passing", "none"]
    assert names(Module().named_buffers()) == []


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("a.b", None, ValueError, "expected a name without dots, got 'a.b'"),
        ("", None, ValueError, "expected a name without dots, got ''"),
        ("forward", None, ValueError, "Net already has 'forward'"),
        ("offset", None, ValueError, "Net already has 'offset'"),
        ("new", 3, TypeError, "for 'new', got int"),
    ],
)
@pytest.mark.parametrize("function", ["register_parameter", "register_buffer", "add_module"])
def test_wrong_registrations_are_named(function, name, value, error, message):
    net = Net()
    before = list(net.state_dict())
    with pytest.raises(error, match=f"{function}: .*{message}"):
        getattr(net, function)(name, value)
    assert list(net.state_dict()) == before


def test_parameter():
    p = Parameter(tensor([1.0, 2.0]), name="w")
    assert p.requires_grad
    assert p.name == "w"
    assert p.dtype == np.float32
    assert isinstance(p * 2, Tensor)
    assert not isinstance(p * 2, Parameter)
    assert not isinstance(p.clone(), Parameter)
    assert not Parameter([1.0], requires_grad=False).requires_grad
    assert Parameter(np.ones(2)).dtype == np.float64
    with pytest.raises(TypeError, match="only floating-point"):
        Parameter([1, 2])
    with pytest.raises(AttributeError):
        p.anything = 1


def test_parameters_get_the_longest_path_as_their_name():
    net = Net()
    net.offset.name = "mine"
    list(net.rest.parameters())
    assert net.rest[1].factor.name == "1.factor"
    list(net.parameters())
    assert [p.name for p in net.parameters()] == [
        "mine",
        "first.factor",
        "rest.0.factor",
        "rest.1.factor",
    ]
    list(net.rest.parameters())
    assert net.rest[1].factor.name == "rest.1.factor"


# ------------------------------------------------------------------ all at once


def test_train_and_eval_reach_every_module():
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.rest.train()
    assert [m.training for m in net.modules()] == [False, False, True, True, True]
    with pytest.raises(TypeError, match="train: expected True or False, got 1"):
        net.train(1)


def test_zero_grad_and_requires_grad():
    net = Net()
    net(tensor([1.0, 2.0])).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.rest.requires_grad_(False)
    net(tensor([1.0, 2.0])).sum().backward()
    assert [p.grad is None for p in net.parameters()] == [False, False, True, True]


def test_apply_visits_children_first():
    seen = []
    net = Net()
    assert net.apply(seen.append) is net
    assert seen == [net.first, net.rest[0], net.rest[1], net.rest, net]


def test_conversion_keeps_the_tensors_and_the_optimiser_working():
    net = Net()
    optimizer = SGD(net.parameters(), lr=0.5, momentum=0.9)
    net(tensor([1.0, 2.0])).sum().backward()
    optimizer.step()
    kept = [*net.parameters(), *net.buffers()]
    assert net.double() is net
    assert all(a is b for a, b in zip(kept, [*net.parameters(), *net.buffers()], strict=True))
    assert {p.dtype.name for p in net.parameters()} == {"float64"}
    assert {p.grad.dtype.name for p in net.parameters()} == {"float64"}
    assert {b.dtype.name for b in net.buffers()} == {"int64"}
    before = net.offset.tolist()
    optimizer.step()
    assert net.offset.tolist() != before
    assert net.float().offset.dtype == np.float32
    assert net.to("float64").offset.dtype == np.float64
    assert BatchNorm2d(2).double().running_mean.dtype == np.float64
    with pytest.raises(TypeError, match="to: expected a floating-point dtype, got int32"):
        net.to(np.int32)


def test_deepcopy_shares_nothing_and_keeps_ties():
    net = Net()
    net.tied = net.first
    net.also = net.offset
    net(tensor([1.0, 2.0])).sum().backward()
    net.offset.requires_grad = False
    twin = copy.deepcopy(net)
    assert twin.tied is twin.first is not net.first
    assert twin.also is twin.offset is not net.offset
    assert type(twin.offset) is Parameter
    assert not twin.offset.requires_grad
    assert all(p.grad is None for p in twin.parameters())
    with no_grad():
        twin.first.factor.copy_([9.0])
        twin.first.count.copy_(4)
    assert net.first.factor.tolist() == [2.0]
    assert net.first.count.item() == 0
    assert names(twin.named_parameters()) == names(net.named_parameters())
    twin.register_buffer("new", None)
    assert "new" not in net._persistence
    assert twin(tensor([1.0, 1.0])).tolist() == (np.array([10.0, 10.0]) * 12).tolist()


# ------------------------------------------------------------------ state


def test_state_dict_shares_memory():
    net = Net()
    state = net.state_dict()
    assert list(state) == [
        "offset",
        "first.factor",
        "first.count",
        "rest.0.factor",
        "rest.0.count",
        "rest.1.factor",
        "rest.1.count",
    ]
    assert all(type(value) is Tensor and not value.requires_grad for value in state.values())
    state["offset"].fill_(7)
    assert net.offset.tolist() == [7.0, 7.0]
    assert net.state_dict(prefix="a.", keep_vars=True)["a.offset"] is net.offset
    assert copy.deepcopy(state)["offset"].tolist() == [7.0, 7.0]


def test_load_state_dict_writes_in_place_and_converts():
    net = Net()
    arrays = [t._data for t in (*net.parameters(), *net.buffers())]
    state = {name: value + 1 for name, value in net.state_dict().items()}
    state["offset"] = tensor(np.array([0.5, 0.25]), requires_grad=True)
    result = net.load_state_dict(state)
    assert result.missing_keys == result.unexpected_keys == []
    after = [t._data for t in (*net.parameters(), *net.buffers())]
    assert all(a is b for a, b in zip(arrays, after, strict=True))
    assert net.offset.tolist() == [0.5, 0.25]
    assert net.offset.dtype == np.float32
    assert net.first.factor.tolist() == [3.0]
    assert net.first.count.item() == 1


def test_a_state_that_does_not_fit_lists_all_and_changes_nothing():
    net = Net()
    before = net.state_dict()
    state = {name: value + 1 for name, value in before.items()}
    del state["rest.1.factor"], state["first.factor"]
    state |= {"extra": np.ones(1), "offset": np.ones(3), "first.count": np.array(0.5)}
    with pytest.raises(ValueError, match="load_state_dict: Net: ") as caught:
        net.load_state_dict(state)
    for part in (
        "missing: first.factor, rest.1.factor;",
        "unexpected: extra;",
        "offset expects shape (2,), got (3,)",
        "first.count expects int64, got float64",
    ):
        assert part in str(caught.value)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_what_is_missing_is_looked_for_in_parts_and_behind_prefixes() -> None:
    layer = Linear(2, 1)
    state = layer.state_dict()
    wrapped = {f"module.{name}": value for name, value in state.items()}
    renamed = r"they are there: give it \{name.removeprefix\('module.'\): v for name, v in "
    for given, said in (
        ({"epoch": 3, "model": state}, r"they are there: give it state\['model'\]$"),
        (wrapped, renamed + r"state.items\(\)\}$"),
        ({"epoch": 3, "model": wrapped}, renamed + r"state\['model'\].items\(\)\}$"),
        ({"other": state["weight"]}, "unexpected: other$"),
    ):
        with pytest.raises(ValueError, match=said):
            layer.load_state_dict(given)


def test_loading_a_part():
    net = Net()
    result = net.load_state_dict({"offset": np.zeros(2), "extra": np.ones(1)}, strict=False)
    assert result.unexpected_keys == ["extra"]
    assert result.missing_keys[0] == "first.factor"
    assert net.offset.tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match=r"Net: offset expects shape \(2,\), got \(3,\)"):
        net.load_state_dict({"offset": np.zeros(3)}, strict=False)


# ------------------------------------------------------------------ looks


def test_repr_is_a_tree():
    class Outer(Module):
        def __init__(self):
            self.body = Sequential(Linear(2, 3), ModuleList([Identity()]))
            self.head = Linear(3, 1, bias=False)

    assert repr(Outer()) == (
        "Outer(\n"
        "  (body): Sequential(\n"
        "    (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "    (1): ModuleList(\n"
        "      (0): Identity()\n"
        "    )\n"
        "  )\n"
        "  (head): Linear(in_features=3, out_features=1, bias=False)\n"
        ")"
    )
    assert repr(Sequential()) == "Sequential()"


def test_forward_must_be_defined():
    class Lazy(Module):
        pass

    with pytest.raises(NotImplementedError, match="Lazy: forward is not defined"):
        Lazy()(1)


class Counted(Module):
    def __init__(self):
        self.weight = Parameter([1.0, 2.0])
        self.register_buffer("seen", tensor([0.0]))


@pytest.mark.parametrize("value", [tensor([1.0, 2.0]), np.ones(2), [1.0, 2.0], 1.0, "text"])
def test_a_parameter_is_not_lost_by_assigning(value):
    module = Counted()
    message = r"Counted\.weight is a parameter, .*no_grad\(\): module\.weight\.copy_.*nn\.Parameter"
    with pytest.raises(TypeError, match=message):
        module.weight = value
    assert dict(module.named_parameters())["weight"].tolist() == [1, 2]


@pytest.mark.parametrize("value", [np.ones(1), [1.0], 1.0])
def test_a_buffer_is_not_lost_by_assigning(value):
    module = Counted()
    with pytest.raises(TypeError, match=r"Counted\.seen is a buffer, .* module\.seen\.copy_"):
        module.seen = value
    assert "seen" in module.state_dict()


def test_what_stays_registered_can_be_assigned():
    module = Counted()
    module.weight = other = Parameter([3.0])
    module.seen = count = tensor([1.0])
    assert list(module.parameters()) == [other]
    assert list(module.buffers()) == [count]
    module.weight = module.seen = None
    assert not list(module.parameters())
    assert not list(module.buffers())
    module.weight = Parameter([1.0])
    module.weight = Linear(2, 2)
    assert len(list(module.parameters())) == 2
