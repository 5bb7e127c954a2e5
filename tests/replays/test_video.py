"""Frames as PNG files, and MP4 through ffmpeg."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daf.errors import UsageError
from daf.game.replays import read_replay
from daf.render.replays.frames import ReplayFrames, View
from daf.render.replays.video import VideoError, write_frames, write_mp4


def encoder(folder: Path, body: str) -> str:
    """A PATH whose only program is an `ffmpeg` that does as `body` says: what DAF hands to the encoder can be seen."""
    folder.mkdir(exist_ok=True)
    script = folder / "ffmpeg"
    script.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    script.chmod(0o755)
    return str(folder)


def test_frames_are_png_files_named_by_their_steps(recorded, tmp_path):
    view = View(start=8, end=30, every=10, cell=8)
    drawing = write_frames(read_replay(recorded), tmp_path / "out", view=view)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["step_08.png", "step_18.png", "step_28.png"]
    frames = ReplayFrames(read_replay(recorded), view)
    for frame, path in zip(frames, sorted((tmp_path / "out").iterdir()), strict=True):
        with Image.open(path) as picture:
            assert picture.mode == "P"
            assert np.array_equal(np.asarray(picture.convert("RGB")), frames.palette[frame])
    assert (drawing.frames, (drawing.width, drawing.height)) == (3, frames.size)


def test_without_ffmpeg_an_mp4_is_refused_with_the_way_to_get_it(write, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"neither on PATH.*daf\[video\].*apt install ffmpeg.*daf replay gif"):
        write_mp4(read_replay(write()), tmp_path / "a.mp4")


def test_the_encoder_is_given_every_frame_as_rgb_and_the_rate(write, tmp_path, monkeypatch):
    replay = read_replay(write())
    body = "open(sys.argv[-1], 'wb').write(' '.join(sys.argv[1:-1]).encode() + b'\\n' + sys.stdin.buffer.read())"
    monkeypatch.setenv("PATH", encoder(tmp_path / "bin", body))
    drawing = write_mp4(replay, tmp_path / "a.mp4", fps=25)
    text, pixels = (tmp_path / "a.mp4").read_bytes().split(b"\n", 1)
    frames = ReplayFrames(replay)
    assert f"-video_size {drawing.width}x{drawing.height} -framerate 25" in text.decode()
    assert drawing.width % 2 == drawing.height % 2 == 0
    assert pixels == b"".join(frames.palette[frame].tobytes() for frame in frames)


def test_an_encoder_that_fails_leaves_no_file_and_its_words(write, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", encoder(tmp_path / "bin", "sys.exit('no such codec')"))
    with pytest.raises(VideoError, match="exit code 1: no such codec"):
        write_mp4(read_replay(write()), tmp_path / "out" / "a.mp4")
    assert not list((tmp_path / "out").iterdir())


def test_without_ffmpeg_on_the_path_the_extras_own_draws_a_video_that_decodes_to_the_frames(
    recorded, tmp_path, monkeypatch
):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    monkeypatch.setenv("PATH", str(tmp_path))
    replay, view = read_replay(recorded), View(end=20)
    drawing = write_mp4(replay, tmp_path / "a.mp4", view=view)
    assert drawing.path.read_bytes()[4:8] == b"ftyp"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(drawing.path)]
    decoded = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True)
    pictures = np.frombuffer(decoded.stdout, np.uint8).reshape(-1, drawing.height, drawing.width, 3)
    frames = ReplayFrames(replay, view)
    drawn = [frames.palette[frame] for frame in frames]
    assert len(pictures) == len(drawn) == drawing.frames
    for picture, frame in zip(pictures, drawn, strict=True):
        assert np.abs(picture.astype(int) - frame).mean() < 6  # H.264 loses a little, mostly of colour


def test_a_file_that_is_called_like_a_protocol_or_an_option_is_written(write, tmp_path, monkeypatch):
    pytest.importorskip("imageio_ffmpeg")
    folder = tmp_path / "take:2" / "a?b%20c"
    folder.mkdir(parents=True)
    replay = read_replay(write())
    monkeypatch.chdir(folder)
    for name in ("take:2.mp4", "-y.mp4", "x%03d.mp4"):
        assert write_mp4(replay, name).size_bytes == Path(name).stat().st_size > 500
    monkeypatch.chdir(tmp_path)
    assert write_mp4(replay, "take:2/b.mp4").size_bytes > 500
