"""A terminal for the shell blocks of a page: `daf` runs in this process, everything else in bash.

Between blocks, the working directory, exported variables and programs started with `&` are kept, as in a terminal.
A command that serves until Ctrl-C (`SERVERS`) runs until it has printed its address, then gets Ctrl-C.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daf.cli import main, show

SERVERS = ("serve", "dashboard")
SHELL = re.compile(r"[|<>&;]|\$\(")
FAILS = re.compile(r"#.*exits with (\d)")
"""A comment that documents the exit status of its command."""
TIMEOUT = 800
_ADDRESS = re.compile(r"\w+://")


def commands(text: str) -> list[str]:
    """The commands of a block, one a line, with continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


class Terminal:
    """Runs the lines of blocks in `folder`. changed: the words of a `daf` command as tests run them.

    Variables and the directory are those of this process, changed through `patch`, which the caller undoes.
    """

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        capture: pytest.CaptureFixture[str],
        changed: Callable[[list[str]], list[str]],
    ) -> None:
        self.patch = patch
        self.capture = capture
        self.changed = changed
        self.times: list[tuple[float, str]] = []
        self._background: list[subprocess.Popen[str]] = []
        patch.chdir(folder)
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("COLUMNS", "100")

    def run(self, text: str) -> None:
        """Run a block. Raises `AssertionError` on the first command that does not end as documented."""
        for line in commands(text):
            started = time.process_time()
            status, output = self._run(line)
            self.times.append((time.process_time() - started, line))
            documented = FAILS.search(line)
            expected = int(documented[1]) if documented else 0
            assert status == expected, f"`{line}` exited with {status}, not {expected}:\n{output}"

    def show(self, text: str) -> None:
        """Run a block of `$ command` lines, each with the output that follows it, where `…` stands for anything."""
        for line, expected in transcript(text):
            status, output = self._kept(line) or self._in_bash(line, change=False)
            documented = FAILS.search(line)
            assert status == (int(documented[1]) if documented else 0), f"`{line}` exited with {status}:\n{output}"
            assert matches(expected, output), f"`{line}`\n--- documented\n{expected}\n--- printed\n{output}"

    def close(self) -> None:
        """End what still runs in the background."""
        for process in self._background:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def _run(self, line: str) -> tuple[int, str]:
        given = words(line)
        if kept := self._kept(line):
            return kept
        if given[:1] != ["daf"] or SHELL.search(re.sub(r"'[^']*'|\"[^\"]*\"|\s#.*", "", line)):
            return self._in_bash(line)
        if given[1] in SERVERS:
            return self._served(self.changed(given))
        return self._in_this_process(self.changed(given))

    def _kept(self, line: str) -> tuple[int, str] | None:
        """Run a command that changes the terminal itself, if it is one."""
        given = words(line)
        if given[0] == "cd":
            self.patch.chdir(given[1])
            self.patch.syspath_prepend(Path.cwd())
            return 0, ""
        if given[0] == "export":
            for each in given[1:]:
                self.patch.setenv(*each.split("=", 1))
            return 0, ""
        return None

    def _in_this_process(self, given: list[str]) -> tuple[int, str]:
        self.capture.readouterr()
        with self.patch.context() as patch:
            patch.setattr(show.out, "_width", 200)
            patch.setattr(sys, "argv", given)
            patch.syspath_prepend(Path.cwd())
            with pytest.raises(SystemExit) as ended:
                main()
        said = self.capture.readouterr()
        return int(ended.value.code or 0), shlex.join(given) + "\n" + said.out + said.err

    def _in_bash(self, line: str, *, change: bool = True) -> tuple[int, str]:
        if line.rstrip().endswith("&"):
            return self._start(line.rstrip().removesuffix("&"))
        if change and words(line)[0] == "daf":
            line = shlex.join(self.changed(words(line)))
        ended = subprocess.run(
            ["bash", "-c", line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
        )
        return ended.returncode, ended.stdout

    def _open(self, command: list[str]) -> tuple[subprocess.Popen[str], str]:
        """Start a program, and wait until it prints an address or ends; with what it printed until then."""
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0, bufsize=1
        )
        late = threading.Timer(TIMEOUT, process.kill)
        late.start()
        printed = ""
        assert process.stdout is not None
        for line in process.stdout:
            printed += line
            if _ADDRESS.search(line):
                break
        late.cancel()
        return process, printed

    def _start(self, line: str) -> tuple[int, str]:
        process, printed = self._open(["bash", "-c", f"exec {line}"])
        self._background.append(process)
        return process.poll() or 0, printed

    def _served(self, given: list[str]) -> tuple[int, str]:
        process, printed = self._open(given)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=TIMEOUT)
        return 0 if process.returncode == 130 and _ADDRESS.search(printed) else process.returncode, printed + rest


def transcript(text: str) -> list[tuple[str, str]]:
    """The commands of a block of `$ command` lines, each with the output below it."""
    shown: list[tuple[str, list[str]]] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.startswith("$ "):
            shown.append((line[2:], []))
        else:
            assert shown, f"a block of this kind starts with `$ `, not with {line!r}"
            shown[-1][1].append(line)
    return [(command, "\n".join(output)) for command, output in shown]


def matches(expected: str, output: str) -> bool:
    """Whether `output` is what a page shows: `…` stands for any part of a line, a line `…` for any number of lines.

    White space at the ends of lines and empty lines do not count. Nothing shown means that nothing is promised.
    """
    if not expected.strip():
        return True
    pattern = ""
    for line in filter(str.strip, expected.splitlines()):
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r"\s*".join(map(_part, line.split())) + r"[ \t]*\n"
    found = "".join(f"{line.strip()}\n" for line in output.splitlines() if line.strip())
    return re.fullmatch(pattern, found) is not None


def _part(word: str) -> str:
    return "[^\n]*?".join(map(re.escape, word.split("…")))
