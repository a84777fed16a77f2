"""The oracles themselves, checked by central differences, closed forms, SciPy and each other."""

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import log_softmax

from tests.oracles import loops, networks, notebook
from tests.oracles.loops import Array

STEP = 1e-5


def central_differences(function: Callable[[Array], float], x: Array) -> Array:
    """∂f/∂x, one element at a time: (f(x + h) − f(x − h)) / 2h."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        shift = np.zeros(x.shape)
        shift[index] = STEP
        gradient[index] = (function(x + shift) - function(x - shift)) / (2 * STEP)
    return gradient


def correlate(x: Array, kernel: Array) -> Array:
    """SciPy's correlation of two matrices, where the kernel lies within: (OH, OW)."""
    KH, KW = kernel.shape
    OH, OW = x.shape[0] - KH + 1, x.shape[1] - KW + 1
    whole = ndimage.correlate(x, kernel, mode="constant")  # as large as x, about the middle
    return whole[KH // 2 : KH // 2 + OH, KW // 2 : KW // 2 + OW]


def assert_gradient(computed: Array, function: Callable[[Array], float], x: Array) -> None:
    np.testing.assert_allclose(computed, central_differences(function, x), rtol=1e-7, atol=1e-8)


def without_ties(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Values at least 0.1 apart and at least 0.05 away from 0, in random order."""
    size = int(np.prod(shape))
    return (rng.permutation(size) - size // 2 + 0.5).reshape(shape) * 0.1


def batch(name: str, rng: np.random.Generator, count: int) -> tuple[Array, np.ndarray]:
    """Random images shaped like the network's digits, with targets of its kind."""
    size = networks.IMAGE_SIZE[name]
    images = rng.random((count, 1, size, size))
    if name == "regression":
        return images, rng.uniform(0, 10, count)
    return images, rng.integers(0, 2 if name == "sigmoid" else 10, count)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


CONVOLUTIONS = pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((3, 3), 1, 1), ((3, 3), 2, 1), ((2, 3), 1, 0), ((4, 4), 1, 1), ((3, 1), 3, 2)],
)


@CONVOLUTIONS
def test_conv2d_forward_is_scipys_correlation(rng, kernel, stride, padding):
    x, weight = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, *kernel))
    bias = rng.standard_normal(4)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    expected = np.array(
        [
            [
                sum(correlate(c, k) for c, k in zip(image, w, strict=True)) + b
                for w, b in zip(weight, bias, strict=True)
            ]
            for image in padded
        ]
    )[:, :, ::stride, ::stride]
    np.testing.assert_allclose(
        loops.conv2d(x, weight, bias, stride, padding), expected, rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(
        loops.conv2d(x, weight, None, stride, padding),
        expected - bias[:, None, None],
        rtol=1e-12,
        atol=1e-12,
    )


@CONVOLUTIONS
def test_conv2d_backward(rng, kernel, stride, padding):
    x, weight = rng.standard_normal((2, 2, 6, 5)), rng.standard_normal((3, 2, *kernel))
    bias = rng.standard_normal(3)
    cotangent = rng.standard_normal(loops.conv2d(x, weight, bias, stride, padding).shape)

    def loss(x: Array, weight: Array, bias: Array) -> float:
        return float((loops.conv2d(x, weight, bias, stride, padding) * cotangent).sum())

    grad_x, grad_weight, grad_bias = loops.conv2d_backward(cotangent, x, weight, stride, padding)
    assert_gradient(grad_x, lambda v: loss(v, weight, bias), x)
    assert_gradient(grad_weight, lambda v: loss(x, v, bias), weight)
    assert_gradient(grad_bias, lambda v: loss(x, weight, v), bias)


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 3, 4, 6), 2), ((1, 2, 5, 3), 2), ((2, 1, 6, 6), 3)]
)
def test_max_pool2d_backward(rng, shape, size):
    x = without_ties(rng, shape)
    cotangent = rng.standard_normal(loops.max_pool2d(x, size).shape)
    assert_gradient(
        loops.max_pool2d_backward(cotangent, x, size),
        lambda v: float((loops.max_pool2d(v, size) * cotangent).sum()),
        x,
    )


