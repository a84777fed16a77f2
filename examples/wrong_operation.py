"""One wrong backward rule in a network that learns all the same: found, named, drawn in red.

A convolution's gradient of its input is computed and then lost: another array, of zeros, is
returned, as in one of the notebooks that this package began with. Everything above it still
learns, so the loss falls and nobody notices. `check_graph` compares every rule of the recorded
graph with numeric differentiation, says which operation is wrong and what it looks like, and the
picture has it in red.
"""

import argparse
from pathlib import Path

import graphviz
import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import Tensor, data, nn, tensor
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.ops.conv.trilinear import Conv2d
from tinygrad_cnn.verify import check_graph
from tinygrad_cnn.viz import Graph, graph
from tinygrad_cnn.viz.fonts import fit_text


class LostGradient(Conv2d):
    """The convolution with the mistake: the gradient of x is right, and then lost."""

    name = "conv2d"
    __slots__ = ()

    def backward(self, g, out, x, w, b, *, needs):
        """Return the gradients of x, w and b, that of x lost."""
        gx, gw, gb = super().backward(g, out, x, w, b, needs=needs)
        return None if gx is None else np.zeros_like(gx), gw, gb


class WrongConv2d(nn.Conv2d):
    """A convolution layer that uses it."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with stride 1 and no padding."""
        window = Window((3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1))
        return LostGradient(window, 1)(x, self.weight, self.bias)


class Network(nn.Module):
    """The small sister of the network ``batchnorm``."""

    def __init__(self) -> None:
        super().__init__()
        generator = np.random.default_rng(0)
        self.conv1 = nn.Conv2d(1, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = WrongConv2d(4, 6, 3, bias=False)
        self.linear = nn.Linear(150, 10)
        for layer in (self.conv1, self.conv2, self.linear):
            nn.init.normal_(layer.weight, 0.0, 0.1, generator=generator)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)  # 4, 13, 13
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # 6, 5, 5
        return self.linear(F.flatten(x, 1))  # 10


def main() -> None:
    """Check the network, print the finding, train all the same; draw where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, metavar="FILE.svg", help="draw the graph as SVG")
    options = parser.parse_args()

    train, _ = data.digits()
    images = tensor(train.images[:8, None].astype(np.float32) / 255, name="images")
    model = Network()
    loss = F.cross_entropy(model(images), train.labels[:8])

    report = check_graph(loss)
    blamed = next(result for result in report.failures if result.seq is not None)
    print(blamed.text())
    print(f"\n{len(report.results)} gradients: {report.counts}")
    print("which the loss does not show:", *(f"{value:.3f}" for value in losses(model, images)))

    if options.out is not None:
        hidden = ("images", "relu", "max_pool2d", "reshape", "target", "cross_entropy")
        draw(graph(loss, model=model, verdicts=report, depth=1, hide=hidden), options.out)


def losses(model: Network, images: Tensor) -> list[float]:
    """Train with the wrong gradient, and return what one would look at."""
    found = []
    for _ in range(5):
        loss = F.cross_entropy(model(images), data.digits().train.labels[:8])
        model.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            parameter.data -= 0.1 * parameter.grad.data
        found.append(loss.item())
    return found


def draw(network: Graph, path: Path) -> None:
    """Draw from left to right; a graph's DOT text is there to be changed."""
    text = network.dot().replace("rankdir=TB", "rankdir=LR", 1)
    picture = graphviz.pipe("dot", "svg", text.encode()).decode()
    path.write_text(fit_text(picture), encoding="utf-8")


if __name__ == "__main__":
    main()
