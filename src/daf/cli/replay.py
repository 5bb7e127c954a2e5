"""`daf replay`: show recorded episodes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.cli._grouped import options
from daf.cli._help import CommandGroup
from daf.cli._options import JsonOption, place
from daf.storage.printable import printable

if TYPE_CHECKING:
    from daf.game.replays import Difference
    from daf.render.replays.frames import View
    from daf.render.replays.gif import Drawing
    from daf.replaying import ReplayInfo

app = typer.Typer(
    cls=CommandGroup, rich_markup_mode=None, add_completion=False, no_args_is_help=True, help="Show recorded episodes."
)

FileArgument = Annotated[Path, typer.Argument(help="Replay file (.json.z, .json.gz or .json), from --save-replays.")]


@dataclass(frozen=True)
class SourceOptions:
    """What to draw, and where its files go."""

    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR|RUN", help="Replay file; a run's id or latest; with --batch a directory of replays."
        ),
    ]
    batch: Annotated[bool, typer.Option("--batch", help="Draw every replay in the directory.")] = False
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            help="Put files here, also a URL (default: a new run directory).",
            parser=place,
            metavar="DIR|URL",
        ),
    ] = None
    as_json: JsonOption = False


@dataclass(frozen=True)
class ViewOptions:
    """Which steps to draw, and how."""

    cell: Annotated[
        int | None, typer.Option("--cell", help="Pixels per cell, 4 to 64 (default: the largest that fits).")
    ] = None
    start: Annotated[int, typer.Option("--start", help="First step.")] = 0
    end: Annotated[int | None, typer.Option("--end", help="Stop before this step (default: after the last).")] = None
    every: Annotated[int, typer.Option("--every", metavar="N", help="Draw every Nth step.")] = 1
    follow: Annotated[int | None, typer.Option("--follow", help="Zoom in and keep this agent in the center.")] = None

    def view(self) -> "View":
        """The options as the drawing functions take them."""
        from daf.render.replays.frames import View

        return View(self.start, self.end, self.every, self.cell, self.follow)


@app.command()
def info(file: FileArgument, as_json: JsonOption = False) -> None:
    """Show the content of FILE: mission, steps, teams, policies, returns, objects. Reads and checks all of it.

    \b
        daf replay info REPLAY.json.z
    """
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
    b: Annotated[Path, typer.Argument(help="Another replay file.")],
    as_json: JsonOption = False,
) -> None:
    """Show the first step at which two episodes differ, and the differences.

    The policies' own messages are not compared: two policies may play the same episode.

    \b
        daf replay diff A.json.z B.json.z
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


@app.command()
@options
def gif(
    source: SourceOptions,
    fps: Annotated[float, typer.Option("--fps", help="Frames per second, up to 50.")] = 10,
    *,
    view: ViewOptions,
) -> None:
    """Draw replays as animated GIFs, with the game's own sprites.

    \b
        daf replay gif REPLAY.json.z --fps 20 --cell 16
        daf replay gif latest
    """
    from daf.render.replays.gif_stream import check_rate
    from daf.replaying import daf_replay_gif

    check_rate(fps)
    shown = view.view()
    _draw(source, ".gif", partial(daf_replay_gif, fps=fps, view=shown), shown)


@app.command()
@options
def mp4(
    source: SourceOptions,
    fps: Annotated[float, typer.Option("--fps", help="Frames per second, up to 240.")] = 10,
    *,
    view: ViewOptions,
) -> None:
    """Draw replays as MP4 videos; needs ffmpeg on PATH, or the extra daf[video].

    \b
        daf replay mp4 REPLAY.json.z
    """
    from daf.render.replays.video import find_encoder
    from daf.replaying import daf_replay_mp4

    find_encoder(fps)
    shown = view.view()
    _draw(source, ".mp4", partial(daf_replay_mp4, fps=fps, view=shown), shown)


@app.command()
@options
def frames(source: SourceOptions, view: ViewOptions) -> None:
    """Draw each replay as a directory of numbered PNG files.

    \b
        daf replay frames REPLAY.json.z --every 10
    """
    from daf.replaying import daf_replay_frames

    shown = view.view()
    _draw(source, "-frames", partial(daf_replay_frames, view=shown), shown)


@app.command()
@options
def html(source: SourceOptions) -> None:
    """Write a page that plays the episode in any browser, offline.

    The page is one file. It shows the map, each agent's inventory, return and policy messages over time, and the
    paths of the agents. PAGE.html#step=120&agent=3 opens it at that step.

    \b
        daf replay html REPLAY.json.z
        daf replay html latest
    """
    from daf.replaying import daf_replay_html

    _draw(source, ".html", daf_replay_html)


