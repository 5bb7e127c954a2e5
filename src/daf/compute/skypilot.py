"""Commands of DAF as SkyPilot tasks: the task file, and the user's own `sky` that launches it.

SkyPilot's dependencies conflict with DAF's, so it is not an extra: `sky` is the program of that name on PATH. A task
runs in a copy of a project with a lock file, in the environment that the lock file describes. What it writes is in the
storage that `outputs` names, so a task that lost its machine resumes on another one.

The values of secrets appear neither in the file nor in arguments: `sky` takes them from its environment.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daf.errors import ExecutorError, UsageError, unknown
from daf.storage import atomic
from daf.storage.yaml_strict import Lines, dump_yaml

COMMANDS = (("train",), ("clone",), ("evaluate",), ("compare",), ("sweep", "run"))
"""The commands that can be a task: each resumes when it is run again with the same outputs."""
SKY = "sky"
INSTALL = "uv tool install 'skypilot[aws]==0.14.*'"
LOCK = "uv.lock"
OUTPUTS = "/daf_output"
"""Where the storage for outputs is on the machines of a task."""
_INPUTS = "daf_inputs"
_PORT = 29400
_NAME = re.compile(r"[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STORAGE = re.compile(r"[a-z0-9]+://\S+")
_OWNED = ("--output-dir", "--nodes", "--node-rank", "--rendezvous")
_PATH = 'export PATH="$HOME/.local/bin:$PATH"'
_STRICT = "set -euo pipefail"
_INSTALL_UV = "command -v uv >/dev/null || curl -LsSf https://astral.sh/uv/install.sh | sh"


@dataclass(frozen=True, slots=True)
class Machines:
    """What a task runs on, as SkyPilot writes it; None leaves the choice to SkyPilot.

    infra: "aws", "gcp/us-central1", "k8s/context", …. accelerators: "A100:4". spot: use machines that may be taken
    away; the task then resumes on others. max_restarts: how often a task that failed by itself is started again.
    """

    infra: str | None = None
    accelerators: str | None = None
    cpus: str | None = None
    memory: str | None = None
    disk_size: int | None = None
    spot: bool = False
    max_restarts: int = 0
    nodes: int = 1

    def __post_init__(self) -> None:
        if self.nodes < 1:
            raise UsageError(f"--num-nodes must be 1 or more, got {self.nodes}.")
        if self.max_restarts < 0:
            raise UsageError(f"--max-restarts must be 0 or more, got {self.max_restarts}.")
        if self.disk_size is not None and self.disk_size < 1:
            raise UsageError(f"--disk-size must be 1 GB or more, got {self.disk_size}.")

    @property
    def gpus(self) -> int:
        """GPUs of each machine. Raises `UsageError` if accelerators can't be read."""
        if self.accelerators is None:
            return 0
        found = re.fullmatch(r"[\w.-]+(?::(\d+))?", self.accelerators)
        if found is None:
            raise UsageError(f'--gpus "{self.accelerators}" must be NAME or NAME:COUNT, such as A100:4.')
        return int(found[1] or 1)

    def to_data(self) -> dict[str, Any]:
        """The section `resources`."""
        recovery: dict[str, Any] = {"strategy": "EAGER_NEXT_REGION"} if self.spot else {}
        recovery |= {"max_restarts_on_errors": self.max_restarts} if self.max_restarts else {}
        fields: dict[str, Any] = {
            "infra": self.infra,
            "accelerators": self.accelerators,
            "cpus": self.cpus,
            "memory": self.memory,
            "disk_size": self.disk_size,
            "use_spot": True if self.spot else None,
            "job_recovery": recovery or None,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """One task. name: of the task, and of its run directory. outputs: the URL of the storage, "s3://bucket/folder".

    variables: of the environment. secrets: names of variables whose values `sky` passes on. project: a directory with a
    lock file; None looks for one.
    """

    outputs: str
    name: str = "daf"
    machines: Machines = field(default_factory=Machines)
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    project: Path | None = None

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise UsageError(f'--name "{self.name}" must be letters, digits and hyphens, and begin with a letter.')
        if _STORAGE.fullmatch(self.outputs) is None:
            raise UsageError(
                f'--outputs "{self.outputs}" must be the URL of storage that outlives the machines, such as '
                "s3://bucket/folder."
            )
        for name in (*self.variables, *self.secrets):
            if _VARIABLE.fullmatch(name) is None:
                raise UsageError(f'"{name}" is not the name of an environment variable.')
        twice = sorted(set(self.variables) & set(self.secrets))
        if twice:
            raise UsageError(f"{', '.join(twice)}: given by both --env and --secret. Use one of them.")


def task(command: Sequence[str], settings: TaskSettings, *, cwd: Path | None = None) -> dict[str, Any]:
    """The task that runs `daf` with the arguments `command`, as the content of a task file.

    cwd: where its relative paths begin. Files outside of the project travel with the task. Raises `UsageError`.
    """
    cwd = (cwd or Path.cwd()).absolute()
    _check_command(command, settings)
    project = (settings.project or _project_of(cwd)).absolute()
    words, mounts = _with_mounts(command, cwd, project)
    return _task(
        settings.name,
        settings,
        project,
        mounts={OUTPUTS: storage_mount(settings.outputs), **mounts},
        run=_run_script(command, words, settings, _directory(cwd, project)),
    )


def task_of_script(script: str, settings: TaskSettings, *, name: str, outputs_at: str) -> dict[str, Any]:
    """The task that runs a line of a shell in the project's environment. outputs_at: where the storage is mounted."""
    return _task(
        name,
        settings,
        settings.project or _project_of(Path.cwd()),
        mounts={outputs_at: storage_mount(settings.outputs)},
        run="\n".join([_STRICT, _PATH, script, ""]),
    )


def quoted_path(path: Path) -> str:
    """The absolute path as a word of a shell."""
    return shlex.quote(str(path.absolute()))


def _task(name: str, settings: TaskSettings, project: Path, *, mounts: Mapping[str, Any], run: str) -> dict[str, Any]:
    project = project.absolute()
    if not (project / LOCK).is_file():
        raise UsageError(f"{project} has no {LOCK}, which describes the environment. Make it with `uv lock`.")
    data: dict[str, Any] = {
        "name": name,
        "resources": settings.machines.to_data(),
        "num_nodes": settings.machines.nodes,
        "workdir": str(project),
        "file_mounts": dict(mounts),
        "envs": {"DAF_OUTPUT_DIR": next(iter(mounts)), **settings.variables},
        "secrets": dict.fromkeys(settings.secrets),
        "setup": Lines(setup_script(project)),
        "run": Lines(run),
    }
    return {key: value for key, value in data.items() if value != {}}


def storage_mount(url: str) -> dict[str, str]:
    """The mount of storage at `url`.

    Cached: DAF renames files and appends to them, which SkyPilot's plain mounts of object stores do not support.
    """
    return {"source": url, "mode": "MOUNT_CACHED"}


def setup_script(project: Path) -> str:
    """Install uv, and the environment of the lock file."""
    extras = " --all-extras" if _name_of(project) == "daf" else ""
    return "\n".join([_STRICT, _PATH, _INSTALL_UV, f"uv sync --frozen --no-default-groups --python 3.12{extras}", ""])


def write_task(path: Path, data: Mapping[str, Any]) -> None:
    """Write a task file."""
    atomic.write_text(path, dump_yaml(dict(data)))


def require_sky() -> str:
    """The path of the user's `sky`. Raises `ExecutorError`."""
    found = shutil.which(SKY)
    if found is None:
        raise ExecutorError(
            f"there is no program `{SKY}` on PATH. SkyPilot can't share DAF's environment; install it in its own: "
            f"{INSTALL}, then `sky check`."
        )
    return found


def launch_arguments(path: Path, secrets: Sequence[str] = ()) -> list[str]:
    """The arguments of `sky` that launch a task as a managed job, which recovers from lost machines, and return."""
    return ["jobs", "launch", "--yes", "--detach-run", *(f"--secret={name}" for name in secrets), str(path)]


def launch(path: Path, secrets: Sequence[str] = (), *, show: bool = True) -> None:
    """Launch a task file. show: whether `sky` prints, to stderr. Raises `ExecutorError`, `UsageError`."""
    missing = [name for name in secrets if name not in os.environ]
    if missing:
        raise UsageError(f"--secret {', '.join(missing)}: not set in the environment of this command.")
    sky(launch_arguments(path, secrets), show=show)


def sky(arguments: Sequence[str], *, show: bool = False) -> str:
    """Call `sky`; returns what it printed. show: print that to stderr instead. Raises `ExecutorError`."""
    where = 2 if show else subprocess.PIPE
    done = subprocess.run(
        [require_sky(), *arguments], stdin=subprocess.DEVNULL, stdout=where, stderr=where, text=True, check=False
    )
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or "").splitlines() if line.strip()][-3:]
        why = f": {' / '.join(said)}" if said else ", see its messages"
        raise ExecutorError(f"`sky {shlex.join(arguments)}` ended with exit code {done.returncode}{why}.")
    return done.stdout or ""


