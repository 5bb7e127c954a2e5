"""A replay as an animated GIF."""

from dataclasses import dataclass
from pathlib import Path

from daf.game.replays import Replay
from daf.render.replays.frames import ReplayFrames, View
from daf.render.replays.gif_stream import GifStream
from daf.storage.atomic import writing


@dataclass(frozen=True, slots=True)
class Drawing:
    """A replay that was drawn. path: the file, or the directory of frames. width, height: in pixels."""

    source: Path
    path: Path
    frames: int
    width: int
    height: int
    size_bytes: int


def write_gif(replay: Replay, path: str | Path, *, fps: float = 10, view: View | None = None) -> Drawing:
    """Draw `replay` into a GIF at `path`, atomically. Raises `UsageError`, `StorageError`."""
    frames = ReplayFrames(replay, view)
    target = Path(path)
    with writing(target) as temporary, temporary.open("wb") as file:
        stream = GifStream(file, *frames.size, frames.palette, fps)
        for frame in frames:
            stream.add(frame)
        stream.close()
    return Drawing(replay.path, target, len(frames), *frames.size, target.stat().st_size)
