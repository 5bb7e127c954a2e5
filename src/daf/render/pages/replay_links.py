"""Links from a page to the players of the run's replays."""

from pathlib import Path

from daf.render.pages.parts import Cell, cell
from daf.render.replays.players import has_file, player_of


def replay_cell(folder: Path, replay: str | None, more: str = "") -> Cell:
    """A link to the player of `replay`, a path relative to `folder`, else to the recording; a dash without either."""
    player = player_of(folder, replay)
    if player is not None:
        return cell(f"play{more}", link=player)
    if replay is not None and has_file(folder, replay):
        return cell(f"recording{more}", link=replay)
    return cell(None)
