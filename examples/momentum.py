"""Momentum: two convolutions whose weights start so small that plain descent hardly gets away.

Every weight is drawn from N(0, 0.01²). Each layer then passes on a hundredth of what it gets, the
answers hardly depend on the image, and neither do the gradients: the loss lies on a plateau at
log 10, ten classes equally likely. Plain gradient descent needs a thousand steps to leave it.
Momentum adds up the small steps, which all point the same way, to as much as
1 / (1 − 0.95) = 20 times one of them.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import data, no_grad, optim
from tinygrad_cnn.data.batchwise import AddChannel, Compose, Normalize, Pad, ToFloat
from tinygrad_cnn.models import Momentum


def main() -> None:
    """Train with and without momentum from the same weights, on the same batches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    # Mean 0 and deviation 1: on pixels from 0 to 1 the plateau outlasts forty epochs.
    prepare = Compose([Pad(2), ToFloat(), Normalize(0.1, 0.28), AddChannel()])
    train, test = data.digits()
    batches = data.DataLoader(
        train,
        batch_size=32,
        shuffle=True,
        transform=prepare,
        generator=np.random.default_rng(options.seed),
    )

    models = {m: Momentum(np.random.default_rng(options.seed)) for m in (0.0, 0.95)}
    optimizers = {m: optim.SGD(models[m].parameters(), lr=0.009, momentum=m) for m in models}
    losses: dict[float, list[float]] = {m: [] for m in models}

    print("step  loss without momentum  with momentum 0.95  (means of 100 steps)")
    endless = itertools.chain.from_iterable(itertools.repeat(batches))
    for step, (images, labels) in enumerate(itertools.islice(endless, options.steps)):
        for momentum, model in models.items():
            loss = F.cross_entropy(model(images), labels)
            optimizers[momentum].zero_grad()
            loss.backward()
            if step == 0 and momentum:
                print_gradients(model)
            optimizers[momentum].step()
            losses[momentum].append(loss.item())
        if (step + 1) % 100 == 0:
            plain, helped = (np.mean(losses[m][-100:]) for m in models)
            print(f"{step + 1:4}  {plain:21.3f}  {helped:18.3f}")

    print()
    for momentum, model in models.items():
        with no_grad():
            answers = model(prepare(test.images)).numpy().argmax(axis=1)
        print(f"momentum {momentum:4}: test accuracy {np.mean(answers == test.labels):.1%}")


def print_gradients(model: Momentum) -> None:
    """Show why it is so slow at first: the further from the loss, the smaller the gradient."""
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and name.endswith("weight"):
            size = np.abs(parameter.grad.numpy()).mean()
            print(f"      mean |gradient| of {name:<13} {size:.1e}")


if __name__ == "__main__":
    main()
