"""Text from files, made safe to show.

Titles, names and messages come from files that others may have written. Shown raw, an escape sequence in them
controls the terminal (colours, window title, clipboard), and a direction mark reorders the text. Here every such
character is escaped (`\\x1b`), so that it is visible and has no effect. The terminal, JSON, Markdown and the pages use
these functions.
"""

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.text import Text

_JSON_UNSAFE = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` with every unprintable character escaped, line breaks and tabs included."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def printable_lines(text: str) -> str:
    """`text` with its line breaks and tabs kept and everything else printable."""
    if text.isprintable():
        return text
    return "".join(part if part in ("\n", "\t") else printable(part) for part in re.split(r"([\n\t])", text))


def printable_json(text: str) -> str:
    """JSON `text` with terminal control characters escaped; the values that it encodes are the same."""
    return _JSON_UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def markdown_text(text: str) -> str:
    """`text` on one line, with everything escaped that Markdown or HTML would take for markup."""
    safe = printable(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"([\\`*\[\]|~])", r"\\\1", safe)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", escaped)


def markdown_code(text: str) -> str:
    """`text` as a block of code, whatever backticks it contains; as HTML with entities if it contains a tag."""
    shown = printable_lines(text)
    if "<" in shown:  # a viewer without support for fences would take it for a tag
        return f"<pre><code>{escape(shown, quote=False)}</code></pre>"
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    return f"{fence}\n{shown}\n{fence}"


def terminal_text(text: str, *, style: str = "", justify: "JustifyMethod | None" = None) -> "Text":
    """`text` for a `rich` console: printable, and without markup."""
    from rich.text import Text

    return Text(printable_lines(text), style=style, justify=justify)
