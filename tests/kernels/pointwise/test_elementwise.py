import numpy as np
import pytest

from tests.kernels.pointwise.samples import LARGE, LAYOUTS, sample
from tests.threads import num_threads
from tinygrad_cnn.kernels.pointwise import elementwise as ew
from tinygrad_cnn.ops.elementwise import Add, Div, Mul, Sub


@pytest.fixture(autouse=True, params=[1, 3])
def threads(request):
    with num_threads(request.param):
        yield request.param


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("other", LAYOUTS)
def test_apply_is_the_ufunc(layout, other):
    x, y = sample(LARGE, layout), sample(LARGE, other, seed=1)
    channel = sample((1, 16, 1, 1), "contiguous")
    for ufunc, arrays in (
        (np.add, (x, y)),
        (np.multiply, (x, 3)),
        (np.subtract, (2.5, x)),
        (np.exp, (x,)),
        (np.greater, (x, y)),
        (np.multiply, (x, channel)),
        (np.add, (channel, y)),
        (np.maximum, (x, np.float32(0.5))),
        (np.add, (x, np.array(1.0))),
        (np.multiply, (np.ones((16, 1, 19), np.float64), x)),
    ):
        want, got = ufunc(*arrays), ew.apply(ufunc, *arrays)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
    if layout == other and layout in ("contiguous", "channels last"):
        assert ew.apply(np.add, x, y).strides == np.add(x, y).strides


def test_apply_writes_where_it_is_told():
    x = sample(LARGE, "channels last")
    out = np.empty_like(x)
    assert ew.apply(np.multiply, x, 2, out=out) is out
    np.testing.assert_array_equal(out, x * 2)
    assert ew.apply(np.add, out, x, out=out) is out
    np.testing.assert_array_equal(out, x * 2 + x)
    other_order = np.empty(LARGE, np.float32)
    ew.apply(np.negative, x, out=other_order)
    np.testing.assert_array_equal(other_order, -x)


def test_apply_reads_before_it_overwrites():
    line = np.arange(ew.PARALLEL_SIZE + 5, dtype=np.float64)
    ew.apply(np.add, line[:-1], 1, out=line[1:])
    np.testing.assert_array_equal(line, np.arange(line.size))
    ew.apply(np.negative, line, out=line[::-1])
    np.testing.assert_array_equal(line, -np.arange(line.size)[::-1])


def test_apply_leaves_outer_products_and_small_arrays_to_the_ufunc():
    column = np.ones((3, 1)), np.arange(2.0)
    np.testing.assert_array_equal(ew.apply(np.add, *column), [[1, 2]] * 3)
    outer = ew.apply(np.add, np.zeros((ew.PARALLEL_SIZE, 1)), np.arange(2.0))
    assert outer.shape == (ew.PARALLEL_SIZE, 2)
    assert ew.apply(np.add, 1, 2) == 3


def test_apply_obeys_the_callers_error_settings_in_every_thread():
    x = np.zeros(ew.PARALLEL_SIZE, np.float32)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(ew.apply(np.log, x), -np.inf)
    x[:-1] = 1
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        ew.apply(np.log, x)


CHANNELS_LAST = (0, 3, 1, 2)


@pytest.mark.parametrize("length", [1, 3, 64])
@pytest.mark.parametrize(
    "key",
    [
        (slice(None), slice(2, 6)),
        (slice(None), slice(None), slice(None, None, 2), slice(1, None, 3)),
        (slice(None), 3),
        (slice(None), Ellipsis, slice(4, None)),
        (slice(None, None, -1),),
        (Ellipsis, 0),
        (slice(1, None),),
        (0,),
        (),
    ],
)
def test_embed_is_zeros_and_an_assignment(length, key):
    shape = length, 8, 40, 51
    expected = np.full(shape, 7.0, np.float32)
    inner = np.random.default_rng(0).random(expected[key].shape, dtype=np.float32)
    expected[key] = inner
    assert np.array_equal(ew.embed(inner, shape, key, 7.0), expected)
    if inner.ndim == 4 and inner.size:  # in the memory order of what is embedded
        inner = np.ascontiguousarray(inner.transpose(0, 2, 3, 1)).transpose(CHANNELS_LAST)
        out = ew.embed(inner, shape, key, 7.0)
        assert np.array_equal(out, expected)
        assert out.transpose(0, 2, 3, 1).flags.c_contiguous


NUMBERS = [0.0, -0.0, 1.5, -1.5, 0.1, 1e-50, -1e-50, 1e-40, np.pi, np.nan, np.inf, -np.inf, 1e300]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8])
@pytest.mark.parametrize("op", ["add", "subtract", "multiply", "true_divide"])
def test_operations_with_a_number_are_numpys(op, dtype):
    rule = {"add": Add(), "subtract": Sub(), "multiply": Mul(), "true_divide": Div()}[op]
    x = np.array([0, 1, 3, 100], dtype)
    if x.dtype.kind == "f":
        x = np.concatenate([x, -x, np.array([np.inf, np.nan], dtype)])
    with np.errstate(all="ignore"):
        for number in [*NUMBERS, *reversed(NUMBERS)]:  # twice: from memory, too
            for a in (x, x[1]):
                expected = getattr(np, op)(a, number)
                got = rule.forward(np.asarray(a), number)
                assert got.dtype == expected.dtype
                np.testing.assert_array_equal(got, expected)
                np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


def test_a_number_that_does_not_fit_is_warned_of_each_time():
    x = np.ones(3, np.float32)
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="overflow"):
            Mul().forward(x, 1e300)


def test_a_remembered_number_cannot_be_written_to():
    array = ew.constant(2.5, np.dtype(np.float32))
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 3
    assert ew.constant(2.5, np.dtype(np.float32)) is array
