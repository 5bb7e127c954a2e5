"""One page on a run, assembled from parts: tables, figures, facts and sentences, with one kind of each everywhere.

The caller that fills a `RunPage` decides the content and its order, failures first; `run_html` and `run_markdown` (in
`markdown.py`) decide how it looks. Every text may be hostile: it is made printable when a part is created, and escaped
when it is rendered. Links are relative to the page's directory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from daf.render.pages.html import page
from daf.render.text import printable

FILTER_ROWS = 12
"""Tables with more rows than this can be filtered."""


@dataclass(frozen=True)
class Cell:
    """A table's cell. link: a path relative to the page. anchor: the key of a part of the page to link to. tag: "ok",
    "failed", "decided", "open" for a coloured mark. slot: the colour of a series. detail: text that unfolds on demand.
    """

    text: str
    link: str | None = None
    anchor: str | None = None
    tag: str | None = None
    slot: int | None = None
    code: bool = False
    strong: bool = False
    detail: str = ""


@dataclass(frozen=True)
class Column:
    """number: right-aligned, sorted by value. choice: readers can filter the rows by one of its values. prose: wrapped
    in a wide column.
    """

    name: str
    number: bool = False
    choice: bool = False
    prose: bool = False


@dataclass(frozen=True)
class Table:
    """rows: one cell per column. folded: shown on demand, under this summary."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    folded: str = ""
    kind: str = "table"

    def __post_init__(self) -> None:
        wrong = next((row for row in self.rows if len(row) != len(self.columns)), None)
        if wrong is not None:
            raise ValueError(f"a row of {len(wrong)} cells in a table of {len(self.columns)} columns: {wrong}")


@dataclass(frozen=True)
class Plot:
    """A figure as inline SVG, as drawn by `curve_figure`. size: "half" is placed next to another if there is room."""

    title: str
    svg: Markup
    caption: str = ""
    size: str = "half"


@dataclass(frozen=True)
class Plots:
    """Figures of one group. linked: they share the x axis, so their pointers move together."""

    plots: Sequence[Plot]
    linked: bool = True
    kind: str = "plots"


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    items: Sequence[tuple[str, str]]
    folded: str = ""
    kind: str = "facts"


@dataclass(frozen=True)
class Text:
    """Paragraphs. muted: in small print."""

    paragraphs: Sequence[str]
    muted: bool = False
    kind: str = "text"


@dataclass(frozen=True)
class Code:
    """Text to be copied verbatim, such as a command."""

    text: str
    folded: str = ""
    kind: str = "code"


@dataclass(frozen=True)
class Sentences:
    """Findings, each with a tag: ("decided" | "open" | "equal", text of the tag, sentence)."""

    rows: Sequence[tuple[str, str, str]]
    folded: str = ""
    kind: str = "sentences"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: str = "heading"


@dataclass(frozen=True)
class Folded:
    """Parts shown on demand, under `summary`. key: the anchor; a link to it unfolds them."""

    summary: str
    key: str
    parts: "Sequence[Part]"
    kind: str = "folded"


type Part = Table | Plots | Facts | Text | Code | Sentences | Heading | Folded


@dataclass(frozen=True)
class Section:
    """key: the anchor, also used by the navigation."""

    key: str
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Alert:
    """What a reader must know before any number. bad: whether it is a failure. detail: a traceback, further text."""

    text: str
    bad: bool = False
    detail: str = ""


@dataclass(frozen=True)
class RunPage:
    """A page. subtitle: run, date, duration. finding: the outcome, in a sentence or two. reading: how to read the
    numbers, by term."""

    title: str
    subtitle: str
    chips: Sequence[str] = ()
    alerts: Sequence[Alert] = ()
    finding: str = ""
    sections: Sequence[Section] = ()
    reading: Sequence[tuple[str, str]] = field(default_factory=tuple)


def cell(value: object, **looks: str | int | bool | None) -> Cell:
    """A cell with `value` as printable text; `None` is shown as a dash."""
    return Cell(printable("–" if value is None else str(value)), **looks)  # type: ignore[arg-type]


def fragment(template: str, sections: Sequence[Section]) -> str:
    """Sections alone, as `template` arranges them, for an existing page."""
    return page(template, {"sections": sections, "filter_rows": FILTER_ROWS})


def run_html(run: RunPage) -> str:
    """The page as one self-contained HTML file."""
    return page("run.html.j2", {"title": run.title, "run": run, "filter_rows": FILTER_ROWS})
