"""What a run is said to take of its machine."""

import logging
import subprocess
import sys
import time

import pytest

from daf.core import _system_metrics as system_metrics
from daf.core._system_metrics import MemoryWatch, SystemMetrics, memory_used


def test_memory_counts_the_process_with_its_children() -> None:
    alone = SystemMetrics().read()["system/memory_mb"]
    code = "data = bytearray(b'x' * 200_000_000); print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        together = SystemMetrics().read()["system/memory_mb"]
        child.communicate(b"\n")
    assert together - alone > 190


def test_the_share_of_the_cpu_is_of_the_time_since_the_last_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_metrics, "INTERVAL_SECONDS", 0.0)
    metrics = SystemMetrics()
    metrics.read()
    began, used = time.monotonic(), time.process_time()
    sum(number * number for number in range(3_000_000))
    percent = metrics.read()["system/cpu_percent"]
    expected = 100 * (time.process_time() - used) / (time.monotonic() - began)
    assert percent == pytest.approx(expected, rel=0.4)


def test_without_a_gpu_its_metrics_are_absent() -> None:
    assert set(SystemMetrics("cpu").read()) == {"system/cpu_percent", "system/memory_mb"}


def test_readings_are_repeated_within_the_interval() -> None:
    metrics = SystemMetrics()
    assert metrics.read() is metrics.read()


def test_the_watch_acts_once_beyond_its_limit_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    done = []
    watch = MemoryWatch(0.0, "training stops", lambda: done.append(1))
    with caplog.at_level(logging.WARNING, logger="daf"):
        assert watch.check()
        assert not watch.check()
    assert done == [1]
    assert "more than 0 %: training stops" in caplog.text
    assert not MemoryWatch(1.0, "training stops", lambda: done.append(2)).check()
    used, total = memory_used()
    assert 0 < used < total
