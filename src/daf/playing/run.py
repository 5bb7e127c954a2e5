"""A run that played episodes: part of every played operation's result, and the frame around playing.

`play_run` opens the run directory, plays, records the requested replays, and stores plan, records, replays and tables;
the operation adds its analysis. A run in which an episode failed, or that stopped early, is marked as failed. A request
that was made before is answered with the run that it left (`daf.playing.repeats`), and nothing is written.
"""

import contextlib
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.episodes.cache import EpisodeCache, link_or_copy
from daf.episodes.plan import Plan
from daf.episodes.record import EpisodeRecord
from daf.episodes.results_file import CrossplayResults, EvaluationResults, ScoreResults
from daf.episodes.run import RunResult
from daf.episodes.stored import read_result, write_result
from daf.episodes.tables import RunRow, build_tables
from daf.output_manager import execution
from daf.playing import repeats
from daf.playing.player import Player, player
from daf.playing.settings import Settings, settings_data
from daf.storage.containment import own
from daf.storage.names import file_name

if TYPE_CHECKING:
    from daf.output_manager import OutputManager, RunInfo


@dataclass(frozen=True)
class PlayedRun:
    """A run that played episodes.

    operation: the operation of the run directory. title: one line. started: seconds since 1970. seconds: duration up to
    the last call of `timed`. command: in a form that can be run again. cache: the shared store of records. replays: by
    record key, in the run directory. cached: an earlier run, whose request was repeated; the operation writes nothing
    more into it. began: when this request began. request: the key under which equal requests find it, None for a run
    that is not remembered.
    """

    operation: str
    run_id: str
    run_dir: Path
    title: str
    started: float
    seconds: float
    command: str
    settings: Settings
    cache: Path
    result: RunResult = field(repr=False)
    replays: Mapping[str, Path] = field(repr=False)
    cached: bool = False
    began: float | None = None
    request: str | None = None

    @property
    def status(self) -> str:
        """ok: every episode has a result. failed: some have none, or the run stopped early."""
        return "failed" if self.result.failures or self.result.stopped else "ok"

    @property
    def report(self) -> Path | None:
        """The HTML report, if the settings ask for one."""
        return self.run_dir / "report.html" if self.settings.report else None

    @property
    def started_text(self) -> str:
        """The local time at which it started, for example "2026-11-20 10:15:00"."""
        return datetime.fromtimestamp(self.started).isoformat(sep=" ", timespec="seconds")

    def analysed[T](self, kind: Any, work_out: Callable[[], T]) -> T:
        """The analysis that `work_out()` gives, or that an equal request gave. kind: its type."""
        certain = self.request is not None and self.status == "ok"
        return repeats.analysis(self.cache, self.request if certain else None, kind, work_out)

    def timed(self) -> "PlayedRun":
        """A copy with `seconds` up to now, for an operation whose analysis has finished."""
        return replace(self, seconds=time.time() - (self.started if self.began is None else self.began))

    def failure_notes(self, left_out: int = 0) -> list[str]:
        """See `failure_notes`."""
        return failure_notes(self.result, left_out)

    def head_data(self) -> dict[str, Any]:
        """The first fields of `--json` for a played operation."""
        return {
            "run_id": self.run_id,
            "run_dir": str(self.run_dir),
            "status": self.status,
            "cached": self.cached,
            "title": self.title,
            "cache": str(self.cache),
            "report": str(self.report) if self.report else None,
        }

    def episodes_data(self) -> list[dict[str, Any]]:
        """The episodes as `--json` prints them, in plan order."""
        contenders = self.result.plan.contenders
        return [
            _episode_data(planned.index, contenders[planned.contender].name, record, self.replays)
            for planned, record in zip(self.result.planned, self.result.records, strict=True)
        ]

    def counts_data(self, notes: Sequence[str]) -> dict[str, Any]:
        """The first fields of `"summary"` in `--json`: the numbers of episodes played, from cache and failed."""
        return {
            "episodes": len(self.result.records),
            "played": self.result.played,
            "cached": self.result.read,
            "failed": len(self.result.failures),
            "stopped": self.result.stopped,
            "seconds": self.seconds,
            "notes": list(notes),
        }

    def write_players(self, replays: Iterable[Path]) -> None:
        """Write the players of `replays`, files in the run directory, for its report to link to."""
        from daf.render.replays.players import write_players

        names = [path.relative_to(self.run_dir).as_posix() for path in replays]
        write_players(self.run_dir, names, cache=self.cache / "players")

    def write_tables(self) -> Path:
        """Build the tables of the run from its records, and return their file."""
        row = RunRow(self.run_id, self.operation, self.started_text, self.result.plan.seed, self.command)
        names = {key: path.name for key, path in self.replays.items()}
        return build_tables(own(self.run_dir, "stats"), row, self.result, names)


