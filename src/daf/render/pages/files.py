"""The page of a run as text, and its files: `report.html` (`sweep.html` in the directory of a sweep) and `REPORT.md`.

A page is derived from the run's other files: it can be deleted and rebuilt.
"""

from dataclasses import dataclass
from pathlib import Path

from daf.render.pages.markdown import run_markdown
from daf.render.pages.parts import RunPage, run_html
from daf.storage.atomic import write_text
from daf.storage.containment import own

HTML, SWEEP, MARKDOWN = "report.html", "sweep.html", "REPORT.md"
WRITTEN_BY_RUNS = ("analysis.html", "metrics.html", "power.html", HTML)
"""Pages that a run writes itself, on which its report is based; the first that exists."""


@dataclass(frozen=True)
class Pages:
    """A report's text. html, markdown: None to keep the file that the run itself wrote into the directory."""

    html: str | None
    markdown: str | None


def pages_of(page: RunPage) -> Pages:
    """`page` in both forms."""
    return Pages(run_html(page), run_markdown(page))


def write_pages(folder: Path, pages: Pages, html: str = HTML) -> tuple[Path, Path]:
    """Write `pages` into `folder` and return the paths of both files, also of one that is kept.

    html: name of the HTML file. Raises `StorageError`, and `UnsafePathError` for a link that leads out of `folder`.
    """
    paths = own(folder, html), own(folder, MARKDOWN)
    for path, text in zip(paths, (pages.html, pages.markdown), strict=True):
        if text is not None:
            write_text(path, text)
    return paths