def test_max_pool2d_gives_the_gradient_to_the_first_of_tied_maxima():
    x = np.array([[[[1.0, 2.0, 5.0, 5.0], [2.0, 2.0, 5.0, 5.0]]]])
    np.testing.assert_array_equal(loops.max_pool2d(x, 2), [[[[2.0, 5.0]]]])
    np.testing.assert_array_equal(
        loops.max_pool2d_backward(np.array([[[[3.0, 7.0]]]]), x, 2),
        [[[[0.0, 3.0, 7.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]],
    )


def test_relu_backward(rng):
    x = without_ties(rng, (3, 4))
    cotangent = rng.standard_normal(x.shape)
    assert_gradient(
        loops.relu_backward(cotangent, x), lambda v: float((loops.relu(v) * cotangent).sum()), x
    )
    np.testing.assert_array_equal(loops.relu(x), np.maximum(x, 0))
    assert loops.relu_backward(np.ones(1), np.zeros(1)) == 0


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4, 2)])
def test_batch_norm_backward(rng, shape):
    x = rng.standard_normal(shape) * 2 + 1
    gamma, beta = rng.standard_normal(3), rng.standard_normal(3)
    cotangent = rng.standard_normal(shape)

    def loss(x: Array, gamma: Array, beta: Array) -> float:
        return float((loops.batch_norm(x, gamma, beta) * cotangent).sum())

    grad_x, grad_gamma, grad_beta = loops.batch_norm_backward(cotangent, x, gamma)
    assert_gradient(grad_x, lambda v: loss(v, gamma, beta), x)
    assert_gradient(grad_gamma, lambda v: loss(x, v, beta), gamma)
    assert_gradient(grad_beta, lambda v: loss(x, gamma, v), beta)


def test_batch_norm_leaves_each_channel_with_mean_beta_and_deviation_gamma(rng):
    gamma, beta = np.array([0.5, 2.0, 3.0]), np.array([1.0, -1.0, 0.0])
    out = loops.batch_norm(rng.standard_normal((8, 3, 4, 4)) * 7 + 5, gamma, beta, eps=0.0)
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3)), beta, atol=1e-12)
    np.testing.assert_allclose(out.std(axis=(0, 2, 3)), gamma, rtol=1e-12)


def test_batch_norm_adds_eps_to_the_variance():
    out = loops.batch_norm(np.array([[-1.0], [1.0]]), np.ones(1), np.zeros(1), eps=3.0)
    np.testing.assert_array_equal(out, [[-0.5], [0.5]])


def test_linear(rng):
    x, weight, bias = (rng.standard_normal(s) for s in [(3, 4), (2, 4), (2,)])
    cotangent = rng.standard_normal((3, 2))
    np.testing.assert_allclose(loops.linear(x, weight, bias), x @ weight.T + bias, rtol=1e-12)
    np.testing.assert_allclose(loops.linear(x, weight), x @ weight.T, rtol=1e-12)

    def loss(x: Array, weight: Array, bias: Array) -> float:
        return float((loops.linear(x, weight, bias) * cotangent).sum())

    grad_x, grad_weight, grad_bias = loops.linear_backward(cotangent, x, weight)
    assert_gradient(grad_x, lambda v: loss(v, weight, bias), x)
    assert_gradient(grad_weight, lambda v: loss(x, v, bias), weight)
    assert_gradient(grad_bias, lambda v: loss(x, weight, v), bias)


def test_softmax_cross_entropy(rng):
    logits, labels = rng.standard_normal((4, 5)), np.array([0, 3, 3, 4])
    loss, grad = loops.softmax_cross_entropy(logits, labels)
    expected = -log_softmax(logits, axis=1)[np.arange(4), labels].mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    assert_gradient(grad, lambda v: loops.softmax_cross_entropy(v, labels)[0], logits)


