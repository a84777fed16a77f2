"""Batch normalisation: an experiment whose first layer never learned, and nobody noticed.

The notebook behind this network wrote its backward pass by hand. That of the convolution added up
the gradient of its input in one array and returned another one, full of zeros. So the first
convolution and its batch norm got no gradient; but the layers after them learned, the loss fell,
and all looked well. Here the same experiment runs twice from the same weights: with these layers
frozen, as the notebook did without noticing, and with true gradients. 1,000 digits in one batch,
rate 0.5, 50 updates; the test digits are normalised by their own batch's mean and variance.
"""

from __future__ import annotations

import argparse
import copy
from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn import Parameter, Tensor, data, no_grad, optim
from tinygrad_cnn.data.batchwise import AddChannel, Compose, ToFloat
from tinygrad_cnn.models import BatchNorm

Array = npt.NDArray[Any]
prepare = Compose([ToFloat(), AddChannel()])


def main() -> None:
    """Train both ways side by side, then look at gradients and running statistics."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    digits = data.digits()
    train, test = ((prepare(part.images[:1000]), part.labels[:1000]) for part in digits)

    true = BatchNorm(np.random.default_rng(options.seed))
    frozen = copy.deepcopy(true)
    frozen.conv1.requires_grad_(False)
    frozen.bn1.requires_grad_(False)
    models = (frozen, true)
    optimizers = [
        optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5) for model in models
    ]

    print("          first layer frozen            true gradients")
    print("update    train        test             train        test")
    for update in range(options.steps):
        shown = update % 5 == 0 or update == options.steps - 1
        row = []
        for model, optimizer in zip(models, optimizers, strict=True):
            if shown:
                # A copy, since a pass in training mode also updates the running statistics.
                with no_grad():
                    test_scores = scores(copy.deepcopy(model)(test[0]), test[1])
            logits = model(train[0])
            loss = F.cross_entropy(logits, train[1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if shown:
                row += [scores(logits, train[1]), test_scores]
        if shown:
            print(f"{update:6}    " + "  ".join(row), flush=True)

    print("\nHow one sees it: the length of each gradient at the last update")
    print(f"{'':15} {'frozen':>8}  {'true':>8}")
    for (name, of_frozen), of_true in zip(
        frozen.named_parameters(), true.parameters(), strict=True
    ):
        print(f"{name:15} {length(of_frozen):8.5f}  {length(of_true):8.5f}")

    print_batch_dependence(true, *test)


def scores(logits: Tensor, labels: Array) -> str:
    """Return loss and accuracy as text."""
    loss = F.cross_entropy(logits.detach(), labels).item()
    return f"{loss:.4f} {np.mean(logits.numpy().argmax(1) == labels):.3f}"


def length(parameter: Parameter) -> float:
    """Return the gradient's norm, 0 where there is none."""
    grad = parameter.grad
    return 0.0 if grad is None else float(np.linalg.norm(grad.numpy()))


def print_batch_dependence(model: BatchNorm, images: Array, labels: Array) -> None:
    """Ask about one image in different company, with batch statistics and with running ones."""
    sevens = np.flatnonzero(labels == labels[0])
    company = {
        "among the 1,000": np.arange(len(labels)),
        "with 9 others": np.arange(10),
        f"with {len(sevens) - 1} of its class": sevens,
        "with 1 other": np.arange(2),
    }
    print(f"\nThe probability that the first test image is a {labels[0]}, which it is")
    print(f"{'':26} {'batch statistics':>18}  {'running statistics':>18}")
    for name, chosen in company.items():
        with no_grad():
            by_batch, by_running = (
                F.softmax(m(images[chosen]), 1)[0, labels[0]].item()
                for m in (copy.deepcopy(model).train(), copy.deepcopy(model).eval())
            )
        print(f"{name:26} {by_batch:18.4f}  {by_running:18.4f}")
    with no_grad():
        answers = copy.deepcopy(model).eval()(images).numpy().argmax(1)
    print(f"\ntest accuracy by running statistics {np.mean(answers == labels):.1%}")


if __name__ == "__main__":
    main()
