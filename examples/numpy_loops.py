"""A network written as notebooks write it, in loops over NumPy arrays, with gradients all the same.

Convolution, max-pool and softmax loop over every place of the image and write into arrays of zeros.
The only line that is not NumPy's is the import. The gradients are made by autodiff, verified
numerically, and equal to those of the same network in vectorised operations; the picture has one
box for the 676 turns of each loop.
"""

import argparse
from pathlib import Path

import tinygrad_cnn.functional as F
import tinygrad_cnn.numpy as np
from tinygrad_cnn import data
from tinygrad_cnn.verify import check_graph
from tinygrad_cnn.viz import graph


def convolve(image, filters):
    """Slide 3×3 filters over an image: (28, 28) -> (26, 26, filters)."""
    height, width = image.shape
    out = np.zeros((height - 2, width - 2, len(filters)))
    for i in range(height - 2):
        for j in range(width - 2):
            out[i, j] = np.sum(image[i : i + 3, j : j + 3] * filters, axis=(1, 2))
    return out


def pool(x):
    """Keep the greatest of every 2×2 places: (26, 26, filters) -> (13, 13, filters)."""
    height, width, filters = x.shape
    out = np.zeros((height // 2, width // 2, filters))
    for i in range(height // 2):
        for j in range(width // 2):
            out[i, j] = np.amax(x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2], axis=(0, 1))
    return out


def softmax(scores):
    """Turn scores into probabilities."""
    e = np.exp(scores - np.max(scores))
    return e / np.sum(e)


def loss_of(image, label, filters, weights, bias):
    """Compute the cross-entropy of one image, in loops."""
    features = pool(convolve(image, filters)).flatten()
    probabilities = softmax(np.dot(features, weights) + bias)
    return -np.log(probabilities[label])


def vectorised(image, label, filters, weights, bias):
    """Compute the same in four operations."""
    maps = F.max_pool2d(F.conv2d(image[None, None], filters[:, None]), 2)  # 1, filters, 13, 13
    features = F.reshape(F.permute(maps, 0, 2, 3, 1), 1, -1)
    return F.cross_entropy(features @ weights + bias, np.array([label]))


def gradients(loss, parameters):
    """Run the backward pass and return the gradients as arrays."""
    for p in parameters:
        p.grad = None
    loss.backward(retain_graph=True)
    return [p.grad.numpy().copy() for p in parameters]


def main() -> None:
    """Compare, verify, draw, and learn a little."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="images to learn from")
    parser.add_argument("--size", type=int, default=28, help="height and width of the images")
    parser.add_argument("--out", type=Path, default=Path("numpy_loops.svg"), help="the picture")
    arguments = parser.parse_args()
    np.random.seed(0)
    train, _ = data.digits()
    side = (arguments.size - 2) // 2
    filters = np.random.randn(4, 3, 3) / 3
    weights = np.random.randn(side * side * 4, 10) * 0.05
    bias = np.zeros(10)
    parameters = [filters, weights, bias]
    for name, p in zip(("filters", "weights", "bias"), parameters, strict=True):
        p.requires_grad = True
        p.name = name

    def example(index):
        image, label = train[index]
        return np.array(image[: arguments.size, : arguments.size] / 255 - 0.5), int(label)

    image, label = example(0)
    loss = loss_of(image, label, *parameters)
    report = check_graph(loss)
    print(str(report).splitlines()[-1])
    drawn = graph(loss)
    print(f"{drawn!r} drawn to {drawn.save(arguments.out)}")
    in_loops = gradients(loss, parameters)
    at_once = gradients(vectorised(image, label, *parameters), parameters)
    worst = max(np.abs(a - b).max() for a, b in zip(in_loops, at_once, strict=True))
    print(f"gradients in loops and at once differ by at most {worst:.1e}")
    for step in range(arguments.steps):
        loss = loss_of(*example(step), *parameters)
        for p, gradient in zip(parameters, gradients(loss, parameters), strict=True):
            p.data -= 0.02 * gradient
        print(f"image {step + 1}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