def test_softmax_cross_entropy_is_finite_at_large_logits():
    loss, grad = loops.softmax_cross_entropy(np.array([[1e4, -1e4]]), np.array([1]))
    assert loss == 2e4
    np.testing.assert_array_equal(grad, [[1.0, -1.0]])


def test_sigmoid_half_squared_error(rng):
    logits, targets = rng.standard_normal((4, 1)), np.array([0, 1, 1, 0])
    loss, grad = loops.sigmoid_half_squared_error(logits, targets)
    assert_gradient(grad, lambda v: loops.sigmoid_half_squared_error(v, targets)[0], logits)
    sigmoid = 0.5 * (1 + np.tanh(logits[:, 0] / 2))
    np.testing.assert_allclose(loss, 0.5 * ((sigmoid - targets) ** 2).mean(), rtol=1e-12)


def test_mean_squared_error(rng):
    predictions, targets = rng.standard_normal((4, 1)), rng.standard_normal(4)
    loss, grad = loops.mean_squared_error(predictions, targets)
    assert_gradient(grad, lambda v: loops.mean_squared_error(v, targets)[0], predictions)
    np.testing.assert_allclose(loss, ((predictions[:, 0] - targets) ** 2).mean(), rtol=1e-12)


def assert_directional_derivatives(
    rng: np.random.Generator,
    loss: Callable[[networks.Parameters], float],
    params: networks.Parameters,
    grads: networks.Parameters,
) -> None:
    """Compare, parameter by parameter, gradient · direction with a central difference.

    The direction is half random and half the gradient's own, which keeps the derivative large. The
    step is short, since a loss of thousands of ReLUs has a kink near every point.
    """
    assert grads.keys() == params.keys()
    step = 1e-7
    for parameter, gradient in grads.items():
        assert gradient.shape == params[parameter].shape
        length = np.sqrt((gradient**2).sum())
        assert length > 0, parameter
        random = rng.standard_normal(gradient.shape)
        direction = random / np.sqrt((random**2).sum()) + gradient / length
        ahead, behind = (
            loss(params | {parameter: params[parameter] + sign * step * direction})
            for sign in (1, -1)
        )
        np.testing.assert_allclose(
            (gradient * direction).sum() / length,
            (ahead - behind) / (2 * step) / length,
            rtol=1e-5,
            err_msg=parameter,
        )


SLOW = pytest.mark.slow  # loops over the pixels of larger images
NETWORKS = ["regression", "sigmoid"]
NETWORKS += [pytest.param(name, marks=SLOW) for name in ("momentum", "softmax")]


@pytest.mark.parametrize("name", NETWORKS)
def test_network_gradients_along_a_direction_of_each_parameter(rng, name):
    params = networks.initial_parameters(name, rng)
    images, targets = batch(name, rng, 2)
    _, grads = networks.loss_and_gradients(name, params, images, targets)
    assert_directional_derivatives(
        rng, lambda p: networks.loss_and_gradients(name, p, images, targets)[0], params, grads
    )


@pytest.fixture(scope="module")
def batchnorm_case():
    """Parameters away from their initial values, so that no gamma is 1 and no beta 0."""
    rng = np.random.default_rng(7)
    params = networks.initial_parameters("batchnorm", rng)
    params = {k: v + 0.1 * rng.standard_normal(v.shape) for k, v in params.items()}
    return params, *batch("batchnorm", rng, 5)


@pytest.fixture(scope="module")
def batchnorm_by_loops(batchnorm_case):
    return networks.loss_and_gradients("batchnorm", *batchnorm_case)


def test_vectorised_batchnorm_network_equals_the_loops(batchnorm_case, batchnorm_by_loops):
    expected_loss, expected = batchnorm_by_loops
    loss, grads = notebook.loss_and_gradients(*batchnorm_case)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert grads.keys() == expected.keys() == batchnorm_case[0].keys()
    for parameter, value in expected.items():
        np.testing.assert_allclose(
            grads[parameter], value, rtol=1e-10, atol=1e-10, err_msg=parameter
        )


