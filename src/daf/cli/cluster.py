"""`daf cluster`: a Ray cluster on this machine, the state of any Ray cluster, and tasks for SkyPilot."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from daf.cli._grouped import options
from daf.cli._help import CommandGroup
from daf.cli._options import JsonOption
from daf.errors import UsageError

if TYPE_CHECKING:
    from daf.compute.skypilot import TaskSettings

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Start, stop and inspect Ray clusters; make tasks for SkyPilot.",
)


@app.command("up")
def up_command(
    local: Annotated[int, typer.Option("--local", metavar="N", help="Number of nodes, all on this machine.")],
    cpus_per_node: Annotated[
        int | None, typer.Option("--cpus-per-node", metavar="K", help="CPUs of each (default: the cores, divided).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start a Ray cluster of N nodes on this machine, which runs until `daf cluster down`.

    It listens on the loopback address only and accepts those who have your token (~/.ray/auth_token).

    \b
        daf cluster up --local 2
        daf evaluate -p starter -m arena --executor ray --address auto
    """
    from daf.cli.show import emit, say
    from daf.compute.local_cluster import start
    from daf.stats.sentences import counted

    cluster = start(local, cpus_per_node)
    if as_json:
        emit({"status": "ok", "address": cluster["address"], "nodes": cluster["nodes"], "cpus": cluster["cpus"]})
        return
    size = f"{counted(cluster['nodes'], 'node')} with {counted(cluster['cpus'], 'CPU')} each"
    say(f"A Ray cluster of {size} runs at {cluster['address']}.")
    say(f"Use them: --executor ray --address {cluster['address']}   Stop them: daf cluster down")


