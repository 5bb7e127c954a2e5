"""Reading with bounds and types, paths that stay inside, locks."""

import errno
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daf.errors import DamagedFileError, LockedError, StorageError, UnsafePathError
from daf.storage import atomic, containment, locks, reading


class Point(msgspec.Struct):
    x: int
    y: float = 0.0


def test_json_of_the_declared_type_is_returned(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"x": 3, "unknown": []}')
    assert reading.read_json(tmp_path / "p.json", Point) == Point(3, 0.0)


@pytest.mark.parametrize("path", ["missing.json", "missing/p.json"])
def test_a_missing_file_is_none(tmp_path: Path, path: str) -> None:
    assert reading.read_json(tmp_path / path, Point) is None
    assert reading.read_bytes(tmp_path / path) is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[1]", "Expected `object`, got `array`"),
        (b'{"x": "three"}', "Expected `int`, got `str`"),
        (b'{"y": 1}', "missing required field `x`"),
        (b"\xff\xfe", "malformed"),
        (b'{"x": 1}' + b" " * 100, "larger than 64 bytes"),
    ],
)
def test_damage_names_the_file_and_the_reason(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=why) as caught:
        reading.read_json(path, Point, limit=64)
    assert caught.value.path == str(path)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.path, again.reason, str(again)) == (caught.value.path, caught.value.reason, str(caught.value))


def test_deeply_nested_json_is_damage(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_bytes(b"[" * 200_000)
    with pytest.raises(DamagedFileError):
        reading.read_json(tmp_path / "p.json", list[Any])


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "zero", "folder"):
        with pytest.raises(DamagedFileError, match="not a regular file"):
            reading.read_bytes(tmp_path / name)


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(StorageError):
        reading.read_bytes("a\0b")
    with pytest.raises(StorageError):
        reading.read_bytes("x" * 100_000)


def test_names_below_the_root_are_resolved(tmp_path: Path) -> None:
    assert containment.inside(tmp_path, "a", "b/../c") == tmp_path.resolve() / "a" / "c"


@pytest.mark.parametrize("name", ["..", "../x", "a/../../x", "/etc/passwd", "", ".", "a\0b"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafePathError):
        containment.inside(tmp_path / "root", name)


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(UnsafePathError):
        containment.inside(root, "link/precious")


def _hold(path: str, ready: Any, release: Any) -> None:
    with locks.exclusive(path, "held"):
        ready.set()
        release.wait(60)


def test_a_lock_is_held_until_its_process_dies(tmp_path: Path) -> None:
    path = tmp_path / "made" / "lock"
    assert not locks.is_held(path)
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(str(path), ready, release))
    process.start()
    try:
        assert ready.wait(60)
        assert locks.is_held(path)
        with (
            pytest.raises(LockedError, match="someone else has it"),
            locks.exclusive(path, "someone else has it", patience=0.0),
        ):
            pass
    finally:
        process.kill()
        process.join(60)
    assert not locks.is_held(path)
    with locks.exclusive(path, "free again"):
        pass


def test_a_lock_file_that_its_holder_deletes_keeps_nobody_out_and_lets_nobody_in_twice(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    first = locks.acquire(path, "held")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(locks.acquire, path, "held", patience=30.0)
        locks.discard(first, path)
        second = waiting.result()
    assert path.exists()
    with pytest.raises(LockedError):
        locks.acquire(path, "held", patience=0.0)
    locks.release(second)


def test_a_shared_lock_keeps_out_only_exclusive_locks(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    shared = [locks.acquire_shared(path, "held"), locks.acquire_shared(path, "held")]
    for file in shared:
        with pytest.raises(LockedError):
            locks.acquire(path, "held", patience=0.0)
        locks.release(file)
    with locks.exclusive(path, "held", patience=0.0), pytest.raises(LockedError):
        locks.acquire_shared(path, "held", patience=0.0)


def test_a_lock_does_not_follow_links_and_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not locks.is_held(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        locks.acquire(tmp_path / "link", "held")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_is_swept_only_while_nobody_writes_to_it(tmp_path: Path) -> None:
    torn = atomic.temporary_name(tmp_path / "a.json")
    torn.write_text("half")
    half = atomic.temporary_name(tmp_path / "step_4")
    (half / "code").mkdir(parents=True)
    with atomic.announced(tmp_path):
        assert atomic.sweep(tmp_path) == []
    assert atomic.sweep(tmp_path) == sorted([torn, half])
    assert list(tmp_path.iterdir()) == []
    assert atomic.sweep(tmp_path / "missing") == []


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "copy"
    for text in ("first", "second"):
        with atomic.writing_folder(target) as unfinished:
            unfinished.mkdir()
            (unfinished / text).write_text(text)
            assert atomic.sweep_below(tmp_path) == []
        assert [path.name for path in target.iterdir()] == [text]

    def fill(error: Exception) -> None:
        with atomic.writing_folder(target, doing="copying it") as unfinished:
            unfinished.mkdir()
            raise error

    with pytest.raises(StorageError, match="no space left while copying it"):
        fill(OSError(errno.ENOSPC, "full"))
    with pytest.raises(ZeroDivisionError):
        fill(ZeroDivisionError())
    assert [path.name for path in target.parent.iterdir()] == ["copy"]
    assert [path.name for path in target.iterdir()] == ["second"]


def test_sweeping_below_follows_no_links(tmp_path: Path) -> None:
    torn = atomic.temporary_name(tmp_path / "elsewhere" / "a.json")
    torn.parent.mkdir()
    torn.write_text("half")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "stats").symlink_to(torn.parent)
    assert atomic.sweep_below(tmp_path / "run") == []
    assert torn.exists()


def test_links_that_stay_inside_are_ones_own(tmp_path: Path) -> None:
    (tmp_path / "run" / "a").mkdir(parents=True)
    (tmp_path / "run" / "a" / "latest").symlink_to("../b")
    containment.require_own(tmp_path / "run")
    (tmp_path / "run" / "a" / "log").symlink_to("../../outside.log")
    with pytest.raises(UnsafePathError, match=r"a/log is a link that leads out of"):
        containment.require_own(tmp_path / "run")


LIMITED = """
import resource, sys
from pathlib import Path
from daf.errors import StorageError
from daf.render.theme import save_figure, themed
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
with themed():
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots()
    axes.plot([(7 * n * n) % 101 for n in range(2000)])
    figure.canvas.draw()
    sizes = {}
    for suffix in ("png", "pdf", "svg"):
        if limit:
            sizes[suffix] = (Path(sys.argv[3]) / f"figure.{suffix}").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[suffix] * limit // 100, resource.RLIM_INFINITY))
        try:
            save_figure(figure, folder / f"figure.{suffix}")
        except StorageError as error:
            print(error)
"""


@pytest.mark.thorough
def test_a_figure_that_does_not_fit_is_a_sentence_and_not_a_part(tmp_path: Path) -> None:
    def draw(folder: Path, percent: int) -> list[str]:
        folder.mkdir()
        command = [sys.executable, "-c", LIMITED, str(folder), str(percent), str(tmp_path / "whole")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    assert draw(tmp_path / "whole", 0) == []
    for percent in (1, 30, 70, 99):
        lines = draw(tmp_path / str(percent), percent)
        assert [line.partition(" while writing ")[0] for line in lines] == ["file too large"] * 3
        assert list((tmp_path / str(percent)).iterdir()) == []
