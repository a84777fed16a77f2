"""Regression: three optimisers teach a network to read a digit as a number.

The weights start from N(0, 1), large for layers of a thousand inputs. The first predictions are
off by tens, and the loss is so steep that gradient descent has to take tiny steps: beyond about
2 / λ it overshoots, where λ is the largest curvature, the largest eigenvalue of the loss's matrix
of second derivatives. RMSprop and Adam divide each weight's step by the size of its gradients, so
their rates do not depend on how steep the loss is.
"""

from __future__ import annotations

import argparse

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import data, grad, no_grad, optim
from tinygrad_cnn.data.batchwise import AddChannel, Compose, Pad, ToFloat
from tinygrad_cnn.models import Regression

prepare = Compose([Pad(2), ToFloat(), AddChannel()])


def main() -> None:
    """Train by each optimiser from the same weights, on the same batches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    train, test = data.digits()
    images, values = prepare(train.images), train.labels.astype(np.float32)[:, np.newaxis]  # (N, 1)
    rng = np.random.default_rng(options.seed)
    start = Regression(rng).state_dict()
    batches = [rng.choice(len(images), 50, replace=False) for _ in range(options.steps)]

    curvature = largest_curvature(Regression(), start, images[:100], values[:100])
    print(f"largest curvature λ = {curvature:.3g}: gradient descent overshoots beyond ", end="")
    print(f"a rate of about 2 / λ = {2 / curvature:.1e}\n")

    models = {name: Regression() for name in ("SGD, 0.009", "SGD, 1 / λ", "RMSprop", "Adam")}
    weights = [model.parameters() for model in models.values()]
    optimizers = [
        optim.SGD(weights[0], lr=0.009),  # the rate of the network `momentum`
        optim.SGD(weights[1], lr=1 / curvature),
        optim.RMSprop(weights[2], lr=0.01),
        optim.Adam(weights[3], lr=0.03),
    ]
    for model in models.values():
        model.load_state_dict(start)

    print("mean squared error (means of the last 100 steps)")
    print("step " + "".join(f"{name:>12}" for name in models))
    losses = np.full((len(models), options.steps), np.nan)
    for step, batch in enumerate(batches):
        for k, (model, optimizer) in enumerate(zip(models.values(), optimizers, strict=True)):
            if step and not losses[k, step - 1] < 1e12:
                continue  # it has diverged: leave it alone
            loss = F.mse_loss(model(images[batch]), values[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[k, step] = loss.item()
        if step in (0, 1, 2, 9) or (step + 1) % 200 == 0:
            means = losses[:, max(0, step - 99 if step > 9 else step) : step + 1].mean(axis=1)
            shown = ["diverged" if np.isnan(mean) else f"{mean:.5g}" for mean in means]
            print(f"{step + 1:4} " + "".join(f"{text:>12}" for text in shown))

    print(f"\nmean error on the test digits; always answering {train.labels.mean():.1f}: ", end="")
    print(f"{np.abs(test.labels - train.labels.mean()).mean():.2f}")
    for k, (name, model) in enumerate(models.items()):
        if np.isnan(losses[k, -1]):
            continue
        with no_grad():
            answers = model(prepare(test.images)).numpy()[:, 0]  # (N,)
        print(f"{name:12} {np.abs(answers - test.labels).mean():.2f}")
    means = [answers[test.labels == digit].mean() for digit in range(10)]
    print("Adam's mean answer to 0 … 9: " + " ".join(f"{mean:.1f}" for mean in means))


def largest_curvature(
    model: Regression, start: dict[str, np.ndarray], images: np.ndarray, values: np.ndarray
) -> float:
    """Find the largest eigenvalue of the second derivatives by power iteration.

    The matrix is never formed: its product with a vector v is the gradient of (gradient · v).
    """
    model.load_state_dict(start)
    parameters = list(model.parameters())
    gradient = grad(F.mse_loss(model(images), values), parameters, create_graph=True)
    v = [np.ones(p.shape, np.float32) for p in parameters]
    for _ in range(15):
        length = np.sqrt(sum((part**2).sum() for part in v))
        v = [part / length for part in v]
        slope = sum((g * part).sum() for g, part in zip(gradient, v, strict=True))
        v = [part.numpy() for part in grad(slope, parameters, retain_graph=True)]
    return float(np.sqrt(sum((part**2).sum() for part in v)))


if __name__ == "__main__":
    main()
