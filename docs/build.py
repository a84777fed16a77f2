"""Make the documentation.

python docs/build.py site [FOLDER]    one static site (docs/_site): no server, nothing fetched
python docs/build.py site [FOLDER] --pyodide RUNTIME    with code that runs in the browser
python docs/build.py rules            bring up to date what guides take from the source: the rules,
                                      their pictures (with Graphviz's dot), PyTorch's names

Needs `pip install 'tinygrad-cnn[docs]'`: markdown-it-py and Pygments. Outputs are recorded;
tests compare them. RUNTIME is an unpacked Pyodide distribution with NumPy's wheel in it; what is
needed of it is packed into the site, which grows by 15 MB.
"""

from __future__ import annotations

import argparse
import html
import importlib
import inspect
import json
import re
import sys
import textwrap
from html.parser import HTMLParser
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

GUIDES = {
    "Begin": ["start", "one_page", "story", "examples"],
    "Coming from": ["pytorch", "pytorch_names", "numpy", "when"],
    "Write": ["write_layers", "write_operation", "writing", "data"],
    "Verify": ["verify", "verdicts", "training_step", "verify_other_code", "museum"],
    "See and run": ["pictures", "runs", "weights", "onnx", "distributed", "fast", "reproducible"],
    "Derive the rule": [
        "rules_elementwise",
        "rules_reductions",
        "rules_products",
        "rules_convolution",
        "rules_pooling",
        "rules_resampling",
        "rules_normalisation",
        "rules_losses",
        "rules_ordering",
        "rules_shapes",
    ],
}
SOURCE = re.compile(r"<!-- source: ([\w.]+):([\w.]+) -->\n```py\n.*?^```$", re.DOTALL | re.M)


def guides() -> dict[str, list[str]]:
    """Return the guides by group, those that no group names at the end."""
    named = {name for group in GUIDES.values() for name in group}
    rest = sorted(path.stem for path in HERE.glob("*.md") if path.stem not in named)
    return {**GUIDES, "More": rest} if rest else GUIDES


def included(text: str) -> str:
    """Return a guide with what its `source` comments name, as it stands in the source."""

    def fresh(found: re.Match[str]) -> str:
        thing: Any = importlib.import_module(found[1])
        for part in found[2].split("."):
            thing = inspect.getattr_static(thing, part)
        code = textwrap.dedent(inspect.getsource(thing)).strip()
        return f"<!-- source: {found[1]}:{found[2]} -->\n```py\n{code}\n```"

    return SOURCE.sub(fresh, text)


