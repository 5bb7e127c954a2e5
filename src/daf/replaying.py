"""Replays: their content, the first difference of two, pictures and players of them.

A replay is the file that `--save-replays` leaves, or any that mettagrid's own writer made, at a path or a URL.
Everything here reads files and plays nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daf.errors import UsageError
from daf.game.replays import Difference, difference, read_replay
from daf.output_manager import find_run
from daf.render.replays.frames import ReplayFrames, View
from daf.render.replays.gif import Drawing, write_gif
from daf.render.replays.page import write_replay_html
from daf.render.replays.video import write_frames, write_mp4
from daf.storage import remote
from daf.storage.names import MOST_BYTES, shortened

SUFFIXES = (".json.z", ".json.gz", ".json")


@dataclass(frozen=True, slots=True)
class ReplayInfo:
    """The content of a replay, with all of its fields decoded and checked.

    mission: the label of its config, None if the file has none (version 2). teams: agents by team, "" for those
    without. roles: agents by gear at the end. rewards: each agent's return. policies: agents by policy, if the policies
    reported their names. objects: number of each type.
    """

    path: Path
    version: int
    mission: str | None
    seed: int | None
    steps: int
    width: int
    height: int
    agents: int
    teams: dict[str, int]
    roles: dict[str, int]
    policies: dict[str, int]
    rewards: tuple[float, ...]
    objects: dict[str, int]
    size_bytes: int
    text_bytes: int

    @property
    def reward_per_agent(self) -> float | None:
        """The mean of the agents' returns, None without agents."""
        return sum(self.rewards) / len(self.rewards) if self.rewards else None


def daf_replay_info(path: str | Path) -> ReplayInfo:
    """Read all of a replay and summarise it. Raises `StorageError`, `ReplayError`."""
    replay = read_replay(remote.here(path))
    replay.check()
    last = replay.steps - 1
    agents = [replay.agent_at(number, last) for number in range(len(replay.agents))] if replay.steps else []
    reported = (agent.policy_infos().values for agent in replay.agents)
    names = (
        next((i["policy_name"] for i in infos if isinstance(i, dict) and "policy_name" in i), "") for infos in reported
    )
    return ReplayInfo(
        path=replay.path,
        version=replay.version,
        mission=replay.mission,
        seed=replay.seed,
        steps=replay.steps,
        width=replay.width,
        height=replay.height,
        agents=len(replay.agents),
        teams=dict(Counter(agent.team or "" for agent in agents)),
        roles=dict(Counter(agent.role for agent in agents)),
        policies=dict(Counter(str(name) for name in names if name)),
        rewards=replay.final_rewards(),
        objects=replay.types,
        size_bytes=replay.size_bytes,
        text_bytes=replay.text_bytes,
    )


def daf_replay_diff(a: str | Path, b: str | Path) -> Difference:
    """The first step at which two replays differ, and in what. Raises `StorageError`, `ReplayError`."""
    return difference(read_replay(remote.here(a)), read_replay(remote.here(b)))


def daf_replay_gif(path: str | Path, output_path: str | Path, *, fps: float = 10, view: View | None = None) -> Drawing:
    """Draw a replay as an animated GIF. fps: up to 50. view: which steps, how large, around which agent.

    Raises `StorageError`, `ReplayError`, `UsageError`.
    """
    return write_gif(read_replay(remote.here(path)), output_path, fps=fps, view=view)


def daf_replay_html(path: str | Path, output_path: str | Path) -> Drawing:
    """Write a page that plays a replay in any browser, offline. Raises `StorageError`, `ReplayError`."""
    return write_replay_html(read_replay(remote.here(path)), output_path)


def daf_replay_frames(path: str | Path, output_dir: str | Path, *, view: View | None = None) -> Drawing:
    """Draw a replay's steps into PNG files in `output_dir`. Raises `StorageError`, `ReplayError`, `UsageError`."""
    return write_frames(read_replay(remote.here(path)), output_dir, view=view)


def daf_replay_mp4(path: str | Path, output_path: str | Path, *, fps: float = 10, view: View | None = None) -> Drawing:
    """Draw a replay as an MP4, with the `ffmpeg` on PATH or that of the extra `daf[video]`.

    Raises `StorageError`, `ReplayError`, `UsageError` (also without ffmpeg), `VideoError`.
    """
    return write_mp4(read_replay(remote.here(path)), output_path, fps=fps, view=view)


def check_view(path: str | Path, view: View | None) -> None:
    """Raise the errors that drawing this replay would raise: `StorageError`, `ReplayError`, `UsageError`."""
    replay = read_replay(remote.here(path))
    if view is not None:
        ReplayFrames(replay, view)


def replay_files(path: str | Path, *, batch: bool) -> list[Path]:
    """The replays that `path` names: itself, or with `batch` all in that folder or in its `replays` folder, by name.

    A run's id or name, or "latest", names all replays of that run. Raises `UsageError` for a folder without `batch` or
    without replays, and if nothing is there.
    """
    place = remote.here(path)
    if not place.exists():
        run = _run_called(str(path))
        if run is None:
            raise UsageError(
                f'no replay file, directory or run "{place}". '
                "Use `daf evaluate … --save-replays best` to record replays."
            )
        place, batch = run, True
    if not place.is_dir():
        if batch:
            raise UsageError(f"--batch needs a directory of replays, but {place} is a file.")
        return [place]
    if not batch:
        raise UsageError(f"{place} is a directory: add --batch to use every replay in it.")
    folder = place / "replays" if (place / "replays").is_dir() else place
    found = sorted(file for suffix in SUFFIXES for file in folder.glob(f"*{suffix}") if file.is_file())
    if found:
        return found
    raise UsageError(f"{place} and {place.name}/replays contain no replays ({', '.join(SUFFIXES)}).")


def _run_called(name: str) -> Path | None:
    """The directory of the run with this id or name."""
    try:
        return find_run(name).path
    except UsageError:
        return None


def drawing_names(files: Sequence[Path], suffix: str) -> list[str]:
    """A name ending in `suffix` for the file made of each replay: its name without extensions if that is unique."""
    short = [_stem(file) for file in files]
    counts = Counter(short)
    names = [stem if counts[stem] == 1 else file.name for stem, file in zip(short, files, strict=True)]
    return [shortened(name, most=MOST_BYTES - len(suffix)) + suffix for name in names]


def _stem(file: Path) -> str:
    return next((file.name.removesuffix(suffix) for suffix in SUFFIXES if file.name.endswith(suffix)), file.stem)
