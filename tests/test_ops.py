"""Every operation of the package has samples, and every sample is put through the same checks.

Its checks stand in four tests, by subject.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn
from tests import numeric
from tests.cases import each
from tests.layouts import backwards, channels_last, every_other, read_only
from tests.op_samples import ERRORS, SAMPLES, per_op
from tests.samples.base import Array, ErrorSample, Sample
from tinygrad_cnn import Tensor, grad, no_grad, tensor
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.op import Op, registry

# Inputs up to these sizes are differentiated element by element, all along random directions, which
# miss an error only where they happen to be orthogonal to it.
EVERY_ELEMENT = 16
EVERY_ELEMENT_TWICE = 4


def differentiable(sample: Sample) -> list[int]:
    return [i for i, array in enumerate(sample.inputs) if array.dtype.kind == "f"]


all_samples = per_op(SAMPLES)
differentiable_ones = per_op(s for s in SAMPLES if differentiable(s))


# ------------------------------------------------------------------------------- the registry


def ops_of_the_package() -> set[type[Op]]:
    """Every op class of the package except the bases of others."""
    for module in pkgutil.walk_packages(tinygrad_cnn.__path__, "tinygrad_cnn."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {
        op
        for op in registry.values()
        if op.__module__.split(".")[0] == "tinygrad_cnn" and not is_base(op)
    }


def is_base(op: type[Op]) -> bool:
    """Whether a class only serves others: named with an underscore, or a parent with a gap."""
    gap = op.forward is Op.forward or op.backward is Op.backward
    gap = gap or any(getattr(getattr(op, n), "__isabstractmethod__", False) for n in dir(op))
    return op.__name__.startswith("_") or (gap and bool(op.__subclasses__()))


def test_every_op_has_samples() -> None:
    sampled = {op for sample in SAMPLES for op in sample.ops}
    ops = ops_of_the_package()
    missing = sorted(f"{op.__module__}.{op.__name__}" for op in ops - sampled)
    foreign = sorted(f"{op.__module__}.{op.__name__}" for op in sampled - ops)
    assert not missing, f"ops without samples: {missing}"
    assert not foreign, f"samples of ops that the package does not have: {foreign}"


# ------------------------------------------------------------------------------- the machinery


def tensors(inputs: tuple[Array, ...], wanted: list[int] | None = None) -> list[Any]:
    """Leaf tensors around copies in the same layout; constants stay arrays."""
    made: list[Any] = []
    for index, array in enumerate(inputs):
        if array.dtype.kind != "f":
            made.append(array)
        else:
            made.append(Tensor._wrap(array, None))
            made[-1].requires_grad = wanted is None or index in wanted
    return made


def cotangent_of(sample: Sample, shape: tuple[int, ...]) -> Array:
    """Signed numbers, or ones where expected gradients are given for ones."""
    if not sample.smooth:
        return np.ones(shape)
    return np.asarray(np.random.default_rng(7).standard_normal(shape))


def gradients(
    sample: Sample,
    inputs: tuple[Array, ...],
    cotangent: Array | None = None,
    create_graph: bool = False,
) -> list[Any]:
    """Gradients of every float input as arrays, None for constants and unused inputs."""
    made = tensors(inputs)
    out = sample.function(*made)
    if cotangent is None:
        cotangent = cotangent_of(sample, out.shape).astype(out.dtype)
    wanted = differentiable(sample)
    found = grad(
        out,
        [made[i] for i in wanted],
        grad_outputs=cotangent,
        create_graph=create_graph,
        allow_unused=True,
    )
    result: list[Any] = [None] * len(inputs)
    for index, g in zip(wanted, found, strict=True):
        result[index] = None if g is None else g.detach().numpy()
    return result


@cache
def own_gradients(sample: Sample) -> list[Any]:
    """The gradients at the sample as it is, which many checks compare theirs with."""
    return gradients(sample, sample.inputs)


@cache
def has_gradient(sample: Sample) -> bool:
    """Indices and comparisons have none."""
    made = tensors(sample.inputs)
    out = sample.function(*made)
    return bool(differentiable(sample)) and out.requires_grad and out.dtype.kind == "f"


def assert_close(got: Any, expected: Any, rtol: float = 1e-7, atol: float | None = None) -> None:
    """Compare; by default relative to the largest number expected."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    if atol is None:
        finite = np.abs(expected[np.isfinite(expected)])
        atol = rtol * max(1.0, finite.max(initial=0.0))
    if not is_near(got, expected, rtol, atol):
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)


