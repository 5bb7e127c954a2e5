"""Logging configures only DAF's loggers, once, and tells what operations took."""

import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from daf.errors import Interrupted, StorageError, UsageError
from daf.logging_config import (
    CallTracker,
    DAFLogger,
    LogManager,
    OperationTracker,
    create_daf_logger,
    setup_daf_logging,
    track_function_calls,
)


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Any:
    """Take off what a test attached to DAF's loggers."""
    before = {name: (list(logger.handlers), logger.level) for name, logger in daf_loggers()}
    yield
    for name, logger in daf_loggers():
        handlers, level = before.get(name, ([], logging.NOTSET))
        for handler in set(logger.handlers) - set(handlers):
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(level)


def daf_loggers() -> list[tuple[str, logging.Logger]]:
    names = ["daf", *(name for name in logging.root.manager.loggerDict if name.startswith("daf."))]
    return [(name, logging.getLogger(name)) for name in names]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_messages_become_json_lines_with_their_fields(tmp_path: Path) -> None:
    logger = create_daf_logger("one", log_dir=tmp_path)
    logger.debug("too quiet")
    logger.info("episode done", reward=1.5, mission="arena")
    try:
        raise ValueError("boom")
    except ValueError:
        logger.error("it broke", exc_info=True)
    first, second = lines(tmp_path / "one.jsonl")
    assert (first["event"], first["reward"], first["mission"]) == ("episode done", 1.5, "arena")
    assert (first["level"], first["logger"]) == ("info", "daf.one")
    assert first["time"].endswith("Z")
    assert "ValueError: boom" in second["exception"]


def test_plain_logging_of_the_engines_arrives_too(tmp_path: Path) -> None:
    setup_daf_logging("INFO", tmp_path / "all.jsonl")
    logging.getLogger("daf.episodes.run").warning("%d failed", 3, extra={"mission": "arena"})
    logging.getLogger("somebody.else").warning("not ours")
    (line,) = lines(tmp_path / "all.jsonl")
    assert (line["event"], line["mission"], line["level"]) == ("3 failed", "arena", "warning")


