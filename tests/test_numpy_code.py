"""NumPy code that knows nothing of this package, run through the door as it stands.

The oracles of the other tests are such code, with backward passes derived by hand: the gradients
that autodiff makes of their forward passes must be these.
"""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import tinygrad_cnn.numpy as np
from tests.oracles import loops, notebook
from tests.oracles.networks import initial_parameters
from tinygrad_cnn import grad


@pytest.fixture(autouse=True)
def through_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `import numpy as np` binds in these modules is the door's."""
    monkeypatch.setattr(loops, "np", np)
    monkeypatch.setattr(notebook, "np", np)


def leaf(*shape: int) -> Any:
    x = np.random.default_rng(sum(shape)).normal(size=shape)
    x.requires_grad = True
    return x


LAYERS = {
    "conv2d": (
        lambda x, w, b: loops.conv2d(x, w, b, 2, 1),
        lambda g, x, w, b: loops.conv2d_backward(g, x, w, 2, 1),
        [(2, 2, 5, 5), (3, 2, 3, 3), (3,)],
    ),
    "max_pool2d": (
        lambda x: loops.max_pool2d(x, 2),
        lambda g, x: (loops.max_pool2d_backward(g, x, 2),),
        [(2, 2, 4, 4)],
    ),
    "relu": (loops.relu, lambda g, x: (loops.relu_backward(g, x),), [(3, 4)]),
    "batch_norm": (
        loops.batch_norm,
        lambda g, x, gamma, beta: loops.batch_norm_backward(g, x, gamma),
        [(4, 3, 2, 2), (3,), (3,)],
    ),
    "linear": (
        loops.linear,
        lambda g, x, w, b: loops.linear_backward(g, x, w),
        [(3, 4), (2, 4), (2,)],
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_as_loops_differentiate(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, backward, shapes = LAYERS[name]
    inputs = [leaf(*shape) for shape in shapes]
    out = forward(*inputs)
    g = numpy.random.default_rng(0).normal(size=out.shape)
    found = grad(out, inputs, grad_outputs=g)
    monkeypatch.setattr(loops, "np", numpy)
    plain = [x.detach().numpy() for x in inputs]
    numpy.testing.assert_allclose(out.detach().numpy(), forward(*plain), rtol=1e-12)
    for gradient, expected in zip(found, backward(g, *plain), strict=True):
        numpy.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_a_notebooks_network_differentiates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows by strides, einsum, products into ``out=``, and in-place arithmetic."""
    rng = numpy.random.default_rng(3)
    plain = {name: numpy.asarray(p) for name, p in initial_parameters("batchnorm", rng).items()}
    images = rng.normal(size=(4, 1, 28, 28))
    labels = numpy.array([3, 1, 4, 1])
    params = {name: np.array(p) for name, p in plain.items()}
    for p in params.values():
        p.requires_grad = True
    first = notebook._first_stage(params, np.array(images))
    second = notebook._second_stage(params, first.pooled)
    loss = -second.log_probabilities[np.arange(4), labels].mean()
    found = dict(zip(params, grad(loss, list(params.values())), strict=True))
    monkeypatch.setattr(notebook, "np", numpy)
    expected_loss, expected = notebook.loss_and_gradients(plain, images, labels)
    assert loss.item() == pytest.approx(expected_loss, rel=1e-12)
    for name, gradient in expected.items():
        numpy.testing.assert_allclose(
            found[name].numpy(), gradient, rtol=1e-7, atol=1e-10, err_msg=name
        )