def slug(text: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


def renderer() -> Any:
    """Return the Markdown renderer."""
    from markdown_it import MarkdownIt
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    languages = {"py": "python", "sh": "bash", "output": "text", "": "text"}

    def code(text: str, language: str, _attributes: str) -> str:
        name = languages.get(language, language)
        inner = highlight(text, get_lexer_by_name(name), HtmlFormatter(nowrap=True))
        kinds = [language] * (language in ("output", "python")) + ["long"] * (text.count("\n") > 50)
        kind = f' class="{" ".join(kinds)}"' if kinds else ""
        return f"<pre{kind}><code>{inner}</code></pre>"

    return MarkdownIt("commonmark", {"html": True, "highlight": code}).enable("table")


def guide(path: Path, group: str, markdown: Any) -> Any:
    """Return a guide's page."""
    from site_parts.reference import Page

    text = included(path.read_text(encoding="utf-8"))
    text = re.sub(
        r"<!-- file: (\S+) -->",
        lambda found: f"```py\n{(HERE.parent / found[1]).read_text(encoding='utf-8')}```",
        text,
    )
    text = text.replace("](../examples/pictures/", "](pictures/")
    text = re.sub(r"\]\(\.\./examples/(\w+)\.py\)", r"](example_\1.html)", text)
    frame = r'<iframe src="live/\1.html" title="\1"></iframe>'
    text = re.sub(r"<!-- live: (\w+) -->", frame, text)
    text = re.sub(r"\]\((?!http)([\w/]*?)(\w+)\.md(#[\w-]+)?\)", r"](\2.html\3)", text)
    return filled(Page(f"{path.stem}.html", "", "", group), text, markdown)


def filled(page: Any, text: str, markdown: Any) -> Any:
    """Return a page with a text in it: headings have anchors, and the search finds their words."""
    tokens = markdown.parse(text)
    for i, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        title = re.sub(r"[`*]", "", tokens[i + 1].content)
        anchor = slug(title)
        token.attrSet("id", anchor)
        page.title = page.title or title
        page.entries.append((anchor, title, words_below(tokens[i + 3 :])))
    page.body = markdown.renderer.render(tokens, markdown.options, {})
    return page


def words_below(tokens: list[Any]) -> str:
    """Return what stands below a heading, for the search."""
    below = takewhile(lambda token: token.type != "heading_open", tokens)
    text = " ".join(token.content for token in below if token.type in ("inline", "fence"))
    return " ".join(re.sub(r"<[^>]+>|\]\([^)]*\)|[`*\[\]]", "", text).split())


def written(page: Any, groups: dict[str, list[Any]]) -> str:
    """Return a page whole: header, navigation, body."""
    base = "../" * page.path.count("/")
    scripts = ("run/files.js", "run.js") if page.runs else ()
    run = "".join(f'<script src="{base}{name}"></script>' for name in scripts)
    links = []
    for group, members in groups.items():
        far = group in ("Examples", "Reference", "Doors", "Internals") and page not in members
        links.append(f"<details{'' if far else ' open'}><summary>{group}</summary>")
        for other in members:
            here = ' aria-current="page"' if other is page else ""
            links.append(f'<a href="{base}{other.path}"{here}>{html.escape(short(other))}</a>')
        links.append("</details>")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<title>{html.escape(page.title)} · tinygrad_cnn</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{base}style.css"></head>
<body data-base="{base}">
<header><button id="menu" aria-label="Contents">☰</button>
<a href="{base}index.html">tinygrad_cnn</a>
<input id="search" type="search" placeholder="Search ( / )" aria-label="Search" autocomplete="off">
<button id="theme" aria-label="Light or dark">◐</button><ul id="results"></ul></header>
<div class="page"><nav>{"".join(links)}</nav>
<main>{page.body}{turn(page, groups)}</main>{toc(page)}</div>
<script src="{base}page.js"></script>{run}</body></html>
"""


def short(page: Any) -> str:
    """Return a page's name in lists."""
    title: str = re.sub(r"^(tinygrad_cnn\.|examples/|Derive the rule: )", "", page.title)
    title = title.split(":")[0]
    return title[0].upper() + title[1:] if page.path.startswith("rules") else title


def turn(page: Any, groups: dict[str, list[Any]]) -> str:
    """Return links to the guides before and after one."""
    order = [other for group in guides() for other in groups[group]]
    if page not in order:
        return ""
    at, made = order.index(page), []
    for other, word, rel in ((at - 1, "Before", "prev"), (at + 1, "Next", "next")):
        if 0 <= other < len(order):
            name = html.escape(short(order[other]))
            made.append(
                f'<a href="{order[other].path}" rel="{rel}"><small>{word}</small>{name}</a>'
            )
    return f'<div class="turn">{"".join(made)}</div>'


def toc(page: Any) -> str:
    """Return what is on a page, where that is more than one thing."""
    links = "".join(
        f'<a href="#{anchor}">{html.escape(anchor if "/" in page.path else name)}</a>'
        for anchor, name, _ in page.entries[0 if "/" in page.path else 1 :]
    )
    return f'<div class="toc"><b>On this page</b>{links}</div>' if links.count("<a") > 1 else ""


class Links(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what a tag names."""
        for key, value in attrs:
            if key == "id" and value:
                self.anchors.add(value)
            if value and (key == "src" or (key == "href" and tag in ("a", "link"))):
                self.links.append(value)


def broken(folder: Path, found: list[list[str]]) -> list[str]:
    """Return the links and anchors that lead nowhere, those of the search too."""
    read = {
        p: Links(p.read_text(encoding="utf-8"))
        for p in folder.rglob("*.html")
        if p.parent.name != "live"
    }
    wrong = []
    for page, links in read.items():
        for link in links.links:
            if re.match(r"https?:|mailto:|data:", link):
                continue
            name, _, anchor = unquote(link).partition("#")
            target = (page.parent / name).resolve() if name else page
            if not target.exists():
                wrong.append(f"{page.relative_to(folder)}: {link}: no such file")
            elif anchor and target in read and anchor not in read[target].anchors:
                wrong.append(f"{page.relative_to(folder)}: {link}: no such anchor")
    for link, name, _ in found:
        path, _, anchor = link.partition("#")
        if anchor and anchor not in read[folder / path].anchors:
            wrong.append(f"search for {name}: {link}: no such anchor")
    return wrong


def site(folder: Path, pyodide: Path | None = None) -> list[str]:
    """Write the site into a folder, and return what is wrong with its links.

    With an unpacked Pyodide distribution, the code of some guides runs in the reader's browser.
    """
    from site_parts import commands, front, live, reference, runtime

    markdown = renderer()
    groups: dict[str, list[Any]] = {
        group: [guide(HERE / f"{name}.md", group, markdown) for name in names]
        for group, names in guides().items()
    }
    groups["Examples"] = [
        front.example(path, markdown) for path in sorted(HERE.parent.glob("examples/*.py"))
    ]
    readme = front.text(HERE.parent / "README.md")
    home = filled(reference.Page("index.html", "", "", ""), readme, markdown)
    for page in [*reference.pages(markdown.render), commands.page()]:
        groups.setdefault(page.group, []).append(page)
    folder.mkdir(parents=True, exist_ok=True)
    if pyodide is not None:
        runtime.pack(pyodide, HERE.parent, folder / "run")
        for page in (p for members in groups.values() for p in members):
            has_code = '<pre class="python' in page.body
            page.runs = has_code and Path(page.path).stem not in runtime.NEED_THREADS
    everything = [home, *(page for members in groups.values() for page in members)]
    index = []
    for page in everything:
        target = folder / page.path
        target.parent.mkdir(exist_ok=True)
        target.write_text(written(page, groups), encoding="utf-8")
        index += [[f"{page.path}#{a}", name, about] for a, name, about in page.entries]
        index += page.found
    (folder / "index.js").write_text(f"const INDEX = {json.dumps(index)};\n", encoding="utf-8")
    for name in ("style.css", "page.js", "run.js"):
        (folder / name).write_bytes((HERE / "site_parts" / name).read_bytes())
    front.pictures(folder, HERE.parent)
    live.pages(folder / "live")
    return broken(folder.resolve(), index)


def rules() -> None:
    """Bring what guides take from the source up to date: rules, pictures, names."""
    from site_parts import flows, names, notebooks

    for path in sorted(HERE.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if included(text) != text:
            path.write_text(included(text), encoding="utf-8")
            print(f"{path.name}: brought up to date")
    (HERE / "pytorch_names.md").write_text(names.page(), encoding="utf-8")
    for path in [*flows.draw(HERE / "pictures"), *notebooks.draw(HERE / "pictures")]:
        print(f"{path.name}: drawn")


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description="Make the documentation.")
    parser.add_argument("what", choices=["site", "rules"])
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "_site")
    parser.add_argument(
        "--pyodide", type=Path, metavar="RUNTIME", help="an unpacked Pyodide distribution"
    )
    options = parser.parse_args()
    if options.what == "rules":
        rules()
        return 0
    from site_parts.runtime import NoRuntimeError

    try:
        wrong = site(options.folder, options.pyodide)
    except NoRuntimeError as error:
        wrong = [str(error)]
    print("\n".join(wrong) or f"{options.folder}/index.html")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
