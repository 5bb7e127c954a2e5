"""`OutputManager`: the one way in which operations write.

- A folder is created when something is written into it, so a command that only reads leaves nothing behind.
- A session's id belongs to one process; if it is taken, a suffix is added. Until the first folder is created,
  `session_id` is the id that will be requested.
- While an operation runs, this process holds the run directory's lock (`.lock`), which decides whether it is running.
- The run directory with its three files is on the disk before any work starts; otherwise `StorageError` is raised.
- Every file appears whole or not at all, and the execution log is true after success, failure and Ctrl-C, also on a
  full disk: while an operation runs, a file `.reserved` keeps the space for the final log entries.
- If the output directory is a place at a URL, a run is published there when it ends (`daf.output_manager.publication`).
"""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from daf.config.settings import DAFConfig
from daf.errors import Interrupted, NoLocksError, StorageError, UsageError, unknown
from daf.output_manager import _readme as readme
from daf.output_manager import execution as execution_log
from daf.output_manager import labels, layout, publication
from daf.output_manager._accompany import accompany
from daf.output_manager._folders import made, release, require_space, reserve
from daf.output_manager.labels import Labels
from daf.output_manager.runs import RunInfo, find_run, folder_size, require_intact
from daf.storage import atomic, journal, locks, remote
from daf.storage.containment import require_own
from daf.storage.jsonable import jsonable
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console


