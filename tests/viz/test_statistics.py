"""Statistics of values and gradients: against NumPy, at the ends of what floats hold, untouched."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.viz.networks import recorded_loss
from tinygrad_cnn import random, tensor
from tinygrad_cnn.viz import graph
from tinygrad_cnn.viz.statistics import BINS, statistics_of

any_floats = arrays(
    st.sampled_from([np.float32, np.float64]), st.integers(0, 40), elements=st.floats(width=32)
)


@given(any_floats)
def test_counts_and_moments_agree_with_numpy(array):
    found = statistics_of(array)
    finite = array[np.isfinite(array)].astype(np.float64)
    assert found.count == array.size
    assert found.nans == np.isnan(array).sum()
    assert found.infinities == np.isinf(array).sum()
    assert found.zeros == np.count_nonzero(array == 0)
    if not finite.size:
        assert (found.min, found.max, found.mean, found.std) == (None,) * 4
        assert found.histogram == ()
        return
    assert (found.min, found.max) == (finite.min(), finite.max())
    scale = np.abs(finite).max()
    assert found.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-12 * scale)
    assert found.std == pytest.approx(finite.std(), rel=1e-6, abs=1e-9 * scale)
    assert len(found.histogram) == BINS
    assert sum(found.histogram) == finite.size


def test_the_histogram_agrees_with_numpys():
    values = np.random.default_rng(0).standard_normal(1000)
    assert statistics_of(values).histogram == tuple(np.histogram(values, BINS)[0])


@pytest.mark.parametrize(
    "values",
    [[1e308, -1e308, 0.0], [5e-324, 0.0], [3.0, 3.0], [0.0], [np.float64(2) ** -1070] * 3],
)
def test_extremes_neither_overflow_nor_vanish(values):
    found = statistics_of(np.array(values))
    assert (found.min, found.max) == (min(values), max(values))
    assert np.isfinite([found.mean, found.std]).all()
    assert sum(found.histogram) == len(values)


def test_integers_and_bools_are_measured_too():
    assert statistics_of(np.array([1, 2, 3])).mean == 2
    assert statistics_of(np.array([True, False])).zeros == 1


def boxes(drawn):
    return {node.name: node for node in drawn.nodes}


def test_values_and_gradients_are_measured_only_when_asked():
    model, loss = recorded_loss("sigmoid")
    loss.backward(retain_graph=True)
    without = boxes(graph(loss, model=model))
    assert all(box.value is None and box.gradient is None for box in without.values())
    found = boxes(graph(loss, model=model, statistics=True))
    for name, parameter in model.named_parameters():
        assert found[name].value == statistics_of(parameter._data)
        assert found[name].gradient == statistics_of(parameter._grad._data)


def test_what_nobody_kept_or_computed_is_not_measured():
    x = tensor([1.0, 2.0, 3.0], requires_grad=True, name="x")
    y = x + 1  # its rule reads nothing, and what uses it only its shape
    z = (y + 2).sum()
    found = boxes(graph(z, statistics=True))
    assert found["x"].value.mean == 2
    assert found["x"].gradient is None
    assert [n.value for n in graph(z, statistics=True).nodes if n.name == "add"] == [None, None]
    assert found["sum"].value.mean == 15


def test_kept_inputs_constants_and_retained_gradients_are_measured():
    x = tensor([1.0, 2.0], requires_grad=True, name="x")
    y = x * tensor([3.0, 4.0])
    y.retain_grad()
    z = y.exp()
    loss = z.sum()
    loss.backward(retain_graph=True)
    drawn = graph(loss, statistics=True)
    found = boxes(drawn)
    assert found["mul"].value.max == 8
    assert found["mul"].gradient.max == pytest.approx(np.exp(8))
    (constant,) = [n for n in drawn.nodes if n.kind in ("input", "constant") and n.name != "x"]
    assert constant.value.mean == 3.5
    gradient = graph(loss, statistics=True, backward=True)
    assert [n.gradient for n in gradient.nodes if n.kind == "gradient"] == [found["x"].gradient]
    del y, z
    loss.backward()
    assert boxes(graph(loss, statistics=True))["exp"].value is None


def test_measuring_changes_nothing_and_keeps_nothing_alive():
    model, loss = recorded_loss("batchnorm")
    loss.backward(retain_graph=True)
    state = random.default_generator().bit_generator.state
    before = {name: array.clone() for name, array in model.state_dict().items()}
    gradients = [p._grad._data.copy() for p in model.parameters()]
    drawn = graph(loss, model=model, statistics=True)
    assert random.default_generator().bit_generator.state == state
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(parameter._grad._data, gradient)
    seen = weakref.ref(next(iter(model.parameters()))._data)
    del model, loss, before, gradients, parameter, gradient, array
    gc.collect()
    assert seen() is None
    assert any(node.value for node in drawn.nodes)