def _check_command(command: Sequence[str], settings: TaskSettings) -> None:
    known = [" ".join(words) for words in COMMANDS]
    if not command:
        raise UsageError(f"no command is given. Write it after --, such as: -- train -m arena. Known: {known}.")
    if not any(tuple(command[: len(words)]) == words for words in COMMANDS):
        two = " ".join(command[:2]) if command[0] == "sweep" else command[0]
        raise UsageError(unknown("command for a task", two, known))
    for word in command:
        if word.split("=")[0] in _OWNED:
            way = "--outputs" if word.startswith("--output-dir") else "--num-nodes"
            raise UsageError(f"the task sets {word.split('=')[0]} itself: leave it out of the command, and use {way}.")
    if settings.machines.nodes > 1 and command[0] != "train":
        raise UsageError(
            f"--num-nodes {settings.machines.nodes}: only train runs on several machines. daf {command[0]} uses all "
            "cores of one; for more, start a Ray cluster (`--executor ray --address`)."
        )
    if settings.machines.nodes > 1 and _has(command, "--executor", "--num-workers"):
        raise UsageError("--num-nodes starts ranks with --nodes on each machine: leave out --executor.")


def _project_of(cwd: Path) -> Path:
    """The project around `cwd` whose lock file has DAF, else the checkout that this DAF runs from."""
    checkout = Path(__file__).resolve().parents[3]
    for folder in (cwd, *cwd.parents, checkout):
        lock = folder / LOCK
        if lock.is_file() and '\nname = "daf"\n' in lock.read_text(errors="replace"):
            return folder
    raise UsageError(
        f"no {LOCK} with DAF in {cwd} or above it, so the environment of the task is unknown. Add DAF to your project "
        "(`uv add daf`), or name a directory with --project."
    )


