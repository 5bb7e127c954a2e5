"""Checks of this machine, each with a way out if it fails.

A check tests this machine and never guesses: dependencies by their installed versions, disk space and permission on
the file system, GPUs through torch, missions by building them, servers by requests. An *error* means that a requested
feature will not work, a *warning* that a feature will not work that may not be needed.

torch is imported only if it is installed and a GPU is possible at all (a CUDA driver, or Apple silicon).
"""

import http.client
import importlib.util
import platform
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from daf.errors import DAFError, EnvironmentCheckError, UsageError, unknown
from daf.stats.sentences import counted
from daf.storage.console_tables import show
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from rich.console import Console

GIGABYTE = 1_000_000_000
MIN_AVAILABLE_GB = 10.0
AUTH_TIMEOUT_SECONDS = 5.0


@dataclass
class EnvironmentCheckResult:
    """The checks and their results.

    checks: by name, whether it passed. info: by name, the finding. warnings, errors: sentences for the checks that
    failed.
    """

    checks: dict[str, bool] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    info: dict[str, str] = field(default_factory=dict)
    _ways_out: dict[str, str] = field(default_factory=dict)

    def add_check(
        self, name: str, passed: bool, message: str = "", *, optional: bool = False, way_out: str = ""
    ) -> None:
        """Add a check; a failed one is an error, or a warning if it is `optional`; `way_out`: what to do."""
        self.checks[name] = passed
        if message:
            self.info[name] = message
        if not passed:
            (self.warnings if optional else self.errors).append(f"{name}: {message or 'failed'}")
            if way_out:
                self._ways_out[name] = way_out

    def add_error(self, message: str) -> None:
        """Add an error without a check."""
        self.errors.append(message)

    def add_warning(self, message: str) -> None:
        """Add a warning without a check."""
        self.warnings.append(message)

    def include(self, other: "EnvironmentCheckResult") -> None:
        """Add everything of another result."""
        self.checks |= other.checks
        self.warnings += other.warnings
        self.errors += other.errors
        self.info |= other.info
        self._ways_out |= other._ways_out

    def is_healthy(self) -> bool:
        """No errors."""
        return not self.errors

    def is_fully_optimal(self) -> bool:
        """No errors and no warnings."""
        return not self.errors and not self.warnings

    def get_recommendations(self) -> list[str]:
        """What to do about the checks that failed, each once."""
        return list(dict.fromkeys(self._ways_out.values()))

    def summary(self) -> str:
        """One line: how many checks passed, warnings, errors."""
        passed = sum(self.checks.values())
        state = "healthy" if self.is_healthy() else "not healthy"
        return (
            f"{state}: {passed} of {len(self.checks)} checks passed, "
            f"{counted(len(self.warnings), 'warning')}, {counted(len(self.errors), 'error')}"
        )

    def to_data(self) -> list[dict[str, Any]]:
        """The checks in their order as JSON data."""
        warned = {text.partition(": ")[0] for text in self.warnings}
        return [
            {
                "name": name,
                "status": "ok" if passed else "warning" if name in warned else "error",
                "found": self.info.get(name),
                "recommendation": self._ways_out.get(name),
            }
            for name, passed in self.checks.items()
        ]


def daf_check_environment(
    checkpoint_dir: str | Path | None = None,
    missions: Any = None,
    check_cuda: bool = True,
    check_disk: bool = True,
    check_dependencies: bool = True,
    check_missions: bool = True,
    *,
    console: "Console | None" = None,
) -> EnvironmentCheckResult:
    """All checks that are not switched off, as one result.

    checkpoint_dir: where space and permission are checked; None for the output directory. missions: as everywhere;
    built one by one; None for none.
    """
    result = EnvironmentCheckResult()
    version = platform.python_version()
    result.add_check(
        "python", sys.version_info[:2] == (3, 12), version, way_out="Use Python 3.12: CoGames requires it."
    )
    if check_dependencies:
        result.include(daf_check_dependencies())
    if check_disk:
        result.include(daf_check_disk_space(checkpoint_dir))
    if check_cuda:
        result.include(daf_check_gpu_availability())
    if check_missions and missions is not None:
        result.include(daf_check_mission_configs(missions))
    return _shown(result, console)


def daf_check_gpu_availability(*, console: "Console | None" = None) -> EnvironmentCheckResult:
    """CUDA devices with their memory, or Apple's MPS; none is a warning, since everything works on the CPU.

    If a device is found, CUDA is initialised in this process: do not fork afterwards.
    """
    result = EnvironmentCheckResult()
    device, found = _device()
    way_out = ""
    if device == "cpu" and importlib.util.find_spec("torch") is None:
        way_out = "For networks and training: pip install 'daf[train]'."
    result.add_check("gpu", device != "cpu", found, optional=True, way_out=way_out)
    return _shown(result, console)