def is_near(got: Array, expected: Array, rtol: float, atol: float) -> bool:
    """Whether all is well, told in a third of NumPy's time; it judges the rest: NaN, infinity."""
    if got.dtype.kind != "f":
        return False
    with np.errstate(all="ignore"):
        return bool((np.abs(got - expected) <= atol + rtol * np.abs(expected)).all())


def assert_same_gradients(got: list[Any], expected: list[Any], rtol: float = 1e-10) -> None:
    for index, (a, b) in enumerate(zip(got, expected, strict=True)):
        assert (a is None) == (b is None), f"gradient {index}: {a} against {b}"
        if a is not None:
            assert_close(a, b, rtol)


# ------------------------------------------------------------------------------- values


def check_forward_of_arrays(sample: Sample) -> None:
    out = sample.function(*sample.inputs)
    assert type(out) is np.ndarray
    assert_close(out, sample.oracle(*sample.inputs), sample.rtol, sample.atol)


def check_forward_of_tensors(sample: Sample) -> None:
    out = sample.function(*tensors(sample.inputs))
    assert isinstance(out, Tensor)
    assert_close(out.detach().numpy(), sample.oracle(*sample.inputs), sample.rtol, sample.atol)


def check_no_grad_gives_the_same_without_a_graph(sample: Sample) -> None:
    recorded = sample.function(*tensors(sample.inputs))
    with no_grad():
        out = sample.function(*tensors(sample.inputs))
    assert isinstance(out, Tensor)
    assert not out.requires_grad
    assert out.grad_fn is None
    assert out.dtype == recorded.dtype
    assert_close(out.numpy(), recorded.detach().numpy(), 1e-12)


def check_the_op_is_recorded(sample: Sample) -> None:
    out = sample.function(*tensors(sample.inputs))
    if not differentiable(sample) or out.dtype.kind != "f":
        return  # indices and comparisons have no graph
    recorded = {type(node.op) for node in nodes_below(out)}
    assert set(sample.ops) <= recorded, recorded


def check_nodes_hold_no_floats_that_a_second_derivative_would_miss(sample: Sample) -> None:
    out = sample.function(*tensors(sample.inputs))
    for node in nodes_below(out) if out.requires_grad else ():
        if node.op.reference is not None:
            continue
        aux = node.aux if isinstance(node.aux, tuple) else (node.aux,)
        held = [v for v in (*node.op.settings().values(), *aux) if isinstance(v, np.ndarray)]
        assert all(v.dtype.kind in "iub" for v in held), node.op


def check_settings_do_not_change_and_describe_works(sample: Sample) -> None:
    out = sample.function(*tensors(sample.inputs))
    for node in nodes_below(out) if out.requires_grad else ():
        assert node.op.describe().startswith(node.op.name)
        assert not hasattr(node.op, "__dict__"), f"{node.op}: __slots__ is missing"


def check_only_views_share_memory_with_what_they_are_made_of(sample: Sample) -> None:
    inputs = [tensor(array) for array in sample.inputs]
    out = sample.function(*inputs)
    if isinstance(out, Tensor) and not any(out is x for x in inputs):
        shares = any(np.may_share_memory(out._data, x._data) for x in inputs)
        assert out.follows or not shares
        assert out.follows or out._data.flags.writeable or not out.size


@all_samples
def test_values(samples: list[Sample]) -> None:
    """Of arrays and tensors, recorded or not, and what the graph keeps of them."""
    each(
        samples,
        check_forward_of_arrays,
        check_forward_of_tensors,
        check_no_grad_gives_the_same_without_a_graph,
        check_the_op_is_recorded,
        check_nodes_hold_no_floats_that_a_second_derivative_would_miss,
        check_settings_do_not_change_and_describe_works,
        check_only_views_share_memory_with_what_they_are_made_of,
    )


# ------------------------------------------------------------------------------- gradients


