"""The run that an equal request left, so that repeating a command adds no run directory.

`find` returns a run only if a new one would show the same: equal operation, title, plan, players and settings, as far
as they affect what a run directory holds, by the same DAF, game and libraries. That run must be completed, every file
that it wrote must still be as it was (by size and time), and every episode must be in the cache.

Entries lie in the cache, `runs/KEY.run`, next to the run's analysis, `runs/KEY.analysis`. One that is damaged, or does
not belong to its key, is ignored.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Plan
from daf.episodes.run import RunResult
from daf.errors import DamagedFileError, StorageError, UnsafePathError
from daf.game.answers import game_code
from daf.output_manager import layout, runs
from daf.playing.settings import Settings, settings_data
from daf.storage import checked
from daf.storage.containment import own
from daf.storage.hashing import hash_json
from daf.storage.installed import fingerprint, version
from daf.storage.jsonable import jsonable

if TYPE_CHECKING:
    from daf.output_manager import OutputManager, RunInfo

FORMAT = 1
HOW_ONLY = (
    "jobs", "executor", "cluster", "engine", "gpu_allowed", "gpu_memory_fraction", "episode_timeout", "max_failures",
    "use_cache", "cache_dir",
)  # fmt: skip
"""Settings that say how missing episodes are played, which changes nothing in a run whose episodes are all there."""
_LIBRARIES = ("numpy", "scipy", "duckdb", "matplotlib", "jinja2", "torch")
_CHANGES = {layout.LOCK, layout.EXECUTION_LOG, layout.README, "labels.json", ".labels.lock"}
"""Files that change after a run's end: those of its labels, and what lists them."""


class _Entry(msgspec.Struct, frozen=True):
    """A completed run. run_dir: relative to the output directory. files: of the run directory, with size and time."""

    run_dir: str
    episodes: list[str]
    files: dict[str, tuple[int, int]]


def key_of(
    operation: str, plan: Plan, settings: Settings, config: Mapping[str, Any], title: str, output: "OutputManager"
) -> str:
    """Hash of everything that determines what a run directory of this request shows."""
    shown = {name: value for name, value in settings_data(settings).items() if name not in HOW_ONLY}
    return hash_json(
        jsonable(
            {
                "format": FORMAT,
                "operation": operation,
                "title": title,
                "config": dict(config),
                "settings": shown,
                "seed": plan.seed,
                "missions": [[m.name, m.game, m.config_hash, m.also] for m in plan.missions],
                "contenders": [asdict(contender) for contender in plan.contenders],
                "episodes": [[e.index, e.contender, e.spec.mission, e.spec.key] for e in plan.episodes],
                "output": [
                    str(output.base_dir.resolve()),
                    output.organize_by_operation,
                    output.log_to_file,
                    output.monitor_system_stats,
                ],
                "code": [fingerprint("daf"), game_code(), {name: version(name) for name in _LIBRARIES}],
            }
        )
    )


def find(cache: EpisodeCache, key: str, output: "OutputManager") -> "RunInfo | None":
    """The run that was remembered under `key`, if it and its episodes are intact."""
    try:
        entry: _Entry | None = checked.read(_path(cache.root, key, "run"), key, _Entry)
        if entry is None:
            return None
        run_dir = own(output.base_dir, entry.run_dir)
        if not all(cache.path(episode).is_file() for episode in entry.episodes):
            return None
        if entry.files != _files(run_dir, entry.files):
            return None
        run = runs.read_run(run_dir)
    except (DamagedFileError, StorageError, UnsafePathError, OSError):
        return None  # a new run takes its place
    return run if run is not None and run.status == "completed" else None


def remember(cache: EpisodeCache, key: str, output: "OutputManager", run_dir: Path, result: RunResult) -> None:
    """Remember the completed run in `run_dir` under `key`. Without space or permission, the next request makes a new
    run.
    """
    with contextlib.suppress(StorageError, OSError, ValueError):
        entry = _Entry(
            run_dir=run_dir.relative_to(output.base_dir).as_posix(),
            episodes=[record.spec.key for record in result.records],
            files=_files(run_dir, _names(run_dir)),
        )
        checked.write(_path(cache.root, key, "run"), key, entry)


def analysis[T](cache: Path, key: str | None, kind: Any, work_out: Callable[[], T]) -> T:
    """The analysis of the run that is remembered under `key`, as kept or as `work_out()` gives it now.

    cache: its root. key: None for a run that is not remembered. kind: the type, one that `checked` writes and reads.
    """
    if key is None:
        return work_out()
    return checked.kept(_path(cache, key, "analysis"), key, kind, work_out)


def _path(cache: Path, key: str, what: str) -> Path:
    return cache / "runs" / f"{key}.{what}"


def _names(run_dir: Path) -> list[str]:
    names = (path.relative_to(run_dir).as_posix() for path in run_dir.rglob("*") if path.is_file())
    return sorted(name for name in names if name not in _CHANGES and not name.startswith("logs/"))


def _files(run_dir: Path, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Size and time of these files. Raises `OSError` if one is missing."""
    stats = {name: (run_dir / name).stat() for name in names}
    return {name: (found.st_size, found.st_mtime_ns) for name, found in stats.items()}
