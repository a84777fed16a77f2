"""Sigmoid: one logistic output, first on one image as in the notebook, then "is it a 0?".

The loss is ½(ŷ − y)², so its gradient carries the factor ŷ(1 − ŷ), which vanishes where the
sigmoid is flat. The notebook fed raw pixels, 0 to 255: gradients of the weights are proportional
to the pixels, so the same rate of 0.001 takes far longer steps there than on pixels from 0 to 1.
"""

from __future__ import annotations

import argparse

import numpy as np

from tinygrad_cnn import data, no_grad, optim
from tinygrad_cnn.data.batchwise import AddChannel, Compose, Pad, ToFloat
from tinygrad_cnn.models import Sigmoid, half_squared_error


def main() -> None:
    """Run the notebook's experiment on raw and scaled pixels, then train a detector of zeros."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000, help="of the detector")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    train, test = data.digits()
    prepare = Compose([Pad(2), ToFloat(), AddChannel()])
    images = prepare(train.images)  # (N, 1, 32, 32)

    print("One image, 50 steps at rate 0.001 towards y = 0: ŷ before step 0, 7, 14, … 49")
    for name, image in (("pixels 0 … 255", images[:1] * 255), ("pixels 0 … 1", images[:1])):
        answers = train_on_one(Sigmoid(np.random.default_rng(options.seed)), image)
        print(f"{name:<14}  " + "  ".join(f"{answer:.3f}" for answer in answers[::7]))

    print("\nIs it a 0? Momentum 0.9, rate 0.1, batches of 25")
    print("step   loss (mean of 200 steps)")
    rng = np.random.default_rng(options.seed)
    model = Sigmoid(rng)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    is_zero = (train.labels == 0).astype(np.float32)[:, np.newaxis]  # (N, 1)
    losses = []
    for step in range(options.steps):
        batch = rng.choice(len(images), 25, replace=False)
        loss = half_squared_error(model(images[batch]), is_zero[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % 200 == 0:
            print(f"{step + 1:4}   {np.mean(losses[-200:]):.4f}")

    with no_grad():
        probabilities = model(prepare(test.images)).numpy()[:, 0]  # (N,)
    truth = test.labels == 0
    right = (probabilities > 0.5) == truth
    print("\ndigit        " + "".join(f"{label:>6}" for label in test.labels[:12]))
    print("probability  " + "".join(f"{value:6.2f}" for value in probabilities[:12]))
    print(f"\nzeros found {np.mean(right[truth]):.1%}, others left {np.mean(right[~truth]):.1%}")
    print(f"always answering no: {np.mean(~truth):.1%}")
    print(f"test accuracy {np.mean(right):.1%}")


def train_on_one(model: Sigmoid, image: np.ndarray) -> list[float]:
    """Return the answers before each of 50 updates."""
    optimizer = optim.SGD(model.parameters(), lr=0.001)
    answers = []
    for _ in range(50):
        answer = model(image)
        answers.append(answer.item())
        optimizer.zero_grad()
        half_squared_error(answer, np.zeros((1, 1), np.float32)).backward()
        optimizer.step()
    return answers


if __name__ == "__main__":
    main()
