"""Programs that run with less than this process has: no secrets in the environment, limited memory and CPU, no network.

`Confinement.command(…)` is the command that starts a program so, and `environment()` goes with it. The limits apply to
the program and to each process that it starts. The network is cut off on Linux where this user may make network
namespaces; loopback remains. `why_network_stays()` says why it is not elsewhere.

Not guaranteed: protection against malicious code. The program has the user's rights on files.
"""

import contextlib
import fcntl
import functools
import json
import os
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_KEPT = frozenset({
    "PATH", "LANG", "LANGUAGE", "TZ", "TERM", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX",
    "PYTHONHASHSEED", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "MKL_CBWR", "CUDA_VISIBLE_DEVICES",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "SYSTEMROOT",
})  # fmt: skip
"""Variables that a program needs to run as here, and that hold no secrets. Those of LC_ are kept too."""
_GRACE_SECONDS = 5
"""CPU seconds between the signal that can be caught and SIGKILL."""
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a program may use. home: its home and temporary directory. cpu_seconds: of each of its processes."""

    home: Path
    memory_mib: int
    cpu_seconds: int
    network: bool = False

    def environment(self) -> dict[str, str]:
        """The variables of this process that are passed on, and the program's own directories."""
        kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("LC_")}
        own = {"HOME": str(self.home), "TMPDIR": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}
        return kept | own

    def command(self, *command: str) -> list[str]:
        """The command that runs `command` so. Without a way to cut off the network, it stays."""
        cut = not self.network and why_network_stays() is None
        limits = json.dumps({"memory_mib": self.memory_mib, "cpu_seconds": self.cpu_seconds, "cut": cut})
        return [sys.executable, "-P", "-m", __name__, limits, *command]


@functools.cache
def why_network_stays() -> str | None:
    """Why a program can't be cut off from the network here; None if it can."""
    if sys.platform != "linux":
        return f"network namespaces exist on Linux only, and this is {sys.platform}"
    tried = subprocess.run(
        [sys.executable, "-P", "-m", __name__, "--try"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return None if tried.returncode == 0 else (tried.stderr.strip() or "no network namespace can be made")


def _cut_off() -> None:
    """Leave the network of this process, which has one thread. Raises `OSError`."""
    user, group = os.getuid(), os.getgid()
    try:
        os.unshare(os.CLONE_NEWNET)
    except PermissionError:
        os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:  # a new namespace has its loopback down
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def _limit(memory_mib: int, cpu_seconds: int) -> None:
    import resource

    for kind, soft, hard in (
        (
            resource.RLIMIT_DATA,
            memory_mib << 20,
            memory_mib << 20,
        ),  # Linux counts private memory; elsewhere it may fail
        (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + _GRACE_SECONDS),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # an existing lower limit stays
            resource.setrlimit(kind, (soft, hard))


def main(arguments: list[str]) -> None:
    """Confine this process, then become the command; with `--try` only say whether the network can be cut off."""
    if arguments == ["--try"]:
        try:
            _cut_off()
        except OSError as error:
            sys.exit(f"no network namespace can be made: {error.strerror or error}")
        return
    limits = json.loads(arguments[0])
    if limits["cut"]:
        _cut_off()
    _limit(limits["memory_mib"], limits["cpu_seconds"])
    os.execv(arguments[1], arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
