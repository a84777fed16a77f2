"""Text that stays in its box whatever fonts a viewer has.

A picture asks for Arial. A renderer that has none lays it out by the letters of another font,
mostly of DejaVu Sans, a seventh wider; and so does a viewer. So each piece of text in an SVG is
told how long it was laid out to be, and a viewer that has another font fits it to that length. In
a box it shows how long that was, for its lines have the box's centre; elsewhere it is reckoned.
"""

from __future__ import annotations

import html
import re
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
# The same of DejaVu Sans, from the font itself.
_WIDE = (
    "318 401 460 838 636 950 780 275 390 390 500 838 318 361 318 337 636 636 636 636 636 636 636 "
    "636 636 636 337 337 838 838 838 531 1000 684 686 698 770 632 575 775 752 295 295 656 557 863 "
    "748 787 603 787 695 635 611 732 684 989 685 611 685 390 337 390 838 500 500 613 635 550 635 "
    "615 352 635 634 278 278 579 278 974 634 612 635 635 411 521 392 634 592 818 592 592 525 636 "
    "337 636 838"
)
_WIDE_BOLD = (
    "348 456 521 838 696 1002 872 306 457 457 523 838 380 415 380 365 696 696 696 696 696 696 696 "
    "696 696 696 400 400 838 838 838 580 1000 774 762 734 830 683 683 821 837 372 372 775 637 995 "
    "837 850 733 850 770 720 682 812 774 1103 771 724 725 457 365 457 838 500 500 675 716 593 716 "
    "678 435 716 712 343 343 665 343 1042 712 687 716 716 493 595 478 712 652 924 645 652 582 712 "
    "365 712 838"
)
_SIGNS = "\u00a0×·−–…→∂Σ"


def _table(letters: str, signs: str) -> dict[str, int]:
    widths = (int(width) for width in f"{letters} {signs}".split())
    return dict(zip([*map(chr, range(32, 127)), *_SIGNS], widths, strict=True))


_ARIAL_SIGNS = "278 584 278 584 556 1000 1000 494 618"
_ARIAL = {False: _table(_REGULAR, _ARIAL_SIGNS), True: _table(_BOLD, _ARIAL_SIGNS)}
_DEJAVU = {
    False: _table(_WIDE, "318 838 318 838 500 1000 838 517 632"),
    True: _table(_WIDE_BOLD, "348 838 380 838 500 1000 838 544 683"),
}

_TEXT = re.compile(r'<text (?P<attributes>[^>]*font-size="(?P<size>[0-9.]+)[^>]*)>(?P<text>[^<]*)<')
_MARK = re.compile(
    r'<g id="[^"]*" class="(?P<group>\w+)"'
    r'|<(?:polygon|path)[^>]* (?:points|d)="(?P<outline>[^"]*)"'
    r"|<(?P<words>text) "
)


def width_of(
    text: str, size: float, bold: bool = False, font: dict[bool, dict[str, int]] = _ARIAL
) -> float | None:
    """Return how long a line is, in Arial or DejaVu Sans; None if a sign is not known.

    >>> width_of("MM", 12.0)
    19.992
    """
    widths = font[bold]
    if any(sign not in widths for sign in text):
        return None
    return sum(widths[sign] for sign in text) * size / 1000


def fit_text(svg: str) -> str:
    """Tell every piece of text in an SVG of Graphviz's how long it is laid out to be.

    >>> fit_text('<text x="1" font-size="10.00">mm</text>')
    '<text x="1" font-size="10.00" textLength="16.66" lengthAdjust="spacingAndGlyphs">mm</text>'
    """
    measured = _measured(svg)
    pieces = [_piece(found) for found in _TEXT.finditer(svg)]
    known = [piece.width or 0.0 for piece in pieces if piece.place in measured]
    wider = sum(measured.values()) / sum(known) if any(known) else 1.0
    font = _DEJAVU if wider > 1.05 else _ARIAL

    def fitted(found: re.Match[str]) -> str:
        width = measured.get(found.start()) or _piece(found, font).width
        if not width or "textLength" in found["attributes"]:
            return found[0]
        length = f'textLength="{width:.2f}" lengthAdjust="spacingAndGlyphs"'
        return f"<text {found['attributes']} {length}>{found['text']}<"

    return _TEXT.sub(fitted, svg)


class _Piece(NamedTuple):
    """A piece of text: its place in the file and in the picture, how long it is in a font."""

    place: int
    x: float | None
    y: str | None
    width: float | None


def _piece(found: re.Match[str], font: dict[bool, dict[str, int]] = _ARIAL) -> _Piece:
    attributes = found["attributes"]
    places = dict(re.findall(r'\b(x|y)="(-?[0-9.]+)"', attributes))
    bold = 'font-weight="bold"' in attributes
    width = width_of(html.unescape(found["text"]), float(found["size"]), bold, font)
    started = 'text-anchor="start"' in attributes and "x" in places
    x = float(places["x"]) if started else None
    return _Piece(found.start(), x, places.get("y"), width)


def _measured(svg: str) -> dict[int, float]:
    """Return how long text in boxes was laid out to be, by its place in the file.

    A line has the box's centre; where it is in pieces, one ends where the next begins.
    """
    lengths: dict[int, float] = {}
    centre: float | None = None
    in_box = False
    line: list[_Piece] = []
    for mark in _MARK.finditer(svg):
        piece = None
        if mark["group"]:
            in_box, centre = mark["group"] == "node", None
        elif mark["outline"]:
            across = [float(x) for x in re.findall(r"(-?[0-9.]+),", mark["outline"])]
            centre = (min(across) + max(across)) / 2 if in_box and across else None
        elif found := _TEXT.match(svg, mark.start()):
            piece = _piece(found)
        if piece and line and piece.y == line[0].y:
            line.append(piece)
            lengths |= _line(line, centre)
        else:
            line = [piece] if piece else []
            lengths |= _line(line, centre)
    return lengths


def _line(line: list[_Piece], centre: float | None) -> dict[int, float]:
    """Return the lengths of a line's pieces; none where they are not as they should be."""
    if centre is None or any(piece.x is None or not piece.width for piece in line):
        return {}
    starts = [piece.x or 0.0 for piece in line]
    ends = [*starts[1:], 2 * centre - starts[0]] if line else []
    lengths = {p.place: end - x for p, x, end in zip(line, starts, ends, strict=True)}
    real, expected = sum(lengths.values()), sum(piece.width or 0.0 for piece in line)
    return lengths if 0.8 * expected < real < 1.5 * expected else {}
