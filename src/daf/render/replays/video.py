"""A replay as numbered PNG files, or as an MP4 by ffmpeg.

DAF encodes no video itself: frames go one at a time through a pipe to the `ffmpeg` on PATH, or else to the one in the
extra `daf[video]` (imageio-ffmpeg). Without either there is no MP4, and the error names both ways to get it.
"""

import contextlib
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryFile

from daf.errors import DAFError, UsageError
from daf.game.replays import Replay
from daf.render.replays.frames import ReplayFrames, View
from daf.render.replays.gif import Drawing
from daf.storage.atomic import writing
from daf.storage.foreign_paths import argument

MAX_FPS = 240
NO_FFMPEG = (
    "MP4 needs ffmpeg, which is neither on PATH nor installed by the extra daf[video]. Install either (pip install "
    "'daf[video]', apt install ffmpeg, brew install ffmpeg), or draw a GIF: daf replay gif."
)


class VideoError(DAFError):
    """ffmpeg failed."""


def write_frames(replay: Replay, folder: str | Path, *, view: View | None = None) -> Drawing:
    """Draw each step into `folder`/step_000123.png, palette-indexed, each file atomically. Raises `UsageError`."""
    from PIL import Image

    frames = ReplayFrames(replay, view)
    target = Path(folder)
    total = 0
    digits = len(str(replay.steps - 1))
    for step, frame in zip(frames.steps, frames, strict=True):
        picture = Image.fromarray(frame)
        picture.putpalette(frames.palette.tobytes())
        path = target / f"step_{step:0{digits}d}.png"
        with writing(path) as temporary:
            picture.save(temporary, "PNG")
        total += path.stat().st_size
    return Drawing(replay.path, target, len(frames), *frames.size, total)


def write_mp4(replay: Replay, path: str | Path, *, fps: float = 10, view: View | None = None) -> Drawing:
    """Draw `replay` into an MP4 (H.264) at `path`, atomically.

    Raises `UsageError` (no ffmpeg, a rate outside 0.1 to `MAX_FPS`), `VideoError` (ffmpeg failed; with its output).
    """
    program = find_encoder(fps)
    frames = ReplayFrames(replay, view)
    target = Path(path)
    with writing(target) as temporary:
        _encode(program, frames, temporary, fps)
    return Drawing(replay.path, target, len(frames), *frames.size, target.stat().st_size)


def find_encoder(fps: float) -> str:
    """The `ffmpeg` on PATH, or else imageio-ffmpeg's.

    Raises `UsageError` if there is neither, and for a rate outside 0.1 to `MAX_FPS`.
    """
    program = shutil.which("ffmpeg") or _installed_encoder()
    if program is None:
        raise UsageError(NO_FFMPEG)
    if not 0.1 <= fps <= MAX_FPS:
        raise UsageError(f"--fps {fps:g} is outside 0.1 to {MAX_FPS}.")
    return program


def _installed_encoder() -> str | None:
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:  # its wheel for this machine contains no executable
        return None


def _encode(program: str, frames: ReplayFrames, target: Path, fps: float) -> None:
    width, height = frames.size
    source = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{width}x{height}", "-framerate", f"{fps:g}"]
    coding = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4"]
    command = [program, "-loglevel", "error", "-y", *source, "-i", "-", *coding, argument(target)]
    with TemporaryFile() as errors:
        encoder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
        assert encoder.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it exited early; its exit code and output give the reason
                for frame in frames:
                    encoder.stdin.write(frames.palette[frame].tobytes())
            with contextlib.suppress(BrokenPipeError):
                encoder.stdin.close()
            code = encoder.wait()
        except BaseException:
            encoder.kill()
            encoder.wait()
            raise
        if code != 0:
            errors.seek(0)
            message = errors.read(4000).decode("utf-8", "replace").strip() or "it printed nothing"
            raise VideoError(f"ffmpeg ended with exit code {code}: {message}")