class Played:
    """The result of a played operation. It contains its run and exposes the most used facts of it."""

    run: PlayedRun

    @property
    def result(self) -> RunResult:
        """The episodes."""
        return self.run.result

    @property
    def run_id(self) -> str:
        return self.run.run_id

    @property
    def run_dir(self) -> Path:
        return self.run.run_dir

    @property
    def status(self) -> str:
        """See `PlayedRun.status`."""
        return self.run.status

    @property
    def cached(self) -> bool:
        """Whether it is the run of an earlier, equal request."""
        return self.run.cached

    @property
    def report(self) -> Path | None:
        """See `PlayedRun.report`."""
        return self.run.report

    @property
    def replays(self) -> Mapping[str, Path]:
        """Replay files by record key, in the run directory."""
        return self.run.replays

    @property
    def settings(self) -> Settings:
        return self.run.settings

    @property
    def title(self) -> str:
        return self.run.title

    @property
    def seconds(self) -> float:
        """See `PlayedRun.seconds`."""
        return self.run.seconds


@contextlib.contextmanager
def play_run(
    operation: str,
    plan: Plan,
    settings: Settings,
    cache: EpisodeCache,
    output: "OutputManager",
    *,
    title: str,
    config: Mapping[str, Any],
    on_plan: Callable[[Plan], None] | None = None,
    on_record: Callable[[EpisodeRecord], None] | None = None,
    play: Callable[[Player], RunResult] | None = None,
    rerun: bool | None = None,
) -> Iterator[PlayedRun]:
    """Play `plan` in a new run directory, and yield the run for the operation to analyse and add to.

    rerun: False: a request that was made before yields the run that it left, marked as `cached`, if that is intact; a
    session with labels, or that has written before, always makes a new run. None, for an operation whose callers add
    to its run directories: always makes a new run, and no later request gets it.
    config: recorded in the run directory in addition to the settings. on_plan: called with the plan before playing.
    play: replaces `Player.play(plan)`, for an operation that decides on more episodes based on their results. In that
    case `plan` is the first part, and `play` must call `on_plan`.

    Raises `PolicyError`, `MissionError` before a run directory exists.
    """

    def played(plays: Player) -> RunResult:
        if play is not None:
            return play(plays)
        if on_plan is not None:
            on_plan(plan)
        return plays.play(plan)

    key = None
    if cache.enabled and rerun is not None:
        key = repeats.key_of(operation, plan, settings, config, title, output)
        new = rerun or output.labels or output.has_written
        before = None if new else repeats.find(cache, key, output)
        if before is not None:
            began = time.time()
            with player(settings, cache, plan, on_record) as plays:
                result = played(plays)
            if result.read == len(result.records):
                yield _found_again(before, result, settings, cache, began, key)
                return
    with (
        _importing_meanwhile(plan, settings, cache),
        player(settings, cache, plan, on_record) as plays,
        output.operation(operation, title=title, config=settings_data(settings) | dict(config)) as run_dir,
    ):
        started = _started(run_dir)
        result = played(plays)
        replays = keep(run_dir, result, plays.replays(result), cache, records=settings.keep_records)
        run = PlayedRun(
            operation=operation,
            run_id=output.session_id,
            run_dir=run_dir,
            title=title,
            started=started,
            seconds=time.time() - started,
            command=command_line(),
            settings=settings,
            cache=cache.root,
            result=result,
            replays=replays,
            request=key,
        )
        run.write_tables()
        if settings.report:
            run.write_players(replays.values())
        yield run
        if run.status != "ok":
            output.log_operation_complete(operation, "failed", error=" ".join(run.failure_notes()))
    if key is not None and run.status == "ok":
        repeats.remember(cache, key, output, run.run_dir, result)


NEEDED_LATER = ("scipy.special", "duckdb", "jinja2")
"""What most runs need after their episodes, and takes long to import."""


@contextlib.contextmanager
def _importing_meanwhile(plan: Plan, settings: Settings, cache: EpisodeCache) -> Iterator[None]:
    """Import what the analysis needs while worker processes start and play: this process only waits for them."""
    if settings.executor != "local" or all(cache.path(planned.spec.key).is_file() for planned in plan.episodes):
        yield
        return
    thread = threading.Thread(target=lambda: [importlib.import_module(name) for name in NEEDED_LATER])
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _found_again(
    before: "RunInfo", result: RunResult, settings: Settings, cache: EpisodeCache, began: float, key: str
) -> PlayedRun:
    paths = (
        (record.spec.key, before.path / "replays" / recording_name(record, planned.index))
        for planned, record in zip(result.planned, result.records, strict=True)
    )
    return PlayedRun(
        operation=before.operation,
        run_id=before.run_id,
        run_dir=before.path,
        title=before.title,
        started=before.started_at.timestamp(),
        seconds=time.time() - began,
        command=before.command,
        settings=settings,
        cache=cache.root,
        result=result,
        replays={key: path for key, path in paths if path.is_file()},
        cached=True,
        began=began,
        request=key,
    )


