"""Text that stays in its box whatever fonts a viewer has.

A picture is laid out by the widths of Arial's letters. Where there is no Arial, a viewer takes
another font, and DejaVu Sans is a seventh wider. So each piece of text in an SVG is told how long
it is, and a viewer that has another font fits it to that length.
"""

from __future__ import annotations

import html
import re
from itertools import pairwise
from typing import NamedTuple

__all__ = ["fit_text", "width_of"]

# Widths in thousandths of the font's size, of Helvetica, whose widths are Arial's. Source: Adobe's
# font metrics of the core fonts. From space to tilde, then those signs that pictures use.
_REGULAR = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 "
    "556 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 "
    "722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 "
    "556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 "
    "260 334 584"
)
_BOLD = (
    "278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 "
    "556 556 556 333 333 584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 "
    "722 778 667 778 722 667 611 722 667 944 667 667 611 333 278 333 584 556 333 556 611 556 611 "
    "556 333 611 611 278 278 556 278 889 611 611 611 611 389 556 333 611 556 778 556 556 500 389 "
    "280 389 584"
)
_SIGNS = {"\u00a0": 278, "×": 584, "·": 278, "−": 584, "–": 556, "…": 1000, "→": 1000, "∂": 494}


def _table(widths: str) -> dict[str, int]:
    return {chr(32 + i): int(width) for i, width in enumerate(widths.split())} | _SIGNS


_WIDTHS = {False: _table(_REGULAR), True: _table(_BOLD)}

_TEXT = re.compile(r'<text (?P<attributes>[^>]*font-size="(?P<size>[0-9.]+)[^>]*)>(?P<text>[^<]*)<')


def width_of(text: str, size: float, bold: bool = False) -> float | None:
    """Return how long a line of Arial is, in the units of its size; None if a sign is not known.

    >>> width_of("MM", 12.0)
    19.992
    """
    widths = _WIDTHS[bold]
    if any(sign not in widths for sign in text):
        return None
    return sum(widths[sign] for sign in text) * size / 1000


def fit_text(svg: str) -> str:
    """Tell every piece of text in an SVG of Graphviz's how long it is laid out to be.

    >>> fit_text('<text x="1" font-size="10.00">mm</text>')
    '<text x="1" font-size="10.00" textLength="16.66" lengthAdjust="spacingAndGlyphs">mm</text>'
    """
    pieces = [_piece(found) for found in _TEXT.finditer(svg)]
    wider = _wider(pieces)

    def fitted(found: re.Match[str]) -> str:
        piece = _piece(found)
        if not piece.width or "textLength" in found["attributes"]:
            return found[0]
        width = piece.width * (wider if piece.bold else (1 + wider) / 2)
        length = f'textLength="{width:.2f}" lengthAdjust="spacingAndGlyphs"'
        return f"<text {found['attributes']} {length}>{found['text']}<"

    return _TEXT.sub(fitted, svg)


class _Piece(NamedTuple):
    """A piece of text: where it begins, how long it is in Arial, and whether it is bold."""

    x: float | None
    y: str | None
    width: float | None
    bold: bool


def _piece(found: re.Match[str]) -> _Piece:
    attributes = found["attributes"]
    places = dict(re.findall(r'\b(x|y)="(-?[0-9.]+)"', attributes))
    bold = 'font-weight="bold"' in attributes
    width = width_of(html.unescape(found["text"]), float(found["size"]), bold)
    started = 'text-anchor="start"' in attributes and "x" in places
    return _Piece(float(places["x"]) if started else None, places.get("y"), width, bold)


def _wider(pieces: list[_Piece]) -> float:
    """How much wider than Arial the bold font is by which a picture was laid out.

    A renderer that finds no Arial takes another font. It shows where a bold name is followed by
    other text: that begins where the name ends. Of the fonts used instead, regular letters are
    wider by about half as much (DejaVu Sans: bold 1.2, regular 1.1).
    """
    real = expected = 0.0
    for one, other in pairwise(pieces):
        if one.y == other.y and one.bold and None not in (one.x, other.x):
            real += (other.x or 0.0) - (one.x or 0.0)
            expected += one.width or 0.0
    return min(max(real / expected, 1.0), 1.5) if expected else 1.0
