"""A `RunPage` as Markdown (REPORT.md): for a terminal, a pull request, a chat.

It contains alerts, finding, tables, sentences and facts; figures and folded parts are on the page only. Names are
escaped, so that none can become markup.
"""

from collections.abc import Iterable, Iterator, Sequence

from daf.render.pages.parts import Cell, Code, Facts, Heading, Part, RunPage, Sentences, Table, Text
from daf.storage.printable import markdown_code, markdown_text

MOST_ROWS = 30


def run_markdown(run: RunPage) -> str:
    """The page without its figures, in GitHub's Markdown."""
    parts = [f"# {markdown_text(run.title)}", markdown_text(run.subtitle)]
    if run.chips:
        parts.append(markdown_text(" · ".join(run.chips)))
    if run.alerts:
        parts.append("\n".join(f"- **{'Failed' if a.bad else 'Note'}:** {markdown_text(a.text)}" for a in run.alerts))
    if run.finding:
        parts += ["## Finding", markdown_text(run.finding)]
    for section in run.sections:
        body = [text for part in section.parts for text in _part(part) if text]
        if body:
            parts += [f"## {markdown_text(section.title)}", *body]
    return "\n\n".join(parts) + "\n"


def _part(part: Part) -> Iterator[str]:
    match part:
        case Table(folded=""):
            rows = [[_text(item) for item in row] for row in part.rows[:MOST_ROWS]]
            sides = "".join("r" if column.number else "l" for column in part.columns)
            yield table([column.name for column in part.columns], rows, sides)
            left = len(part.rows) - len(rows)
            if left:
                yield f"{left:,} more rows are on the page."
            yield markdown_text(part.note)
        case Facts():
            yield "\n".join(f"- {markdown_text(name)}: {markdown_text(value)}" for name, value in part.items)
        case Text():
            yield "\n\n".join(markdown_text(paragraph) for paragraph in part.paragraphs)
        case Code(folded=""):
            yield markdown_code(part.text)
        case Sentences():
            yield "\n".join(f"- {markdown_text(sentence)}" for _, _, sentence in part.rows)
        case Heading():
            yield f"### {markdown_text(part.text)}"


def _text(item: Cell) -> str:
    return f"{item.text}: {item.detail}" if item.detail else item.text


def table(head: Sequence[str], rows: Iterable[Sequence[str]], sides: str) -> str:
    """A table; "" without rows. sides: the alignment of each column, "l" or "r"."""
    body = [[markdown_text(cell) for cell in row] for row in rows]
    if not body:
        return ""
    rule = ["---:" if side == "r" else "---" for side in sides]
    return "\n".join("| " + " | ".join(row) + " |" for row in [[markdown_text(name) for name in head], rule, *body])
