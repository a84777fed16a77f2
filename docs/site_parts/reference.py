"""The API reference: every public name on the page of its module, from its docstring.

pdoc would make a second site beside the guides, with a search of its own and a page for each file.
Here a name stands once, where a reader imports it from, and guides and reference share one search.
"""

from __future__ import annotations

import ast
import html
import importlib
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

PUBLIC = [
    "functional",
    "linalg",
    "nn",
    "nn.init",
    "nn.utils",
    "nn.utils.parametrize",
    "nn.utils.parametrizations",
    "nn.utils.prune",
    "optim",
    "optim.lr_scheduler",
    "optim.swa_utils",
    "data",
    "data.transforms",
    "data.transforms.functional",
    "data.batchwise",
    "data.datasets",
    "models",
    "verify",
    "viz",
    "report",
    "training",
    "training.errors",
    "autograd",
    "func",
    "random",
    "onnx",
    "pt",
    "checkpointing",
    "distributed",
    "op",
    "types",
]
DOORS = [
    "numpy",
    "numpy.random",
    "torch",
    "torch.nn",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.nn.utils",
    "torch.nn.parallel",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "torch.optim.swa_utils",
    "torch.autograd",
    "torch.autograd.functional",
    "torch.func",
    "torch.linalg",
    "torch.special",
    "torch.random",
    "torch.testing",
    "torch.utils.data",
    "torch.utils.checkpoint",
    "torch.distributed",
    "torch.cuda",
    "torch.amp",
    "torch.jit",
    "torchvision",
    "torchvision.datasets",
    "torchvision.io",
    "torchvision.models",
    "torchvision.ops",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "torchvision.transforms.v2",
    "torchvision.utils",
]
INTERNALS = [
    "anomaly",
    "graph",
    "engine",
    "inplace",
    "saving",
    "deferring",
    "writing",
    "views",
    "dispatch",
    "kernels",
    "ops",
]

Render = Callable[[str], str]


@dataclass
class Page:
    """One page of the site: where it lies, its title, its body, and what the search finds in it."""

    path: str
    title: str
    body: str
    group: str
    entries: list[tuple[str, str, str]] = field(default_factory=list)  # anchor, name, text
    found: list[tuple[str, str, str]] = field(default_factory=list)  # more for the search: a link
    runs: bool = False  # its Python has run buttons


def pages(render: Render) -> list[Page]:
    """Return the reference: an index of all names, and a page for each module."""
    seen: dict[int, str] = {}
    made = []
    for group, names in (("Reference", [*PUBLIC, ""]), ("Doors", DOORS), ("Internals", INTERNALS)):
        for name in names:
            module = importlib.import_module(f"tinygrad_cnn.{name}".rstrip("."))
            made.append(_page(module, group, seen, render))
    made.insert(0, made.pop(len(PUBLIC)))  # the package itself comes first
    return [_index(made), *made, _internals(made, render)]


def _page(module: ModuleType, group: str, seen: dict[int, str], render: Render) -> Page:
    name = module.__name__
    path = f"api/{name}.html"
    notes = {
        "Doors": "A door: these names for code that is written for another package. The same "
        "functions and classes stand behind them.",
        "Internals": "Internal: it may change in any version.",
    }
    page = Page(path, name, "", group)
    note = f'<p class="note">{notes[group]}</p>' if group in notes else ""
    parts = [f"<h1>{name}</h1>{note}{docstring(module, render)}"]
    links = []
    for word in _names(module):
        thing = getattr(module, word)
        if isinstance(thing, ModuleType):
            continue
        known = seen.get(id(thing)) if callable(thing) and group != "Internals" else None
        if known is not None:
            links.append(f'<a href="../{known}">{word}</a>')
            page.found.append((known, f"{name}.{word}", ""))
            continue
        text = _entry(word, thing, render)
        if not text:
            continue
        if callable(thing):
            seen[id(thing)] = f"{path}#{word}"
        parts.append(text)
        page.entries.append((word, f"{name}.{word}", _first_line(thing)))
        if inspect.isclass(thing):
            page.found += [
                (f"{path}#{word}.{member}", f"{name}.{word}.{member}", _first_line(value))
                for member, value in _own(word, thing)
            ]
    if links:
        parts.append(f'<h2 id="also-here">Also here</h2><p class="names">{" ".join(links)}</p>')
    page.body = "\n".join(parts)
    return page


