"""Runs suites of tests in parallel processes and reports on them: `daf test`, `TestRunner`.

Every result comes from pytest itself, through a plugin that DAF gives it; nothing is parsed from what pytest prints. A
suite that hangs is killed with its children and reported with the test that was running.

`TestRunner` and `TestResult` have names that pytest would collect; `__test__` prevents it. The process of a suite
imports this package, so its names are imported when they are used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daf.test_runner.result import CaseResult, RecordedTests, TestResult
    from daf.test_runner.runner import TestRunner
    from daf.test_runner.suites import Suite, find_suites

_MODULES = {
    "CaseResult": "result",
    "RecordedTests": "result",
    "Suite": "suites",
    "TestResult": "result",
    "TestRunner": "runner",
    "find_suites": "suites",
}

__all__ = ["CaseResult", "RecordedTests", "Suite", "TestResult", "TestRunner", "find_suites"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
