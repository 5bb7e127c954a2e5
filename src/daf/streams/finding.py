"""Which files make up a log, in the order they were written, and the constants of the run that wrote them.

The layout is `experiments/<variant>/<YYYYMMDD_HHMMSS>/json_logs/stats_<unixtime>.json` and
`stats_final_<unixtime>.json`; a run folder, a `json_logs` folder, any folder of logs, and single files do as well.
Files are ordered by run, then by the time in their name, then by name, numbers in it by value.
"""

import math
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from daf.errors import DAFError, DataError, StorageError, UsageError, unknown
from daf.storage.atomic import explain
from daf.storage.yaml_strict import load_yaml
from daf.streams.records import RunConstants

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv")
COMPRESSED = (".gz", ".zst")
CONSTANTS = ("reward_scale", "explore_weight")
_RUN = re.compile(r"\d{8}_\d{6}")
_OURS = "_summary.json"
"""The suffix of files that an analysis itself writes, possibly next to the logs."""
_OUR_KEY = b'"sampling_ratio"'


@dataclass(frozen=True)
class LogFile:
    """One file of a log: `name` is the same wherever the folder lies, `run` the folder of its run, `constants` the
    run's. `notes`: what could not be read next to it, so that some of the constants are absent.
    """

    path: Path
    name: str
    run: Path
    constants: RunConstants = field(default_factory=RunConstants)
    notes: tuple[str, ...] = ()


def is_log(path: Path) -> bool:
    """Whether a file can be a log: by its name, and if that ends like our summaries' names, by its beginning."""
    suffixes = path.suffixes
    if suffixes and suffixes[-1].lower() in COMPRESSED:
        suffixes = suffixes[:-1]
    if path.name.startswith(".") or not suffixes or suffixes[-1].lower() not in SUFFIXES:
        return False
    return not path.name.endswith(_OURS) or not _is_ours(path)


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _OUR_KEY in file.read(1_024)
    except OSError:
        return False  # the reader reports that it cannot be read


def find_logs(targets: Sequence[str | Path]) -> list[LogFile]:
    """The files of `targets` (run directories, folders of logs, files), in order.

    Raises `UsageError` if a target does not exist or contains no log, `StorageError` if it may not be read.
    """
    found: list[LogFile] = []
    for target in targets:
        path = Path(target)
        if path.is_dir():
            found += _in_folder(path)
        elif path.exists():
            run = path.parent.parent if path.parent.name == "json_logs" else path.parent
            found.append(LogFile(path, _name(run, path), run))
        else:
            raise UsageError(_missing(path))
    unique = list({file.path.resolve(): file for file in found}.values())
    names = [file.name for file in unique]
    unique = [file if names.count(file.name) == 1 else replace(file, name=str(file.path)) for file in unique]
    constants = {run: read_constants(run) for run in {file.run for file in unique}}
    return sorted((LogFile(f.path, f.name, f.run, *constants[f.run]) for f in unique), key=_order)


def find_variant(experiments: str | Path, variant: str, run: str = "latest") -> list[LogFile]:
    """The files of one `variant` under `experiments`: of its `latest` run, of `all` runs, or of the run so named."""
    root = Path(experiments)
    variants = [path.name for path in _entries(root) if path.is_dir() and path.name != "plots"]
    if variant not in variants:
        raise UsageError(unknown("variant", variant, variants, hint=f"Variants are the directories in {root}."))
    folder = root / variant
    runs = sorted(path.name for path in _entries(folder) if path.is_dir() and _has_logs(path))
    if not runs:
        raise UsageError(f"{folder} contains no run with logs (looked for <YYYYMMDD_HHMMSS>/json_logs/*.json).")
    if run == "all":
        return find_logs([folder / name for name in runs])
    if run == "latest":
        return find_logs([folder / ([name for name in runs if _RUN.match(name)] or runs)[-1]])
    if run not in runs:
        raise UsageError(
            unknown("run", run, runs, hint=f"Runs are the directories in {folder}; latest and all work too.")
        )
    return find_logs([folder / run])