def _names(module: ModuleType) -> list[str]:
    """Return a module's public names; doors without a list of them answer `dir`."""
    own = getattr(module, "__all__", None)
    if own is None and module.__name__.removeprefix("tinygrad_cnn.") in DOORS:
        own = [n for n in dir(module) if n[0] != "_" and not _is_python(n, getattr(module, n))]
    elif own is None:
        own = [n for n, v in vars(module).items() if _is_at_home(module, v)]
    return sorted({n for n in own if not n.startswith("_")}, key=str.lower)


def _is_python(name: str, thing: Any) -> bool:
    """Whether a module merely has a name from Python's own modules, for its annotations."""
    home = str(getattr(thing, "__module__", ""))
    return name == "annotations" or home in ("typing", "collections.abc", "functools", "types")


def _is_at_home(module: ModuleType, thing: Any) -> bool:
    home = getattr(thing, "__module__", None) or ""
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return False
    is_package = hasattr(module, "__path__")
    return home == module.__name__ or (is_package and home.startswith(module.__name__ + "."))


def _entry(word: str, thing: Any, render: Render) -> str:
    """Return a name's part of its page."""
    if not callable(thing):
        value = re.sub(r" at 0x[0-9a-f]+", "", repr(thing))
        shown = value if len(value) < 80 else value[:77] + "…"
        return f'<h3 id="{word}"><code>{word}</code> = {html.escape(shown)}</h3>'
    kind = "class " if inspect.isclass(thing) else ""
    head = f'<h3 id="{word}">{kind}<code>{word}</code>{_signature(thing)}</h3>'
    if str(getattr(thing, "__module__", "")).partition(".")[0] == "numpy":
        return f"{head}<p>NumPy's: {html.escape(_first_line(thing))}</p>"
    body = docstring(thing, render)
    if inspect.isclass(thing):
        body += _members(word, thing, render)
    return f'<section class="entry">{head}{body}</section>'


def _members(word: str, thing: type, render: Render) -> str:
    """Return what a class defines itself, folded where it is much."""
    parts = []
    for name, value in _own(word, thing):
        sign = _signature(value) if callable(value) else ""
        parts.append(
            f'<dt id="{word}.{name}"><code>.{name}</code>{sign}</dt>'
            f"<dd>{docstring(value, render)}</dd>"
        )
    if not parts:
        return ""
    folded = "" if len(parts) > 3 else " open"
    count = f"{len(parts)} method{'s' if len(parts) > 1 else ''}"
    return f"<details{folded}><summary>{count}</summary><dl>{''.join(parts)}</dl></details>"


def _own(word: str, thing: type) -> list[tuple[str, Any]]:
    """Return methods and properties that a class defines itself; of Tensor and Module all."""
    found = []
    for name in sorted(n for n in dir(thing) if not n.startswith("_")):
        member = inspect.getattr_static(thing, name)
        home = next((c for c in thing.__mro__ if name in vars(c)), thing)
        if not home.__module__.startswith("tinygrad_cnn") or (
            home is not thing and word not in ("Tensor", "Module")
        ):
            continue
        value = getattr(thing, name, member)
        if isinstance(member, property) or callable(value):
            found.append((name, value))
    return found


def _first_line(thing: Any) -> str:
    """Return what a docstring begins with."""
    documented = callable(thing) or isinstance(thing, property)
    return (inspect.getdoc(thing) or "").partition("\n")[0][:160] if documented else ""


