"""The front page: the README, with its links turned into the site's."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from site_parts.reference import Page


def page(readme: Path, markdown: Any) -> Page:
    """Return the front page."""
    text = readme.read_text(encoding="utf-8")
    text = re.sub(r"\]\(docs/(\w+)\.md(#[\w-]+)?\)", r"](\1.html\2)", text)
    text = re.sub(r"\[([^\]]*)\]\((?!http|\w+\.html|examples/pictures)[^)]*\)", r"\1", text)
    text = text.replace("](examples/pictures/", "](pictures/")
    made = Page("index.html", "tinygrad_cnn", markdown.render(text), "")
    made.entries.append(("", "tinygrad_cnn", "Convolutional networks on NumPy, front page"))
    return made


def pictures(folder: Path, root: Path) -> None:
    """Copy the pictures that pages show."""
    target = folder / "pictures"
    target.mkdir(exist_ok=True)
    for picture in (*root.glob("examples/pictures/*.svg"), *root.glob("docs/pictures/*.svg")):
        shutil.copyfile(picture, target / picture.name)