def check_gradient_against_numbers(sample: Sample) -> None:
    if not has_gradient(sample):
        return
    found = own_gradients(sample)
    if not sample.smooth:
        assert sample.gradients is not None
        for got, expected in zip(found, sample.gradients, strict=True):
            if expected is not None:
                assert_close(got, expected, 1e-9)
        return
    out_shape = sample.function(*sample.inputs).shape
    cotangent = cotangent_of(sample, out_shape)

    def loss(*arrays: Array) -> Any:
        return np.sum(sample.function(*arrays) * cotangent)

    compare_with_numeric(loss, sample.inputs, found, EVERY_ELEMENT)


def check_second_order(sample: Sample) -> None:
    """Differentiate ⟨w, ∇⟨c, f(x)⟩⟩ by x and by the cotangent c."""
    if not has_gradient(sample):
        return
    if not sample.smooth:
        return  # the gradient under create_graph is compared by `test_gradient`
    wanted = differentiable(sample)
    cotangent = cotangent_of(sample, sample.function(*sample.inputs).shape)
    rng = np.random.default_rng(11)
    weights = [rng.standard_normal(sample.inputs[i].shape) for i in wanted]

    def first(arrays: tuple[Array, ...], create_graph: bool) -> tuple[list[Any], Any]:
        *inputs, c = tensors(arrays)
        found = grad(
            sample.function(*inputs),
            [inputs[i] for i in wanted],
            grad_outputs=c,
            create_graph=create_graph,
            allow_unused=True,
        )
        terms = [(w * g).sum() for w, g in zip(weights, found, strict=True) if g is not None]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return [*inputs, c], total

    def numeric_first(*arrays: Array) -> float:
        return float(first(arrays, create_graph=False)[1])

    points = (*sample.inputs, cotangent)
    made, total = first(points, create_graph=True)
    leaves = [*wanted, len(points) - 1]
    found: list[Any] = [None] * len(points)
    answers = grad(total, [made[i] for i in leaves], allow_unused=True)
    for index, g in zip(leaves, answers, strict=True):
        shape = points[index].shape
        found[index] = np.zeros(shape) if g is None else g.detach().numpy()
    compare_with_numeric(numeric_first, points, found, EVERY_ELEMENT_TWICE)


@differentiable_ones
def test_second_order(samples: list[Sample]) -> None:
    each(samples, check_second_order)


def compare_with_numeric(
    f: Callable[..., Any], points: tuple[Array, ...], found: list[Any], every_element: int
) -> None:
    """Element by element where the inputs are small; along random directions where one is not."""
    filled = [
        np.zeros(x.shape) if g is None and x.dtype.kind == "f" else g
        for x, g in zip(points, found, strict=True)
    ]
    for index, g in enumerate(filled):
        if g is not None and g.size <= every_element:
            assert_close(g, numeric.gradient(f, points, index), 2e-7)
    if all(g is None or g.size <= every_element for g in filled):
        return
    rng = np.random.default_rng(13)
    for _ in range(2):
        # unit vectors: the step stays small whatever the number of elements
        directions = [None if g is None else rng.standard_normal(g.shape) for g in filled]
        length = np.sqrt(sum(float(np.sum(d * d)) for d in directions if d is not None)) or 1.0
        directions = [None if d is None else d / length for d in directions]
        expected = numeric.along(f, points, directions)
        pairs = zip(filled, directions, strict=True)
        got = sum(float(np.sum(g * d)) for g, d in pairs if d is not None)
        scale = max([1.0, *(float(np.abs(g).max(initial=0)) for g in filled if g is not None)])
        assert_close(got, expected, 2e-7, 2e-7 * scale)


def check_create_graph_gives_the_same_gradient(sample: Sample) -> None:
    if not has_gradient(sample):
        return
    found = gradients(sample, sample.inputs, create_graph=True)
    assert_same_gradients(found, own_gradients(sample))


def check_one_input_at_a_time_gets_the_same_gradient(sample: Sample) -> None:
    wanted = differentiable(sample)
    if len(wanted) < 2 or not has_gradient(sample):
        return
    whole = own_gradients(sample)
    for index in wanted:
        # the others as tensors that want no gradient, then as plain arrays
        partly = tensors(sample.inputs, [index])
        alone: list[Any] = list(sample.inputs)
        alone[index] = tensors(sample.inputs)[index]
        for made in (partly, alone):
            out = sample.function(*made)
            if whole[index] is None:
                continue
            cotangent = cotangent_of(sample, out.shape)
            (g,) = grad(out, made[index], grad_outputs=cotangent)
            assert_close(g.numpy(), whole[index], 1e-10)
            (g,) = grad(sample.function(*made), made[index], cotangent, create_graph=True)
            assert_close(g.detach().numpy(), whole[index], 1e-10)


