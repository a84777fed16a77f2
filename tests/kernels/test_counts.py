"""What kernels allocate and how often they call BLAS: counts that do not depend on the machine."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.kernels.conv import calls as conv
from tests.threads import num_threads
from tinygrad_cnn import models, tensor
from tinygrad_cnn.kernels.conv import convolution, windows
from tinygrad_cnn.kernels.norm import batch_norm as norm
from tinygrad_cnn.kernels.pointwise import activation, elementwise
from tinygrad_cnn.kernels.pool import max_pool
from tinygrad_cnn.kernels.pool import windows as pool
from tinygrad_cnn.kernels.reduce import moments
from tinygrad_cnn.kernels.runtime import plans, tuning
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.ops.conv import arguments as conv_ops

ONE, NO_PADDING = (1, 1), ((0, 0), (0, 0))
SMALL_CHANGE = 200_000  # bytes: buffers of interpreter and NumPy, tables of a geometry


@pytest.fixture(autouse=True)
def one_thread():
    with num_threads(1):
        yield


def images(*shape: int) -> np.ndarray:
    """Channels-last images (N, C, H, W)."""
    N, C, H, W = shape
    x = np.random.default_rng(0).standard_normal((N, H, W, C), dtype=np.float32)
    return x.transpose(0, 3, 1, 2)


def peak_and_held(run: Callable[[], object]) -> tuple[int, int]:
    """Return how many bytes a call allocates at most, and how many its result holds."""
    run()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = run()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result is not None
    return peak - before, held - before


X = images(64, 32, 26, 26)
W = np.ones((64, 32, 3, 3), np.float32)
G = images(64, 64, 24, 24)

CONVOLUTIONS = {
    "conv2d": (lambda: conv.conv2d(X, W, None, ONE, NO_PADDING, ONE, 1), G.nbytes),
    "input gradient": (
        lambda: conv.conv2d_input_gradient(G, W, X.shape, ONE, NO_PADDING, ONE, 1),
        X.nbytes,
    ),
    "weight gradient": (
        lambda: conv.conv2d_weight_gradient(X, G, W.shape, ONE, NO_PADDING, ONE, 1),
        W.nbytes,
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_allocates_its_result_and_a_tile(name):
    run, result = CONVOLUTIONS[name]
    peak, held = peak_and_held(run)
    columns = G.nbytes // 64 * 32 * 9
    assert held <= result + SMALL_CHANGE
    # the weight gradient adds up a matrix for each cut of a tile
    assert peak - result <= 3 * tuning.TILE_BYTES + SMALL_CHANGE < columns // 5


ELEMENTWISE = {
    "relu": (lambda: activation.relu(G), 0),
    "relu gradient": (lambda: activation.relu_gradient(G, G), 1 << 20),  # a block's mask
    "sigmoid": (lambda: activation.sigmoid(G), 0),
    "sigmoid gradient": (lambda: activation.sigmoid_gradient(G, G), 0),
    "tanh gradient": (lambda: activation.tanh_gradient(G, G), 0),
    "silu gradient": (lambda: activation.silu_gradient(G, G), 3 << 18),
    "gelu gradient": (lambda: activation.gelu_gradient(G, G), 6 << 18),
    "addition": (lambda: elementwise.apply(np.add, G, G), 0),
    "scatter": (
        lambda: max_pool.put_argmax(G[:, :, ::2, ::2], TAPS, G.shape, BLOCKS),
        (1 << 23) // 3,  # masks and gradient of a block, which may be a third larger than told
    ),
}
BLOCKS = Window((2, 2), (2, 2), NO_PADDING, ONE)
TAPS = images(64, 64, 12, 12).astype(np.uint8) & 3


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_kernels_allocate_their_result_and_no_more_than_a_block(name):
    run, block = ELEMENTWISE[name]
    peak, _ = peak_and_held(run)
    assert peak <= G.nbytes + block + SMALL_CHANGE


def test_pooling_keeps_one_byte_an_index():
    _, held = peak_and_held(lambda: max_pool.max_pool(G, BLOCKS))
    assert held <= G.nbytes // 4 + G.size // 4 + SMALL_CHANGE


def test_batch_norm_allocates_its_result_and_blocks():
    mean, var = moments.batch_statistics(G)
    peak, _ = peak_and_held(lambda: moments.batch_statistics(G))
    assert peak <= SMALL_CHANGE
    peak, _ = peak_and_held(lambda: norm.normalize(G, norm.Factors(mean, var, mean, var)))
    assert peak <= G.nbytes + SMALL_CHANGE
    peak, _ = peak_and_held(lambda: norm.batch_norm_gradient(G, G, norm.Factors(mean, var, mean)))
    assert peak <= G.nbytes + SMALL_CHANGE


@pytest.fixture
def products(monkeypatch):
    """Count the products that are asked for, a stack of them as one."""
    plans.clear()  # calls that were listed before are not counted
    calls = []

    def counting(product):
        def counted(*arguments, **options):
            calls.append(arguments[0].shape)
            return product(*arguments, **options)

        return counted

    for name in ("dot", "matmul"):
        monkeypatch.setattr(np, name, counting(getattr(np, name)))
    yield calls
    plans.clear()


def tiles_for(images, most):
    """Equal tiles of `most` images, or of a third more where that saves one."""
    tiles = next(n for n in range(1, images + 1) if images / n <= most * (1 + 1 / (3 * n)))
    return math.ceil(images / math.ceil(images / tiles))


def test_a_convolution_asks_blas_once_a_tile(products):
    small = images(1, 1, 28, 28)
    w = np.ones((8, 1, 3, 3), np.float32)
    y = conv.conv2d(small, w, None, ONE, NO_PADDING, ONE, 1)
    assert len(products) == 1
    conv.conv2d_weight_gradient(small, y, w.shape, ONE, NO_PADDING, ONE, 1)
    assert len(products) == 2
    conv.conv2d_input_gradient(y, w, small.shape, ONE, NO_PADDING, ONE, 1)
    assert len(products) == 3
    products.clear()
    large = images(64, 32, 52, 52)
    conv.conv2d(large, W, None, (2, 2), NO_PADDING, ONE, 1)
    tile_values = 2 * tuning.TILE_BYTES // 4
    tiles = tiles_for(64, tile_values / (25 * 25 * (9 * 32 + 64)))
    assert len(products) == tiles > 1


def test_minimal_filtering_asks_blas_three_times_a_tile_and_for_the_weights(products):
    conv.conv2d(X, W, None, ONE, NO_PADDING, ONE, 1)
    # Six rows of 26 positions, inputs and products, stand for four rows of outputs.
    tile_values = tuning.WINOGRAD_TILE_BYTES // 4
    tiles = tiles_for(64, tile_values // (6 * 26 * (32 + 64)) / 6)
    assert len(products) == 1 + 3 * tiles > 4
    products.clear()
    conv.conv2d_weight_gradient(X, G, W.shape, ONE, NO_PADDING, ONE, 1)
    assert len(products) == 3 * tiles + 1


def test_a_linear_layer_takes_one_product_and_two_for_its_gradients(products):
    x = tensor(np.ones((32, 100), np.float32), requires_grad=True)
    w = tensor(np.ones((10, 100), np.float32), requires_grad=True)
    y = F.linear(x, w)
    assert len(products) == 1
    y.sum().backward()
    assert len(products) == 3


def test_a_geometry_is_worked_out_once():
    x, w = tensor(images(2, 3, 17, 19)), tensor(np.ones((4, 3, 3, 3), np.float32))

    def run() -> None:
        F.max_pool2d(F.conv2d(x, w, padding=1), 2)

    run()
    caches = (
        conv_ops.checked_conv,
        pool.covering,
        pool.covering_outputs,
        windows.quickest_matrix,
        convolution._plan,
    )
    before = [cache.cache_info().misses for cache in caches]
    run()
    assert [cache.cache_info().misses for cache in caches] == before


def test_settings_of_another_type_are_not_taken_for_a_known_geometry():
    x, w = np.ones((1, 2, 4, 4)), np.ones((2, 2, 3, 3))
    F.conv2d(x, w, stride=(1, 1), groups=1)
    for wrong in ({"groups": 1.0}, {"stride": (1.0, 1)}, {"padding": 0.0}, {"dilation": 1.0}):
        with pytest.raises(ValueError, match="conv2d: "):
            F.conv2d(x, w, **wrong)


def test_a_forward_pass_keeps_what_the_rules_read_and_no_more():
    N = 64
    model, x = models.MnistExample(), tensor(images(N, 1, 28, 28))
    y = np.zeros(N, np.int64)
    _, held = peak_and_held(lambda: F.cross_entropy(model(x), y))
    # results of both ReLUs, the second of pooled images, those laid out flat, a hidden layer, and
    # the probabilities; what a ReLU or the pool read is gone
    floats = 26 * 26 * 32 + 2 * 12 * 12 * 64 + 128 + 3 * 10
    kept = N * (4 * floats + 12 * 12 * 64)  # the pool's indices take a byte each
    assert kept - SMALL_CHANGE < held < kept + SMALL_CHANGE
