"""The page of the commands: what `--help` says of each."""

from __future__ import annotations

import argparse
import html
import os
from collections.abc import Iterator

from site_parts.reference import Page


def page() -> Page:
    """Return the page."""
    from tinygrad_cnn.cli.main import _parser

    os.environ["COLUMNS"] = "90"  # the width that argparse writes for
    made = Page("api/commands.html", "Commands", "", "Reference")
    parts = ["<h1>Commands</h1><p>What <code>tinygrad-cnn COMMAND --help</code> says.</p>"]
    for name, parser in commands(_parser()):
        anchor = name.replace(" ", "-")
        text = parser.format_help()
        words = " ".join(text.partition("\n\n")[2].split())
        made.entries.append((anchor, name, words))
        parts.append(f'<h2 id="{anchor}"><code>{name}</code></h2>')
        parts.append(f"<pre><code>{html.escape(text)}</code></pre>")
    made.body = "\n".join(parts)
    return made


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Iterate over a parser and those of its subcommands."""
    yield parser.prog, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in dict.fromkeys(action.choices.values()):
                yield from commands(inner)
