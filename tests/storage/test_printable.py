"""Text out of files neither controls the terminal nor becomes markup."""

import json

import pytest

from daf.storage.printable import (
    markdown_code,
    markdown_text,
    printable,
    printable_json,
    printable_lines,
    terminal_text,
)

HOSTILE = "a\x1b]0;owned\x07\x1b[31mred\x9b2J\u202ebidi\r\nnext\tcell"


def test_what_is_not_printable_is_written_out() -> None:
    assert printable(HOSTILE) == r"a\x1b]0;owned\x07\x1b[31mred\x9b2J\u202ebidi\r\nnext\tcell"
    assert printable_lines(HOSTILE) == "a\\x1b]0;owned\\x07\\x1b[31mred\\x9b2J\\u202ebidi\\r\nnext\tcell"
    assert printable("plain ä → 漢字 🎉") == "plain ä → 漢字 🎉"
    assert printable("\udcff") == r"\udcff"


def test_json_keeps_its_values_and_loses_what_steers_a_terminal() -> None:
    text = json.dumps({"title": HOSTILE}, ensure_ascii=False)
    safe = printable_json(text)
    assert json.loads(safe) == json.loads(text)
    assert safe.isprintable()


def test_a_console_of_the_callers_gets_text_without_escapes() -> None:
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    console.print(terminal_text("[bold]x[/bold]\x1b[31m"))
    assert console.file.getvalue() == "[bold]x[/bold]\\x1b[31m\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "&lt;b&gt; <b>", "[x](javascript:alert(1))", "`a`|b*c*_d_"]
)
def test_markdown_shows_markup_as_it_was_written(text: str) -> None:
    shown = markdown_text(text)
    assert "<" not in shown
    assert "](" not in shown.replace("\\](", "")
    assert "<script" not in markdown_code(text)


def test_a_block_of_code_cannot_be_left() -> None:
    assert markdown_code("a ```` b") == "`````\na ```` b\n`````"
    assert markdown_code("</code></pre><b>") == "<pre><code>&lt;/code&gt;&lt;/pre&gt;&lt;b&gt;</code></pre>"
