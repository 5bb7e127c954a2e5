"""`daf missions`: list missions, evals and variants, or describe a mission."""

import json
from typing import Annotated

import typer
from rich.markup import escape

from daf.cli._options import GameOption, JsonOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def missions(
    name: Annotated[
        str | None, typer.Argument(help="Describe this mission; a mission string, options included.")
    ] = None,
    variants: Annotated[bool, typer.Option("--variants", help="List the variants instead.")] = False,
    evals: Annotated[bool, typer.Option("--evals", help="List the evals instead.")] = False,
    game: GameOption = "cogs_vs_clips",
    as_json: JsonOption = False,
) -> None:
    """List missions, evals (--evals) and variants (--variants), or describe one mission.

    Missions that CoGames cannot run with its defaults are marked, with the reason. A mission file is read in a separate
    process with a time limit, because a Python file is executed to get its config.

    \b
        daf missions
        daf missions arena,cogs=4
        daf missions --variants
    """
    from daf.errors import UsageError

    if variants and evals:
        raise UsageError("--variants and --evals can't be combined. Use one of them.")
    if name is not None:
        if variants or evals:
            raise UsageError("a mission's name can't be combined with --variants or --evals.")
        _describe(name, game, as_json)
    elif variants:
        _variants(game, as_json)
    else:
        _list(game, evals, as_json)


def _list(game: str, evals: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from daf.cli.show import emit, out, plain_table
    from daf.game import missions as catalogue

    entries = [entry for entry in catalogue.catalogue(game) if (entry.kind == "eval") == evals]
    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "game": game, "missions": [asdict(e) for e in entries]})
        return
    table = plain_table(f"{'evals' if evals else 'missions'} of {game}")
    table.add_column("mission", no_wrap=True)
    for column in ("cogs", "default", "map", "steps"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("description")
    for entry in entries:
        size = f"{entry.map_size[0]}×{entry.map_size[1]}" if entry.map_size else "–"
        text = escape(entry.description)
        if entry.problem:
            text = f"[red]cannot run:[/red] {escape(entry.problem)}. {text}"
        cogs = f"{entry.min_cogs}–{entry.max_cogs}" if entry.min_cogs != entry.max_cogs else str(entry.min_cogs)
        table.add_row(escape(entry.name), cogs, str(entry.default_cogs or "–"), size, str(entry.max_steps), text)
    out.print(table)
    out.print("Options follow the name: arena,cogs=4,max_steps=500,variants=no_clips+small_50", markup=False)
    if not evals:
        out.print("--evals lists the evals, --variants the variants.", markup=False)


def _variants(game: str, as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table
    from daf.game import missions as catalogue
    from daf.game.reward_variants import REWARD_VARIANTS

    found = catalogue.variants(game)
    rewards = REWARD_VARIANTS if game == catalogue.DEFAULT_GAME else {}
    if as_json:
        own = {"variants": found, "reward_variants": rewards}
        emit({"run_id": None, "run_dir": None, "status": "ok", "game": game, **own})
        return
    table = plain_table(f"variants of {game}")
    table.add_column("variant", no_wrap=True)
    table.add_column("description")
    for name, description in found.items():
        table.add_row(escape(name), escape(description))
    out.print(table)
    if rewards:
        table = plain_table("reward variants, for training: arena,rewards=credit+milestones")
        table.add_column("reward variant", no_wrap=True)
        table.add_column("description")
        for name, description in rewards.items():
            table.add_row(escape(name), escape(description))
        out.print(table)


def _describe(name: str, game: str, as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table
    from daf.game import missions as catalogue

    described = catalogue.describe(name, game=game)
    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "game": game, "missions": described})
        return
    for facts in described:
        table = plain_table(facts["name"], header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for key, value in facts.items():
            if key == "name" or value in (None, "", [], {}):
                continue
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if isinstance(value, list):
                text = ", ".join(str(item) for item in value)
            table.add_row(key.replace("_", " "), escape(text))
        out.print(table)