def _name_of(project: Path) -> str | None:
    try:
        found = tomllib.loads((project / "pyproject.toml").read_text()).get("project", {}).get("name")
    except (OSError, tomllib.TOMLDecodeError):
        return None
    return found if isinstance(found, str) else None


def _directory(cwd: Path, project: Path) -> str:
    """Where the command starts in the copy of the project."""
    return cwd.relative_to(project).as_posix() if cwd.is_relative_to(project) else "."


def _with_mounts(command: Sequence[str], cwd: Path, project: Path) -> tuple[list[str], dict[str, str]]:
    """The words of the command for a shell there, and the files outside of the project that they name."""
    words: list[str] = []
    mounts: dict[str, str] = {}
    for word in command:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        local = (cwd / Path(value).expanduser()).resolve() if value and not value.startswith("-") else None
        inside = local is not None and local.is_relative_to(project.resolve()) and cwd.is_relative_to(project)
        if local is None or inside or not local.exists():
            words.append(shlex.quote(word))
            continue
        there = f"{_INPUTS}/{len(mounts)}/{local.name}"
        mounts[f"~/{there}"] = str(local)
        words.append(f'{option}{equals}"$HOME"/{shlex.quote(there)}')
    return words, mounts


def _run_script(command: Sequence[str], words: Sequence[str], settings: TaskSettings, directory: str) -> str:
    daf = ["uv", "run", "--frozen", "--no-sync", "daf", *words]
    lines = [_STRICT, _PATH, *([f"cd {shlex.quote(directory)}"] if directory != "." else [])]
    if command[0] == "sweep":
        daf += [] if _has(command, "--take-over") else ["--take-over"]  # the machine of an earlier try is gone
    if command[0] not in ("train", "clone"):
        return "\n".join([*lines, " ".join(daf), ""])
    if settings.machines.gpus > 1 and not _has(command, "--nproc", "--num-workers"):
        daf += ["--nproc", '"$SKYPILOT_NUM_GPUS_PER_NODE"']
    run_dir = [] if _has(command, "--run-dir", "--resume") else ["--run-dir", f"{OUTPUTS}/{settings.name}"]
    nodes = settings.machines.nodes
    if nodes == 1:
        return "\n".join([*lines, " ".join([*daf, *run_dir]), ""])
    daf += ["--nodes", str(nodes), "--node-rank", '"$SKYPILOT_NODE_RANK"', "--rendezvous", f'"$head:{_PORT}"']
    lines += [
        'head=$(echo "$SKYPILOT_NODE_IPS" | head -n 1)',
        'if [ "$SKYPILOT_NODE_RANK" = 0 ]; then',
        f"  {' '.join([*daf, *run_dir])}",
        "else",
        f"  {' '.join(daf)}",
        "fi",
        "",
    ]
    return "\n".join(lines)


def _has(command: Sequence[str], *options: str) -> bool:
    return any(word.split("=")[0] in options for word in command)
