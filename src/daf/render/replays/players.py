"""Players next to the recordings in a run directory: `NAME.html` for `NAME.json.z`, for pages to link to.

`write_players` writes them, each atomically, and `player_of` finds them: it only returns the path of a file that
exists, so that no page has a dead link. A recording that cannot be read has no player, and the log says why.

Not guaranteed: a player for every recording. `MOST_PLAYERS` bounds the files of one call, because a player takes half
a second and 300 kB; `daf replay html` writes others.
"""

import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

from daf.errors import DamagedFileError, DataError, UnsafePathError
from daf.game.replays import read_replay
from daf.render.replays.page import replay_html, write_replay_html
from daf.storage import checked
from daf.storage.atomic import write_text
from daf.storage.containment import own
from daf.storage.hashing import hash_file, hash_json
from daf.storage.installed import fingerprint

logger = logging.getLogger(__name__)

SUFFIXES = (".json.z", ".json.gz")
MOST_PLAYERS = 100


def write_players(folder: Path, replays: Iterable[str], *, cache: Path | None = None) -> None:
    """Write the players of `replays`, paths relative to `folder`, that have none; at most `MOST_PLAYERS` in all.

    cache: a folder to keep players in, under what they are made from, and to take equal ones from.

    Raises `StorageError`.
    """
    for replay in list(dict.fromkeys(replays))[:MOST_PLAYERS]:
        player = _player_name(replay)
        if player is None or player_of(folder, replay) is not None:
            continue
        try:
            source, target = own(folder, replay), own(folder, player)
            if source.is_file():
                _write_player(source, target, cache)
        except (DataError, UnsafePathError) as error:
            logger.warning("no player of %s: %s", replay, error)


def _write_player(source: Path, target: Path, cache: Path | None) -> None:
    if cache is None:
        write_replay_html(read_replay(source), target)
        return
    key = hash_json([hash_file(source), source.name, fingerprint("daf"), fingerprint("mettagrid")])
    kept: str | None = None
    with contextlib.suppress(DamagedFileError):
        kept = checked.read(cache / key, key, str)
    if kept is None:
        kept = replay_html(read_replay(source))
        checked.write(cache / key, key, kept)
    write_text(target, kept)


def recordings(folder: Path) -> list[str]:
    """The recordings of the run in `folder`, its trials included, as relative paths: the last ones written first."""
    found = [
        file for pattern in ("replays", "trials/*/replays") for place in folder.glob(pattern) for file in _below(place)
    ]
    return [file.relative_to(folder).as_posix() for _, file in sorted((-file.stat().st_mtime, file) for file in found)]


def _below(place: Path) -> list[Path]:
    """The recordings in a directory of replays, and in the directories of checkpoints below it."""
    return [
        file for name in ("*", "*/*") for file in place.glob(name) if file.name.endswith(SUFFIXES) and file.is_file()
    ]


def player_of(folder: Path, replay: str | None) -> str | None:
    """The path of the player of `replay`, both relative to `folder`; `None` if it does not exist."""
    player = None if replay is None else _player_name(replay)
    return player if player is not None and has_file(folder, player) else None


def has_file(folder: Path, name: str) -> bool:
    """Whether `name`, a path that a file of the run holds, is a file in `folder`."""
    try:
        return own(folder, name).is_file()
    except (OSError, ValueError, UnsafePathError):  # too long for a path, or outside the directory
        return False


def _player_name(replay: str) -> str | None:
    return next((replay.removesuffix(suffix) + ".html" for suffix in SUFFIXES if replay.endswith(suffix)), None)