def test_vectorised_batchnorm_network_does_not_depend_on_the_chunks(batchnorm_case, monkeypatch):
    _, whole = notebook.loss_and_gradients(*batchnorm_case)
    monkeypatch.setattr(notebook, "IMAGES_A_CHUNK", 2)
    _, chunked = notebook.loss_and_gradients(*batchnorm_case)
    for parameter, value in whole.items():
        np.testing.assert_allclose(
            chunked[parameter], value, rtol=1e-10, atol=1e-12, err_msg=parameter
        )


def test_batchnorm_loops_along_a_direction_of_each_parameter(
    rng, batchnorm_case, batchnorm_by_loops
):
    """Central differences of the vectorised loss, against the gradients of the loops."""
    params, images, labels = batchnorm_case
    assert_directional_derivatives(
        rng,
        lambda p: notebook.loss_and_accuracy(p, images, labels)[0],
        params,
        batchnorm_by_loops[1],
    )


def test_vectorised_pooling_gives_the_gradient_to_the_first_of_tied_maxima(rng):
    x = rng.integers(0, 3, (2, 6, 4, 3)).astype(float)  # (N, H, W, C): most windows have ties
    pooled = notebook._pool(x)
    g = rng.standard_normal(pooled.shape)
    expected = loops.max_pool2d_backward(g.transpose(0, 3, 1, 2), x.transpose(0, 3, 1, 2), 2)
    np.testing.assert_array_equal(
        notebook._pool_backward(g, x, pooled), expected.transpose(0, 2, 3, 1)
    )


@pytest.mark.parametrize("freeze_first", [True, False])
def test_training_is_gradient_descent_on_the_true_or_the_frozen_gradients(rng, freeze_first):
    params = networks.initial_parameters("batchnorm", rng)
    before = {k: v.copy() for k, v in params.items()}
    train_batch, test_batch = batch("batchnorm", rng, 6), batch("batchnorm", rng, 4)
    records = notebook.train(params, *train_batch, *test_batch, 3, 0.5, freeze_first)
    for parameter, value in before.items():
        np.testing.assert_array_equal(params[parameter], value)
    expected = []
    for _ in range(3):
        loss, accuracy = notebook.loss_and_accuracy(params, *train_batch)
        expected.append((loss, accuracy, *notebook.loss_and_accuracy(params, *test_batch)))
        _, grads = notebook.loss_and_gradients(params, *train_batch)
        for parameter, grad in grads.items():
            if not (freeze_first and parameter in notebook.FIRST_STAGE):
                params[parameter] = params[parameter] - 0.5 * grad
    np.testing.assert_allclose(records, expected, rtol=1e-9)
    assert records[-1].train_loss < records[0].train_loss


@pytest.mark.parametrize("name", list(networks.LOSS_AND_GRADIENTS))
def test_initial_parameters(rng, name):
    params = networks.initial_parameters(name, rng)
    constants = {
        "batchnorm": {f"bn{i}.weight": 1.0 for i in (1, 2, 3)}
        | {f"bn{i}.bias": 0.0 for i in (1, 2, 3)}
        | {"linear2.bias": 0.0},
        "regression": {"linear1.bias": 0.0, "linear2.bias": 0.0},
        "softmax": {"linear.bias": 0.0},
    }.get(name, {})
    for parameter, value in params.items():
        if parameter in constants:
            assert (value == constants[parameter]).all(), parameter
        else:
            assert np.unique(value).size == value.size, parameter
    widest = max(params, key=lambda k: params[k].size)
    deviation = {
        "momentum": 0.01,
        "batchnorm": 0.1,
        "regression": 1.0,
        "sigmoid": 0.01,
        "softmax": 1 / 1352,
    }[name]
    assert params[widest].std() == pytest.approx(deviation, rel=0.15)


def test_oracles_import_nothing_of_the_package():
    for path in (Path(__file__).parent / "oracles").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            else:
                continue
            assert not any(name.split(".")[0] == "tinygrad_cnn" for name in imported), path.name