class OutputManager:
    """The session's folders below `base_dir`, a path or a URL (default: `DAF_OUTPUT_DIR`, else ./daf_output).

    verbose: show the log on the terminal (stderr) while an operation runs. log_to_file: write it to the run directory.
    organize_by_operation, monitor_system_stats, track_experiments, experiments_log_path, checkpoint_dir,
    max_checkpoints_to_keep: as in `DAFConfig`. name, tags, note: labels of the session's runs, also of one that it
    resumes; raises `UsageError` for a name or tag that cannot be one.
    """

    def __init__(
        self,
        base_dir: str | Path | None = None,
        verbose: bool = False,
        log_to_file: bool = True,
        *,
        organize_by_operation: bool = True,
        monitor_system_stats: bool = False,
        track_experiments: bool = True,
        experiments_log_path: str | Path | None = None,
        checkpoint_dir: str | Path | None = None,
        max_checkpoints_to_keep: int = 5,
        name: str | None = None,
        tags: Sequence[str] = (),
        note: str | None = None,
    ) -> None:
        self.base_dir = layout.base_folder(base_dir).absolute()
        self.verbose = verbose
        self.log_to_file = log_to_file
        self.organize_by_operation = organize_by_operation
        self.monitor_system_stats = monitor_system_stats
        self.track_experiments = track_experiments
        self.experiments_log_path = self.base_dir / (experiments_log_path or "experiments.jsonl")
        self.checkpoint_dir = None if checkpoint_dir is None else self.base_dir / remote.local(checkpoint_dir)
        self.max_checkpoints_to_keep = max_checkpoints_to_keep
        self.labels = Labels(name, tuple(tags), note)
        self._session = layout.session_name(datetime.now())
        self._claimed = False
        self._executions: dict[str, dict[str, Any]] = {}
        self._running: dict[str, contextlib.ExitStack] = {}
        self._locks: dict[str, BinaryIO] = {}
        self._places: dict[str, Path] = {}
        self._lock = threading.RLock()
        self._created_at = execution_log.now()

    @classmethod
    def from_config(cls, config: DAFConfig, given: Labels | None = None) -> "OutputManager":
        """A manager with the settings of `config`, whose runs get the labels `given`."""
        chosen = given or Labels()
        return cls(
            config.output_dir,
            verbose=config.verbose,
            log_to_file=config.log_to_file,
            organize_by_operation=config.organize_by_operation,
            monitor_system_stats=config.monitor_system_stats,
            track_experiments=config.track_experiments,
            experiments_log_path=config.experiments_log_path.absolute(),
            checkpoint_dir=None if config.checkpoint_dir is None else config.checkpoint_dir.absolute(),
            max_checkpoints_to_keep=config.max_checkpoints_to_keep,
            name=chosen.name,
            tags=chosen.tags,
            note=chosen.note,
        )

    def another_session(self) -> "OutputManager":
        """A manager with the settings and labels of this one, for runs of another session."""
        return OutputManager(
            self.base_dir,
            verbose=self.verbose,
            log_to_file=self.log_to_file,
            organize_by_operation=self.organize_by_operation,
            monitor_system_stats=self.monitor_system_stats,
            track_experiments=self.track_experiments,
            experiments_log_path=self.experiments_log_path,
            checkpoint_dir=self.checkpoint_dir,
            max_checkpoints_to_keep=self.max_checkpoints_to_keep,
            name=self.labels.name,
            tags=self.labels.tags,
            note=self.labels.note,
        )

    def resume(
        self, run_id: str | os.PathLike[str], operation: str | None = None, *, take_over: bool = False
    ) -> RunInfo:
        """Continue in an earlier run's directory instead of a new one: this session takes its place.

        take_over: also if this machine cannot determine whether the run is still running (one of another host, without
        a lock); the caller knows that it is not. Raises `UsageError` if there is no such run, it is running, or this
        session has already written; `DamagedFileError` if its execution log cannot be read, `UnsafePathError` if a link
        in the run directory leads out of it.
        """
        run = find_run(run_id, self.base_dir, operation)
        require_intact(run)
        with self._lock:
            if self._claimed:
                raise UsageError(f"this session has already written to {self.session_id}; resume before that.")
            lock = self._taken(run, take_over)
            try:
                publication.announce(run.path)
                require_own(run.path)
                execution = execution_log.read(run.path)
                if execution is None:
                    raise UsageError(f"run {run.run_id} was deleted in the meantime.")
                if execution["status"] == "running":  # decided by its files, so before anything is written
                    execution = execution_log.broken_off(run.path, execution)
            except BaseException:
                if lock is not None:
                    locks.release(lock)
                raise
            if lock is not None:
                self._locks[run.operation] = lock
            self._session, self._claimed = run.run_id, True
            place = layout.place_of(run.path)
            if place is None:  # a copy, moved out of its output directory
                self._places[run.operation] = run.path
            else:
                self.base_dir = place[0]
                self.organize_by_operation = run.path.parent.name == run.operation
            self._executions[run.operation] = execution
        return run

    def label(self, folder: Path) -> None:
        """Add the session's labels to a run directory that it writes nothing else into."""
        if self.labels:
            labels.added(folder, self.labels)

    def _taken(self, run: RunInfo, take_over: bool) -> BinaryIO | None:
        """The lock of an earlier run; None without support for locks. Raises `UsageError` if it is running."""
        running = f"run {run.run_id} is still running. Wait for it, or stop it first."
        if run.status == "running":
            execution = execution_log.read(run.path)
            if execution is None or execution_log.is_running(run.path, execution) is not None:
                raise UsageError(running)
            if not take_over:
                raise UsageError(
                    f"run {run.run_id} was started on host {execution['host']}, and this machine cannot determine "
                    "whether it is still running there. If it is not, add --take-over (in Python take_over=True)."
                )
        try:
            return locks.acquire(run.path / layout.LOCK, running)
        except NoLocksError:
            return None

    @property
    def session_id(self) -> str:
        """`YYYYMMDD_HHMMSS`, with a suffix if that was taken."""
        return self._session

    @property
    def has_written(self) -> bool:
        """Whether this session has a run directory, new or resumed."""
        return self._claimed

    @property
    def dirs(self) -> dict[str, Path]:
        """The folder of each operation's sessions; they need not exist."""
        return {operation: self.base_dir / operation for operation in layout.OPERATIONS}

    @property
    def session_metadata(self) -> dict[str, Any]:
        """The session and its operations, as JSON data."""
        return {
            "session_id": self.session_id,
            "base_dir": str(self.base_dir),
            "created_at": self._created_at,
            "operations": {name: dict(execution) for name, execution in self._executions.items()},
        }

    def run_dir(self, operation: str) -> Path:
        """Where this session's folder of an operation is or will be; nothing is created."""
        folder = layout.operation_folder(operation)
        if folder in self._places:
            return self._places[folder]
        if self.organize_by_operation:
            return self.base_dir / folder / self.session_id
        return self.base_dir / self.session_id / folder

    def get_operation_dir(self, operation: str, subdir: str | Path | None = None) -> Path:
        """The session's folder of an operation, or a folder in it, created if missing.

        Raises `StorageError`, `UsageError`.
        """
        path = None if subdir is None else layout.relative(subdir, "the folder")
        folder = self._opened(operation)
        return folder if path is None else made(folder / path)

    def get_checkpoint_dir(self, operation: str = "training") -> Path:
        """Where this session's checkpoints go: its run directory's `checkpoints`, or `checkpoint_dir` by session."""
        run_folder = self._opened(operation)
        if self.checkpoint_dir is None:
            return made(run_folder / "checkpoints")
        return made(self.checkpoint_dir / self.session_id)

    def log_operation_start(
        self,
        operation: str,
        details: Mapping[str, Any] | None = None,
        *,
        title: str = "",
        config: Any = None,
    ) -> Path:
        """Start an operation, and return its run directory, which is on the disk with its three files.

        details: stored in the execution log. title: one line for people. config: the requested configuration, anything
        that JSON can represent, with its provenance if it has one; it becomes `experiment_config.json`.
        Raises `StorageError` if nothing can be written here, `UsageError` if the operation is already running.
        """
        name = layout.operation_folder(operation)
        with self._lock:
            if name in self._running:
                raise UsageError(f"{name} is already running in session {self.session_id}.")
            folder = self._begin(name, "running", title or name, jsonable(details or {}), jsonable(config))
            try:
                reserve(folder)
                self._running[name] = self.services(folder, name)
                self._track("started", name)
            except BaseException as error:
                with contextlib.suppress(StorageError):  # report the error that prevented the start
                    self._end(name, "failed", execution_log.error_text(error), {})
                raise
        logging.getLogger(__name__).info("%s started: %s", name, self._executions[name]["title"])
        return folder

    def log_operation_complete(
        self,
        operation: str,
        status: str = "completed",
        details: Mapping[str, Any] | None = None,
        *,
        error: str | BaseException | None = None,
    ) -> None:
        """End an operation as "completed" (or "success"), "failed" or "interrupted".

        Raises `UsageError`, `StorageError`.
        """
        name = layout.operation_folder(operation)
        outcome = "completed" if status == "success" else status
        if outcome not in execution_log.ENDS:
            raise UsageError(unknown("status", status, execution_log.ENDS))
        with self._lock:
            if name not in self._running:
                raise UsageError(f"{name} is not running in session {self.session_id}; log_operation_start starts it.")
            text = execution_log.error_text(error)
            level = logging.INFO if outcome == "completed" else logging.ERROR
            logging.getLogger(__name__).log(level, "%s %s%s", name, outcome, f": {text}" if text else "")
            self._end(name, outcome, text, jsonable(details or {}))
            self._track("ended", name)
        if outcome != "interrupted":
            self.publish(name)

    def publish(self, operation: str) -> bool:
        """Publish the session's folder of an operation, and its checkpoints; False if the output has no URL.

        An operation that ends is published. This is for results that were saved without one, and for what was written
        after its end. Raises `StorageError`; the same call resumes.
        """
        folder = self.run_dir(operation)
        if self.checkpoint_dir is not None and (self.checkpoint_dir / self.session_id).is_dir():
            publication.publish(self.checkpoint_dir / self.session_id)
        published = publication.publish(folder)
        if published and remote.mirror_of(self.base_dir) is not None:
            publication.publish_others(self.base_dir, folder)
        return published

    def services(self, folder: Path, operation: str) -> contextlib.ExitStack:
        """Start the configured log file, terminal log and machine samples for work in `folder`; closing ends them.

        For work in a directory that its caller chose; an operation has them. Raises `StorageError`.
        """
        return accompany(
            folder,
            operation,
            log_to_file=self.log_to_file,
            verbose=self.verbose,
            monitor=self.monitor_system_stats,
        )

    @contextlib.contextmanager
    def operation(
        self, operation: str, details: Mapping[str, Any] | None = None, *, title: str = "", config: Any = None
    ) -> Iterator[Path]:
        """An operation around a block, which gets the run directory; the block's outcome goes into the execution log.

        If the block has called `log_operation_complete` itself, its outcome stays.
        """
        folder = self.log_operation_start(operation, details, title=title, config=config)
        try:
            yield folder
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | Interrupted)
            found = atomic.machine_error(error, f"working in {folder}")
            with contextlib.suppress(StorageError):  # report the error that ended the work
                self.log_operation_complete(operation, "interrupted" if stopped else "failed", error=found or error)
            if found is not None:
                raise found from error
            raise
        if layout.operation_folder(operation) in self._running:
            self.log_operation_complete(operation)

    def save_json_results(
        self, data: Any, operation: str, filename: str | Path = "results", subdir: str | Path | None = None
    ) -> Path:
        """Write `data` as JSON into the run directory, and return the path; `.json` is added if missing.

        An operation's result is written as its `to_data` returns it. Numpy's values, paths, dates, dataclasses and
        models are converted; NaN becomes null.
        """
        if callable(getattr(data, "to_data", None)):
            data = data.to_data()
        name = str(filename)
        path = self._target(operation, name if name.endswith(".json") else f"{name}.json", subdir)
        atomic.write_json(path, jsonable(data))
        return path

    def save_text_results(
        self, text: str, operation: str, filename: str | Path = "results.txt", subdir: str | Path | None = None
    ) -> Path:
        """Write `text` into the run directory, and return the path."""
        path = self._target(operation, filename, subdir)
        atomic.write_text(path, text)
        return path

    def save_summary_report(
        self, summary: Mapping[str, Any], operation: str, filename: str | Path = "summary.md"
    ) -> Path:
        """Write names and values as a Markdown table, and as JSON next to it; returns the Markdown file's path."""
        path = self._target(operation, filename, None)
        data = jsonable(summary)
        atomic.write_json(path.with_suffix(".json"), data)
        title = self._executions[layout.operation_folder(operation)]["title"]
        atomic.write_text(path, readme.summary_text(title, data))
        return path

    def save_session_metadata(self) -> Path:
        """Write `session_metadata` next to the session's claim on its id, and return the path."""
        self._claim()
        path = self.base_dir / layout.SESSIONS / self.session_id / "session_metadata.json"
        atomic.write_json(path, self.session_metadata)
        return path

    def get_output_structure_info(self) -> dict[str, Any]:
        """The output directory, the session, and per operation its folder, number of sessions and bytes."""
        operations = {}
        for name, folder in self.dirs.items():
            there = folder.is_dir()
            sessions = [p for p in folder.iterdir() if layout.SESSION_ID.fullmatch(p.name)] if there else []
            size = folder_size(folder) if there else 0
            operations[name] = {"path": str(folder), "exists": there, "sessions": len(sessions), "size_bytes": size}
        return {"base_dir": str(self.base_dir), "session_id": self.session_id, "operations": operations}

    def print_output_info(self, console: "Console | None" = None) -> None:
        """Print where this session writes; nothing without a console."""
        if console is None:
            return

        console.print(terminal_text(f"Output directory: {self.base_dir}\nSession: {self.session_id}"))
        for name in self._executions:
            console.print(terminal_text(f"{name}: {self.run_dir(name)}"))

    def cleanup_temp_files(self) -> list[Path]:
        """Delete what dead writers left unfinished in this session's folders, and return the paths."""
        return sorted(path for name in self._executions for path in atomic.sweep_below(self.run_dir(name)))

    def _target(self, operation: str, filename: str | Path, subdir: str | Path | None) -> Path:
        name = layout.relative(filename, "the file")
        path: Path = self.get_operation_dir(operation, subdir) / name
        return path

    def _claim(self) -> None:
        with self._lock:
            if not self._claimed:
                wanted = self._session
                self._session = publication.claim(self.base_dir, layout.claim_session(self.base_dir, wanted), wanted)
                self._claimed = True

    def _opened(self, operation: str) -> Path:
        """The run directory; without a running operation, one of status "saved"."""
        name = layout.operation_folder(operation)
        with self._lock:
            if name not in self._executions:
                return self._begin(name, "saved", name, {}, None)
            return made(self.run_dir(name))

    def _begin(self, name: str, status: str, title: str, details: Mapping[str, Any], config: Any) -> Path:
        self._claim()
        folder = self.run_dir(name)
        require_space(folder if folder.is_dir() else self.base_dir)
        made(folder)
        publication.announce(folder)
        for leftovers in (folder.parent, folder):
            atomic.sweep(leftovers)
        if status == "running":
            self._hold(name, folder)
        try:
            return self._begun(name, status, title, details, config)
        except BaseException:
            self._let_go(name)
            raise

    def _begun(self, name: str, status: str, title: str, details: Mapping[str, Any], config: Any) -> Path:
        folder = self.run_dir(name)
        earlier = self._executions.get(name) or execution_log.read(folder)
        execution = execution_log.begun(self.session_id, name, title, details)
        execution |= {"status": status, "locked": name in self._locks}
        if earlier is not None and earlier["status"] != "saved":
            if earlier["status"] == "running":
                earlier = execution_log.broken_off(folder, earlier)
            last = {key: value for key, value in earlier.items() if key != "previous"}
            execution["previous"] = [*earlier["previous"], last]
        self._executions[name] = execution
        self.label(folder)
        if config is not None or not (folder / layout.EXPERIMENT_CONFIG).exists():
            atomic.write_json(folder / layout.EXPERIMENT_CONFIG, {} if config is None else config)
        self._write(name)
        return folder

    def _end(self, name: str, status: str, error: str | None, details: Mapping[str, Any]) -> None:
        self._executions[name] = execution_log.ended(self._executions[name], status, error, details)
        if name in self._running:
            self._running.pop(name).close()
        release(self.run_dir(name))
        try:
            self._write(name)
        finally:
            self._let_go(name)  # only once its end is on the disk: until then it is running

    def _hold(self, name: str, folder: Path) -> None:
        """Take the run directory's lock, unless `resume` has; none if the file system has no locks."""
        if name in self._locks:
            return
        try:
            self._locks[name] = locks.acquire(folder / layout.LOCK, f"{folder} is in use by another process.")
        except NoLocksError as error:
            logging.getLogger(__name__).warning("only this host can determine whether this run is running: %s", error)

    def _let_go(self, name: str) -> None:
        lock = self._locks.pop(name, None)
        if lock is not None:
            locks.discard(lock, self.run_dir(name) / layout.LOCK)

    def _write(self, name: str) -> None:
        folder = self.run_dir(name)
        atomic.write_json(folder / layout.EXECUTION_LOG, self._executions[name])
        atomic.write_text(folder / layout.README, readme.readme_text(self._executions[name], folder))

    def _track(self, event: str, name: str) -> None:
        if not self.track_experiments:
            return
        execution = self._executions[name]
        kept = ("run_id", "operation", "title", "status", "started_at", "ended_at", "duration_seconds", "error")
        entry = {key: execution[key] for key in (*kept, "command", "host")}
        journal.append(self.experiments_log_path, {"event": event, **entry, "run_dir": str(self.run_dir(name))})
