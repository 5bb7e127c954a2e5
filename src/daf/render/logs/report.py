"""The PDF report of a log: every figure, all maps, and the tables, page by page; byte-for-byte reproducible."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daf.render.figures.frame import WIDTH, figure_of
from daf.render.figures.map import map_figure
from daf.render.logs.data import LogTables, fitting, grid, tiled
from daf.render.logs.figures import MOST_CELLS, map_of, visits_note
from daf.render.logs.tables import alerts, as_lines, headline, tables
from daf.storage import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAPS_PER_PAGE = 12
MAPS = 96
_LINES = 62
_WIDTH = 118


def write_report(log: LogTables, name: str, path: Path, figures: "Sequence[Figure]") -> Path:
    """Write the report to `path` atomically, with `figures` after its first page. Raises `StorageError`."""
    from matplotlib.backends.backend_pdf import PdfPages

    metadata = {"Creator": "daf", "Producer": "daf", "CreationDate": None, "Title": f"Training log: {name}"}
    with atomic.writing(path) as temporary, PdfPages(temporary, metadata=metadata) as pdf:
        for figure in _pages(log, name, figures):
            pdf.savefig(figure, dpi=200)
    return path


def _pages(log: LogTables, name: str, figures: "Sequence[Figure]") -> Iterator["Figure"]:
    sections: list[Sequence[str]] = [["• " + fact for fact in headline(log)]]
    if alerts(log):
        sections.append(["• " + alert for alert in alerts(log)])
    found = tables(log, most=45)
    sections += [[title, "", *as_lines(table), "", *textwrap.wrap(table.note, _WIDTH)] for title, table in found[:1]]
    yield from _text_pages(f"Training log: {name}", sections)
    yield from figures
    yield from _map_pages(log, name)
    yield from _text_pages(
        f"Tables: {name}",
        [[title, "", *as_lines(table), *([table.note] if table.note else [])] for title, table in found[1:]],
    )


def _map_pages(log: LogTables, name: str) -> Iterator["Figure"]:
    """Every map that the heatmap's page does not show."""
    maps = [int(m) for m in log.maps["map"]][MAPS_PER_PAGE : MAPS + MAPS_PER_PAGE]
    if not maps:
        return
    tile, canvas = fitting(log.visits, MOST_CELLS)
    counts = grid(tiled(log.visits, tile), canvas)
    for first in range(0, len(maps), MAPS_PER_PAGE):
        page = [map_of(log, canvas, counts, m, tile) for m in maps[first : first + MAPS_PER_PAGE]]
        yield map_figure(
            page, title=f"Further maps: {name}", unit="visits (records)", caption=visits_note(tile).strip()
        )


def _text_pages(title: str, sections: Sequence[Sequence[str]]) -> Iterator["Figure"]:
    """Pages of fixed-width text; a section that does not fit starts a new page, a longer one spans several pages."""
    lines: list[str] = []
    for section in sections:
        wrapped = [piece for line in section for piece in (textwrap.wrap(line, _WIDTH, drop_whitespace=False) or [""])]
        if lines and len(lines) + len(wrapped) > _LINES:
            yield _text_page(title, lines)
            lines = []
        while len(wrapped) > _LINES:
            yield _text_page(title, wrapped[:_LINES])
            wrapped = wrapped[_LINES:]
        lines += [*wrapped, ""]
    if any(lines):
        yield _text_page(title, lines)


def _text_page(title: str, lines: Sequence[str]) -> "Figure":
    figure = figure_of(WIDTH, 11)
    figure.text(0.04, 0.965, title, fontsize=13, fontweight="bold", va="top")
    figure.text(0.04, 0.925, "\n".join(lines), fontsize=7.6, family="DejaVu Sans Mono", va="top", linespacing=1.35)
    return figure
