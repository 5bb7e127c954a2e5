"""A replay as one self-contained page that plays it; nothing is fetched."""

from pathlib import Path

from daf.game.replays import Replay
from daf.render.pages.html import page
from daf.render.replays._page_data import atlas, core, details, packed
from daf.render.replays.gif import Drawing
from daf.storage.atomic import write_text

WIDTH, HEIGHT = 1280, 800
"""The size that the page is designed for; it adapts to any window."""


def replay_html(replay: Replay) -> str:
    """The page, as text. Raises `ReplayError` if a field is invalid."""
    view = {
        "title": replay.mission or replay.path.name,
        "core": packed(core(replay)),
        "atlas": packed(atlas(replay)),
        "details": [packed(details(replay, agent)) for agent in replay.agents],
    }
    return page("replay.html.j2", view)


def write_replay_html(replay: Replay, path: str | Path) -> Drawing:
    """Write the page to `path` atomically. Raises `StorageError`, `ReplayError`."""
    target = Path(path)
    write_text(target, replay_html(replay))
    return Drawing(replay.path, target, replay.steps, WIDTH, HEIGHT, target.stat().st_size)
