from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.kernels.pool import calls as pools
from tests.layouts import channels_last, channels_outermost, every_other
from tests.threads import num_threads


@pytest.fixture(params=[1, 3])
def threads(request):
    with num_threads(request.param):
        yield request.param


def count_windows(size, k, s, p, d, ceil_mode):
    """Put windows down one by one, by the words of the rule."""
    count = start = 0
    start = -p
    while True:
        fits = start + d * (k - 1) < size + p
        hangs_over = ceil_mode and start < size and count > 0
        if not (fits or hangs_over):
            return count
        if hangs_over and not fits and start - s + d * (k - 1) >= size + p - 1:
            return count  # the window before ended exactly at the edge or beyond
        count, start = count + 1, start + s


def windows_of(shape, kernel, stride, padding, dilation=(1, 1), ceil_mode=False):
    (KH, KW), (SH, SW), (PH, PW), (DH, DW) = kernel, stride, padding, dilation
    N, C, H, W = shape
    OH = count_windows(H, KH, SH, PH, DH, ceil_mode)
    OW = count_windows(W, KW, SW, PW, DW, ceil_mode)
    for n, c, p, q in product(range(N), range(C), range(OH), range(OW)):
        places = []
        for i, j in product(range(KH), range(KW)):
            h, w = p * SH - PH + i * DH, q * SW - PW + j * DW
            if 0 <= h < H and 0 <= w < W:
                places.append((i * KW + j, h, w))
        yield (n, c, p, q), places, (OH, OW)


def max_pool_by_loops(x, *geometry):
    out = argmax = flat = None
    for place, candidates, size in windows_of(x.shape, *geometry):
        if out is None:
            out = np.empty((*x.shape[:2], *size), x.dtype)
            argmax, flat = np.empty(out.shape, int), np.empty(out.shape, int)
        n, c = place[:2]
        best = None
        for number, h, w in candidates:
            v = x[n, c, h, w]
            if best is None or ((v > best[0] or np.isnan(v)) and not np.isnan(best[0])):
                best = (v, number, h * x.shape[3] + w)
        out[place], argmax[place], flat[place] = best
    return out, argmax, flat


def avg_pool_by_loops(x, kernel, stride, padding, ceil_mode, include_pad):
    out = None
    H, W = x.shape[2:]
    for place, inside, size in windows_of(x.shape, kernel, stride, padding, (1, 1), ceil_mode):
        out = np.empty((*x.shape[:2], *size)) if out is None else out
        n, c, p, q = place
        total = sum(float(x[n, c, h, w]) for _, h, w in inside)
        area = 0
        for i, j in product(range(kernel[0]), range(kernel[1])):
            h, w = p * stride[0] - padding[0] + i, q * stride[1] - padding[1] + j
            area += h < H + padding[0] and w < W + padding[1]
        out[place] = total / (area if include_pad else len(inside))
    return out


def is_channels_last(x):
    return x.transpose(0, 2, 3, 1).flags.c_contiguous


