"""The cross-play matrix as inline SVG: how much each policy gets with each partner.

A row is a policy, a column its partner, the diagonal self-play. Every cell shows its number; the tint only helps to
find the high ones, and is light enough that the text on it is readable in light and dark mode.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from daf.errors import DataError
from daf.render.svg.intervals import CHARACTER, WIDTH
from daf.render.text import shortened

LEAST_TINT, MOST_TINT = 0.05, 0.5
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
    labels = [shortened(name, LABEL) for name in names]
    gutter = 16 + CHARACTER * max(len(label) for label in labels)
    side = (WIDTH - gutter - 4) / len(names)
    tall, top = min(58.0, max(40.0, side * 0.5)), 48
    tints = _tints(cells)
    parts = [
        f'<svg class="figure" role="img" viewBox="0 0 {WIDTH} {top + tall * len(names) + 6:.0f}" '
        f'aria-label="{escape(description)}">',
        f'<text class="axis" x="{gutter:.0f}" y="14">with partner</text>',
    ]
    for column, label in enumerate(labels):
        short = shortened(label, max(4, int(side / CHARACTER)))
        parts.append(
            f'<text x="{gutter + side * (column + 0.5):.1f}" y="38" text-anchor="middle">{escape(short)}</text>'
        )
    for row, line in enumerate(cells):
        y = top + tall * row
        parts.append(
            f'<text x="{gutter - 10:.0f}" y="{y + tall / 2 + 4:.1f}" text-anchor="end">{escape(labels[row])}</text>'
        )
        for column, cell in enumerate(line):
            x = gutter + side * column
            edge = ' stroke="var(--muted)" stroke-width="1.6"' if row == column else ""
            parts.append(
                f'<rect x="{x + 1.5:.1f}" y="{y + 1.5:.1f}" width="{side - 3:.1f}" height="{tall - 3:.1f}" rx="4" '
                f'fill="var(--s0)" fill-opacity="{tints[row][column]:.2f}"{edge}/>'
            )
            middle, base = x + side / 2, y + tall / 2
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
    return Markup("".join(parts) + "</svg>")


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
