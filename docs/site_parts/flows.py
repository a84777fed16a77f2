"""What flows through an operation and back: the pictures of the pages that derive the rules.

Each is the package's own picture of a recorded operation with its rule beside it, less the figures,
with a formula at each arrow of the backward pass.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import Tensor, tensor
from tinygrad_cnn.viz import graph


class Flow(NamedTuple):
    """An operation, the formula of each gradient, and what is kept for them."""

    made: Callable[[], Tensor]
    gradients: dict[str, str]
    keeps: str


def leaf(name: str, *shape: int) -> Tensor:
    """Return an input."""
    values = np.random.default_rng(0).standard_normal(shape)
    return tensor(values.astype("float32"), requires_grad=True, name=name)


FLOWS = {
    "rules_elementwise": Flow(
        lambda: leaf("a", 3, 4) * leaf("b", 3, 4), {"a": "g · b", "b": "g · a"}, "a, b"
    ),
    "rules_reductions": Flow(lambda: F.softmax(leaf("x", 3, 4), 1), {"x": "y · (g − Σ g·y)"}, "y"),
    "rules_products": Flow(
        lambda: leaf("A", 3, 4) @ leaf("B", 4, 5), {"A": "G · Bᵀ", "B": "Aᵀ · G"}, "A, B"
    ),
    "rules_resampling": Flow(
        lambda: F.interpolate(leaf("x", 1, 2, 4, 4), scale_factor=2.0, mode="bilinear"),
        {"x": "Wᵀ · g"},
        "nothing",
    ),
    "rules_ordering": Flow(
        lambda: F.sort(leaf("x", 5)).values, {"x": "g, to where it came from"}, "the places"
    ),
    "rules_convolution": Flow(
        lambda: F.conv2d(leaf("x", 2, 3, 8, 8), leaf("w", 4, 3, 3, 3), leaf("b", 4)),
        {"x": "transposed(g, w)", "w": "weight(x, g)", "b": "Σ g"},
        "x, w",
    ),
    "rules_pooling": Flow(
        lambda: F.max_pool2d(leaf("x", 2, 4, 6, 6), 2),
        {"x": "g, put back"},
        "which element won",
    ),
    "rules_normalisation": Flow(
        lambda: F.batch_norm(
            leaf("x", 8, 3, 4, 4), None, None, leaf("weight", 3), leaf("bias", 3), training=True
        ),
        {"x": "step 4", "weight": "Σ g · x̂", "bias": "Σ g"},
        "x, mean, variance",
    ),
    "rules_losses": Flow(
        lambda: F.cross_entropy(leaf("logits", 8, 10), np.arange(8)),
        {"logits": "(p − onehot) · g / M"},
        "p, target",
    ),
    "rules_shapes": Flow(
        lambda: leaf("x", 4)[[1, 1, 3]], {"x": "g, added at [1, 1, 3]"}, "the index"
    ),
}


def dot(name: str) -> str:
    """Return the picture of a page in Graphviz's language."""
    flow = FLOWS[name]
    text = graph(flow.made(), backward=True).dot()
    text = without_figures(text).replace("ranksep=0.3, nodesep=0.25", "ranksep=0.45, nodesep=0.5")
    text = re.sub(r", label=<<b>\w+</b>>\]", "]", text, count=1)
    text = re.sub(r"<b>\w+ backward</b>", "<b>its rule</b>", text)
    text = re.sub(r"(; g\d+)+\}", "}", text)  # gradients stand beside the inputs, above the rule
    small = 'fontsize=10, fontname="Arial"'
    for leaf_id, called in re.findall(r" g(\d+) \[.*?<b>∂(\w+)</b>", text):
        label = f'label="\u00a0\u00a0\u00a0{flow.gradients[called]} ", {small}'
        text = re.sub(
            rf"r(\d+) -> g{leaf_id} \[(.*?), weight=4\];",
            rf"g{leaf_id} -> r\1 [\2, dir=back, {label}];",
            text,
        )
        row = f"{{rank=same; v{leaf_id}; g{leaf_id}}}"
        text = text.replace(f"  v{leaf_id} ->", f"  {row}\n  v{leaf_id} ->")
    kept = f'n1 -> r1 [style=dashed, color="#a9772f", label="keeps {flow.keeps}", {small}, '
    return re.sub(r"n1 -> r1 \[[^\]]*arrowhead=none", f"{kept}arrowhead=open", text)


def without_figures(text: str) -> str:
    """Return a picture's text without counts, sizes in memory and tooltips."""
    figures = r"[\d.,]+ \w?i?B|(?:gradient|norm)[^<]*|[^<]*multiply-adds|\d+ operations? · [^<]*"
    text = re.sub(rf"(?:<br/>| +)<font[^>]*>(?:{figures})</font>", "", text)
    text = re.sub(r" · [\d.]+ \w?i?B</font>", "</font>", text)
    return re.sub(r' tooltip="[^"]*",?', "", text)


def stamp(name: str) -> str:
    """Return what a picture says of the text that it was made of."""
    return f"<!-- made of {hashlib.sha256(dot(name).encode()).hexdigest()[:16]} -->"


def draw(folder: Path) -> list[Path]:
    """Write those pictures that are not there as they would be made now, and return them."""
    import graphviz

    from tinygrad_cnn.viz.fonts import fit_text

    made: list[Any] = []
    folder.mkdir(exist_ok=True)
    for name in FLOWS:
        path = folder / f"{name}.svg"
        if path.is_file() and stamp(name) in path.read_text(encoding="utf-8"):
            continue
        picture = fit_text(graphviz.pipe("dot", "svg", dot(name).encode()).decode())
        path.write_text(picture.replace("<svg", f"{stamp(name)}\n<svg", 1), encoding="utf-8")
        made.append(path)
    return made