@st.composite
def geometries(draw):
    axes = []
    for _ in range(2):
        k, d, s = draw(st.integers(1, 4)), draw(st.integers(1, 2)), draw(st.integers(1, 4))
        p = draw(st.integers(0, k // 2))
        least = max(1, d * (k - 1) + 1 - 2 * p)
        axes.append((draw(st.integers(least, least + 6)), k, s, p, d))
    size, *rest = zip(*axes, strict=True)
    return size, *rest, draw(st.booleans())


LAYOUTS = st.sampled_from([np.asarray, channels_last, channels_outermost, every_other])


@given(
    geometries(),
    st.sampled_from([1, 3, 8]),
    LAYOUTS,
    LAYOUTS,
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 2**32),
)
def test_max_pool_and_its_maps_agree_with_loops(geometry, channels, layout, other, dtype, seed):
    size, kernel, stride, padding, dilation, ceil_mode = geometry
    rng = np.random.default_rng(seed)
    # Few distinct values, −∞ and NaN among them: ties everywhere.
    values = np.array([0, 0, 0, -1, 2, -np.inf, np.inf, np.nan], dtype)
    x = layout(rng.choice(values, (2, channels, *size)))
    if rng.random() < 0.5:
        x = np.nan_to_num(x, nan=0.0)
    x.flags.writeable = False
    args = (kernel, stride, padding, dilation)
    assume(all(inside for _, inside, _ in windows_of(x.shape, *args, ceil_mode)))
    want, want_argmax, want_flat = max_pool_by_loops(x, *args, ceil_mode)

    out, argmax = pools.max_pool2d(x, *args, ceil_mode)

    assert out.dtype == dtype
    assert argmax.dtype == np.uint8
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(argmax, want_argmax)
    np.testing.assert_array_equal(pools.max_pool2d_values(x, *args, ceil_mode), want)
    np.testing.assert_array_equal(pools.flat_indices(argmax, x.shape, *args), want_flat)
    np.testing.assert_array_equal(pools.take_argmax(x, argmax, *args), want)
    g = rng.standard_normal(out.shape).astype(dtype)
    gx = np.zeros((2, channels, size[0] * size[1]))
    for n, c in product(range(2), range(channels)):
        np.add.at(gx[n, c], want_flat[n, c].ravel(), g[n, c].ravel().astype(float))
    got = pools.put_argmax(other(g), argmax, x.shape, *args)
    np.testing.assert_allclose(got, gx.reshape(x.shape), rtol=1e-6, atol=1e-6)
    assert got.dtype == dtype
    assert is_channels_last(out)
    assert is_channels_last(argmax)
    assert is_channels_last(got)


@given(geometries(), LAYOUTS, st.booleans(), st.integers(0, 2**32))
def test_avg_pool_agrees_with_loops_and_its_gradient_is_the_transpose(
    geometry, layout, include_pad, seed
):
    size, kernel, stride, padding, _, ceil_mode = geometry
    rng = np.random.default_rng(seed)
    x = layout(rng.standard_normal((2, 3, *size)))
    x.flags.writeable = False
    args = (kernel, stride, padding, ceil_mode, include_pad)
    if any(n + 2 * p < k for n, k, p in zip(size, kernel, padding, strict=True)):
        return
    out = pools.avg_pool2d(x, *args)
    np.testing.assert_allclose(out, avg_pool_by_loops(x, *args), rtol=1e-12, atol=1e-12)
    g = rng.standard_normal(out.shape)
    gx = pools.avg_pool2d_gradient(layout(g), x.shape, *args)
    assert is_channels_last(out)
    assert is_channels_last(gx)
    np.testing.assert_allclose(np.vdot(g, out), np.vdot(gx, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation", "ceil_mode", "expected"),
    [
        (5, 2, 2, 0, 1, False, 2),
        (5, 2, 2, 0, 1, True, 3),
        (4, 3, 2, 1, 1, True, 3),
        (3, 2, 2, 1, 1, True, 2),  # a third window would start in the right padding
        (28, 2, 2, 0, 1, True, 14),
        (7, 3, 1, 0, 3, False, 1),
        (1, 1, 5, 0, 1, True, 1),
    ],
)
def test_output_size_is_pytorchs(size, kernel, stride, padding, dilation, ceil_mode, expected):
    got = pools.pool_output_size(size, kernel, stride, padding, dilation, ceil_mode)
    assert got == expected
    assert count_windows(size, kernel, stride, padding, dilation, ceil_mode) == expected


@pytest.mark.parametrize("hw", [(5, 7), (6, 6), (1, 1), (9, 2)])
@pytest.mark.parametrize("target", [(1, 1), (2, 3), (3, 3), (7, 8)])
def test_adaptive_average_agrees_with_its_definition(hw, target):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, *hw))
    want = np.empty((3, 4, *target))
    for i, j in product(range(target[0]), range(target[1])):
        rows = slice(
            int(np.floor(i * hw[0] / target[0])), int(np.ceil((i + 1) * hw[0] / target[0]))
        )
        cols = slice(
            int(np.floor(j * hw[1] / target[1])), int(np.ceil((j + 1) * hw[1] / target[1]))
        )
        want[:, :, i, j] = x[:, :, rows, cols].mean(axis=(2, 3))
    out = pools.adaptive_avg_pool2d(x, target)
    np.testing.assert_allclose(out, want, rtol=1e-13, atol=1e-13)
    g = rng.standard_normal(out.shape)
    gx = pools.adaptive_avg_pool2d_gradient(g, x.shape)
    np.testing.assert_allclose(np.vdot(g, out), np.vdot(gx, x), rtol=1e-12)
    assert is_channels_last(out)
    assert is_channels_last(gx)


