"""`daf replay`: look into recorded episodes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.cli.options import JsonOption

if TYPE_CHECKING:
    from daf.game.replays import Difference
    from daf.replaying import ReplayInfo

app = typer.Typer(
    rich_markup_mode=None, add_completion=False, no_args_is_help=True, help="Look into recorded episodes."
)

FileArgument = Annotated[Path, typer.Argument(help="Replay file (.json.z, .json.gz or .json), from --save-replays.")]


@app.command()
def info(file: FileArgument, as_json: JsonOption = False) -> None:
    """What is in FILE: mission, steps, teams, policies, returns, objects. Reads and checks all of it."""
    from daf.cli.show import emit, out
    from daf.replaying import daf_replay_info
    from daf.storage.jsonable import jsonable

    found = daf_replay_info(file)
    if as_json:
        replay = jsonable(found) | {"reward_per_agent": found.reward_per_agent}
        emit({"run_id": None, "run_dir": None, "status": "ok", "replay": replay})
        return
    out.print(_info_table(found))


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="A replay file.")],
    b: Annotated[Path, typer.Argument(help="Another one.")],
    as_json: JsonOption = False,
) -> None:
    """The first step at which two episodes part, and in what.

    What policies told of themselves is not compared: two policies may play the same episode.
    """
    from daf.cli.show import emit, out
    from daf.replaying import daf_replay_diff
    from daf.storage.jsonable import jsonable

    found = daf_replay_diff(a, b)
    if as_json:
        data = jsonable(found) | {"same": found.same}
        emit({"run_id": None, "run_dir": None, "status": "ok", "difference": data})
    else:
        for line in _diff_lines(found):
            out.print(line, markup=False, soft_wrap=True)


def _info_table(found: "ReplayInfo") -> Any:
    from daf.cli.show import plain_table

    table = plain_table(found.path.name, header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("value", overflow="fold")
    returns = [f"{reward:.4g}" for reward in found.rewards]
    per_agent = found.reward_per_agent
    rows = {
        "mission": found.mission or "not told",
        "seed": "not told" if found.seed is None else str(found.seed),
        "steps": f"{found.steps:,}",
        "map": f"{found.width}×{found.height}",
        "agents": _counted(found.agents, found.teams),
        "roles at the end": _counts(found.roles),
        "policies": _counts(found.policies) or "not told",
        "reward per agent": "–" if per_agent is None else f"{per_agent:.4g}",
        "returns": ", ".join(returns) or "–",
        "objects": _counts(found.objects),
        "file": f"version {found.version}, {found.size_bytes / 1e6:.2f} MB, {found.text_bytes / 1e6:.1f} MB unpacked",
    }
    for name, value in rows.items():
        table.add_row(name, escape(_printable(value)))
    return table


def _counted(number: int, teams: dict[str, int]) -> str:
    named = _counts({team: count for team, count in teams.items() if team})
    return f"{number}: {named}" if named else str(number)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _diff_lines(found: "Difference") -> list[str]:
    if found.same:
        return [f"The same episode, all {found.steps[0]:,} steps of it."]
    lines = [_printable(f"{change}") for change in found.header]
    common = min(found.steps)
    if not found.compared:
        lines.append("These are episodes of different kinds: their steps were not compared.")
    elif found.step is None:
        lines.append(f"All {common:,} steps that both have are the same.")
    else:
        fields = "field differs" if found.count == 1 else "fields differ"
        lines.append(f"They part at step {found.step:,} of {common:,}, where {found.count:,} {fields}:")
        lines += [f"  {_printable(str(change))}" for change in found.changes]
        if found.count > len(found.changes):
            lines.append(f"  … and {found.count - len(found.changes):,} more")
    return lines


def _printable(text: str) -> str:
    """Names in a replay are anyone's: nothing of them may steer the terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)