def _draw(
    source: SourceOptions, suffix: str, draw: "Callable[[Path, Path], Drawing]", view: "View | None" = None
) -> None:
    """Draw every replay that `source` names and print the files; exits with 1 if one failed.

    A single replay is read, and the view checked against it, before its directory is created.
    """
    from daf.cli.show import emit, err, out
    from daf.errors import DataError
    from daf.replaying import check_view, drawing_names, replay_files
    from daf.storage.jsonable import jsonable

    files = replay_files(source.path, batch=source.batch)
    several = source.batch or len(files) > 1
    if not several:
        check_view(files[0], view)
    drawn: list[Drawing] = []
    failed: list[dict[str, str]] = []
    with _place(source.output_dir, f"{suffix[1:]} of {source.path.name}") as (run_id, folder):
        for file, name in zip(files, drawing_names(files, suffix), strict=True):
            try:
                drawn.append(draw(file, folder / name))
            except DataError as error:
                if not several:
                    raise
                failed.append({"source": str(file), "error": str(error)})
                continue
            if not source.as_json:
                made = drawn[-1]
                shown = f"{made.frames:,} steps" if suffix == ".html" else _pictures(made)
                size = f"{shown}, {made.size_bytes / 1e6:.2f} MB"
                out.print(f"{made.path}  ({size})", markup=False, soft_wrap=True)
    if source.as_json:
        files_data = jsonable(drawn)
        status = "failed" if failed else "ok"
        emit({"run_id": run_id, "run_dir": str(folder), "status": status, "files": files_data, "failed": failed})
    for failure in failed:
        err.print(failure["error"], style="red", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


@contextmanager
def _place(output_dir: Path | None, title: str) -> "Iterator[tuple[str | None, Path]]":
    """Where files go: `output_dir` itself, or a run directory for visualizations."""
    if output_dir is not None:
        from daf.storage import remote

        with remote.uploading(output_dir) as folder:
            yield None, folder
        return
    from daf.output_manager import OutputManager

    output = OutputManager()
    with output.operation("visualizations", title=title) as folder:
        yield output.session_id, folder


def _info_table(found: "ReplayInfo") -> Any:
    from daf.cli.show import plain_table

    table = plain_table(found.path.name, header=False)
    table.add_column("fact", no_wrap=True)
    table.add_column("value", overflow="fold")
    returns = [f"{reward:.4g}" for reward in found.rewards]
    per_agent = found.reward_per_agent
    rows = {
        "mission": found.mission or "not recorded",
        "seed": "not recorded" if found.seed is None else str(found.seed),
        "steps": f"{found.steps:,}",
        "map": f"{found.width}×{found.height}",
        "agents": _counted(found.agents, found.teams),
        "roles at the end": _counts(found.roles),
        "policies": _counts(found.policies) or "not recorded",
        "reward per agent": "–" if per_agent is None else f"{per_agent:.4g}",
        "returns": ", ".join(returns) or "–",
        "objects": _counts(found.objects),
        "file": f"version {found.version}, {found.size_bytes / 1e6:.2f} MB, {found.text_bytes / 1e6:.1f} MB unpacked",
    }
    for name, value in rows.items():
        table.add_row(name, escape(printable(value)))
    return table


def _counted(number: int, teams: dict[str, int]) -> str:
    named = _counts({team: count for team, count in teams.items() if team})
    return f"{number}: {named}" if named else str(number)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _diff_lines(found: "Difference") -> list[str]:
    if found.same:
        return [f"The episodes are identical in all {found.steps[0]:,} steps."]
    lines = [printable(f"{change}") for change in found.header]
    common = min(found.steps)
    if not found.compared:
        lines.append("The episodes are of different kinds, so their steps are not compared.")
    elif found.step is None:
        lines.append(f"The {common:,} common steps are identical.")
    else:
        fields = "field differs" if found.count == 1 else "fields differ"
        lines.append(f"The first difference is at step {found.step:,} of {common:,}, where {found.count:,} {fields}:")
        lines += [f"  {printable(str(change))}" for change in found.changes]
        if found.count > len(found.changes):
            lines.append(f"  … and {found.count - len(found.changes):,} more")
    return lines


def _pictures(made: "Drawing") -> str:
    return f"{made.frames:,} frames of {made.width}×{made.height}"
