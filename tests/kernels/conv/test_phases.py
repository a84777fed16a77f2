"""Phases meet what their convolution meets, each product once; and are used where they pay."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_cnn.kernels.conv.methods import quicker_phases
from tinygrad_cnn.kernels.conv.phases import phases_of, slabs_of
from tinygrad_cnn.kernels.conv.tiles import Geometry
from tinygrad_cnn.kernels.runtime.window import Window


def products(window, sizes, out_size):
    """List (outputs, taps, inputs) of every product."""
    axes = []
    for axis, size in enumerate(sizes):
        met = []
        for o, k in itertools.product(range(out_size[axis]), range(window.kernel[axis])):
            i = o * window.stride[axis] + k * window.dilation[axis] - window.padding[axis][0]
            if 0 <= i < size:
                met.append((o, k, i))
        axes.append(met)
    return [tuple(zip(*found, strict=True)) for found in itertools.product(*axes)]


@st.composite
def windows(draw):
    """Draw a window and the sizes that it lies over, in one to three dimensions."""
    axes = draw(st.integers(1, 3))
    numbers = st.lists(st.integers(1, 4), min_size=axes, max_size=axes).map(tuple)
    kernel, stride, dilation = (draw(numbers) for _ in range(3))
    side = st.integers(0, 3)
    padding = tuple((draw(side), draw(side)) for _ in range(axes))
    window = Window(kernel, stride, padding, dilation)
    sizes = tuple(
        max(draw(st.integers(1, 6)), window.extent(axis) - sum(padding[axis]))
        for axis in range(axes)
    )
    return window, sizes


@given(windows(), st.booleans(), st.booleans())
def test_each_product_is_made_once(problem, undilated, last_axis_only):
    window, sizes = problem
    phases = phases_of(window, sizes, undilated, last_axis_only)
    for phase in phases:
        free = phase.window.stride if not last_axis_only else phase.window.stride[-1:]
        assert set(free) == {1}
        if undilated:
            free = phase.window.dilation if not last_axis_only else phase.window.dilation[-1:]
            assert set(free) == {1}
    inputs = check_products(window, sizes, phases)
    if not last_axis_only:
        assert len(inputs) == len(set(inputs))


@given(windows(), st.integers(1, 4))
def test_slabs_make_each_product_once(problem, most):
    window, sizes = problem
    window = window._replace(dilation=(1,) * len(sizes))
    slabs = slabs_of(window, most)
    assert max(slab.window.kernel[0] for slab in slabs) <= most
    assert len(slabs) == -(-window.kernel[0] // most)
    check_products(window, sizes, slabs)


def check_products(window, sizes, phases):
    """Expect the phases to make each product once, and return the inputs that they have."""
    made, inputs = [], []
    for phase in phases:
        places = [
            [np.arange(n)[part] for n, part in zip(whole, parts, strict=True)]
            for whole, parts in (
                (window.out_size(sizes), phase.outputs),
                (window.kernel, phase.taps),
                (sizes, phase.inputs),
            )
        ]
        outs, _, here = ([len(axis) for axis in place] for place in places)
        if all(here):
            assert phase.window.out_size(tuple(here)) == tuple(outs)
        made.extend(
            tuple(
                tuple(int(axis[i]) for axis, i in zip(place, index, strict=True))
                for place, index in zip(places, product, strict=True)
            )
            for product in products(phase.window, here, outs)
        )
        inputs += itertools.product(*places[2])
    assert sorted(made) == sorted(products(window, sizes, window.out_size(sizes)))
    return inputs


SQUARE = (64, 28, 28, 32), (64, 28, 28, 64)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "sums", "count"),
    [
        (5, 2, 1, False, 4),
        (5, 2, 1, True, 4),
        (3, 1, 2, False, 4),
        (3, 1, 2, True, 4),
        (3, 2, 1, False, 1),
        (1, 2, 1, True, 1),
        (3, 1, 1, False, 1),
        (3, 1, 7, False, 1),
        (14, 14, 1, True, 1),
        (7, 1, 1, False, 2),
        (9, 1, 1, True, 3),
        (5, 1, 1, False, 1),
    ],
)
def test_they_are_used_where_they_pay(kernel, stride, dilation, sums, count):
    (N, H, W, C), (*_, out_channels) = SQUARE
    edge = dilation * (kernel // 2)
    window = Window((kernel,) * 2, (stride,) * 2, ((edge, edge),) * 2, (dilation,) * 2)
    out_shape = N, *window.out_size((H, W)), out_channels
    geometry = Geometry((N, H, W, C), True, np.dtype(np.float32), out_shape, window)
    assert len(quicker_phases(geometry, sums)) == count
