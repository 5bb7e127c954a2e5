"""`daf inspect`: what a bundle holds and would run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from daf.cli._grouped import options
from daf.cli._options import OutputOptions

if TYPE_CHECKING:
    from daf.deployment import Inspection

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
@options
def inspect(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a zip, or its directory.")],
    *,
    output: OutputOptions,
) -> None:
    """Show what BUNDLE holds and what would run. Imports and runs nothing of it.

    The hashes of the manifest are verified. An entry that leads out of the bundle, a link, a device, colliding names,
    or more than a bundle may hold are refused, with the entry and the reason.

    \b
        daf inspect my_policy.zip
    """
    from daf.cli.show import emit
    from daf.deployment import inspect as read_bundle
    from daf.storage.jsonable import jsonable

    found = read_bundle(bundle)
    if output.as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "bundle": jsonable(found)})
    else:
        _show(found, quiet=output.quiet)


def _show(found: "Inspection", *, quiet: bool) -> None:
    from daf.cli.show import out, plain_table, say

    table = plain_table(str(found.path), header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in _facts(found).items():
        if value not in (None, "", {}, []):
            table.add_row(key, escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    out.print(table)
    table = plain_table(f"{len(found.entries)} files")
    table.add_column("file", overflow="fold")
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("SHA-256", no_wrap=True)
    for name, entry in found.entries.items():
        table.add_row(escape(name), f"{entry['bytes']:,}", entry["sha256"][:16])
    out.print(table)
    out.print("Loading the policy runs:", markup=False)
    for number, step in enumerate(found.would_run, 1):
        out.print(f"  {number}. {step}", markup=False, soft_wrap=True)
    for warning in found.warnings if not quiet else ():
        say(f"Warning: {warning}")


def _facts(found: "Inspection") -> dict[str, object]:
    manifest = found.manifest
    facts: dict[str, object] = {
        "class": found.spec["class_path"],
        "weights": found.spec["data_path"],
        "arguments": found.spec["init_kwargs"],
        "set-up script": found.spec["setup_script"],
        "SHA-256": found.sha256,
        "hashes": "verified" if found.verified else "not verified: no manifest",
    }
    if manifest is not None:
        git = manifest["git"]
        state = {None: "", True: ", with changes", False: ", clean"}
        facts |= {
            "versions": ", ".join(f"{name} {number}" for name, number in manifest["versions"].items()),
            "requirements": ", ".join(manifest["requirements"]),
            "git commit": f"{git['commit']}{state[git['dirty']]}" if git is not None else None,
            "licence": manifest["licence"],
        }
        for results in manifest["results"]:
            for score in results["missions"]:
                mean = "no finished episode" if score["mean"] is None else f"{score['mean']:.4g} reward per agent"
                keys = f", {len(score['keys'])} episode keys" if score["keys"] is not None else ""
                facts[score["mission"]] = f"{mean} (n={score['n']}, {score['failed']} failed{keys})"
    return facts
