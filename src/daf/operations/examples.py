"""The examples that come with DAF: find them, and run each in a separate directory.

An example is a Python file in `examples/` of the source, which the wheel contains too. Its docstring says what it
shows, and ends with a line such as `Time: 40 s`, what it takes on two cores.
"""

import ast
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import daf
from daf.core.jobs import interface as jobs
from daf.core.jobs.interface import JobSpec
from daf.core.jobs.local import LocalJobs
from daf.errors import Interrupted, UsageError, unknown
from daf.stats.sentences import counted
from daf.storage import atomic
from daf.storage.jsonable import jsonable
from daf.storage.reading import read_bytes

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

TIMEOUT_SECONDS = 1800.0
QUICK_SECONDS = 45.0
"""Examples that take up to this are quick."""
PARTS = ("replays", "stats", "checkpoints", "visualizations", "logs")
LOG = "execution_log.json"
_GRACE_SECONDS = 30.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Example:
    """An example. title: what it shows, in one line. seconds: what it takes on two cores, roughly."""

    name: str
    path: Path
    title: str
    seconds: float

    @property
    def quick(self) -> bool:
        """Whether it takes less than a minute or so."""
        return self.seconds <= QUICK_SECONDS


@dataclass(frozen=True)
class ExampleResult:
    """How an example ran. duration: in seconds. returncode: negative if a signal ended it."""

    script: Path
    returncode: int
    duration: float
    stdout: str
    stderr: str
    output_dir: Path
    success: bool


def discover_examples(folder: str | Path | None = None) -> list[Example]:
    """The examples by name. folder: where they lie; default: those of DAF. Raises `UsageError` if there is none."""
    place = _place() if folder is None else Path(folder).expanduser()
    found = [_described(path) for path in sorted(place.glob("*.py")) if not path.name.startswith("_")]
    if not found:
        raise UsageError(f"no examples in {place}: it has no Python files.")
    return found


def run_examples(
    names: Sequence[str] = (),
    *,
    jobs_at_once: int = 1,
    timeout: float = TIMEOUT_SECONDS,
    folder: str | Path | None = None,
    output: "OutputManager | None" = None,
    on_change: Callable[[Example, "ExampleResult | None"], None] | None = None,
) -> list[ExampleResult]:
    """Run examples in separate processes, each in its own timestamped directory, where all that it writes goes.

    names: also the unique beginning of one; default all. timeout: in seconds, for each. on_change: called when an
    example starts (None) and ends. Raises `UsageError` for an unknown name, before any example runs; `Interrupted`
    after Ctrl-C.
    """
    from daf.output_manager import OutputManager

    if jobs_at_once < 1:
        raise UsageError(f"--jobs must be at least 1, got {jobs_at_once}.")
    known = {example.name: example for example in discover_examples(folder)}
    chosen = [known[_whole(name, known)] for name in names] if names else list(known.values())
    where = output or OutputManager()
    config = {"examples": [one.name for one in chosen]}
    with where.operation("artifacts", title=counted(len(chosen), "example"), config=config) as run:
        results = _Examples(run, timeout, jobs_at_once, on_change or (lambda *_: None)).all(chosen)
        data = [{**jsonable(result), "name": result.script.stem} for result in results]
        atomic.write_json(run / "results.json", {"examples": data})
        failed = [result.script.stem for result in results if not result.success]
        where.log_operation_complete(
            "artifacts", "failed" if failed else "completed", {"examples": len(results)},
            error=f"failed: {', '.join(failed)}" if failed else None,
        )  # fmt: skip
    return results


class _Examples:
    def __init__(
        self, run: Path, timeout: float, most: int, on_change: Callable[[Example, ExampleResult | None], None]
    ) -> None:
        self.run, self.timeout, self.most, self.on_change = run, timeout, most, on_change
        self.runner = LocalJobs()
        self.running: dict[str, tuple[Example, JobSpec, float]] = {}
        self.results: dict[str, ExampleResult] = {}

    def all(self, chosen: Sequence[Example]) -> list[ExampleResult]:
        """Run `chosen`, and return their results in that order."""
        waiting = list(chosen)
        try:
            while waiting or self.running:
                while waiting and len(self.running) < self.most:
                    self._launch(waiting.pop(0))
                self.runner.wait([job for _, job, _ in self.running.values()], _POLL_SECONDS)
                self._collect()
        except BaseException as error:
            jobs.stop(self.runner, [job for _, job, _ in self.running.values()], grace=_GRACE_SECONDS)
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(f"stopped after {len(self.results)} of {len(chosen)} examples.") from error
            raise
        return [self.results[example.name] for example in chosen]

    def _launch(self, example: Example) -> None:
        place = self.run / f"{example.name}_{datetime.now():%Y%m%d_%H%M%S}"
        for part in PARTS:
            (place / part).mkdir(parents=True, exist_ok=True)
        job = JobSpec(
            example.name,
            (sys.executable, str(example.path)),
            place / "logs" / "process",
            environment={"DAF_OUTPUT_DIR": str(place), "DAF_EXAMPLE_DIR": str(place)},
            cwd=place,
            outlives_launcher=False,
        )
        self.runner.launch(job)
        self.running[example.name] = (example, job, time.monotonic())
        self.on_change(example, None)

    def _collect(self) -> None:
        for name, (example, job, since) in list(self.running.items()):
            status, seconds, late = self.runner.status(job), time.monotonic() - since, ""
            if status.state == "running":
                if seconds <= self.timeout:
                    continue
                jobs.stop(self.runner, [job], grace=min(_GRACE_SECONDS, self.timeout))
                late = f"\ntook longer than {self.timeout:g} seconds and was ended."
            del self.running[name]
            code = status.exit_code if status.exit_code is not None and not late else -9
            place = job.folder.parents[1]
            result = ExampleResult(
                script=example.path,
                returncode=code,
                duration=seconds,
                stdout=_text(job.stdout),
                stderr=_text(job.stderr) + late,
                output_dir=place,
                success=code == 0,
            )
            atomic.write_json(place / LOG, jsonable(result))
            self.results[name] = result
            self.on_change(example, result)


def _place() -> Path:
    """`examples/` next to `src/` in a checkout, else where the wheel puts them: below the environment's data."""
    source = Path(daf.__file__).parents[2] / "examples"
    installed = Path(sysconfig.get_path("data")) / "share" / "daf" / "examples"
    return source if (source / "quick_start.py").is_file() else installed


def _whole(name: str, known: Mapping[str, Example]) -> str:
    """The name that begins with `name`. Raises `UsageError` unless there is exactly one."""
    found = [name] if name in known else [each for each in known if each.startswith(name)]
    if len(found) > 1:
        raise UsageError(f'"{name}" is the beginning of several examples: {", ".join(found)}.')
    if not found or not name:
        raise UsageError(unknown("example", name, known))
    return found[0]


def _described(path: Path) -> Example:
    text = (read_bytes(path) or b"").decode(errors="replace")
    try:
        lines = (ast.get_docstring(ast.parse(text)) or "").splitlines()
    except SyntaxError:
        lines = []
    times = [line.removeprefix("Time:").split() for line in lines if line.startswith("Time:")]
    seconds = float(times[-1][0]) if times and times[-1] and times[-1][0].isdecimal() else float("inf")
    return Example(path.stem, path, lines[0] if lines else "", seconds)


def _text(path: Path) -> str:
    return (read_bytes(path) or b"").decode(errors="replace")
