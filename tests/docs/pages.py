"""Pages of the documentation as programs: their blocks run from top to bottom and share what they make.

- `python`: run in one namespace. `bash`: run by a `Terminal`. `console`: `$ command` lines with their output, which
  must match. `yaml`: loaded by the configuration class that it belongs to.
- A block whose first line is a comment with a file name (`# ship.yaml`) is that file, for all blocks of the page.
- `<!-- invisible-code: bash … -->` and the same with `python` prepare what a page takes for granted. What a page begins
  with runs once for all pages that begin with the same.
- `<!-- slow: next "reason" -->`: the block runs only in `make test-slow`. `<!-- skip: next "reason" -->`: it never
  runs. `test_pages.py` lists both.
- The ids of runs in commands (`training/20261120_101500`, `run:20261120_101500`) stand for runs that the page has made:
  the first id of a kind for the oldest.

Sizes are reduced by `smaller`, except in `console` blocks, whose output is real, and where readers don't see them.
"""

import hashlib
import re
import runpy
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from sybil import Document, Example
from sybil.parsers.abstract.skip import AbstractSkipParser
from sybil.parsers.markdown import CodeBlockParser, SkipParser
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer

from daf.output_manager import list_runs
from tests.conftest import made_once
from tests.docs import smaller
from tests.docs.files import load_shown
from tests.docs.shell import Terminal

NAMED = re.compile(r"# ([\w./-]+\.(?:yaml|py|md|toml|json|sql))\n")
"""The first line of a block that is a file."""
SESSION = re.compile(r"(?:(?P<kind>training|evaluations|comparisons|sweeps)/|(?P<run>run:))(?P<id>20\d{6}_\d{4,6}\b)")
GIVEN = """
from cogames.policy.starter_agent import StarterPolicy


class MyPolicy(StarterPolicy):
    pass
"""
"""`my_module.py` and `my_policy.py`, which every page may use."""


class SlowParser(AbstractSkipParser):
    """`<!-- slow: next "reason" -->`."""

    directive = "slow"

    def __init__(self) -> None:
        super().__init__([DirectiveInHTMLCommentLexer(self.directive)])


class Page:
    """One run of a page in `folder`. slow: run the blocks marked slow too. replaced: text, such as a server's URL."""

    def __init__(
        self,
        path: Path,
        folder: Path,
        patch: pytest.MonkeyPatch,
        capture: pytest.CaptureFixture[str],
        *,
        slow: bool = False,
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.folder = folder
        self._patch = patch
        self._as_written = False
        self._sessions: dict[tuple[str, str], str] = {}
        patch.setenv("DAF_OUTPUT_DIR", str(folder / "daf_output"))
        patch.setenv("HOME", str(folder))
        patch.syspath_prepend(str(folder))
        for name in ("my_module", "my_policy"):
            patch.delitem(sys.modules, name, raising=False)
            (folder / f"{name}.py").write_text(GIVEN)
        self.terminal = Terminal(folder, patch, capture, self._command)
        parsers = [
            CodeBlockParser("python", self._python),
            CodeBlockParser("bash", self._bash),
            CodeBlockParser("console", lambda example: self.terminal.show(str(example.parsed))),
            CodeBlockParser("yaml", self._yaml),
            SkipParser(),
            *([] if slow else [SlowParser()]),
        ]
        text = path.read_text()
        for old, new in (replaced or {}).items():
            text = text.replace(old, new)
        self._document = Document(text, str(path))
        for parser in parsers:
            for region in parser(self._document):
                self._document.add(region)
        for _, region in self._document.regions:
            self._save(str(region.parsed))

    def examples(self) -> Iterator[Example]:
        yield from self._document.examples()

    def _bash(self, example: Example) -> None:
        text = str(example.parsed)
        self._as_written = hidden(example)
        if hidden(example) and not (self.folder / "daf_output").exists():
            name = f"documented-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
            made = made_once(name, lambda folder: self._prepare(folder, text))
            shutil.copytree(made, self.folder, dirs_exist_ok=True)
        else:
            self.terminal.run(text)

    def _prepare(self, folder: Path, text: str) -> None:
        """Run what pages begin with, in a separate folder: several pages begin with the same runs."""
        shutil.copytree(self.folder, folder)
        with self._patch.context() as patch:
            patch.chdir(folder)
            patch.setenv("DAF_OUTPUT_DIR", str(folder / "daf_output"))
            self.terminal.run(text)

    def _python(self, example: Example) -> None:
        text = str(example.parsed) if hidden(example) else smaller.python(str(example.parsed))
        if path := self._save(text):
            runpy.run_path(str(path), run_name="shown")
            return
        code = compile("\n" * (example.line + example.parsed.line_offset) + text, str(self.path), "exec")
        exec(code, example.namespace)

    def _yaml(self, example: Example) -> None:
        load_shown(str(example.parsed), self.folder)
        self._save(str(example.parsed))

    def _save(self, text: str) -> Path | None:
        """Write a block that is a file; its path."""
        named = NAMED.match(text)
        if named is None:
            return None
        path = self.folder / named[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".yaml":
            text = yaml.safe_dump(smaller.data(yaml.safe_load(text)), sort_keys=False)
        path.write_text(text)
        return path

    def _command(self, given: list[str]) -> list[str]:
        words = smaller.for_tests(given) if self._as_written else smaller.command(given)
        return [SESSION.sub(self._made, word) for word in words]

    def _made(self, found: re.Match[str]) -> str:
        kind, documented = found["kind"] or "training", found["id"]
        if (kind, documented) not in self._sessions:
            made = sorted(run.run_id for run in list_runs(self.folder / "daf_output") if run.operation == kind)
            place = sum(kind == known for known, _ in self._sessions)
            assert place < len(made), f"{self.path.name}: {found[0]}, but the page has made only {place} {kind} so far"
            self._sessions[kind, documented] = made[place]
        return f"{found['run'] or kind + '/'}{self._sessions[kind, documented]}"


def hidden(example: Example) -> bool:
    """Whether readers don't see the block."""
    return example.document.text[example.start :].lstrip().startswith("<!--")