def test_setting_up_again_adds_no_second_handler(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        setup_daf_logging("INFO", tmp_path / "all.jsonl", console_output=True)
        LogManager(tmp_path).setup_component_logging("part")
        logger = create_daf_logger("part", log_dir=tmp_path, verbose=True)
    logger.info("once")
    assert [line["event"] for line in lines(tmp_path / "all.jsonl")] == ["once"]
    assert [line["event"] for line in lines(tmp_path / "part.jsonl")] == ["once"]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("once") == 1


def test_the_level_can_be_changed_later(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    setup_daf_logging("ERROR", path)
    logging.getLogger("daf.x").info("one")
    setup_daf_logging("DEBUG", path)
    logging.getLogger("daf.x").debug("two")
    assert [line["event"] for line in lines(path)] == ["two"]
    with pytest.raises(UsageError, match=r'no log level "LOUD"'):
        setup_daf_logging("LOUD")


def test_components_have_their_own_files_and_levels(tmp_path: Path) -> None:
    manager = LogManager(tmp_path)
    manager.setup_component_logging("quiet", "ERROR").warning("unheard")
    manager.setup_component_logging("loud", "DEBUG").debug("heard")
    assert [path.name for path in tmp_path.iterdir()] == ["loud.jsonl"]
    with pytest.raises(UsageError, match="another directory"):
        manager.setup_component_logging("../escape")


def test_importing_and_logging_leave_the_root_logger_and_the_terminal_alone() -> None:
    code = (
        "import logging, daf.logging_config as l\n"
        "logger = l.create_daf_logger('x')\nlogger.warning('unheard'); logger.print_table('t', ['a'], [[1]])\n"
        "assert logging.getLogger().handlers == [], logging.getLogger().handlers\n"
        "assert logging.getLogger().level == logging.WARNING\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_log_in_a_place_where_nothing_can_be_written_fails_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="writing the log"):
        create_daf_logger("x", log_dir=tmp_path / "file" / "logs")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_disk_that_fills_up_ends_the_log_with_one_warning_and_not_the_work(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").symlink_to("/dev/full")
    logger = create_daf_logger("x", log_dir=tmp_path)
    with pytest.warns(RuntimeWarning, match="logging stops: no space left"):
        logger.info("one")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.info("two")


def test_an_operation_is_logged_with_duration_status_and_memory(tmp_path: Path) -> None:
    logger = create_daf_logger("ops", log_dir=tmp_path)
    with logger.track_operation("load", mission="arena") as operation:
        assert operation.status == "running"
        held = bytearray(300 * 1024 * 1024)
        held[::4096] = b"x" * len(held[::4096])
    assert operation.status == "completed"
    assert operation.duration_seconds is not None
    assert operation.duration_seconds > 0
    assert operation.peak_memory_mb is not None
    assert operation.peak_memory_mb > 300
    started, ended = lines(tmp_path / "ops.jsonl")
    assert started["metadata_mission"] == "arena"
    assert (ended["operation"], ended["status"], ended["error"]) == ("load", "completed", None)
    assert ended["peak_memory_mb"] == operation.peak_memory_mb


def test_the_rise_of_the_memory_peak_is_the_operations_own() -> None:
    code = (
        "from daf.logging_config import OperationTracker\n"
        "first = OperationTracker('first'); held = bytearray(200 * 2**20); held[::4096] = b'x' * len(held[::4096])\n"
        "del held; first.finish(); second = OperationTracker('second'); second.finish()\n"
        "print(first.peak_memory_rise_mb, second.peak_memory_rise_mb)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    first, second = map(float, shown.split())
    assert 195 < first < 260
    assert second < 5


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("boom"), "failed"), (KeyboardInterrupt(), "interrupted"), (Interrupted("stop"), "interrupted")],
)
def test_an_operation_that_breaks_off_says_how_and_raises_on(tmp_path: Path, error: BaseException, status: str) -> None:
    logger = create_daf_logger("ops", log_dir=tmp_path)
    with pytest.raises(type(error)), logger.track_operation("work"):
        raise error
    assert logger.operations[0].status == status
    assert lines(tmp_path / "ops.jsonl")[-1]["level"] == "error"


def test_operations_end_by_name_the_latest_first_and_only_once() -> None:
    logger = create_daf_logger("ops")
    first, second = logger.start_operation("a", n=1), logger.start_operation("a", n=2)
    assert logger.end_operation("a") is second
    assert logger.end_operation("a") is first
    with pytest.raises(UsageError, match=r'no operation "a" is running'):
        logger.end_operation("a")
    with pytest.raises(UsageError, match="has already ended"):
        first.finish()


def test_tables_and_sections_go_to_the_console_and_the_log(tmp_path: Path) -> None:
    stream = io.StringIO()
    logger = DAFLogger("shown", log_dir=tmp_path, console=Console(file=stream, width=80))
    logger.print_section("Results [of today]")
    logger.print_table("Scores", ("policy", "mean"), [("starter", 1.23456789), ("[b]odd[/b]", None)])
    logger.print_metrics_summary({"steps": 1000})
    for text in ("Results [of today]", "starter", "1.23457", "[b]odd[/b]", "steps", "1000"):
        assert text in stream.getvalue()
    assert lines(tmp_path / "shown.jsonl")[1]["rows"] == [["starter", 1.23456789], ["[b]odd[/b]", None]]
    with pytest.raises(UsageError, match="1 values for 2 columns"):
        logger.print_table("Scores", ("policy", "mean"), [("starter",)])


def test_metrics_are_saved_with_the_operations(tmp_path: Path) -> None:
    logger = create_daf_logger("m", log_dir=tmp_path)
    with logger.track_operation("load"):
        pass
    path = logger.save_metrics_json({"reward": float("nan"), "steps": 3})
    saved = json.loads(path.read_text())
    assert saved["metrics"] == {"reward": None, "steps": 3}
    assert [operation["operation"] for operation in saved["operations"]] == ["load"]
    with pytest.raises(UsageError, match="no directory"):
        create_daf_logger("m2").save_metrics_json({})


def test_calls_are_recorded_with_arguments_and_errors(tmp_path: Path) -> None:
    logger = create_daf_logger("calls", log_dir=tmp_path, track_calls=True)

    @track_function_calls(logger)
    def divide(a: float, b: float = 2) -> float:
        """Divide."""
        return a / b

    assert divide(1) == 0.5
    with pytest.raises(ZeroDivisionError):
        divide(1, b=0)
    assert divide.__doc__ == "Divide."
    saved = json.loads(logger.save_call_traces().read_text())
    good, bad = saved["calls"]
    assert (good["arguments"], good["error"]) == ({"a": "1"}, None)
    assert bad["error"].startswith("ZeroDivisionError")
    (row,) = saved["summary"].values()
    assert (row["calls"], row["errors"]) == (2, 1)


def test_calls_are_not_kept_unless_asked(tmp_path: Path) -> None:
    logger = create_daf_logger("calls", log_dir=tmp_path)
    assert track_function_calls(logger)(max)(1, 2) == 2
    with pytest.raises(UsageError, match="track_calls=True"):
        logger.save_call_traces()


def test_calls_of_many_threads_are_all_kept() -> None:
    tracker = CallTracker()
    tracked = track_function_calls(tracker)(lambda x: x)
    threads = [threading.Thread(target=lambda: [tracked(i) for i in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tracker.calls) == 1600


def test_a_tracker_reports_everything_as_data() -> None:
    tracker = OperationTracker("x", {"a": 1})
    tracker.finish("failed", "boom")
    data = tracker.to_dict()
    assert (data["operation"], data["metadata"], data["status"], data["error"]) == ("x", {"a": 1}, "failed", "boom")
    assert None not in (data["duration_seconds"], data["peak_memory_mb"], data["peak_memory_rise_mb"])
