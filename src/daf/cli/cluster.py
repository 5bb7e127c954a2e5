"""`daf cluster`: a Ray cluster on this machine, and the state of any Ray cluster."""

from typing import Annotated

import typer
from rich.markup import escape

from daf.cli._help import CommandGroup
from daf.cli._options import JsonOption

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Start and stop a Ray cluster on this machine; print the state of any Ray cluster.",
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
