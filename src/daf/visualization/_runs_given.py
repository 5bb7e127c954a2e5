"""Runs as users refer to them: a run directory, a run's id, or a `RunInfo`."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from daf.episodes.record import EpisodeRecord
from daf.episodes.run import RunResult
from daf.episodes.stored import PLAN, read_result
from daf.errors import UsageError
from daf.game.mission import Mission
from daf.output_manager.runs import RunInfo, find_run, read_run
from daf.storage.reading import read_json


class _Contender(msgspec.Struct):
    name: str


class _Plan(msgspec.Struct):
    contenders: list[_Contender]


PACKED = (".json.z", ".json.gz")


def run_folder(source: str | os.PathLike[str], base_dir: str | Path | None = None) -> Path:
    """The directory that `source` means: itself if it is one, or else that of the run with this id.

    Raises `UsageError` if there is neither.
    """
    if isinstance(source, RunInfo):
        return source.path
    text = os.fspath(source)
    path = Path(text).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise UsageError(f"{path} is a file; expected a run directory or the id of a run.")
    try:
        return find_run(text, base_dir).path
    except UsageError as error:
        if os.sep not in text:
            raise
        raise UsageError(f"no file, directory or run {path}: {error}") from error


def replays_in(folder: Path) -> list[Path]:
    """The replay files in a run directory (in its `replays`, if it exists), by name; excludes the run's own JSON."""
    place = folder / "replays" if (folder / "replays").is_dir() else folder
    return sorted(path for suffix in PACKED for path in place.glob(f"*{suffix}") if path.is_file())


def records_in(folder: Path) -> Sequence[EpisodeRecord]:
    """The episode records of a run; read once for all figures of a run. Raises `DataError`, `StorageError`."""
    return _result(folder).records


def missions_in(folder: Path) -> tuple[Mission, ...]:
    """The missions of a run that played episodes, with their configs. Raises `DataError`, `StorageError`."""
    return _result(folder).plan.missions


def _result(folder: Path) -> RunResult:
    plan = folder / PLAN
    return _read(folder.absolute(), plan.stat().st_mtime_ns if plan.is_file() else 0)


@lru_cache(maxsize=2)
def _read(folder: Path, stamp: int) -> RunResult:
    """stamp: when the plan was written, so that a changed plan is read again."""
    return read_result(folder)


def contenders_of(source: object, base_dir: str | Path | None = None) -> list[str]:
    """The policies and teams of an evaluation, in the order of its plan; empty if `source` is not one.

    source: a run (directory, id), an `Evaluation`, a report based on one, or its records.
    """
    if is_run(source):
        path = Path(os.fspath(source)).expanduser()  # type: ignore[call-overload]
        folder = None if path.is_file() else run_folder(path if path.is_dir() else str(source), base_dir)
        if folder is None or not (folder / PLAN).is_file():
            return []
        return list(_planned(folder.absolute(), (folder / PLAN).stat().st_mtime_ns))
    if isinstance(source, list | tuple):
        return list(dict.fromkeys(one.spec.name for one in source if isinstance(one, EpisodeRecord)))
    result = getattr(getattr(source, "evaluation", None) or source, "result", None)
    plan = getattr(result, "plan", None)
    return [contender.name for contender in plan.contenders] if plan is not None else []


@lru_cache(maxsize=4)
def _planned(folder: Path, stamp: int) -> tuple[str, ...]:
    """stamp: when the plan was written, so that a changed plan is read again."""
    plan = read_json(folder / PLAN, _Plan)
    return () if plan is None else tuple(contender.name for contender in plan.contenders)


def run_label(folder: Path) -> str:
    """The label of a run in a legend: its title, or else its id."""
    info = read_run(folder)
    if info is None:
        return folder.name
    return info.title.removeprefix("train ") if info.title and info.title != info.operation else info.run_id


def is_run(source: object) -> bool:
    """Whether `source` can refer to a run."""
    return isinstance(source, str | os.PathLike)
