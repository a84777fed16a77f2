"""A graph's nodes one after the other: settings as Python's values, functions written out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.messages import Attribute, Function, Graph, Node, OperatorSet

__all__ = [
    "NEWEST",
    "OLDEST",
    "Flat",
    "Functions",
    "flatten",
    "opsets_of",
    "plain_domain",
    "settings_of",
]

OLDEST, NEWEST = 7, 28
"""The versions of ONNX's own operators that are read."""

_DEEPEST = 50  # functions that call functions
_MOST = 500_000  # nodes, once all functions are written out

Functions = Mapping[tuple[str, str, str], Function]
Opsets = Mapping[str, int]

# Which field holds an attribute of a type, by the number of the type.
_FIELDS = {1: "f", 2: "i", 3: "s", 4: "t", 5: "g", 6: "floats", 7: "ints", 8: "strings"}


@dataclass
class Flat:
    """A node of one of the known operators, or of one that is missing."""

    op_type: str
    domain: str
    name: str
    opset: int
    inputs: list[str]
    outputs: list[str]
    settings: dict[str, Any]

    @property
    def said(self) -> str:
        """The node as messages name it."""
        return self.name or f"→ {', '.join(self.outputs)}"


def opsets_of(imports: Iterable[OperatorSet]) -> dict[str, int]:
    """Return the versions of the sets of operators by domain.

    Raises
    ------
    OnnxError
        If ONNX's own set is older or newer than those that are read.
    """
    found = {plain_domain(one.domain): one.version for one in imports}
    version = found.setdefault("", OLDEST)
    if not OLDEST <= version <= NEWEST:
        raise OnnxError(
            f"the file uses operators of opset {version}; read are {OLDEST} to {NEWEST}"
            + (": convert it with onnx.version_converter" if version < OLDEST else "")
        )
    return found


def plain_domain(domain: str) -> str:
    """Return the name of a set of operators; ONNX's own has two, of which "" is usual."""
    return "" if domain == "ai.onnx" else domain


def settings_of(attributes: Iterable[Attribute], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as Python's values; those that name one of a function's are looked up."""
    settings = {}
    for attribute in attributes:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name in given:
                settings[attribute.name] = given[attribute.ref_attr_name]
        else:
            settings[attribute.name] = _value(attribute)
    return settings


def _value(attribute: Attribute) -> Any:
    kind = attribute.type
    if not kind:  # files before IR version 2 leave it out
        held = [k for k, field in _FIELDS.items() if field in vars(attribute)]
        kind = held[0] if held else 0
    field = _FIELDS.get(kind)
    if field is None:
        return attribute  # sparse tensors and types, which no operator here reads
    value = getattr(attribute, field)
    if field == "s":
        return _text(value)
    if field == "strings":
        return [_text(one) for one in value]
    return list(value) if field in ("ints", "floats") else value


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def flatten(nodes: Iterable[Node], opsets: Opsets, functions: Functions) -> list[Flat]:
    """Return nodes in order, each call of a function replaced by the function's nodes.

    Raises
    ------
    OnnxError
        If functions call each other in a circle, or make more nodes than any network has.
    """
    return _Flattening(functions).all(nodes, opsets)


class _Flattening:
    def __init__(self, functions: Functions) -> None:
        self.functions = functions
        self.count = 0
        self.calls = 0

    def all(self, nodes: Iterable[Node], opsets: Opsets) -> list[Flat]:
        return list(self._flat(nodes, opsets, None, {}, "", 0))

    def _flat(
        self,
        nodes: Iterable[Node],
        opsets: Opsets,
        names: dict[str, str] | None,
        given: Mapping[str, Any],
        prefix: str,
        depth: int,
    ) -> Iterator[Flat]:
        """Iterate over nodes; inside of a function `names` are the caller's for its values."""
        for node in nodes:
            self.count += 1
            if self.count > _MOST:
                raise OnnxError(f"the file's functions make more than {_MOST:,} nodes")
            settings = settings_of(node.attribute, given)
            inputs, outputs = list(node.input), list(node.output)
            if names is not None:
                inputs = [self._outer(names, prefix, name) for name in inputs]
                outputs = [self._outer(names, prefix, name) for name in outputs]
                settings = {k: self._renamed(v, names, given) for k, v in settings.items()}
            domain = plain_domain(node.domain)
            function = self.functions.get((domain, node.op_type, node.overload))
            name = f"{prefix}{node.name}" if node.name else ""
            if function is None:
                version = opsets.get(domain, 0)
                yield Flat(node.op_type, domain, name, version, inputs, outputs, settings)
                continue
            if depth == _DEEPEST:
                raise OnnxError(f"function {node.op_type} stands {_DEEPEST} deep in others")
            yield from self._inside(function, node, inputs, outputs, settings, prefix, depth)

    def _inside(
        self,
        function: Function,
        node: Node,
        inputs: Sequence[str],
        outputs: Sequence[str],
        settings: Mapping[str, Any],
        prefix: str,
        depth: int,
    ) -> Iterator[Flat]:
        """Iterate over the nodes of a function that a node calls."""
        if len(inputs) > len(function.input) or len(outputs) > len(function.output):
            raise OnnxError(f"function {function.name} is called with too many values")
        self.calls += 1
        around = f"{prefix}{node.name or f'{function.name}_{self.calls}'}/"
        names = dict(zip(function.input, [*inputs, *[""] * len(function.input)], strict=False))
        names |= dict(zip(function.output, outputs, strict=False))
        usual = {attribute.name: _value(attribute) for attribute in function.attribute_proto}
        opsets = opsets_of(function.opset_import)
        yield from self._flat(
            function.node, opsets, names, {**usual, **settings}, around, depth + 1
        )

    @staticmethod
    def _outer(names: dict[str, str], prefix: str, name: str) -> str:
        if not name:
            return ""
        if name not in names:
            names[name] = f"{prefix}{name}"
        return names[name]

    def _renamed(self, value: Any, names: dict[str, str], given: Mapping[str, Any]) -> Any:
        """Return a setting with the caller's names in the graphs that it holds."""
        if not isinstance(value, Graph):
            return value
        nodes = [
            Node(
                **{
                    **vars(node),
                    "input": [names.get(name, name) for name in node.input],
                    "output": [names.get(name, name) for name in node.output],
                    "attribute": [self._bound(a, names, given) for a in node.attribute],
                }
            )
            for node in value.node
        ]
        return Graph(**{**vars(value), "node": nodes})

    def _bound(
        self, attribute: Attribute, names: dict[str, str], given: Mapping[str, Any]
    ) -> Attribute:
        """Return an attribute of a node in a graph in a function, with the caller's values."""
        if attribute.g is not None:
            return Attribute(**{**vars(attribute), "g": self._renamed(attribute.g, names, given)})
        if not attribute.ref_attr_name or attribute.ref_attr_name not in given:
            return attribute
        value = given[attribute.ref_attr_name]
        field = _FIELDS[attribute.type]
        value = value.encode() if isinstance(value, str) else value
        return Attribute(**{"name": attribute.name, "type": attribute.type, field: value})
