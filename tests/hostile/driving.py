"""Gives `daf` hostile inputs of some kinds, in this process, and reports what became of each.

    python -m tests.hostile.driving KIND,… EVERY FOLDER MADE

Every `EVERY`th input of each kind: with 1, all of them. Prints a JSON object per input. Memory is limited for the
process, measured per input; time is this process's. What `daf` writes outside the input's own folder is noticed.
"""

import contextlib
import importlib
import io
import itertools
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.hostile.corpus import Input, Place

SECONDS, MEGABYTES = 1.0, 512
"""What a refusal may cost of this process's time, and any input of memory over what there was before."""
_GIVEN_UP = 60
_ADDRESSES = 6 << 30


class _GivenUpError(BaseException):
    """An input took so long that it was left."""


def main(kinds: list[str], every: int, folder: Path, made: Path) -> None:
    """Print the reports of the inputs of these kinds."""
    modules = [importlib.import_module(f"tests.hostile.{kind}") for kind in kinds]
    for module in modules:
        warm_up = [part.replace("MADE", str(made)) for part in getattr(module, "WARM_UP", [])]
        home = _fresh(folder / f"{module.__name__}-warm-up", made)
        if warm_up:
            _drive(module)(warm_up, home)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_size() + _ADDRESSES, hard))
    signal.signal(signal.SIGALRM, _give_up)
    for kind, module in zip(kinds, modules, strict=True):
        for number, each in enumerate(chosen(module.inputs(), every)):
            report = _report(each, _drive(module), folder / kind / f"{number:03}", made)
            if not report["escaped"] and (report["seconds"] > SECONDS or report["megabytes"] > MEGABYTES):
                again = folder / kind / f"{number:03}-again"
                report = _report(each, _drive(module), again, made)  # not what only the first call costs
            print(json.dumps(report), flush=True)


def chosen(inputs: Iterable[Input], every: int) -> Iterator[Input]:
    """Every `every`th input."""
    return itertools.islice(inputs, 0, None, every)


def _drive(module: ModuleType) -> Any:
    return getattr(module, "drive", _command)


def _report(each: Input, drive: Any, folder: Path, made: Path) -> dict[str, Any]:
    place = _fresh(folder, made)
    escaped, code, said = None, None, ""
    given = each.make(place)
    before = _listing(place.outside)
    base = _reset_peak()
    signal.alarm(_GIVEN_UP)
    began = time.process_time()
    try:
        code, said = drive(given, place)
    except _GivenUpError:
        escaped = f"still busy after {_GIVEN_UP} s"
    except BaseException:
        escaped = traceback.format_exc()[-2000:]
    finally:
        signal.alarm(0)
    seconds, peak = time.process_time() - began, _peak() - base
    outside = sorted(_listing(place.outside) ^ before)
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "name": each.name, "code": code, "said": said[-3000:], "escaped": escaped, "seconds": seconds,
        "megabytes": peak / 1e6, "outside": outside, "codes": each.codes, "says": each.says,
    }  # fmt: skip


def _command(given: list[str], place: Place) -> tuple[int | None, str]:
    """Run `daf` with these arguments as the installed program does."""
    from daf.cli.main import main as daf

    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)
    sys.argv = ["daf", *given]
    code: Any = None
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.chdir(place.work):
        try:
            daf()
        except SystemExit as leaving:
            code = leaving.code
    return code, said.buffer.getvalue().decode()  # type: ignore[attr-defined]


def _fresh(folder: Path, made: Path) -> Place:
    place = Place(folder / "outside" / "home" / "work", folder / "outside", made)
    place.work.mkdir(parents=True)
    (place.outside / "precious").mkdir()
    (place.outside / "precious" / "data.txt").write_text("irreplaceable")
    tempfile.tempdir = None  # it is remembered from the last input
    os.environ |= {
        "DAF_OUTPUT_DIR": str(place.work / "output"), "HOME": str(place.work), "TMPDIR": str(place.work),
        "COLUMNS": "100",
    }  # fmt: skip
    return place


def _listing(outside: Path) -> set[str]:
    """Everything in the folder but what lies in the work folder in it, with sizes and times."""
    found = set()
    for top, folders, files in os.walk(outside):
        if Path(top).name == "home":
            folders.remove("work")
        for name in [*folders, *files]:
            path = Path(top) / name
            facts = path.lstat()
            found.add(f"{path.relative_to(outside)} {facts.st_size if path.is_file() else ''} {facts.st_mtime_ns}")
    return {line for line in found if not line.startswith("home ")}


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")  # the kernel's mark of the largest resident memory
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _size() -> int:
    return _status("VmSize")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _give_up(*_: object) -> None:
    raise _GivenUpError


if __name__ == "__main__":
    main(sys.argv[1].split(","), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