def check_a_cotangent_of_one_number_repeated(sample: Sample) -> None:
    if not has_gradient(sample):
        return
    shape = sample.function(*sample.inputs).shape
    repeated = np.broadcast_to(np.float64(1.0), shape)
    expected = gradients(sample, sample.inputs, np.ones(shape))
    assert_same_gradients(gradients(sample, sample.inputs, repeated), expected)


@differentiable_ones
def test_gradient(samples: list[Sample]) -> None:
    """Against numbers, and the same whichever way it is asked for."""
    each(
        samples,
        check_gradient_against_numbers,
        check_create_graph_gives_the_same_gradient,
        check_one_input_at_a_time_gets_the_same_gradient,
        check_a_cotangent_of_one_number_repeated,
    )


# ------------------------------------------------------------------------------- layouts


LAYOUTS = [every_other, channels_last, np.asfortranarray, backwards, read_only]


def check_layout_of_inputs_and_cotangent_does_not_matter(sample: Sample) -> None:
    out = sample.function(*sample.inputs)
    differentiated = has_gradient(sample)
    expected = own_gradients(sample) if differentiated else []
    for layout in LAYOUTS:
        inputs = tuple(layout(x) if x.ndim else x for x in sample.inputs)
        assert_close(sample.function(*inputs), out, 1e-12)
        if differentiated:
            cotangent = cotangent_of(sample, out.shape)
            cotangent = layout(cotangent) if cotangent.ndim else cotangent
            assert_same_gradients(gradients(sample, inputs, cotangent), expected)


# ------------------------------------------------------------------------------- purity, dtypes


def check_nothing_is_mutated(sample: Sample) -> None:
    before = [x.copy() for x in sample.inputs]
    out = sample.function(*tensors(sample.inputs))
    if has_gradient(sample):
        result = out.detach().numpy().copy()
        cotangent = cotangent_of(sample, out.shape)
        kept = cotangent.copy()
        made = tensors(sample.inputs)
        out = sample.function(*made)
        out.backward(cotangent)
        np.testing.assert_array_equal(cotangent, kept)
        np.testing.assert_array_equal(out.detach().numpy(), result)
        for index in differentiable(sample):
            g = made[index].grad
            if g is not None:
                held = [*sample.inputs, cotangent, out.detach().numpy()]
                assert not any(np.may_share_memory(g.numpy(), x) for x in held)
    for x, was in zip(sample.inputs, before, strict=True):
        np.testing.assert_array_equal(x, was)


def check_float32_stays_float32(sample: Sample) -> None:
    inputs = tuple(x.astype(np.float32) if x.dtype.kind == "f" else x for x in sample.inputs)
    expected = sample.function(*sample.inputs)
    out = sample.function(*inputs)
    if expected.dtype.kind != "f" or any(op.sets_dtype for op in sample.ops):
        return  # the result's dtype does not follow the inputs'
    assert out.dtype == np.float32
    assert sample.function(*tensors(inputs)).dtype == np.float32
    assert_close(out, expected, 2e-4)
    if has_gradient(sample):
        found = gradients(sample, inputs)
        assert all(g is None or g.dtype == np.float32 for g in found)
        assert_same_gradients(found, own_gradients(sample), 1e-3)


def check_the_same_answer_twice(sample: Sample) -> None:
    np.testing.assert_array_equal(
        sample.function(*sample.inputs), sample.function(*sample.inputs), strict=True
    )
    if has_gradient(sample):
        for a, b in zip(own_gradients(sample), gradients(sample, sample.inputs), strict=True):
            np.testing.assert_array_equal(a, b)


@all_samples
def test_whatever_it_is_given(samples: list[Sample]) -> None:
    """Layouts, dtypes, a second call; and what it was given stays as it was."""
    each(
        samples,
        check_layout_of_inputs_and_cotangent_does_not_matter,
        check_nothing_is_mutated,
        check_float32_stays_float32,
        check_the_same_answer_twice,
    )


# ------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("sample", ERRORS, ids=lambda s: s.note or s.message[:60])
def test_errors(sample: ErrorSample) -> None:
    with pytest.raises(sample.error, match=sample.message):
        sample.function()