def read_constants(run: Path) -> tuple[RunConstants, tuple[str, ...]]:
    """`reward_scale` and `explore_weight` from the YAML files of a run, or of its variant if the run has none.

    These files are optional: a constant that cannot be read from them, or that two of them give different values for,
    is absent, and the second part of the result says why.
    """
    found: dict[str, dict[float, Path]] = {}
    notes: list[str] = []
    for folder in (run, run.parent) if _RUN.match(run.name) else (run,):
        for path in sorted(p for p in _entries(folder) if p.suffix in (".yaml", ".yml") and p.is_file()):
            try:
                content = load_yaml(path)
            except DAFError as error:
                notes.append(f"{path} is not read; components that only it could derive are absent. {error}")
                continue
            for key, value in _constants_in(content):
                if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                    notes.append(f"{path}: {key} is {value!r:.60}, not a number; it is ignored.")
                else:
                    found.setdefault(key, {}).setdefault(float(value), path)
        if found:
            break
    for key in [key for key, values in found.items() if len(values) > 1]:
        values = " and ".join(f"{value:g} in {path}" for value, path in list(found.pop(key).items())[:2])
        notes.append(f"{key} is {values}; components derived from it are absent. Keep the one that wrote the logs.")
    scale, weight = (next(iter(found.get(key, {None: None}))) for key in CONSTANTS)
    return RunConstants(scale, weight), tuple(notes)


def _constants_in(content: Any) -> Iterator[tuple[str, Any]]:
    """Each of the constants that `content` names, at any depth, with its first value; W&B writes {desc, value}."""
    seen: set[str] = set()
    pending = deque([content])
    while pending:
        node = pending.popleft()
        if isinstance(node, dict):
            for key, value in node.items():
                if key not in CONSTANTS:
                    pending.append(value)
                elif key not in seen:
                    seen.add(key)
                    yield key, value.get("value") if isinstance(value, dict) and "value" in value else value
        elif isinstance(node, list):
            pending.extend(node)


def _in_folder(folder: Path) -> list[LogFile]:
    entries = _entries(folder)
    logs = folder / "json_logs"
    if logs in entries:
        run, entries = folder, _entries(logs)
    else:
        run = folder.parent if folder.name == "json_logs" else folder
    found = [LogFile(path, _name(run, path), run) for path in entries if path.is_file() and is_log(path)]
    if found:
        return found
    runs = [path.name for path in entries if path.is_dir() and _has_logs(path)]
    if runs:
        raise UsageError(
            f"{folder} contains no logs, but runs that do: {', '.join(runs[:5])}. "
            f"Pass one of them, or use `daf logs --experiments {folder.parent} --variant {folder.name} --run all`."
        )
    what = f"only {', '.join(sorted(path.name for path in entries)[:5])}" if entries else "nothing"
    where = logs if logs.is_dir() else folder
    raise UsageError(f"no logs in {where}: it contains {what}; logs end in {', '.join(SUFFIXES)}.")


def _name(run: Path, path: Path) -> str:
    """What a file is called wherever its experiments lie: variant/run/file, or folder/file."""
    folder = run.resolve()
    place = f"{folder.parent.name}/{folder.name}" if _RUN.fullmatch(folder.name) else folder.name
    return f"{place}/{path.name}"


def _has_logs(folder: Path) -> bool:
    logs = folder / "json_logs"
    return any(is_log(path) for path in _entries(logs if logs.is_dir() else folder))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError as error:
        raise UsageError(_missing(folder)) from error
    except NotADirectoryError as error:
        raise UsageError(f"{folder} is a file, not a directory.") from error
    except OSError as error:
        raise StorageError(explain(error, f"reading the directory {folder}")) from error


def _missing(path: Path) -> str:
    parent = path.parent
    nearby = [entry.name for entry in parent.iterdir()] if parent.is_dir() else []
    return unknown("file or directory", str(path), [str(parent / name) for name in nearby])


def _order(file: LogFile) -> tuple[str, int, list[tuple[int, str]]]:
    times = re.findall(r"\d{9,}", file.path.name)
    parts = re.findall(r"\d+|\D+", file.path.name)
    natural = [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
    return str(file.run), int(times[-1]) if times else 0, natural


def group_damage(reasons: Sequence[str]) -> str:
    """What was found where logs were expected, most frequent first, for an error's sentence."""
    counts = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
    ordered = sorted(counts, key=lambda reason: -counts[reason])
    return "; ".join(ordered[:3])


def no_records(files: Sequence[LogFile], reasons: Sequence[str]) -> DataError:
    """The error for logs in which not one record could be read."""
    where = str(files[0].path) if len(files) == 1 else f"{len(files)} files, from {files[0].path} on"
    found = group_damage(reasons) or "nothing"
    return DataError(
        f"no record in {where}. Found: {found}. A record is an object with step and rewards (nested), "
        "or with step and one of event, levels, healr, … or reward_… (flat)."
    )
