"""Copies to another memory order, against NumPy's plain assignment, number by number."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from tests.kernels.conv import calls as conv
from tinygrad_cnn.kernels.conv.tiles import Geometry
from tinygrad_cnn.kernels.conv.windows import WindowMatrix, as_blocks
from tinygrad_cnn.kernels.runtime import copies
from tinygrad_cnn.kernels.runtime.window import Window


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers of all kinds: an infinity, a negative zero, and a NaN with a payload among them."""
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    x.reshape(-1)[:3] = np.inf, -0.0, np.nan
    x.reshape(-1).view(f"u{x.itemsize}")[2] |= 5
    return x


def bits(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).view(f"u{x.itemsize}")


SOURCES = {
    "itself": lambda x: x,
    "every other row": lambda x: x[:, ::2],
    "every other pixel": lambda x: x[:, :, ::2],
    "mirrored": lambda x: x[:, ::-1, ::-1],
    "some channels": lambda x: x[..., 1:],
    "every other channel": lambda x: x[..., ::2],
    "channels backwards": lambda x: x[..., ::-1],
    "channels before": lambda x: x.transpose(0, 3, 1, 2).copy().transpose(0, 2, 3, 1),
    "by place": lambda x: x.reshape(8, 10, 2, 10, 2, -1).transpose(2, 4, 0, 1, 3, 5),
    "pairs of pixels, backwards": lambda x: x.reshape(8, 20, 10, 2, -1)[:, :, ::-1],
    "one pixel again and again": lambda x: np.broadcast_to(x[:1, :1, :1], x.shape),
    "windows that overlap": lambda x: as_strided(
        x, (8, 18, 18, 3, 3 * x.shape[3]), (*x.strides[:3], x.strides[1], x.itemsize)
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [2, 3, 4, 16])
@pytest.mark.parametrize("name", SOURCES)
def test_every_bit_arrives(name, channels, dtype):
    source = SOURCES[name](numbers((8, 20, 20, channels), dtype))
    # Between guards: a block that were too long would write over them.
    room = np.full((*source.shape[:-1], source.shape[-1] + 2), 7, dtype)
    whole = np.full(source.shape, 7, dtype)
    for target in (room[..., 1:-1], whole):
        copies.copy_into(target, source)
        np.testing.assert_array_equal(bits(target), bits(source))
    np.testing.assert_array_equal(room[..., [0, -1]], 7)


@pytest.mark.parametrize("name", ["every other pixel", "by place", "windows that overlap"])
def test_what_lies_together_is_copied_as_one(name):
    source = SOURCES[name](numbers((8, 20, 20, 4), "float32"))
    target = np.empty(source.shape, source.dtype)
    to, blocks = copies._as_blocks(target, source)
    assert to.shape == blocks.shape == source.shape[:-1]
    assert to.dtype == blocks.dtype == np.dtype((np.void, source.shape[-1] * 4))
    assert np.shares_memory(to, target)
    assert np.shares_memory(blocks, source)


def test_a_copy_that_is_one_piece_is_left_to_numpy():
    source = numbers((8, 20, 20, 4), "float32")
    assert copies._as_blocks(source.copy(), source)[1] is source


@pytest.mark.parametrize(
    ("stride", "dilation", "channels", "values"),
    [
        (1, 1, 3, 9),  # a row of a window
        (2, 1, 3, 9),
        (1, 2, 3, 3),  # a pixel
    ],
)
def test_rows_of_windows_are_gathered_as_one(stride, dilation, channels, values):
    size = (20 - 2 * dilation - 1) // stride + 1
    window = Window((3, 3), (stride, stride), ((0, 0), (0, 0)), (dilation, dilation))
    shapes = (2, 20, 20, channels), True, np.dtype(np.float32), (2, size, size, 5)
    geometry = Geometry(*shapes, window)
    matrix = WindowMatrix(geometry, False)
    shape, strides = matrix.view(2, size, matrix.tiling.strides)
    blocks, _, dtype = as_blocks(shape, strides, 4)
    assert dtype.itemsize == 4 * values
    assert np.prod(blocks) * values == np.prod(shape)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 16, 64, 64), (3, 7, 32, 48), (1, 16, 16, 128), (16, 64, 32)])
def test_planes_a_multiple_of_a_page_apart(shape, dtype):
    """They go through a buffer; where the target's pixels do not lie together, they do not."""
    source = np.moveaxis(numbers(shape, dtype), -3, -1)
    room = np.full((*source.shape[:-1], source.shape[-1] + 2), 7, dtype)
    for target in (room[..., 1:-1], np.full(source.shape, 7, dtype)):
        copies.copy_into(target, source)
        np.testing.assert_array_equal(bits(target), bits(source))
    np.testing.assert_array_equal(room[..., [0, -1]], 7)
    some = np.full((*source.shape[:-3], *source[..., ::2, :, :].shape[-3:]), 7, dtype)
    copies.copy_into(some, source[..., ::2, :, :])
    np.testing.assert_array_equal(bits(some), bits(source[..., ::2, :, :]))


def test_objects_are_copied_one_by_one():
    source = np.array([[object()] * 4] * 4000, object)[::2]
    target = np.empty(source.shape, object)
    copies.copy_into(target, source)
    assert all(a is b for a, b in zip(target.flat, source.flat, strict=True))


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, ">f4"])
def test_windows_of_any_floating_point_numbers(dtype):
    x = np.random.default_rng(0).integers(-3, 4, (8, 1, 14, 14)).astype(dtype)
    w = np.random.default_rng(1).integers(-3, 4, (4, 1, 3, 3)).astype(dtype)
    settings = (2, 2), ((1, 1), (1, 1)), (1, 1), 1
    out = conv.conv2d(x, w, None, *settings)
    expected = conv.conv2d(x.astype(float), w.astype(float), None, *settings)
    np.testing.assert_array_equal(out, expected)
