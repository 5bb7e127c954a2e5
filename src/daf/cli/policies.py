"""`daf policies`: list policies, or describe one."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from daf.cli._options import JsonOption, OutputDirOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def policies(
    policy: Annotated[str | None, typer.Argument(help="Describe this policy; any policy string.")] = None,
    new: Annotated[
        Path | None, typer.Option("--new", metavar="FILE", help="Write a commented policy to start from, and exit.")
    ] = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the policies with short names, describe one, or start a new one.

    A policy string is a short name, a Python file (my_policy.py, my_policy.py:MyPolicy), a class path,
    class=…,data=…,kw.NAME=…, a bundle (directory or zip), a training run directory, run:ID, or
    release:NAME@VERSION.

    The description executes no code of a policy in this process. The module is imported in a separate process, with a
    time limit, and the set-up script of a bundle is not run.

    \b
        daf policies
        daf policies starter
        daf policies --new my_policy.py
    """
    if new is not None:
        _new(new, as_json)
    elif policy is None:
        _list(as_json)
    else:
        _describe(policy, output_dir, as_json)


def _new(path: Path, as_json: bool) -> None:
    from daf.cli.show import emit, out
    from daf.policy_analysis import new_policy

    written = new_policy(path)
    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "file": str(written)})
        return
    out.print(f"{written}: a policy that plays. Try it:", markup=False, soft_wrap=True)
    out.print(f"  daf evaluate -p {shlex.quote(str(written))} -m training_facility_1", markup=False, soft_wrap=True)


def _list(as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table
    from daf.game.known_policies import ALIASES, KNOWN
    from daf.game.policies import has_torch

    torch = has_torch()
    if as_json:
        rows = [
            {"name": name, **asdict(known), "playable": torch or not known.needs_torch} for name, known in KNOWN.items()
        ]
        emit({"run_id": None, "run_dir": None, "status": "ok", "policies": rows, "aliases": ALIASES})
        return
    table = plain_table("policies")
    table.add_column("name", no_wrap=True)
    table.add_column("description")
    for name, known in KNOWN.items():
        missing = "" if torch or not known.needs_torch else '[yellow]needs pip install "daf\\[train]"[/yellow]. '
        table.add_row(escape(name), missing + escape(known.description))
    out.print(table)
    out.print(
        "baseline means starter. Options follow the class: class=lstm,data=weights.pt,kw.NAME=VALUE", markup=False
    )


def _describe(text: str, output_dir: Path | None, as_json: bool) -> None:
    import tempfile

    from daf.cli.show import emit, out, plain_table
    from daf.game import policies as catalogue
    from daf.game.known_policies import SHORT_NAMES
    from daf.output_manager.layout import base_folder

    runs = base_folder(output_dir)
    with tempfile.TemporaryDirectory(prefix="daf-") as scratch:
        policy = catalogue.describe(text, cache=Path(scratch), runs=runs)
    setup = policy.setup_script
    facts = {
        "name": policy.name,
        "class": policy.class_path,
        "description": policy.description,
        "weights": policy.data_path,
        "arguments": policy.kwargs,
        "network": policy.network,
        "identity": policy.identity,
        "setup_script": setup.name if setup is not None else None,
    }
    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "policy": facts})
        return
    table = plain_table(policy.name, header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        if key != "name" and value not in (None, "", {}):
            table.add_row(key.replace("_", " "), escape(str(value)))
    out.print(table)
    if setup is not None:
        out.print(
            f"{setup.name} runs before the policy is first played. It was not run here, so the network and the "
            "identity are not known yet.",
            markup=False,
        )
    elif policy.class_path not in SHORT_NAMES:
        out.print("Its module was imported in a separate process.", markup=False)
