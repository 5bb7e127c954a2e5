"""What the tests of faults share: the shim, the warm process that runs commands under it, and the runs themselves."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def built_shim(folder: Path) -> Path:
    """The compiled shim. Raises `CalledProcessError` with the compiler's messages."""
    target = folder / "shim.so"
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(target), str(HERE / "shim.c")]
    subprocess.run([*command, "-ldl"], check=True)
    return target


@dataclass(frozen=True)
class Ran:
    """A command that ended. code: minus the signal that killed it. calls: "operation path" of each write-side call."""

    code: int
    stdout: str
    stderr: str
    calls: list[str]

    def data(self) -> dict[str, Any]:
        """The JSON object on standard output."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def output(self) -> str:
        return f"exit code {self.code}\n{self.stdout[-4000:]}\n{self.stderr[-4000:]}"


class Server:
    """Runs commands of DAF in forks of one warm process. modules: also imported before the first."""

    def __init__(self, shim: Path, folder: Path, modules: Sequence[str] = ()) -> None:
        self._out = folder / "out"
        environment = os.environ | {"LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server", *modules],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def run(
        self, argv: Sequence[str | Path], root: Path, *, mode: str = "count", at: int = 0, error: int = errno.EIO
    ) -> Ran:
        """Run `daf argv…` in `root` until it ends. mode: off, count, kill, fail (call `at`), fail_from (and later)."""
        return self.together([argv], root, mode=mode, at=at, error=error)[0]

    def together(
        self,
        commands: Sequence[Sequence[str | Path]],
        root: Path,
        *,
        mode: str = "off",
        at: int = 0,
        error: int = errno.EIO,
    ) -> list[Ran]:
        """Run several commands in `root` at the same time, until all have ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        outs = [f"{self._out}{place}" for place in range(len(commands))]
        requests = [
            {
                "argv": [str(word) for word in argv],
                "cwd": str(root),
                "root": str(root),
                "mode": mode,
                "at": at,
                "error": error,
                "out": out,
                "env": {"DAF_OUTPUT_DIR": str(root / "out"), "COLUMNS": "200"},
            }
            for argv, out in zip(commands, outs, strict=True)
        ]
        self._process.stdin.write(json.dumps(requests) + "\n")
        self._process.stdin.flush()
        codes = json.loads(self._process.stdout.readline())
        texts = [[Path(f"{out}.{end}").read_text() for end in ("stdout", "stderr", "calls")] for out in outs]
        return [
            Ran(code, stdout, stderr, calls.splitlines())
            for code, (stdout, stderr, calls) in zip(codes, texts, strict=True)
        ]


def fresh(base: Path, target: Path) -> Path:
    """A copy of the directory `base` at `target`, whatever lay there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(base, target, symlinks=True)
    return target