def daf_check_cuda_availability(*, console: "Console | None" = None) -> EnvironmentCheckResult:
    """Deprecated name of `daf_check_gpu_availability`."""
    warnings.warn("daf_check_cuda_availability is now daf_check_gpu_availability", DeprecationWarning, stacklevel=2)
    return daf_check_gpu_availability(console=console)


def daf_get_recommended_device(*, console: "Console | None" = None) -> Literal["cuda", "mps", "cpu"]:
    """The fastest device that torch can use here."""
    device, found = _device()
    if console is not None:
        console.print(terminal_text(f"{device}: {found}"))
    return device


def daf_check_disk_space(
    checkpoint_dir: str | Path | None = None,
    min_available_gb: float = MIN_AVAILABLE_GB,
    *,
    console: "Console | None" = None,
) -> EnvironmentCheckResult:
    """Space and permission where `checkpoint_dir` is or would be created; nothing is left there.

    Less than `min_available_gb` (10⁹ bytes) is a warning, less than a tenth of it an error. Raises `UsageError` for a
    negative minimum.
    """
    if not min_available_gb >= 0:
        raise UsageError(f"min_available_gb must be at least 0, got {min_available_gb}.")
    from daf.output_manager import default_base_dir

    wanted = Path(checkpoint_dir).expanduser() if checkpoint_dir is not None else default_base_dir()
    place = wanted.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    elsewhere = "Choose another directory with --output-dir or DAF_OUTPUT_DIR."
    result = EnvironmentCheckResult()
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        result.add_check("writable", False, f"{wanted}: {error.strerror or error}", way_out=elsewhere)
    else:
        result.add_check("writable", True, str(wanted))
    try:
        free = shutil.disk_usage(place).free / GIGABYTE
    except OSError as error:
        result.add_check("disk", False, f"{place}: {error.strerror or error}", way_out=elsewhere)
        return _shown(result, console)
    enough = free >= min_available_gb
    found = f"{free:.1f} GB free at {place}" + ("" if enough else f", {min_available_gb:g} GB recommended")
    way_out = f"Free some space at {place}. {elsewhere}"
    result.add_check("disk", enough, found, optional=free >= min_available_gb / 10, way_out=way_out)
    return _shown(result, console)


def daf_check_dependencies(*, console: "Console | None" = None) -> EnvironmentCheckResult:
    """Every package that DAF requires, in the required version; those of an extra are optional.

    Raises `EnvironmentCheckError` if DAF itself is not installed, so that its requirements are unknown.
    """
    result = EnvironmentCheckResult()
    for requirement, extra in _requirements():
        wanted = f"{requirement.name}{requirement.specifier}"
        way_out = f"pip install 'daf[{extra}]'" if extra is not None else f"pip install '{wanted}'"
        name = requirement.name if extra is None else f"{requirement.name} ({extra})"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            result.add_check(name, False, "not installed", optional=extra is not None, way_out=way_out)
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        found = version if fits else f"{version}, but {requirement.specifier} is required"
        result.add_check(name, fits, found, optional=extra is not None, way_out=way_out)
    return _shown(result, console)


def daf_check_mission_configs(missions: Any, *, console: "Console | None" = None) -> EnvironmentCheckResult:
    """Whether each mission can be built here; `missions` as everywhere: strings, configs, pairs, or several of them."""
    result = EnvironmentCheckResult()
    for asked in _each(missions):
        try:
            for label, problem in _built(asked):
                result.add_check(
                    f"mission {label}", problem is None, problem or "can be played", way_out=_OTHER_MISSION
                )
        except DAFError as error:
            result.add_check(f"mission {asked}", False, str(error), way_out=_OTHER_MISSION)
    return _shown(result, console)


