"""GIFs of replays show exactly the frames that were drawn, and those show exactly what the replay says."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from replay_files import WHEEL

from daf.errors import UsageError
from daf.game import sprites
from daf.game.replays import ReplayError, read_replay
from daf.render.replays.frames import ReplayFrames, View
from daf.render.replays.gif import write_gif
from daf.render.replays.gif_stream import GifStream
from daf.render.replays.page import replay_html
from daf.tools.replay_to_gif import ReplayToGifConverter, main


def decoded(file):
    """Every frame of a GIF as Pillow shows it, (height, width, 3), and its duration in milliseconds."""
    with Image.open(file) as picture:
        for number in range(picture.n_frames):
            picture.seek(number)
            yield np.asarray(picture.convert("RGB")), picture.info["duration"]


def frames_of(path, **view):
    return drawn(read_replay(path), **view)


def drawn(replay, **view):
    frames = ReplayFrames(replay, View(**view))
    return [frames.palette[frame] for frame in frames]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 70),
    st.integers(1, 90),
    st.integers(1, 6),
    st.sampled_from([0.0005, 0.01, 0.1, 0.9]),
    st.integers(0, 99),
)
def test_any_frames_come_back_from_a_gif_pixel_by_pixel(height, width, count, share, seed):
    generator = np.random.default_rng(seed)
    palette = generator.integers(0, 256, (256, 3)).astype(np.uint8)
    frame = generator.integers(1, 256, (height, width)).astype(np.uint8)
    file, shown = io.BytesIO(), []
    stream = GifStream(file, width, height, palette, 20)
    for _ in range(count):
        stream.add(frame)
        shown.append(palette[frame])
        where = generator.random(frame.shape) < share
        frame = np.where(where, generator.integers(1, 256, frame.shape), frame).astype(np.uint8)
    stream.close()
    found = [pixels for pixels, _ in decoded(file)]
    assert len(found) == len(shown)
    assert all(np.array_equal(a, b) for a, b in zip(found, shown, strict=True))


def test_large_sparse_frames_fill_the_code_table_many_times_and_come_back():
    generator = np.random.default_rng(1)
    palette = generator.integers(0, 256, (256, 3)).astype(np.uint8)
    frame = np.full((900, 1000), 7, np.uint8)
    file, shown = io.BytesIO(), []
    stream = GifStream(file, 1000, 900, palette, 20)
    for changes in (0, 1, 3, 500, 20_000, 60_000, 0):
        frame.reshape(-1)[generator.integers(0, frame.size, changes)] = generator.integers(1, 256)
        frame[100:140, 300 : 300 + changes // 100] = generator.integers(1, 256)
        stream.add(frame)
        shown.append(palette[frame])
    stream.close()
    assert all(np.array_equal(a, b) for (a, _), b in zip(decoded(file), shown, strict=True))


def test_a_gif_of_a_recorded_replay_is_its_frames(recorded, tmp_path):
    drawing = write_gif(read_replay(recorded), tmp_path / "a.gif", fps=25)
    frames = frames_of(recorded)
    found = list(decoded(drawing.path))
    assert (drawing.frames, len(found), len(frames)) == (60, 60, 60)
    assert (drawing.height, drawing.width) == frames[0].shape[:2]
    assert all(np.array_equal(a, b) for (a, _), b in zip(found, frames, strict=True))
    assert {duration for _, duration in found} == {40}


def test_the_same_replay_gives_the_same_bytes(recorded, tmp_path):
    both = [write_gif(read_replay(recorded), tmp_path / name).path.read_bytes() for name in ("a.gif", "b.gif")]
    assert both[0] == both[1]


def test_frame_times_add_up_when_the_rate_does_not_divide_a_second(recorded, tmp_path):
    write_gif(read_replay(recorded), tmp_path / "a.gif", fps=30)
    total = sum(duration for _, duration in decoded(tmp_path / "a.gif"))
    assert total == 2000


@pytest.mark.parametrize(
    ("name", "follow"),
    [
        ("pens", None),
        ("pens", 3),
        ("planky", 3),
        pytest.param("planky", None, marks=pytest.mark.thorough),
        pytest.param("default", None, marks=pytest.mark.thorough),
    ],
)
def test_drawing_only_what_changed_gives_what_drawing_all_would(name, follow):
    replay = read_replay(WHEEL / f"{name}.json.z")
    running = drawn(replay, start=100, end=160, cell=4 if follow is None else 8, follow=follow)
    for step in (101, 130, 159):
        fresh = drawn(replay, start=step, end=step + 1, cell=4 if follow is None else 8, follow=follow)[0]
        assert np.array_equal(running[step - 100], fresh), step


def test_each_window_of_steps_continues_where_the_last_one_ended():
    replay = read_replay(WHEEL / "planky.json.z")
    running = drawn(replay, start=0, end=1100, cell=4, every=2)
    assert len(running) == 550
    for step in (1022, 1024, 1026, 1098):
        assert np.array_equal(running[step // 2], drawn(replay, start=step, end=step + 1, cell=4)[0]), step


def changed_cells(before, after, cell, width, height):
    """Cells (x, y) of the map in which two frames differ."""
    apart = (before != after).any(axis=2)[: height * cell, : width * cell]
    rows, columns = np.nonzero(apart)
    return {(int(x) // cell, int(y) // cell) for y, x in zip(rows, columns, strict=True)}


def test_agents_are_drawn_where_the_replay_has_them(write):
    frames = frames_of(write(), cell=16)
    assert changed_cells(frames[1], frames[2], 16, 5, 4) == {(1, 1), (2, 1)}


def test_a_hub_takes_its_teams_colour(write):
    path = write()
    frames = frames_of(path, cell=16)
    corner = [tuple(frame[2 * 16, 3 * 16].tolist()) for frame in frames]
    artwork = ReplayFrames(read_replay(path), View(cell=16)).artwork
    assert corner[1:] == [tuple(artwork.palette[artwork.team(team)].tolist()) for team in ("clips", "clips", "cogs")]
    assert corner[0] not in corner[1:]


def test_bars_vibes_roles_and_directions_show(write):
    plain = frames_of(write("a.json.z"), cell=24)[0]
    for field, value in (
        ("inventory", [[0, 40], [1, 20]]),
        ("inventory", [[0, 100], [1, 3]]),
        ("inventory", [[0, 100], [1, 20], [2, 1]]),
        ("vibe_id", 1),
        ("tag_ids", [1, 2]),
        ("location", [[0, [2, 1]], [1, [1, 1]]]),
    ):
        at = 1 if field == "location" else 0
        other = frames_of(write("b.json.z", agent={field: value}), cell=24)[at]
        box = np.s_[24:48, 24:48]
        assert not np.array_equal(plain[box], other[box]), field


def test_the_panel_shows_step_action_and_score(write):
    frames = frames_of(write(), cell=16)
    left = 5 * 16
    rows = [slice(3 + 13 * line, 14 + 13 * line) for line in range(6)]
    differ = [not np.array_equal(frames[0][row, left:], frames[3][row, left:]) for row in rows]
    assert differ == [False, True, True, True, False, True]


def test_what_the_game_has_no_sprite_for_is_a_plain_shape(write, tmp_path, monkeypatch):
    path = write()
    with_sprites = frames_of(path, cell=16)[0]
    monkeypatch.setattr(sprites, "data_dir", lambda: tmp_path / "nothing")
    plain = frames_of(path, cell=16)[0]
    hub = np.s_[2 * 16 : 3 * 16, 3 * 16 : 4 * 16]
    ground = np.s_[0:16, 16:32]
    assert not np.array_equal(plain[hub], with_sprites[hub])
    assert len(np.unique(plain[hub].reshape(-1, 3), axis=0)) > 1
    assert not np.array_equal(plain[hub], plain[ground])


def test_a_name_in_a_replay_leads_to_no_picture_outside_the_games_own(tmp_path, monkeypatch):
    (tmp_path / "data" / "objects").mkdir(parents=True)
    Image.new("RGBA", (8, 8), "red").save(tmp_path / "secret.png")
    Image.new("RGBA", (8, 8), "red").save(tmp_path / "data" / "objects" / "hub.png")
    monkeypatch.setattr(sprites, "data_dir", lambda: tmp_path / "data")
    assert sprites.object_sprite("hub") is not None
    for name in ("../../secret", "hub/../../../secret", str(tmp_path / "secret"), "", ".", "hub\0"):
        assert sprites.object_sprite(name) is None, name
    assert sprites.vibe_sprite("../../secret") is None


def test_a_picture_too_large_to_draw_is_refused_with_the_cell_that_fits(write):
    with pytest.raises(UsageError, match=r"Up to 5 fits"):
        ReplayFrames(read_replay(write(map_size=[1024, 1024])), View(cell=64))


@pytest.mark.parametrize(
    "fields",
    [
        {"vibe_id": 2**62, "orientation": [[0, -5], [1, 2**62]]},
        {"vibe_id": -3, "action_id": -1, "inventory": [[0, -5], [1, 2**53]]},
        {"policy_infos": {"a": 10**40, "b": [[[[]]]]}, "alive": [[0, True], [2, False]]},
    ],
)
def test_odd_numbers_are_drawn_without_harm(write, tmp_path, fields):
    path = write(agent=fields)
    assert len(frames_of(path)) == 4
    assert replay_html(read_replay(path)).endswith("</html>")


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ({"cell": 3}, "--cell 3 is outside 4 to 64"),
        ({"start": 5}, "--start 5 --end 4: the replay has 4 steps"),
        ({"end": 9}, "--start 0 --end 9"),
        ({"every": 0}, "--every 0 is below 1"),
    ],
)
def test_a_view_that_the_replay_lacks_is_refused(write, view, says):
    with pytest.raises(UsageError, match=says):
        ReplayFrames(read_replay(write()), View(**view))


def test_following_an_agent_that_is_not_there_is_refused(write):
    with pytest.raises(UsageError, match="--follow 8, and its 1 agents are numbered from 0"):
        ReplayFrames(read_replay(write()), View(follow=8))


@pytest.mark.parametrize("fps", [0, 51, float("nan")])
def test_a_rate_that_no_browser_plays_is_refused_and_leaves_no_file(write, tmp_path, fps):
    with pytest.raises(UsageError, match="--fps"):
        write_gif(read_replay(write()), tmp_path / "out" / "a.gif", fps=fps)
    assert not list((tmp_path / "out").iterdir())


def test_the_converter_draws_a_folder_and_names_what_failed(write, tmp_path):
    write("a.json.z")
    write("b.json.z")
    converter = ReplayToGifConverter(tmp_path / "gifs")
    assert converter.load_replay(tmp_path / "a.json.z").steps == 4
    assert [p.name for p in converter.batch_convert(tmp_path)] == ["a.gif", "b.gif"]
    assert converter.convert_to_gif(tmp_path / "a.json.z", tmp_path / "own.gif", fps=5) == tmp_path / "own.gif"
    (tmp_path / "c.json.z").write_bytes(b"x\x9c no replay")
    with pytest.raises(ReplayError, match=r"2 of 3 replays were drawn into .*gifs(.|\n)*c\.json\.z"):
        converter.batch_convert(tmp_path)
    with pytest.raises(UsageError, match=r"no replay in .* matches"):
        converter.batch_convert(tmp_path / "gifs")


def test_the_converter_is_a_program(write, tmp_path, capsys):
    path = write()
    assert main([str(path), "--output-dir", str(tmp_path / "out"), "--fps", "5"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "tiny.gif")
    assert main([str(tmp_path), "--output-dir", str(tmp_path / "out")]) == 2
    assert "add --batch" in capsys.readouterr().err


@pytest.mark.slow
def test_ten_thousand_steps_are_drawn_in_less_than_300_megabytes(tmp_path):
    script = (
        "import json, resource, sys; from daf.replaying import daf_replay_gif\n"
        "made = daf_replay_gif(sys.argv[1], sys.argv[2], fps=50)\n"
        "print(json.dumps([made.frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))"
    )
    command = [sys.executable, "-c", script, str(WHEEL / "default.json.z"), str(tmp_path / "a.gif")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    frames, megabytes = json.loads(done.stdout)
    assert frames == 10_000
    assert megabytes < 300, f"{megabytes:.0f} MB"
