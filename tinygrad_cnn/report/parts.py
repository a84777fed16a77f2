"""Parts of a page: text that is safe in HTML, tables, figures."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.report import figures
from tinygrad_cnn.report.picture import data_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["facts", "number", "picture", "safe", "table"]


def safe(value: Any) -> str:
    """Return text as HTML, whatever it holds.

    >>> safe('<b>"1" & 2</b>')
    '&lt;b&gt;&quot;1&quot; &amp; 2&lt;/b&gt;'
    """
    return html.escape(str(value)).encode("utf-8", "replace").decode("utf-8")


def number(value: Any) -> str:
    """Return a number with the digits that mean something, other things as text.

    >>> number(13602), number(0.0123456), number(1e-7), number("sgd")
    ('13,602', '0.01235', '1e-07', 'sgd')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Any]],
    numbers: Sequence[int] = (),
    classes: Sequence[str] = (),
) -> str:
    """Return a table that scrolls sideways where it is too wide.

    Parameters
    ----------
    head
        Names of the columns.
    rows
        Their cells.
    numbers
        The columns to set flush right.
    classes
        A class for each row, "" for none.
    """
    aligned = ["" if i not in numbers else ' class="n"' for i in range(len(head))]
    top = "".join(
        f'<th scope="col"{mark}>{safe(name)}</th>' for name, mark in zip(head, aligned, strict=True)
    )
    lines = []
    for index, row in enumerate(rows):
        cells = "".join(
            f"<td{mark}>{safe(number(cell))}</td>" for cell, mark in zip(row, aligned, strict=True)
        )
        kind = f' class="{safe(classes[index])}"' if classes and classes[index] else ""
        lines.append(f"<tr{kind}>{cells}</tr>")
    body = "\n".join(lines)
    return (
        f'<div class="scroll" tabindex="0"><table>\n<thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def facts(pairs: Iterable[tuple[str, Any]]) -> str:
    """Return names with their values."""
    lines = "\n".join(
        f"<div><dt>{safe(name)}</dt><dd>{safe(number(value))}</dd></div>" for name, value in pairs
    )
    return f'<dl class="facts">\n{lines}\n</dl>'


def picture(figure: Figure, description: str) -> str:
    """Return a figure as an image that is part of the page."""
    source = data_uri(figures.svg(figure), "image/svg+xml")
    return f'<img src="{source}" alt="{safe(description)}">'