def _signature(thing: Any) -> str:
    try:
        text = str(inspect.signature(thing))
    except (TypeError, ValueError):
        return ""
    text = re.sub(r" at 0x[0-9a-f]+|tinygrad_cnn\.[\w.]*\.|numpy\.typing\.|typing\.", "", text)
    if inspect.isclass(thing):
        text = text.split(" -> ")[0]
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)  # annotations are strings
    return f'<span class="signature">{html.escape(text)}</span>'


def docstring(thing: Any, render: Render) -> str:
    """Return a docstring as HTML: sections underlined with dashes become lists of terms."""
    text = inspect.getdoc(thing) or ""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", text, flags=re.MULTILINE)
    made = [_prose(parts[0], render)]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        made.append(f"<h4>{title}</h4>")
        at = re.search(r"^>>> ", body, flags=re.MULTILINE)  # an example after the section
        body, example = (body[: at.start()], body[at.start() :]) if at else (body, "")
        terms = re.findall(r"^(\S.*)\n((?:(?:[ ]{4}.*)?\n?)+)", body, flags=re.MULTILINE)
        if title in ("Parameters", "Raises", "Attributes", "Warns") and terms:
            made.append("<dl>")
            for term, about in terms:
                about = inspect.cleandoc(about)
                made.append(f"<dt>{html.escape(term)}</dt><dd>{_prose(about, render)}</dd>")
            made.append("</dl>")
        else:
            made.append(_prose(inspect.cleandoc(body), render))
        made.append(_prose(example, render))
    return "".join(made)


def _prose(text: str, render: Render) -> str:
    """Return text as HTML; what begins with >>> is code, to the next empty line."""
    fenced = re.sub(
        r"^>>> .*(?:\n(?!\s*\n|\Z).+)*",
        lambda m: f"```pycon\n{m[0]}\n```",
        text,
        flags=re.MULTILINE,
    )
    return render(re.sub(r"::$", ":", fenced, flags=re.MULTILINE))


def _index(made: list[Page]) -> Page:
    """Return the page that lists every name."""
    parts = ["<h1>Reference</h1><p>Every public name, two clicks away.</p>"]
    for page in made:
        names = " ".join(
            f'<a href="../{page.path}#{anchor}">{anchor}</a>' for anchor, _, _ in page.entries
        )
        mark = {"Doors": " (door)", "Internals": " (internal)"}.get(page.group, "")
        parts.append(
            f'<h2><a href="../{page.path}">{page.title}</a>{mark}</h2><p class="names">{names}</p>'
        )
    return Page("api/index.html", "Reference", "\n".join(parts), "Reference")


def _internals(made: list[Page], render: Render) -> Page:
    """Return the map of the house: each module with the first line of what it says of itself."""
    import tinygrad_cnn

    known = {page.title: page.path for page in made}
    rows = []
    for info in pkgutil.walk_packages(tinygrad_cnn.__path__, "tinygrad_cnn."):
        name = info.name
        if "._" in name or name.split(".")[1] in ("torch", "torchvision") or name.count(".") > 2:
            continue
        text = ast.get_docstring(ast.parse(Path(_file(name)).read_text(encoding="utf-8"))) or ""
        short = f"<code>{name.removeprefix('tinygrad_cnn.')}</code>"
        link = f'<a href="../{known[name]}">{short}</a>' if name in known else short
        rows.append(f"<tr><td>{link}</td><td>{render(text.partition(chr(10) * 2)[0])}</td></tr>")
    body = (
        "<h1>The map of the house</h1><p>Every module, and what it says of itself. What has no "
        "page is internal: it may change in any version. The floors they stand on are in the "
        f"repository's CONTRIBUTING.md.</p><table>{''.join(rows)}</table>"
    )
    return Page("api/modules.html", "All modules", body, "Internals")


def _file(name: str) -> str:
    """Return where a module stands, without importing it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return spec.origin