def test_a_dilated_window_around_the_whole_input_has_no_maximum():
    x = np.ones((1, 1, 1, 1))
    out, argmax = pools.max_pool2d(x, (1, 2), (1, 1), (0, 1), (1, 2))
    np.testing.assert_array_equal(out, [[[[-np.inf]]]])
    np.testing.assert_array_equal(argmax, [[[[0]]]])
    gx = pools.put_argmax(np.ones_like(out), argmax, x.shape, (1, 2), (1, 1), (0, 1), (1, 2))
    np.testing.assert_array_equal(gx, [[[[0]]]])


def test_an_infinite_gradient_stays_at_its_place():
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    _, argmax = pools.max_pool2d(x, (2, 2), (2, 2))
    g = np.full((1, 1, 1, 1), np.inf, np.float32)
    gx = pools.put_argmax(g, argmax, x.shape, (2, 2), (2, 2))
    np.testing.assert_array_equal(gx, [[[[0, 0], [0, np.inf]]]])


def test_a_window_of_more_than_256_elements_has_wider_numbers():
    x = np.random.default_rng(0).standard_normal((2, 1, 20, 20))
    out, argmax = pools.max_pool2d(x, (20, 20), (20, 20))
    assert argmax.dtype == np.uint16
    np.testing.assert_array_equal(argmax.ravel(), x.reshape(2, -1).argmax(axis=1))
    np.testing.assert_array_equal(out.ravel(), x.reshape(2, -1).max(axis=1))


def test_an_average_of_infinities_raises_no_warning():
    x = np.array([[[[np.inf, -np.inf], [1, np.nan]]]], np.float32)
    assert np.isnan(pools.avg_pool2d(x, (2, 2), (2, 2))).all()


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("layout", [channels_last, np.asarray])
def test_large_batches_over_threads(layout):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 4, (67, 8, 29, 31)).astype(np.float32)
    x = layout(x)
    before = x.copy()
    args = ((2, 2), (2, 2))
    blocks = x[:, :, :28, :30].reshape(67, 8, 14, 2, 15, 2).transpose(0, 1, 2, 4, 3, 5)
    blocks = blocks.reshape(67, 8, 14, 15, 4)
    out, argmax = pools.max_pool2d(x, *args)
    np.testing.assert_array_equal(argmax, blocks.argmax(axis=-1))
    np.testing.assert_array_equal(out, blocks.max(axis=-1))
    np.testing.assert_array_equal(pools.max_pool2d_values(x, *args), out)
    g = rng.standard_normal(out.shape).astype(np.float32)
    gx = pools.put_argmax(g, argmax, x.shape, *args)
    np.testing.assert_array_equal(gx, pools.put_argmax(g, argmax, x.shape, *args))
    np.testing.assert_array_equal(gx[:, :, 28:], 0)
    np.testing.assert_array_equal(gx[..., 30:], 0)
    np.testing.assert_array_equal(pools.take_argmax(gx, argmax, *args), g)
    np.testing.assert_array_equal(np.count_nonzero(gx), g.size)
    np.testing.assert_array_equal(x, before)
    average = pools.avg_pool2d(x, *args)
    np.testing.assert_allclose(average, blocks.mean(axis=-1), rtol=1e-6)
    spread = pools.avg_pool2d_gradient(g, x.shape, *args)
    np.testing.assert_array_equal(spread[:, :, 1:28:2, 1:30:2], g / 4)


def test_an_empty_batch():
    x = np.zeros((0, 3, 4, 4), np.float32)
    out, argmax = pools.max_pool2d(x, (2, 2), (2, 2))
    assert out.shape == argmax.shape == (0, 3, 2, 2)
    assert pools.max_pool2d_values(x, (2, 2), (2, 2)).shape == out.shape
    assert pools.put_argmax(out, argmax, x.shape, (2, 2), (2, 2)).shape == x.shape
    assert pools.take_argmax(x, argmax, (2, 2), (2, 2)).shape == out.shape
    assert pools.avg_pool2d(x, (2, 2), (2, 2)).shape == out.shape
    assert pools.avg_pool2d_gradient(out, x.shape, (2, 2), (2, 2)).shape == x.shape
    assert pools.adaptive_avg_pool2d(x, (1, 1)).shape == (0, 3, 1, 1)