def daf_check_auth(server_url: str, *, console: "Console | None" = None) -> EnvironmentCheckResult:
    """Whether a server answers over HTTP within 5 s, and whether it accepts the saved login.

    A request to log in is an answer too; no login, or one that can't be verified, is a warning. Raises `UsageError` if
    it is not an http(s) URL.
    """
    from daf import auth_integration
    from daf.game import account

    there = auth_integration.servers(server_url)
    result = EnvironmentCheckResult()
    name = f"server {server_url}"
    way_out = f"Check the network and the address {server_url}. {account.retired(there.server)}".strip()
    try:
        with urllib.request.urlopen(server_url, timeout=AUTH_TIMEOUT_SECONDS) as answer:
            result.add_check(name, True, f"answers ({answer.status})")
    except urllib.error.HTTPError as error:
        error.close()
        working = error.code < 500
        result.add_check(name, working, f"{'answers' if working else 'is broken'} ({error.code})", way_out=way_out)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        result.add_check(name, False, f"does not answer: {reason}", way_out=way_out)
    if result.checks[name]:
        login = auth_integration.status(server_url)
        command = f"Log in with `{there.login_command()}`."
        result.add_check("login", login.state == "logged in", login.message, optional=True, way_out=command)
    return _shown(result, console)


def daf_check_executor(
    executor: str = "ray", address: str | None = None, *, console: "Console | None" = None
) -> EnvironmentCheckResult:
    """Connect to the Ray cluster at `address` (None starts one here), and run a task on each node.

    A node that does not answer, and one with other versions of DAF, the game or torch, is an error. Raises `UsageError`
    for an executor that needs no check.
    """
    from daf.compute.cluster_status import own_cluster_status

    if executor != "ray":
        raise UsageError(unknown("executor to check", executor, ("ray",)))
    result = EnvironmentCheckResult()
    try:
        status = own_cluster_status(address)
    except UsageError:
        raise
    except DAFError as error:
        result.add_check("ray", False, str(error), way_out="`daf cluster up --local N` starts a cluster here.")
        return _shown(result, console)
    living = sum(node.alive for node in status.nodes)
    found = (
        f"{counted(living, 'node')} at {status.address} with {status.total('CPU'):g} CPUs, {status.total('GPU'):g} GPUs"
    )
    way_out = "Install the same versions on all nodes, or allow others with --allow-version-mismatch."
    problems = "; ".join(status.problems)
    result.add_check("ray", not problems, f"{found}; {problems}" if problems else found, way_out=way_out)
    return _shown(result, console)


def _shown(result: EnvironmentCheckResult, console: "Console | None") -> EnvironmentCheckResult:
    """`result`, with its checks printed on `console`."""
    show(console, result.summary(), result.to_data())
    return result


_OTHER_MISSION = "`daf missions` lists the available missions."


def _device() -> tuple[Literal["cuda", "mps", "cpu"], str]:
    """The device that torch would use, and the finding."""
    if importlib.util.find_spec("torch") is None:
        return "cpu", "torch is not installed; scripted policies need no GPU"
    if not _gpu_possible():
        return "cpu", "none: no CUDA driver, and not Apple silicon; networks run on the CPU"
    import torch

    if torch.cuda.is_available():
        devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return "cuda", ", ".join(f"CUDA {d.name} with {d.total_memory / GIGABYTE:.1f} GB" for d in devices)
    if torch.backends.mps.is_available():
        return "mps", "MPS (Apple silicon)"
    return "cpu", "a GPU driver is installed, but torch can use no device"


def _gpu_possible() -> bool:
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    import ctypes

    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _requirements() -> "list[tuple[Requirement, str | None]]":
    """DAF's requirements here, each package once, with the smallest extra that includes it (None: always required)."""
    from packaging.requirements import Requirement

    try:
        texts = metadata.requires("daf") or []
        extras = metadata.metadata("daf").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError as error:
        raise EnvironmentCheckError("daf is not installed, only importable. Run `pip install .`.") from error
    requirements = [requirement for requirement in map(Requirement, texts) if requirement.name != "daf"]
    chosen: dict[str, tuple[Requirement, str | None]] = {
        r.name: (r, None) for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})
    }
    brought = {e: [r for r in requirements if r.marker is not None and r.marker.evaluate({"extra": e})] for e in extras}
    for extra in sorted(extras, key=lambda extra: (len(brought[extra]), extra)):
        for requirement in brought[extra]:
            chosen.setdefault(requirement.name, (requirement, extra))
    return list(chosen.values())


def _each(missions: Any) -> Iterable[Any]:
    """Single missions one by one, so that a wrong one does not hide the others."""
    return missions if isinstance(missions, list | set | frozenset | Iterator) else [missions]


def _built(asked: Any) -> Iterator[tuple[str, str | None]]:
    from daf.errors import MissionError
    from daf.game import missions as game_missions

    for mission in game_missions.resolve(asked):
        try:
            game_missions.check_runs(mission)
        except MissionError as error:
            yield mission.name, str(error)
        else:
            yield mission.name, None
