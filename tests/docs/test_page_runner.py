"""Running a page finds what is wrong in it; only sizes are changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs import smaller
from tests.docs.pages import Page
from tests.docs.shell import matches, transcript
from tests.docs.test_pages import open_page as open_page
from tests.docs.test_pages import run

OpenPage = Callable[..., Page]


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


def test_a_command_that_fails_fails_the_page(tmp_path: Path, open_page: OpenPage) -> None:
    wrong = page(tmp_path, "```bash\ndaf missions arenna\n```\n")
    with pytest.raises(AssertionError, match=r"`daf missions arenna` exited with 2, not 0[\s\S]*arena"):
        run(open_page(wrong))


def test_a_documented_exit_status_is_expected(tmp_path: Path, open_page: OpenPage) -> None:
    run(open_page(page(tmp_path, "```bash\ndaf missions arenna    # exits with 2\n```\n")))


def test_other_output_than_documented_fails_the_page(tmp_path: Path, open_page: OpenPage) -> None:
    run(open_page(page(tmp_path, "```console\n$ echo one; echo two\none\n…\n```\n")))
    wrong = page(tmp_path, "```console\n$ echo one\ntwo\n```\n")
    (tmp_path / "again").mkdir()
    with pytest.raises(AssertionError, match=r"documented\ntwo\n--- printed\none"):
        run(open_page(wrong, folder=tmp_path / "again"))


def test_blocks_share_names_files_and_the_directory(tmp_path: Path, open_page: OpenPage) -> None:
    text = """
```bash
cat notes.yaml && mkdir inside
cd inside
export COLOR=blue
```

<!-- invisible-code: python
start = 1
-->

```python
import os
from pathlib import Path

assert (start, Path.cwd().name, os.environ["COLOR"]) == (1, "inside", "blue")
```

```yaml
# notes.yaml
kind: variant
variant_names: [no_clips]
```
"""
    run(open_page(page(tmp_path, text)))


def test_a_page_without_a_block_that_runs_fails(tmp_path: Path, open_page: OpenPage) -> None:
    skipped = page(tmp_path, '<!-- skip: next "needs the moon" -->\n```bash\ndaf missions\n```\n')
    with pytest.raises(AssertionError, match="every block is skipped"):
        run(open_page(skipped))


def test_blocks_marked_slow_run_only_on_request(tmp_path: Path, open_page: OpenPage) -> None:
    slow = page(tmp_path, '```bash\ntrue\n```\n\n<!-- slow: next "takes minutes" -->\n```bash\nfalse\n```\n')
    run(open_page(slow))
    (tmp_path / "again").mkdir()
    with pytest.raises(AssertionError, match="`false` exited with 1"):
        run(open_page(slow, slow=True, folder=tmp_path / "again"))


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        ("a … c\n…\nz", "a b c\n1\n2\nz", True),
        ("a   b", "  a b  \n\n", True),
        ("a\n…\nz", "a\nz\ny", False),
        ("took …; run: …/x", "took 3 s; run: /tmp/x", True),
        ("3.9", "3.8", False),
        ("a\nb", "a\nc\nb", False),
    ],
)
def test_an_ellipsis_stands_for_a_part_of_a_line_or_for_lines(expected: str, output: str, same: bool) -> None:
    assert matches(expected, output + "\n") is same


def test_a_transcript_is_commands_with_their_output() -> None:
    assert transcript("$ a \\\n  b\n1\n2\n$ c\n") == [("a b", "1\n2"), ("c", "")]


@pytest.mark.parametrize(
    ("shown", "run"),
    [
        ("daf evaluate -p starter -m arena -e 30", "-p starter -m arena,cogs=4,max_steps=20 -e 2 --executor serial"),
        ("daf evaluate -p a -m arena,max_steps=900 --jobs 2", "-p a -m arena,cogs=4,max_steps=20 --jobs 2"),
        ("daf analyze mission arena -p a", "mission arena,cogs=4,max_steps=20 -p a --executor serial"),
        ("daf train -m mission.py --steps 2e6", "-m mission.py --steps 512 --set n_steps=16 --set num_envs=2"),
        ("daf runs tag latest arena", "tag latest arena"),
    ],
)
def test_only_sizes_of_a_command_change(shown: str, run: str) -> None:
    assert " ".join(smaller.command(shown.split())).endswith(f" {run}")
