"""Where log records go: files of JSON lines, and the terminal on request.

Only the logger "daf" and those below it are configured, never the root, and nothing at import. Setting up the same file
or the terminal again only changes its level. A file appears with its first record. When a log file cannot be written
any more (disk full), its logging stops with one `RuntimeWarning`, and the work continues.
"""

import json
import logging
import sys
import warnings
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.errors import StorageError, UsageError, unknown
from daf.storage.atomic import explain
from daf.storage.printable import printable_lines

if TYPE_CHECKING:
    from structlog.typing import Processor

ROOT = "daf"
"""The parent of all of DAF's loggers."""
LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


def setup_daf_logging(
    log_level: str = "INFO", log_file: str | Path | None = None, console_output: bool = False
) -> logging.Logger:
    """Send DAF's records of `log_level` and above to `log_file` (JSON lines) and to the terminal (stderr, with rich).

    Returns the logger "daf". Raises `UsageError` for an unknown level, `StorageError` if the file cannot be written.
    """
    logger = logging.getLogger(ROOT)
    if log_file is not None:
        attach_file(logger, log_file, log_level)
    if console_output:
        attach_console(logger, log_level)
    if log_file is None and not console_output:
        logger.setLevel(level_number(log_level))
    return logger


class LogManager:
    """Log files by component, in one folder."""

    def __init__(self, log_dir: str | Path) -> None:
        self.log_dir = Path(log_dir)

    def setup_component_logging(self, name: str, level: str = "INFO") -> logging.Logger:
        """The logger "daf.NAME" with a separate file `NAME.jsonl`. Raises `UsageError`, `StorageError`."""
        logger = logging.getLogger(qualified(name))
        attach_file(logger, self.log_dir / f"{plain(name)}.jsonl", level)
        return logger


def qualified(name: str) -> str:
    """`name` below "daf"."""
    return name if name == ROOT or name.startswith(f"{ROOT}.") else f"{ROOT}.{name}"


def plain(name: str) -> str:
    """`name` as a file name. Raises `UsageError` if it is a path to another folder."""
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise UsageError(f'"{name}" cannot name a log: it would lead to another directory.')
    return name


def level_number(level: str) -> int:
    """The number of a named level. Raises `UsageError`."""
    if level.upper() not in LEVELS:
        raise UsageError(unknown("log level", level, LEVELS))
    return LEVELS[level.upper()]


def attach_file(logger: logging.Logger, path: str | Path, level: str = "INFO") -> logging.Handler:
    """Send `logger`'s records to a file of JSON lines; a second call for the same file only sets the level."""
    target = Path(path).absolute()
    number = level_number(level)
    for handler in logger.handlers:
        if isinstance(handler, _JsonLines) and Path(handler.baseFilename) == target:
            handler.setLevel(number)
            _let_through(logger)
            return handler
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(21, "Is a directory", str(target))
    except OSError as error:
        raise StorageError(explain(error, f"writing the log {target}")) from error
    handler = _JsonLines(target)
    handler.setLevel(number)
    handler.setFormatter(_formatter(_json))
    logger.addHandler(handler)
    _let_through(logger)
    return handler


def attach_console(logger: logging.Logger, level: str = "INFO") -> logging.Handler:
    """Send `logger`'s records to the terminal (stderr); a second call, also above `logger`, only sets the level."""
    number = level_number(level)
    above: logging.Logger | None = logger
    while above is not None:
        for handler in above.handlers:
            if getattr(handler, "_daf_console", False):
                handler.setLevel(min(number, handler.level))
                _let_through(logger, number)
                return handler
        above = above.parent if above.propagate else None
    from rich.console import Console
    from rich.logging import RichHandler

    handler = RichHandler(console=Console(stderr=True), show_path=False, markup=False)
    handler._daf_console = True  # type: ignore[attr-defined]
    handler.setLevel(number)
    handler.setFormatter(_formatter(_line))
    logger.addHandler(handler)
    _let_through(logger)
    return handler


def detach(logger: logging.Logger, handler: logging.Handler) -> None:
    """Remove `handler` from `logger` and close it."""
    logger.removeHandler(handler)
    handler.close()
    _let_through(logger)


def pre_chain() -> "list[Processor]":
    """What every record gets before it is rendered: level, logger, time in UTC, and the exception as text."""
    import structlog

    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]


class _JsonLines(logging.FileHandler):
    """One JSON object per record; stops permanently, with a warning, at the first error of the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, mode="a", encoding="utf-8", delay=True)
        self.broken = False

    def emit(self, record: logging.LogRecord) -> None:
        if self.broken:
            return
        try:
            super().emit(record)
        except OSError:  # from opening the file, which happens at the first record
            self.handleError(record)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            self._stop(error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is the standard library's)
        error = sys.exception()
        if isinstance(error, OSError):
            self._stop(error)
        else:
            super().handleError(record)

    def _stop(self, error: OSError) -> None:
        if not self.broken:
            self.broken = True
            problem = explain(error, f"writing the log {self.baseFilename}")
            warnings.warn(f"logging stops: {problem}", RuntimeWarning, stacklevel=2)


def _let_through(logger: logging.Logger, least: int | None = None) -> None:
    """Set the logger's level to the lowest level of its handlers."""
    levels = [handler.level for handler in logger.handlers if not isinstance(handler, logging.NullHandler)]
    if least is not None:
        levels.append(least)
    logger.setLevel(min(levels) if levels else logging.NOTSET)


def _formatter(render: Any) -> logging.Formatter:
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *pre_chain()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )


def _json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    first = {key: event.pop(key) for key in ("time", "level", "logger", "event") if key in event}
    return json.dumps({**first, **event}, default=str, ensure_ascii=False)


def _line(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    text = str(event.pop("event", ""))
    exception = event.pop("exception", None)
    for key in ("time", "level", "logger"):
        event.pop(key, None)
    if event:
        text += "  " + " ".join(f"{key}={value}" for key, value in event.items())
    return printable_lines(text if exception is None else f"{text}\n{exception}")


def quiet_without_handlers() -> None:
    """Keep Python's last-resort handler from printing DAF's warnings on stderr if nobody asked for output."""
    logger = logging.getLogger(ROOT)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
