"""The fenced code blocks of README and docs, as sybil reads them."""

from dataclasses import dataclass
from pathlib import Path

from sybil import Document
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(language: str) -> list[Block]:
    """All blocks in `language`, page by page, with the line of their opening fence."""
    parser = CodeBlockParser(language, evaluator=lambda example: None)
    documents = [(page, Document(page.read_text(), str(page))) for page in PAGES]
    return [
        Block(page, document.text.count("\n", 0, region.start) + 1, str(region.parsed))
        for page, document in documents
        for region in parser(document)
    ]
