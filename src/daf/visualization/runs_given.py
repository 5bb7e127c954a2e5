"""Runs as people name them: a run folder, a run's id, or a `RunInfo`."""

import os
from functools import lru_cache
from pathlib import Path

from daf.episodes.record import EpisodeRecord
from daf.episodes.stored import PLAN, read_result
from daf.errors import UsageError
from daf.output_manager.runs import RunInfo, find_run, read_run

PACKED = (".json.z", ".json.gz")


def run_folder(source: str | os.PathLike[str], base_dir: str | Path | None = None) -> Path:
    """The folder that `source` means: itself where it is one, else that of the run of this id.

    Raises `UsageError` where there is neither.
    """
    if isinstance(source, RunInfo):
        return source.path
    text = os.fspath(source)
    path = Path(text).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise UsageError(f"{path} is a file; a run's folder or id is wanted.")
    try:
        return find_run(text, base_dir).path
    except UsageError as error:
        if os.sep not in text:
            raise
        raise UsageError(f"there is no file or folder {path}, and no run of that name: {error}") from error


def replays_in(folder: Path) -> list[Path]:
    """The replay files in a run's folder (`replays` in it, where there is one), by name; a run's own JSON is none."""
    place = folder / "replays" if (folder / "replays").is_dir() else folder
    return sorted(path for suffix in PACKED for path in place.glob(f"*{suffix}") if path.is_file())


def records_in(folder: Path) -> tuple[EpisodeRecord, ...]:
    """The episode records of a run; read once for the several figures of a run. Raises `DataError`, `StorageError`."""
    plan = folder / PLAN
    stamp = plan.stat().st_mtime_ns if plan.is_file() else 0
    return _records(folder.absolute(), stamp)


@lru_cache(maxsize=2)
def _records(folder: Path, stamp: int) -> tuple[EpisodeRecord, ...]:
    """stamp: when the plan was written, so that one that changed is read anew."""
    return read_result(folder).records


def run_label(folder: Path) -> str:
    """What to call a run in a legend: its title, else its id."""
    info = read_run(folder)
    if info is None:
        return folder.name
    return info.title.removeprefix("train ") if info.title and info.title != info.operation else info.run_id


def is_run(source: object) -> bool:
    """Whether `source` can name a run."""
    return isinstance(source, str | os.PathLike)
