"""Confined programs: what they can't see, can't reach and can't use up."""

import socket
import sys
from pathlib import Path

import pytest

from daf.errors import PolicyError
from daf.game import isolated
from daf.processes.confined import Confinement, why_network_stays


def confined(tmp_path: Path, *, memory_mib: int = 1024, cpu_seconds: int = 20, network: bool = False) -> Confinement:
    return Confinement(tmp_path, memory_mib, cpu_seconds, network)


def printed(code: str, confinement: Confinement) -> tuple[int, str]:
    """Exit code and stderr of Python code."""
    return isolated.run([sys.executable, "-c", f"import os, sys\n{code}"], seconds=20, confinement=confinement)


def test_the_environment_has_no_secrets_and_an_own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("LC_MESSAGES", "C")
    code, text = printed(
        "print(*os.environ, os.path.expanduser('~'), os.getcwd(), file=sys.stderr)", confined(tmp_path)
    )
    assert code == 0, text
    assert "AWS_SECRET_ACCESS_KEY" not in text
    assert "LC_MESSAGES" in text
    assert text.split()[-2:] == [str(tmp_path), str(tmp_path)]


def test_the_network_is_cut_off_but_loopback_remains(tmp_path: Path) -> None:
    if why_network_stays() is not None:
        pytest.skip(f"the network can't be cut off here: {why_network_stays()}")
    with socket.create_server(("127.0.0.1", 0)) as outside:
        port = outside.getsockname()[1]
        code = f"""
import socket
with socket.create_server(("127.0.0.1", 0)) as own:
    socket.create_connection(own.getsockname(), timeout=5).close()
print("loopback", file=sys.stderr)
socket.create_connection(("127.0.0.1", {port}), timeout=5)
"""
        failed, text = printed(code, confined(tmp_path))
        assert failed == 1, text
        assert "loopback" in text
        assert "ConnectionRefusedError" in text
        assert printed(code, confined(tmp_path, network=True))[0] == 0


def test_memory_is_limited(tmp_path: Path) -> None:
    code, text = printed("bytearray(300 << 20)", confined(tmp_path, memory_mib=200))
    assert code == 1
    assert "MemoryError" in text


def test_reports_arrive_in_order_and_foreign_folders_are_not_imported_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[str] = []
    code = "[__import__('daf.game.isolated', fromlist=['x']).report(str(n)) for n in range(3)], __import__('sys').path"
    found = isolated.call(
        eval, code, seconds=30, doing="it", confinement=confined(tmp_path), on_report=seen.append
    )  # fmt: skip
    assert seen == ["0", "1", "2"]
    assert str(tmp_path) not in found[1]


def test_cpu_time_is_limited_and_the_message_names_the_limit(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"it ended its process: signal SIGXCPU \(the limit is 1 s of CPU time\)"):
        isolated.call(
            eval, "[0 for _ in iter(int, 1)]", seconds=30, doing="it", confinement=confined(tmp_path, cpu_seconds=1)
        )
