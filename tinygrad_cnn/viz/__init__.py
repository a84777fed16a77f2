"""Pictures of what was recorded: the graph as DOT, SVG, PNG, PDF and text, and model summaries.

>>> from tinygrad_cnn import tensor
>>> x = tensor([1.0, 2.0, 3.0], requires_grad=True, name="x")
>>> print(graph((x * x).sum()))
graph · 0 parameters · 0 multiply-adds · 12 B kept for the backward pass
x             input                      3       float32  12 B  gradient norm not computed
#1 mul(x, x)                             3       float32  12 B
#2 sum(#1)    axes=(0,), keepdims=False  scalar  float32   4 B  loss
"""

from tinygrad_cnn.viz.collect import graph
from tinygrad_cnn.viz.data import GraphEdge, GraphModule, GraphNode
from tinygrad_cnn.viz.model import Graph
from tinygrad_cnn.viz.render import RendererMissing
from tinygrad_cnn.viz.statistics import Statistics
from tinygrad_cnn.viz.summary import Summary, SummaryRow, summary

__all__ = [
    "Graph",
    "GraphEdge",
    "GraphModule",
    "GraphNode",
    "RendererMissing",
    "Statistics",
    "Summary",
    "SummaryRow",
    "graph",
    "summary",
]
