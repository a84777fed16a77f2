"""Large operations: closely on a part, lightly as a whole; a part can only acquit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.verify.faults import Call, broken
from tinygrad_cnn import tensor
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.verify import Report, Verdict, check_graph
from tinygrad_cnn.verify import part as parts
from tinygrad_cnn.verify.core import Options
from tinygrad_cnn.verify.subjects.tensors import OpSubject

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((8, 4, 26, 26))
FILTERS = RNG.standard_normal((7, 4, 3, 3))


def convolution(x: Any, w: Any) -> Any:
    return F.conv2d(x, w, padding=1)


def pool(x: Any) -> Any:
    return F.max_pool2d(x, 2)


def checked(function: Callable[..., Any], *arrays: Any, mutate: Any) -> Report:
    out = function(*(tensor(a, requires_grad=True) for a in arrays))
    node = nodes_below(out)[-1]
    node.op = broken(node.op, mutate)
    return check_graph(out, progress=False)


def subject_of(function: Callable[..., Any], *arrays: Any) -> OpSubject:
    node = nodes_below(function(*(tensor(a, requires_grad=True) for a in arrays)))[-1]
    constants = [None] * (len(node.edges) - len(arrays))
    return OpSubject(node.op, [*arrays, *constants], range(len(arrays)))


@pytest.mark.parametrize(
    ("function", "arrays", "shapes"),
    [
        (convolution, (IMAGES, FILTERS), [(2, 4), (7, 4, 3, 3)]),
        (F.relu, (IMAGES,), [(2, 4)]),
        (pool, (IMAGES,), [(2, 4)]),
        (F.linear, (IMAGES.reshape(8, -1), RNG.standard_normal((9, 2704))), [(2,), (9,)]),
        (lambda x: x.sum(axis=0), (IMAGES,), [(8, 4)]),
    ],
    ids=["convolution", "relu", "pool", "linear", "sum over images"],
)
def test_a_part_is_the_same_operation_on_less(
    function: Callable[..., Any], arrays: tuple[Any, ...], shapes: list[tuple[int, ...]]
) -> None:
    subject = subject_of(function, *arrays)
    part = parts.part_of(subject)
    assert part is not None
    assert 3 * sum(a.size for a in part.inputs if a is not None) < sum(a.size for a in arrays)
    for found, begin in zip(part.inputs, shapes, strict=False):
        assert found.shape[: len(begin)] == begin
    found = parts.check_in_part(subject, Options(max_elements=24))
    assert found is not None
    assert all(r.verdict in (Verdict.PASS, Verdict.KINK) for r in found)
    assert [r.shape for r in found] == [a.shape for a in arrays]


def test_what_fits_to_no_other_shape_is_looked_at_as_a_whole() -> None:
    assert parts.part_of(subject_of(lambda x: x.reshape(32, 676), IMAGES)) is None
    assert parts.part_of(subject_of(F.relu, IMAGES[:1, :1])) is None  # small enough


def one_image(call: Call) -> Any:
    dx, *rest = call.right()
    if dx is not None:
        dx[3] *= 1.001
    return dx, *rest


def last_image(call: Call) -> Any:
    g = np.zeros_like(call.g)
    g[-1] = call.g[-1]
    return call.right()[0], *call.right(g)[1:]


def one_weight(call: Call) -> Any:
    dx, dw, *rest = call.right()
    if dw is not None:
        dw[5, 2, 1, 1] *= 0.5
    return dx, dw, *rest


def large_batch(call: Call) -> Any:
    dx, *rest = call.right()
    return dx if dx is None or len(dx) <= 2 else 1.5 * dx, *rest


def first_inputs(call: Call) -> Any:
    """Keep the inputs of the first call of each shape."""
    kept = call.memory.setdefault(str(call.inputs[0].shape), call.inputs)
    found: Any = call.rule(call.op, call.g, call.out, *kept, **call.extra)
    return found


@pytest.mark.parametrize(
    ("mutate", "wrong"),
    [
        pytest.param(one_image, ["x"], marks=pytest.mark.slow),
        pytest.param(last_image, ["w"], marks=pytest.mark.slow),
        pytest.param(one_weight, ["w"], marks=pytest.mark.slow),
        (large_batch, ["x"]),
        (first_inputs, ["x", "w"]),
    ],
)
def test_what_is_wrong_beyond_the_part_is_found(mutate: Any, wrong: list[str]) -> None:
    report = checked(convolution, IMAGES, FILTERS, mutate=mutate)
    found = [(r.op[:6], r.input) for r in report.failures if r.seq is not None]
    assert found == [("conv2d", name) for name in wrong], report.text()


def test_a_part_accuses_nobody() -> None:
    """A rule that is wrong for two images, and right for those that were recorded."""

    def small_batch(call: Call) -> Any:
        dx, dw, *rest = call.right()
        wrong = dw is not None and len(call.inputs[0]) <= 2
        return dx, 1.5 * dw if wrong else dw, *rest

    report = checked(convolution, IMAGES, FILTERS, mutate=small_batch)
    assert report, report.text()


def test_what_a_part_shows_alone_is_found() -> None:
    """Ties of a pool, of which each gets all: along one direction of everything it is a kink."""

    def ties(call: Call) -> Any:
        x = call.inputs[0]
        N, C, H, W = x.shape
        windows = x.reshape(N, C, H // 2, 2, W // 2, 2)
        equal = windows == windows.max((3, 5), keepdims=True)
        return ((equal * call.g[:, :, :, None, :, None]).reshape(x.shape),)

    report = checked(pool, np.floor(IMAGES * 2), mutate=ties)
    assert [r.op[:10] for r in report.failures if r.seq is not None] == ["max_pool2d"]
