"""The table of a model is right and leaves the model alone."""

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.viz.networks import recorded_loss
from tinygrad_cnn import nn, no_grad
from tinygrad_cnn.models import BatchNorm, ResNet20
from tinygrad_cnn.random import default_generator, get_rng_state
from tinygrad_cnn.viz import summary


def everything(model):
    """Return all that a call might change."""
    return [
        (id(module), list(vars(module)), [id(v) for v in vars(module).values()])
        for module in model.modules()
    ], [
        (id(t), id(t._data), t._data.copy().tolist(), id(t._grad), t._name)
        for t in [*vars_of(model)]
    ]


def vars_of(model):
    return [v for m in model.modules() for v in vars(m).values() if hasattr(v, "_data")]


def test_rows_hold_what_is_inside():
    table = summary(ResNet20(), (2, 3, 32, 32))
    rows = {row.path: row for row in table.rows}
    assert (rows[""].type, rows[""].parameters) == ("ResNet20", 269_722)
    assert rows[""].multiply_adds == 2 * 40_551_040
    assert rows[""].output_shape == (2, 10)
    assert rows["layer2"].output_shape == (2, 32, 16, 16)
    assert rows["layer2"].parameters == 51_072
    assert rows["layer2.1.conv2"].multiply_adds == 2 * 32 * 16 * 16 * 32 * 9
    assert rows["layer2.1.conv2"].activation_nbytes == 2 * 32 * 16 * 16 * 4
    for attribute in ("parameters", "multiply_adds"):
        children = [r for r in table.rows if r.path and "." not in r.path]
        assert sum(getattr(r, attribute) for r in children) == getattr(rows[""], attribute)
    assert table.parameter_nbytes == 4 * 269_722
    assert str(table) == repr(table)
    assert "269,722" in str(table)


def test_the_memory_kept_is_that_of_a_training_step():
    model, loss = recorded_loss("batchnorm")
    kept = summary(BatchNorm(), (4, 1, 28, 28), training=True).saved_nbytes
    arrays = {}
    pending, seen = [loss.grad_fn], set()
    owned = {id(p._data) for p in model.parameters()}
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        pending += [e for e in node.edges if hasattr(e, "op")]
        if node.op.name != "cross_entropy":
            aux = node.aux if isinstance(node.aux, tuple) else (node.aux,)
            for a in [*node.saved, node.out, *aux]:
                while isinstance(a, np.ndarray) and isinstance(a.base, np.ndarray):
                    a = a.base
                if isinstance(a, np.ndarray) and id(a) not in owned:
                    arrays[id(a)] = a.nbytes
    assert kept == sum(arrays.values())


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_alone(training):
    model, loss = recorded_loss("batchnorm")
    loss.backward(retain_graph=True)
    model.train(not training)
    before, state = everything(model), get_rng_state()
    summary(model, (3, 1, 28, 28), training=training)
    assert everything(model) == before
    assert get_rng_state() == state
    loss.backward()  # and the pending graph notices nothing


def test_the_model_is_left_alone_after_an_error():
    class Breaks(nn.Module):
        def __init__(self):
            self.drop = nn.Dropout(0.5)
            self.bn = nn.BatchNorm1d(4)
            self.generator = np.random.default_rng(3)
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            self.generator.random()
            self.extra = self.bn(self.drop(x))
            raise RuntimeError("halfway")

    model = Breaks()
    before, state = everything(model), get_rng_state()
    inside = model.generator.bit_generator.state
    with pytest.raises(RuntimeError, match="halfway"):
        summary(model, (8, 4), training=True)
    assert everything(model) == before
    assert (model.calls, hasattr(model, "extra")) == (0, False)
    assert (get_rng_state(), model.generator.bit_generator.state) == (state, inside)
    assert default_generator().bit_generator.state == state


def test_random_layers_and_frozen_models_are_measured():
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5)).requires_grad_(False)
    with no_grad():
        table = summary(model, (2, 3), training=True)
    assert [r.output_shape for r in table.rows] == [(2, 4)] * 3
    assert (table.trainable, table.rows[0].parameters) == (0, 16)
    assert "16 of them frozen" in str(table)


def test_a_module_that_does_nothing_has_no_output():
    table = summary(nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5)), (2, 3))
    assert [r.output_shape for r in table.rows] == [(2, 4), (2, 4), None]


def test_dictionaries_of_outputs_and_functions_inside():
    class Two(nn.Module):
        def __init__(self):
            self.a = nn.Linear(3, 1)

        def forward(self, x):
            return {"a": self.a(x), "b": [F.relu(x)]}

    assert summary(Two(), (2, 3)).rows[0].multiply_adds == 6


def test_mistakes_are_named():
    with pytest.raises(TypeError, match="summary: expects a module, got int"):
        summary(1, (1, 2))
    for shape in (5, (1, -1), (1, 2.5), None):
        with pytest.raises(ValueError, match="input_shape expects sizes such as"):
            summary(nn.ReLU(), shape)

    class Nothing(nn.Module):
        def forward(self, _):
            return 3

    with pytest.raises(TypeError, match="gave no tensor, but int"):
        summary(Nothing(), (1,))
