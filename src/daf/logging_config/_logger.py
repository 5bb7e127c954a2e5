"""`DAFLogger`: structured messages, operations with duration and memory, and tables, under one name.

A thin class for the contract: DAF's own modules use the standard library's `logging`.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.errors import Interrupted, UsageError
from daf.logging_config._tracking import CallTracker, OperationTracker
from daf.logging_config.setup import attach_console, attach_file, plain, pre_chain, qualified, quiet_without_handlers
from daf.storage import atomic
from daf.storage.jsonable import jsonable
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console


def create_daf_logger(
    name: str, log_dir: str | Path | None = None, verbose: bool = False, track_calls: bool = False
) -> "DAFLogger":
    """A logger `daf.NAME`; see `DAFLogger`. Raises `UsageError`, `StorageError`."""
    return DAFLogger(name, log_dir=log_dir, verbose=verbose, track_calls=track_calls)


class DAFLogger:
    """Messages with fields, `logger.info("episode done", reward=1.5)`, through the standard library's logging.

    log_dir: where `NAME.jsonl`, metrics and call traces go; without it messages only reach handlers set up elsewhere.
    verbose: also show everything, from DEBUG up, on the terminal (stderr), and print sections and tables there.
    track_calls: record calls (`record_call`, `track_function_calls`); without it they are not kept.
    console: where sections and tables are printed instead of stderr.
    """

    def __init__(
        self,
        name: str,
        *,
        log_dir: str | Path | None = None,
        verbose: bool = False,
        track_calls: bool = False,
        console: "Console | None" = None,
    ) -> None:
        import structlog

        self.name = name
        self.log_dir = None if log_dir is None else Path(log_dir)
        self.track_calls = track_calls
        self.operations: list[OperationTracker] = []
        self._calls = CallTracker()
        quiet_without_handlers()
        standard = logging.getLogger(qualified(name))
        if self.log_dir is not None:
            attach_file(standard, self.log_dir / f"{plain(name)}.jsonl", "DEBUG" if verbose else "INFO")
        if verbose:
            attach_console(standard, "DEBUG")
        self._console = _stderr_console() if console is None and verbose else console
        self._log: Any = structlog.wrap_logger(
            standard,
            processors=[
                structlog.stdlib.filter_by_level,
                *pre_chain(),
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
        )

    def debug(self, message: str, data: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        """Log at DEBUG. data: fields as a mapping; a keyword of the same name wins."""
        self._log.debug(message, **_fields(data, fields))

    def info(self, message: str, data: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        """Log at INFO, with fields as in `debug`."""
        self._log.info(message, **_fields(data, fields))

    def warning(self, message: str, data: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        """Log at WARNING, with fields as in `debug`."""
        self._log.warning(message, **_fields(data, fields))

    def error(self, message: str, data: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        """Log at ERROR, with fields as in `debug`; `exc_info=True` adds the current exception."""
        self._log.error(message, **_fields(data, fields))

    @contextlib.contextmanager
    def track_operation(self, name: str, /, **metadata: Any) -> Iterator[OperationTracker]:
        """Log the start and the end of a block with its duration, outcome and memory; exceptions pass through."""
        operation = self.start_operation(name, **metadata)
        try:
            yield operation
        except (KeyboardInterrupt, Interrupted) as error:
            self.end_operation(operation, "interrupted", f"{type(error).__name__}: {error}")
            raise
        except BaseException as error:
            self.end_operation(operation, "failed", f"{type(error).__name__}: {error}")
            raise
        else:
            self.end_operation(operation)

    def start_operation(self, name: str, /, **metadata: Any) -> OperationTracker:
        """Start an operation, for `end_operation`; `track_operation` does both."""
        operation = OperationTracker(name, metadata)
        self.operations.append(operation)
        self.info("operation started", operation=name, **{f"metadata_{key}": value for key, value in metadata.items()})
        return operation

    def end_operation(
        self, operation: OperationTracker | str, status: str = "completed", error: str | None = None
    ) -> OperationTracker:
        """End an operation, given as an object or by the name of the latest running one. Raises `UsageError`."""
        if isinstance(operation, str):
            running = [o for o in self.operations if o.name == operation and o.status == "running"]
            if not running:
                raise UsageError(f'no operation "{operation}" is running.')
            operation = running[-1]
        operation.finish(status, error)
        log = self.info if status == "completed" else self.error
        log("operation ended", **operation.to_dict())
        return operation

    def print_section(self, title: str, console: "Console | None" = None) -> None:
        """Print a heading on `console`, else on the logger's; the log gets a message."""
        self.info("section", title=title)
        console = console or self._console
        if console is not None:
            console.rule(terminal_text(title))

    def print_table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        console: "Console | None" = None,
    ) -> None:
        """Print a table on `console`, else on the logger's; the log gets its rows.

        Raises `UsageError` if a row has another length.
        """
        for row in rows:
            if len(row) != len(columns):
                raise UsageError(f"a row has {len(row)} values for {len(columns)} columns: {list(row)}.")
        self.info("table", title=title, columns=list(columns), rows=jsonable([list(row) for row in rows]))
        console = console or self._console
        if console is None:
            return
        from rich.table import Table

        table = Table(*columns, title=terminal_text(title))
        for row in rows:
            numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in row]
            cells = [_shown(value) for value in row]
            table.add_row(
                *(terminal_text(c, justify="right" if n else "left") for c, n in zip(cells, numbers, strict=True))
            )
        console.print(table)

    def print_metrics_summary(
        self,
        metrics: Mapping[str, object] | None = None,
        title: str | None = None,
        console: "Console | None" = None,
    ) -> None:
        """Print names and values as a table; without `metrics`, the operations so far with duration and memory."""
        if metrics is not None:
            self.print_table(title or "Metrics", ("metric", "value"), list(metrics.items()), console)
            return
        columns = ("operation", "status", "seconds", "peak memory (MB)", "error")
        rows = [
            (each.name, each.status, _blank(each.duration_seconds), _blank(each.peak_memory_mb), each.error or "")
            for each in self.operations
        ]
        self.print_table(title or "Operations", columns, rows, console)

    def save_metrics_json(self, metrics: Mapping[str, object], filename: str = "metrics.json") -> Path:
        """Write `metrics` with all operations so far into `log_dir`.

        Raises `UsageError` without one, `StorageError`.
        """
        path = self._file(filename)
        operations = [operation.to_dict() for operation in self.operations]
        atomic.write_json(path, {"name": self.name, "metrics": jsonable(metrics), "operations": jsonable(operations)})
        return path

    def record_call(
        self,
        function: str,
        duration_seconds: float,
        error: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep a call for `save_call_traces`, if calls are tracked."""
        if self.track_calls:
            self._calls.record_call(function, duration_seconds, error, arguments)

    def save_call_traces(self, filename: str = "call_traces.json") -> Path:
        """Write the recorded calls into `log_dir`. Raises `UsageError` without `log_dir` or `track_calls`."""
        if not self.track_calls:
            raise UsageError(f'the logger "{self.name}" records no calls; create it with track_calls=True.')
        return self._calls.save(self._file(filename))

    def _file(self, filename: str) -> Path:
        if self.log_dir is None:
            raise UsageError(f'the logger "{self.name}" has no directory for {filename}; create it with log_dir.')
        return self.log_dir / plain(filename)


def _stderr_console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


_RESERVED = frozenset({"event", "time", "level", "logger"})
"""Keys that every record has; a field of that name becomes `field_NAME`."""


def _fields(data: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    named = {str(name): value for name, value in (data or {}).items()} | dict(fields)
    return {f"field_{name}" if name in _RESERVED else name: value for name, value in named.items()}


def _blank(value: float | None) -> object:
    return "" if value is None else value


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
