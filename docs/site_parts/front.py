"""The front page, which is the README with its links turned into the site's, and the examples."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import Any

from site_parts.reference import Page


def text(readme: Path) -> str:
    """Return the README with links as the site has them."""
    text = readme.read_text(encoding="utf-8")
    text = re.sub(r"\]\(docs/(\w+)\.md(#[\w-]+)?\)", r"](\1.html\2)", text)
    text = re.sub(r"\[([^\]]*)\]\((?!http|\w+\.html|examples/pictures)[^)]*\)", r"\1", text)
    return text.replace("](examples/pictures/", "](pictures/")


def example(path: Path, markdown: Any) -> Page:
    """Return the page of an example: its source, whole."""
    source = path.read_text(encoding="utf-8")
    title = f"examples/{path.name}"
    body = f"# {title}\n\nBack to [the path](examples.html).\n\n```py\n{source}```\n"
    made = Page(f"example_{path.stem}.html", title, markdown.render(body), "Examples")
    about = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    made.entries.append(("", title, about))
    return made


def pictures(folder: Path, root: Path) -> None:
    """Copy the pictures that pages show."""
    target = folder / "pictures"
    target.mkdir(exist_ok=True)
    for picture in (*root.glob("examples/pictures/*.svg"), *root.glob("docs/pictures/*.svg")):
        shutil.copyfile(picture, target / picture.name)
