"""Softmax: one convolution and one linear layer, trained image by image.

First over the test images, as the notebook did: it printed loss and accuracy before learning, and
never wrote the gradients of the convolution and the pooling. Then as one should: train on the
training images, and test on images that the network has not seen.

    python softmax.py                    the digits that come with the package
    python softmax.py --data FOLDER      idx files, or fashion-mnist, or mnist
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn import data, no_grad, optim
from tinygrad_cnn.data.batchwise import AddChannel, Compose, Normalize, ToFloat
from tinygrad_cnn.models import Softmax

Array = npt.NDArray[Any]


def main() -> None:
    """Look at the untrained network, train on the test images, then on the training images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits", help="a folder of idx files, or a name")
    parser.add_argument("--steps", type=int, default=5000, help="images to train on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    train, test = data.load(options.data)
    prepare = Compose([ToFloat(), Normalize(0.5, 1.0), AddChannel()])
    rng = np.random.default_rng(options.seed)

    model = Softmax(rng)
    loss, accuracy = scores(model, prepare(test.images[:1000]), test.labels[:1000])
    print(f"untrained: loss {loss:.3f} (log 10 = {np.log(10):.3f}), accuracy {accuracy:.1%}")

    print("\nThe test images, one by one, as in the notebook; each is answered, then learned")
    learn(model, data.DataLoader(test[:1000], transform=prepare))

    print("\nThe training images, one by one, from new weights")
    model = Softmax(rng)
    chosen = rng.permutation(len(train))[: options.steps]
    learn(model, data.DataLoader(train[chosen], transform=prepare), every=500)
    loss, accuracy = scores(model, prepare(test.images), test.labels)
    print(f"\ntest loss {loss:.3f}, test accuracy {accuracy:.1%}")


def learn(model: Softmax, loader: data.DataLoader, every: int = 100) -> None:
    """Take a step of gradient descent with each image, and print how it was answered before."""
    optimizer = optim.SGD(model.parameters(), lr=0.005)
    print("images   loss  accuracy")
    losses, right = [], []
    for n, (image, label) in enumerate(loader, start=1):
        logits = model(image)  # (1, 10)
        loss = F.cross_entropy(logits, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        right.append(logits.argmax(1).item() == label.item())
        if n % every == 0:
            print(f"{n:6}  {np.mean(losses[-every:]):5.3f}  {np.mean(right[-every:]):8.1%}")


def scores(model: Softmax, images: Array, labels: Array) -> tuple[float, float]:
    """Return loss and accuracy."""
    with no_grad():
        logits = model(images)
    return F.cross_entropy(logits, labels).item(), np.mean(logits.numpy().argmax(1) == labels)


if __name__ == "__main__":
    main()
