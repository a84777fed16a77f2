"""Names that break careless writers of Graphviz's language, XML or a terminal."""

from tinygrad_cnn.viz import Graph, GraphEdge, GraphModule, GraphNode


def awkward(names: list[str]) -> Graph:
    """Return a graph with every name in every place that takes one."""
    nodes, edges, modules = [], [], []
    for i, name in enumerate(names, 1):
        path = name.replace(".", "") or "module"
        if path not in [m.path for m in modules]:
            modules.append(GraphModule(path, name, ""))
        leaf = GraphNode(f"v{i}", "parameter", name, scope=path, shape=(2,), dtype="float32")
        settings_ = ((name or "x", name),)
        op = GraphNode(
            f"n{i}",
            "op",
            name,
            scope=path,
            label=name,
            settings=settings_,
            source=(name, 1),
            output=name,
        )
        nodes += [leaf, op]
        edges.append(GraphEdge(leaf.id, op.id, name))
    return Graph(names[0], tuple(nodes), tuple(edges), tuple(modules))


AWKWARD = [
    "",
    " ",
    'say "hi"',
    "<b>bold</b>",
    "a & b &amp; &lt; &#65;",
    "line\nbreak\r\nand\ttab",
    "back\\slash\\",
    "\\N \\G \\L \\l",
    "]]> --> <!-- { } | ; [",
    "日本語 العربية 🙂 é é",
    "\x00\x01\x1b\x7f\x85\ud800\udfff\ufffe",
    "digraph",
    "%s %d {0}",
    "-->\u202e\u200b\u00a0",
    "'" * 3 + '"""',
]
