"""The networks in JAX, each step compiled as one function. It keeps no running statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.networks import LEARNING_RATE, Network, weights_of

Run = Callable[[], Any]
Tensors = dict[str, Any]


class _Operations:
    """JAX's functions under the names of `networks`."""

    def __init__(self, tensors: Tensors, training: bool) -> None:
        self.tensors = tensors
        self.training = training

    def conv(self, x: Any, name: str, stride: int = 1, padding: int = 0) -> Any:
        y = lax.conv_general_dilated(
            x, self.tensors[name + ".weight"], (stride, stride), [(padding, padding)] * 2
        )
        bias = self.tensors.get(name + ".bias")
        return y if bias is None else y + bias[:, None, None]

    def batch_norm(self, x: Any, name: str) -> Any:
        axes = tuple(i for i in range(x.ndim) if i != 1)
        if self.training:
            mean, var = x.mean(axes), x.var(axes)
        else:
            mean, var = (self.tensors[f"{name}.running_{s}"] for s in ("mean", "var"))
        scale = self.tensors[name + ".weight"] * lax.rsqrt(var + 1e-5)
        shift = self.tensors[name + ".bias"] - mean * scale
        shape = (-1,) + (1,) * (x.ndim - 2)
        return x * scale.reshape(shape) + shift.reshape(shape)

    def linear(self, x: Any, name: str) -> Any:
        y = x @ self.tensors[name + ".weight"].T
        bias = self.tensors.get(name + ".bias")
        return y if bias is None else y + bias

    def shortcut(self, x: Any, added: int) -> Any:
        sides = (added // 2, added // 2)
        return jnp.pad(x[:, :, ::2, ::2], ((0, 0), sides, (0, 0), (0, 0)))

    def max_pool(self, x: Any) -> Any:
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def mean_pool(self, x: Any) -> Any:
        return x.mean((2, 3))

    def flatten(self, x: Any) -> Any:
        return x.reshape(len(x), -1)

    relu = staticmethod(jax.nn.relu)
    sigmoid = staticmethod(jax.nn.sigmoid)


def _split(network: Network) -> tuple[Tensors, Tensors]:
    tensors = {name: jnp.asarray(a) for name, a in weights_of(network).items()}
    fixed = {name: t for name, t in tensors.items() if t.dtype != jnp.float32 or "running" in name}
    return {name: t for name, t in tensors.items() if name not in fixed}, fixed


def _loss(network: Network, output: Any, target: Any) -> Any:
    if network.loss == "cross_entropy":
        return -jnp.take_along_axis(jax.nn.log_softmax(output), target[:, None], 1).mean()
    loss = ((output - target) ** 2).mean()
    return 0.5 * loss if network.loss == "half_mse" else loss


def _update(network: Network, p: Any, g: Any, m: Any, v: Any, t: Any) -> Any:
    if network.optimizer == "adam":
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        root = jnp.sqrt(v / (1 - 0.999**t)) + 1e-8
        return p - LEARNING_RATE * m / (1 - 0.9**t) / root, m, v
    if network.optimizer == "momentum":
        m = 0.9 * m + g
        return p - LEARNING_RATE * m, m, v
    return p - LEARNING_RATE * g, m, v


def train_step(network: Network, size: int) -> Run:
    """Return a function that does one step of training and returns the loss."""
    parameters, fixed = _split(network)
    x, y = (jnp.asarray(a) for a in network.batch(size))
    zeros = {name: jnp.zeros_like(p) for name, p in parameters.items()}

    def loss_of(parameters: Tensors) -> Any:
        op = _Operations({**parameters, **fixed}, training=True)
        return _loss(network, network.describe(op, x), y)

    @jax.jit
    def compiled(parameters: Tensors, m: Tensors, v: Tensors, t: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(parameters)
        new = {k: _update(network, p, grads[k], m[k], v[k], t) for k, p in parameters.items()}
        return (*({k: each[i] for k, each in new.items()} for i in range(3)), t + 1, loss)

    state = [parameters, zeros, zeros, jnp.float32(1)]

    def step() -> float:
        *state[:], loss = compiled(*state)
        jax.block_until_ready(state)
        return float(loss)

    return step


def inference(network: Network, size: int) -> Run:
    """Return a function that computes the network's answers."""
    parameters, fixed = _split(network)
    op = _Operations({**parameters, **fixed}, training=False)
    x = jnp.asarray(network.batch(size)[0])
    compiled = jax.jit(lambda x: network.describe(op, x))
    return lambda: compiled(x).block_until_ready()