def keep(
    run_dir: Path, result: RunResult, replays: Mapping[str, Path], cache: EpisodeCache, *, records: bool = True
) -> dict[str, Path]:
    """Store plan, records and replays in the run directory, as links if possible. Returns the paths of the replays."""
    write_result(run_dir, result, cache, keep_records=records)
    kept = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        source = replays.get(record.spec.key)
        if source is None:
            continue
        target = run_dir / "replays" / recording_name(record, planned.index)
        link_or_copy(source, target)
        kept[record.spec.key] = target
    return kept


def recording_name(record: EpisodeRecord, index: int) -> str:
    """The file name of the recording of an episode. index: of its block. `is_recording_of` recognizes it."""
    parts = [file_name(record.spec.mission), file_name(record.spec.name), f"{index:03d}", record.spec.key[:8]]
    return f"{'-'.join(parts)}.json.z"


def is_recording_of(name: str, key: str) -> bool:
    """Whether the file `name` is the recording of the episode with this key."""
    return name.endswith(f"-{key[:8]}.json.z")


def stored_run(
    info: "RunInfo", results: EvaluationResults | ScoreResults | CrossplayResults, settings: Settings
) -> PlayedRun:
    """Load the run in a run directory with its records. results: its results.json.

    Raises `DataError` if it kept no records, `DamagedFileError` if one of its files is damaged.
    """
    return PlayedRun(
        operation=info.operation,
        run_id=info.run_id,
        run_dir=info.path,
        title=results["title"],
        started=info.started_at.timestamp(),
        seconds=results["summary"]["seconds"],
        command=info.command,
        settings=settings,
        cache=Path(results["cache"]),
        result=read_result(info.path),
        replays={
            episode["key"]: info.path / "replays" / Path(episode["replay"]).name
            for episode in results["episodes"]
            if episode["replay"]
        },
    )


def _started(run_dir: Path) -> float:
    """When the run in `run_dir` began, as its execution log has it, so that a rebuilt report shows the same time."""
    log = execution.read(run_dir)
    return time.time() if log is None else datetime.fromisoformat(log["started_at"]).timestamp()


def failure_notes(result: RunResult, left_out: int = 0) -> list[str]:
    """Notes on episodes without a result. left_out: number of blocks excluded from every number because of them."""
    notes = []
    if result.failures:
        each: dict[str, int] = {}
        for record in result.failures:
            each[record.spec.name] = each.get(record.spec.name, 0) + 1
        named = ", ".join(f"{name}: {count}" for name, count in each.items())
        first = result.failures[0]
        why = ""
        if first.failure is not None:
            why = (
                f" The first, on {first.spec.mission} with seed {first.spec.seed}: {first.failure.message.rstrip('.')}."
            )
        failed = f"{len(result.failures)} of {len(result.records)} episodes failed ({named})"
        notes.append(f"{failed}; a failure never counts as 0.{why}")
    if left_out:
        blocks = "1 block is" if left_out == 1 else f"{left_out} blocks are"
        notes.append(
            f"{blocks} excluded from every number because an episode there has no result. If a policy fails where it "
            "would score low, its mean is too high."
        )
    if result.stopped:
        notes.append(f"The run stopped early: {result.stopped}.")
    return notes


def command_line() -> str:
    """The command that is running, in a form that can be run again."""
    return execution.command_line(sys.argv)


def _episode_data(index: int, contender: str, record: EpisodeRecord, replays: Mapping[str, Path]) -> dict[str, Any]:
    spec = record.spec
    replay = replays.get(spec.key)
    return {
        "mission": spec.mission,
        "seed": spec.seed,
        "index": index,
        "contender": contender,
        "policies": [policy.name for policy in spec.policies],
        "assignment": list(spec.assignment),
        "rewards": list(record.outcome.rewards) if record.outcome else None,
        "steps": record.outcome.steps if record.outcome else None,
        "timeouts": list(record.outcome.timeouts) if record.outcome else None,
        "status": "ok" if record.ok else "failed",
        "cached": record.cached,
        "key": spec.key,
        "replay": str(replay) if replay else None,
        "failure": {"kind": record.failure.kind, "message": record.failure.message} if record.failure else None,
    }
