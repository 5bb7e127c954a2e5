"""`daf releases`: what was released, and which release is live."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.cli._grouped import options
from daf.cli._help import CommandGroup
from daf.cli._options import OutputOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daf.deployment import Monitoring
    from daf.deployment.listing import ListedRelease
    from daf.registry import Event, Registry

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    help="List releases, show one, or check the state of a live one.",
)

RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="DIR|URL",
        help="The registry (default: $DAF_REGISTRY or releases/ in the output directory).",
    ),
]
ReleaseArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RELEASE]", help="NAME@VERSION, VERSION, or NAME for its live release.", show_default=False
    ),
]


@app.callback(invoke_without_command=True)
@options
def releases(context: typer.Context, registry: RegistryOption = None, *, output: OutputOptions) -> None:
    """List releases, show one, or check the state of one. Without a command: list."""
    if context.invoked_subcommand is None:
        _list(registry, output)
    else:
        context.obj = (registry, output)


@app.command("list")
@options
def list_releases(context: typer.Context, registry: RegistryOption = None, *, output: OutputOptions) -> None:
    """List the releases of all policies in the registry.

    \b
        daf releases list
    """
    _list(*_with_group(context, registry, output))


@app.command()
@options
def show(
    context: typer.Context, release: ReleaseArgument = None, registry: RegistryOption = None, *, output: OutputOptions
) -> None:
    """Show a release: its bundle, validation, gate and history.

    \b
        daf releases show my_policy@1.0.0
    """
    from daf.cli.show import emit
    from daf.deployment.listing import events_of, listed
    from daf.registry import find_release

    place, chosen = _with_group(context, registry, output)
    there = _opened(place, chosen)
    found = find_release(there, release)
    policy = there.policy(found["name"])
    row = next(one for one in listed(there, policy) if one["version"] == found["version"])
    events = events_of(policy, found["version"])
    if chosen.as_json:
        emit(
            {"run_id": None, "run_dir": None, "status": "ok", "registry": there.place, "release": row, "events": events}
        )
    else:
        _show(row, events)


@app.command()
@options
def status(
    context: typer.Context,
    release: ReleaseArgument = None,
    registry: RegistryOption = None,
    hours: Annotated[
        float | None, typer.Option("--last", metavar="HOURS", help="Only records of the last HOURS.")
    ] = None,
    latency_factor: Annotated[
        float,
        typer.Option(
            "--latency-factor", metavar="X", help="Degraded if the p99 of a step is above X times that at release."
        ),
    ] = 2.0,
    *,
    output: OutputOptions,
) -> None:
    """Compare a release's errors, latency and returns in its own records with those at its release.

    healthy, degraded (latency or a return is outside its bound), failing (more than 5 % of the episodes failed), or
    unknown (no records). The records are the episodes of `daf serve`, `daf evaluate` and `daf compare` in the output
    directory. Exit code 1 if the release is failing.

    \b
        daf releases status
        daf releases status walker@1.0.0 --last 24
    """
    from daf.cli.show import emit
    from daf.deployment import MonitorSettings, monitor
    from daf.storage.jsonable import jsonable

    place, chosen = _with_group(context, registry, output)
    found = monitor(
        release, registry=place, settings=MonitorSettings(hours, latency_factor), output_dir=chosen.output_dir
    )
    if chosen.as_json:
        state = "failed" if found.state == "failing" else "ok"
        emit({"run_id": None, "run_dir": None, "status": state, "monitoring": jsonable(found)})
    else:
        _show_state(found, quiet=chosen.quiet)
    if found.state == "failing":
        raise typer.Exit(1)


def _with_group(
    context: typer.Context, registry: str | None, output: OutputOptions
) -> tuple[str | None, OutputOptions]:
    """The options, also those that were given before the name of the command."""
    from dataclasses import fields, replace

    before, group = context.obj if context.obj is not None else (None, OutputOptions())
    changed = {
        item.name: getattr(group, item.name)
        for item in fields(OutputOptions)
        if getattr(output, item.name) == item.default and getattr(group, item.name) != item.default
    }
    return (registry if registry is not None else before), replace(output, **changed)


def _opened(registry: str | None, output: OutputOptions) -> "Registry":
    from daf.output_manager.layout import base_folder
    from daf.registry import open_registry

    return open_registry(registry, base_dir=base_folder(output.output_dir))


def _list(registry: str | None, output: OutputOptions) -> None:
    from daf.cli.show import emit, out, plain_table
    from daf.deployment.listing import all_listed

    there = _opened(registry, output)
    rows = all_listed(there)
    if output.as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "registry": there.place, "releases": rows})
        return
    if not rows:
        out.print(f"No releases in {there.place}. `daf deploy BUNDLE` makes one.", markup=False, soft_wrap=True)
        return
    table = plain_table(f"Releases in {there.place}")
    for column in ("policy", "version", "", "released", "bundle"):
        table.add_column(column, no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    for row in rows:
        bundle = row["sha256"][:12] if row["kept"] else "deleted"
        state = "live" if row["live"] else ""
        table.add_row(row["name"], row["version"], state, row["added_at"], bundle, f"{row['bytes']:,}")
    out.print(table)


def _show(row: "ListedRelease", events: "list[Event]") -> None:
    from daf.cli.show import out, plain_table

    table = plain_table(f"{row['name']} {row['version']}", header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    facts = {
        "state": "live" if row["live"] else "not live",
        "released": row["added_at"],
        "bundle": row["bundle"] if row["kept"] else "deleted",
        "SHA-256": row["sha256"],
        "bytes": f"{row['bytes']:,}",
        "rollback": "allowed" if row["rollback"] else "not allowed while it is live",
        **_checks(row["facts"]),
    }
    for key, value in facts.items():
        table.add_row(key, escape(value))
    out.print(table)
    out.print("History:", markup=False)
    for event in events:
        out.print(f"  {_event(event, row['version'])}", markup=False, soft_wrap=True)
    if not events:
        out.print("  It was never live.", markup=False)


def _checks(facts: "Mapping[str, Any]") -> dict[str, str]:
    """What was checked before the release."""
    validation, gate = facts.get("validation"), facts.get("gate")
    shown = {"validation": "none", "gate": "none"}
    if validation is not None:
        missions = ", ".join(str(mission["mission"]) for mission in validation["missions"])
        shown["validation"] = f"passed ({validation['mode']}) on {missions}"
    if gate is not None:
        shown["gate"] = str(gate["sentence"])
    versions = facts.get("versions")
    if versions:
        shown["versions"] = ", ".join(f"{name} {number}" for name, number in versions.items())
    return shown


def _event(event: "Event", version: str) -> str:
    signed = f"{event['at']}  {event['by']}:"
    if event["event"] in ("removed", "restored"):
        return f"{signed} its bundle was {'deleted' if event['event'] == 'removed' else 'stored again'}"
    how = "rolled back" if event["event"] == "rolled back" else "released"
    if event["version"] != version:
        return f"{signed} {event['version']} became live instead ({how})"
    before = event.get("previous")
    return f"{signed} became live ({how})" + (f", instead of {before}" if before else "")


def _show_state(found: "Monitoring", *, quiet: bool) -> None:
    from daf.cli.show import out, plain_table, say
    from daf.stats.sentences import amount_text, number

    table = plain_table(f"{found.name} {found.version}")
    for column in ("", "now", "at release", ""):
        table.add_column(column, overflow="fold")
    rate = found.error_rate
    if rate is not None:
        errors = f"{found.failed} of {found.served + found.played} ({100 * rate:.2g} %)"
        table.add_row("failed episodes", errors, "", "above 5 %" if found.state == "failing" else "")
    if found.latencies is not None:
        now, before = found.latencies, found.latencies.at_release or (None, None, None)
        for name, value, old in zip(("p50", "p90", "p99"), (now.p50, now.p90, now.p99), before, strict=True):
            mark = "outside the bound" if name == "p99" and now.outside else ""
            table.add_row(f"step {name}, ms", number(value), "–" if old is None else number(old), mark)
    for row in found.returns:
        released = "–" if row.released is None else amount_text(row.released, row.released_ci)
        mark = "outside the bound" if row.outside else ""
        table.add_row(f"return, {escape(row.mission)}", f"{amount_text(row.mean, row.ci)} (n={row.n})", released, mark)
    out.print(table)
    for note in () if quiet else found.notes:
        say(f"Note: {note}")
    out.print(found.sentence(), markup=False, soft_wrap=True)
