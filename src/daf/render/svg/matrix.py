"""The cross-play matrix as inline SVG: how much each policy gets with each partner.

A row is a policy, a column its partner, the diagonal self-play. Every cell shows its number; the tint only helps to
find the high ones, and is light enough that the text on it is readable in light and dark mode.

A matrix of up to `FEW` policies is drawn a second time for narrow screens, with its row labels above the rows; the page
shows one of the two (`report.css`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from daf.errors import DataError
from daf.render.svg.intervals import ABOVE, CHARACTER, NARROW, WIDTH
from daf.render.text import shortened

LEAST_TINT, MOST_TINT = 0.05, 0.5
FEW = 3
LABEL = 22
"""Maximum length of a row or column label, in characters."""


@dataclass(frozen=True)
class MatrixCell:
    """value: determines the tint. text: the number. below: its interval, "" if none. mark: "▲" if the policy is known
    to gain from this partner, "▼" if it loses, else ""."""

    value: float
    text: str
    below: str
    mark: str


Rows = Sequence[Sequence[MatrixCell]]


def matrix_svg(names: Sequence[str], cells: Rows, *, description: str) -> Markup:
    """The SVG. Raises `DataError` if the cells do not form a square of the size of `names`."""
    _check(names, cells)
    if len(names) > FEW:
        return Markup(_drawn(names, cells, WIDTH, f'class="figure" aria-label="{escape(description)}"'))
    return Markup(
        _drawn(names, cells, WIDTH, f'class="figure wide" aria-label="{escape(description)}"')
        + _drawn(names, cells, NARROW, f'class="figure narrow" aria-label="{escape(description)}"', above=ABOVE)
    )


def _drawn(names: Sequence[str], cells: Rows, width: int, attributes: str, *, above: int = 0) -> str:
    """One drawing. above: room for a row's label above it; with 0, labels are at the left."""
    labels = [shortened(name, LABEL) for name in names]
    gutter = 4 if above else 16 + CHARACTER * max(len(label) for label in labels)
    side = (width - gutter - 4) / len(names)
    tall, top = above + min(58.0, max(40.0, side * 0.5)), 48
    tints = _tints(cells)
    parts = [
        f'<svg {attributes} role="img" viewBox="0 0 {width} {top + tall * len(names) + 6:.0f}">',
        f'<text class="axis" x="{gutter:.0f}" y="14">with partner</text>',
    ]
    for column, label in enumerate(labels):
        short = shortened(label, max(4, int(side / CHARACTER)))
        parts.append(
            f'<text x="{gutter + side * (column + 0.5):.1f}" y="38" text-anchor="middle">{escape(short)}</text>'
        )
    for row, line in enumerate(cells):
        y = top + tall * row
        place = f'x="4" y="{y + 15:.1f}"' if above else f'x="{gutter - 10:.0f}" y="{y + tall / 2 + 4:.1f}"'
        parts.append(f'<text {place} text-anchor="{"start" if above else "end"}">{escape(labels[row])}</text>')
        for column, cell in enumerate(line):
            x = gutter + side * column
            edge = ' stroke="var(--muted)" stroke-width="1.6"' if row == column else ""
            parts.append(
                f'<rect x="{x + 1.5:.1f}" y="{y + above + 1.5:.1f}" width="{side - 3:.1f}" '
                f'height="{tall - above - 3:.1f}" rx="4" '
                f'fill="var(--s0)" fill-opacity="{tints[row][column]:.2f}"{edge}/>'
            )
            middle, base = x + side / 2, y + above + (tall - above) / 2
            text = f"{cell.text} {cell.mark}".strip()
            lift = -2 if cell.below and side >= 90 else 4
            parts.append(
                f'<text x="{middle:.1f}" y="{base + lift:.1f}" text-anchor="middle" font-weight="600">'
                f"{escape(text)}</text>"
            )
            if cell.below and side >= 90:
                parts.append(
                    f'<text x="{middle:.1f}" y="{base + 14:.1f}" text-anchor="middle" style="font-size:12px">'
                    f"{escape(cell.below)}</text>"
                )
    return "".join(parts) + "</svg>"


def _check(names: Sequence[str], cells: Rows) -> None:
    if not names or len(cells) != len(names) or any(len(line) != len(names) for line in cells):
        raise DataError(f"a matrix of {len(names)} policies needs {len(names)} rows and {len(names)} columns.")


def _tints(cells: Rows) -> list[list[float]]:
    values = [cell.value for line in cells for cell in line]
    low, span = min(values), max(values) - min(values)
    return [
        [LEAST_TINT + (MOST_TINT - LEAST_TINT) * ((cell.value - low) / span if span > 0 else 0.0) for cell in line]
        for line in cells
    ]