@app.command("status")
def status_command(
    address: Annotated[
        str | None, typer.Option("--address", help="HOST:PORT or auto (default: the cluster of `daf cluster up`).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print nodes, resources and versions of a Ray cluster, and what differs from this machine.

    Exits with 1 if a node has other versions or does not answer.

    \b
        daf cluster status
    """
    from daf.cli.show import emit, out, plain_table
    from daf.compute.cluster_status import cluster_status

    status = cluster_status(address)
    problems = status.problems
    if as_json:
        emit({"status": "failed" if problems else "ok", **status.to_data()})
    else:
        table = plain_table(f"Ray cluster at {status.address}")
        table.add_column("node", overflow="fold")
        for column in ("state", "CPUs", "GPUs", "memory"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("versions", overflow="fold")
        for node in status.nodes:
            has = node.resources
            memory = f"{has.get('memory', 0) / 1e9:.1f} GB"
            versions = "no answer" if node.versions is None else "same" if not node.differences else "different"
            state = "alive" if node.alive else "dead"
            cells = [node.name, state, f"{has.get('CPU', 0):g}", f"{has.get('GPU', 0):g}", memory]
            table.add_row(*(escape(cell) for cell in cells), versions if node.alive else "–")
        out.print(table)
        here = ", ".join(f"{name} {version or 'not installed'}" for name, version in status.versions.items())
        out.print(f"This machine: {here}", markup=False, soft_wrap=True)
        for problem in problems:
            out.print(f"- {problem}", markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


@app.command("down")
def down_command(as_json: JsonOption = False) -> None:
    """Stop the cluster that `daf cluster up` started; other clusters and processes are left alone.

    \b
        daf cluster down
    """
    from daf.cli.show import emit, say
    from daf.compute.local_cluster import stop

    cluster = stop()
    if as_json:
        emit({"status": "ok", "stopped": None if cluster is None else cluster["address"]})
    else:
        say("No cluster of `daf cluster up` is running." if cluster is None else f"{cluster['address']} is stopped.")


@dataclass(frozen=True)
class TaskOptions:
    """A SkyPilot task: what it runs, and on what."""

    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND", help="train, clone, evaluate, compare or sweep run, with its options."),
    ]
    outputs: Annotated[
        str, typer.Option("--outputs", metavar="URL", help="Storage for what the command writes: s3://bucket/folder, …")
    ]
    name: Annotated[str, typer.Option("--name", help="Of the task, and of the run directory of daf train.")] = "daf"
    infra: Annotated[
        str | None, typer.Option("--infra", help="As SkyPilot has it: aws, gcp/us-central1, k8s/CONTEXT (any).")
    ] = None
    gpus: Annotated[
        str | None, typer.Option("--gpus", metavar="NAME:COUNT", help="GPUs of each machine, such as A100:4 (none).")
    ] = None
    cpus: Annotated[str | None, typer.Option("--cpus", help="CPUs of each machine: 8, or 8+ for at least 8.")] = None
    memory: Annotated[str | None, typer.Option("--memory", help="GB of each machine: 32, or 32+.")] = None
    disk_size: Annotated[int | None, typer.Option("--disk-size", metavar="GB", help="Disk of each machine.")] = None
    num_nodes: Annotated[
        int, typer.Option("--num-nodes", help="Machines; with several, daf train has ranks on each.")
    ] = 1
    spot: Annotated[
        bool, typer.Option("--spot", help="Machines that may be taken away; the task then resumes on others.")
    ] = False
    max_restarts: Annotated[
        int, typer.Option("--max-restarts", help="How often a task that failed by itself is started again.")
    ] = 0
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="A variable for the command. Repeatable.")
    ] = None
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="NAME", help="A variable of this environment to pass on. Repeatable."),
    ] = None
    project: Annotated[
        Path | None,
        typer.Option("--project", help="Directory with the uv.lock to install (default: the one around this one)."),
    ] = None
    file: Annotated[Path | None, typer.Option("--file", help="Where to write the task (NAME.sky.yaml).")] = None

    def settings(self) -> "TaskSettings":
        """What the engine takes. Raises `UsageError`."""
        from daf.compute.skypilot import Machines, TaskSettings

        variables = dict(_variable(text) for text in self.env or [])
        machines = Machines(
            infra=self.infra,
            accelerators=self.gpus,
            cpus=self.cpus,
            memory=self.memory,
            disk_size=self.disk_size,
            spot=self.spot,
            max_restarts=self.max_restarts,
            nodes=self.num_nodes,
        )
        return TaskSettings(
            self.outputs, self.name, machines, variables, tuple(self.secret or ()), project=self.project
        )


@app.command("task")
@options
def task_command(
    chosen: TaskOptions,
    launch: Annotated[bool, typer.Option("--launch", help="Also launch it, by `sky jobs launch`.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the task; write and launch nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a SkyPilot task that runs a command of DAF on machines of a cloud or of Kubernetes.

    The task installs the environment of uv.lock, writes to the storage of --outputs, and resumes if its machine is
    lost. Only files that Git does not ignore travel. Launching needs SkyPilot's own program `sky`.

    \b
        daf cluster task --outputs s3://bucket/daf --gpus A100:1 --spot -- train -m arena --steps 2e6
        daf cluster task --outputs s3://bucket/daf --num-nodes 2 --launch -- train -m arena --nproc 4
        daf cluster task --outputs gs://bucket/daf --cpus 32+ --dry-run -- evaluate -p starter -m arena -e 2000
    """
    from daf.cli.parse_only import error_of
    from daf.cli.show import emit, out, say
    from daf.compute import skypilot
    from daf.storage.yaml_strict import dump_yaml

    if launch and dry_run:
        raise UsageError("--launch and --dry-run exclude each other.")
    settings = chosen.settings()
    data = skypilot.task(chosen.command, settings)
    refused = error_of(list(chosen.command))
    if refused is not None:
        raise UsageError(f"daf {chosen.command[0]}: {refused}")
    path = (chosen.file or Path(f"{settings.name}.sky.yaml")).absolute()
    if launch:
        skypilot.require_sky()
    if not dry_run:
        skypilot.write_task(path, data)
    if launch:
        skypilot.launch(path, settings.secrets)
    if as_json:
        emit({"status": "ok", "file": None if dry_run else str(path), "launched": launch, "task": data})
    elif dry_run:
        out.print(dump_yaml(data), end="", markup=False, soft_wrap=True)
    else:
        words = ["sky", *skypilot.launch_arguments(path, settings.secrets)]
        say(f"Launched {settings.name}; follow it with: sky jobs logs --name {settings.name}" if launch else
            f"Wrote {path}. Launch it with: {' '.join(words)}")  # fmt: skip


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f'--env "{text}" must be NAME=VALUE. To pass on a value of this environment, use --secret.')
    return name, value
