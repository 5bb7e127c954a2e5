"""Reports on replays: one recorded episode with its facts and returns, or a directory of recordings and images."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup, escape

from daf.errors import DataError
from daf.game.replays import Replay, read_replay
from daf.render.pages.markdown import run_markdown
from daf.render.pages.parts import (
    Alert,
    Cell,
    Column,
    Facts,
    Part,
    Plot,
    Plots,
    RunPage,
    Section,
    Table,
    Text,
    cell,
    run_html,
)
from daf.render.pages.run_facts import RunFacts, ending_alerts, size_text, subtitle_of, what_was_run
from daf.render.replays.page import write_replay_html
from daf.render.svg.curves import CurveSeries, curve_figure
from daf.render.text import printable
from daf.render.theme import style
from daf.replaying import SUFFIXES, ReplayInfo, daf_replay_info
from daf.reporting._files import ReportFiles
from daf.stats.sentences import counted, number
from daf.storage.atomic import write_text

MOST_EMBEDDED = 5_000_000
MOST_REPLAYS = 200
SAMPLES = 400
PICTURES: Mapping[str, str] = {".gif": "image/gif", ".png": "image/png"}
DRAWN = (".gif", ".png", ".mp4", ".html", ".svg", ".pdf")


def write_replay_report(file: Path) -> ReportFiles:
    """Write `NAME-report.html` and `.md` next to a replay, and the page that plays it, `NAME.html`.

    Raises `StorageError`, `ReplayError`.
    """
    replay = read_replay(file)
    info = daf_replay_info(file)
    stem = next((file.name.removesuffix(suffix) for suffix in SUFFIXES if file.name.endswith(suffix)), file.stem)
    player = file.with_name(f"{stem}.html")
    write_replay_html(replay, player)
    page = _replay_page(replay, info, player)
    html, markdown = file.with_name(f"{stem}-report.html"), file.with_name(f"{stem}-report.md")
    write_text(html, run_html(page))
    write_text(markdown, run_markdown(page))
    return ReportFiles(
        run_id=stem, run_dir=file.parent, kind="replays", html=html, markdown=markdown, pdf=None, kept=False
    )


def replays_page(facts: RunFacts) -> RunPage:
    """Build the page of a run directory that holds replays or images of them."""
    folder = facts.info.path
    sections = [*_recordings(folder), *_drawn(folder), what_was_run(facts)]
    return RunPage(
        title=printable(facts.info.title),
        subtitle=subtitle_of(facts.info),
        chips=[facts.info.operation, facts.info.status],
        alerts=ending_alerts(facts),
        sections=sections,
    )


def _replay_page(replay: Replay, info: ReplayInfo, player: Path) -> RunPage:
    per_agent = info.reward_per_agent
    rewards: list[Part] = []
    if info.steps and info.agents:
        rewards.append(Plots([_returns(replay, info)]))
    rows = [
        [cell(agent), cell(printable(role)), cell(f"{reward:.5g}")]
        for agent, (reward, role) in enumerate(zip(info.rewards, _roles(replay, info), strict=True))
    ]
    rewards.append(
        Table([Column("Agent", number=True), Column("Role at the end"), Column("Return", number=True)], rows)
    )
    outcome = "its return is unknown" if per_agent is None else f"{number(per_agent)} reward per agent"
    return RunPage(
        title=printable(info.mission or info.path.name),
        subtitle=printable(f"Replay {info.path.name}"),
        chips=[f"{info.steps:,} steps", f"{info.agents} agents", f"map {info.width}×{info.height}"],
        alerts=[] if info.policies else [Alert("This replay does not name its policies.")],
        finding=f"An episode of {info.steps:,} steps: {outcome}.",
        sections=[
            Section(
                "play",
                "Player",
                [
                    Table(
                        [Column("Player"), Column("Recording"), Column("Size")],
                        [
                            [
                                cell("open the player", link=player.name),
                                cell(info.path.name, link=info.path.name),
                                cell(size_text(info.size_bytes)),
                            ]
                        ],
                    )
                ],
            ),
            Section("returns", "Returns", rewards),
            Section("facts", "Contents", [Facts(_facts(info)), _objects(info)]),
        ],
    )


def _returns(replay: Replay, info: ReplayInfo) -> Plot:
    last = info.steps - 1
    count = min(info.steps, SAMPLES)
    steps = sorted({round(position * last / max(count - 1, 1)) for position in range(count)})
    series = [
        CurveSeries(
            f"agent {number_}",
            style(number_),
            steps,
            [float(returns.at(step)) for step in steps],
            smooth=False,
        )
        for number_, agent in enumerate(replay.agents)
        for returns in [agent.number("total_reward")]
    ]
    figure = curve_figure(
        series,
        x_title="step",
        y_title="return so far",
        description="Return of every agent by step",
        size="full",
    )
    return Plot("Return of each agent", figure.svg, "Sum of an agent's rewards up to the step.", "full")


def _roles(replay: Replay, info: ReplayInfo) -> list[str]:
    if not info.steps:
        return ["–"] * info.agents
    return [agent.role for agent in replay.at(info.steps - 1).agents]


def _facts(info: ReplayInfo) -> list[tuple[str, str]]:
    def counts(found: Mapping[str, int]) -> str:
        return printable(", ".join(f"{count} {name or 'unnamed'}" for name, count in found.items()) or "unknown")

    return [
        ("mission", printable(info.mission or "unknown")),
        ("seed", "unknown" if info.seed is None else str(info.seed)),
        ("teams", counts(info.teams)),
        ("policies", counts(info.policies)),
        ("format", f"version {info.version}"),
        ("unpacked", size_text(info.text_bytes)),
    ]


def _objects(info: ReplayInfo) -> Table:
    rows = [[cell(name), cell(f"{count:,}")] for name, count in sorted(info.objects.items(), key=lambda item: -item[1])]
    return Table([Column("Object"), Column("Number", number=True)], rows)


def _recordings(folder: Path) -> list[Section]:
    found = sorted(
        file
        for place in (folder, folder / "replays")
        for suffix in SUFFIXES[:2]
        for file in place.glob(f"*{suffix}")
        if file.is_file()
    )
    if not found:
        return []
    rows = []
    for file in found[:MOST_REPLAYS]:
        name = file.relative_to(folder).as_posix()
        try:
            info = daf_replay_info(file)
        except DataError as error:
            rows.append([cell(name, link=name), cell(error, tag="failed"), *[cell("")] * 4])
            continue
        per_agent = info.reward_per_agent
        rows.append(
            [
                cell(name, link=name),
                cell(info.mission),
                cell(info.seed),
                cell(f"{info.steps:,}"),
                cell(info.agents),
                cell(None if per_agent is None else number(per_agent)),
            ]
        )
    columns = [
        Column("Recording"),
        Column("Mission", choice=True),
        *(Column(name, number=True) for name in ("Seed", "Steps", "Agents", "Reward per agent")),
    ]
    left = len(found) - len(rows)
    note = f"{left:,} more are in the directory." if left else ""
    return [Section("recordings", "Recordings", [Table(columns, rows, note=note)])]


def _drawn(folder: Path) -> list[Section]:
    found = sorted(file for file in folder.iterdir() if file.suffix in DRAWN and not file.name.startswith("report."))
    frames = sorted(place for place in folder.iterdir() if place.is_dir() and place.name.endswith("-frames"))
    if not found and not frames:
        return []
    rows: list[Sequence[Cell]] = [
        [cell(file.name, link=file.name), cell(size_text(file.stat().st_size))] for file in found
    ]
    rows += [
        [cell(place.name, link=place.name), cell(counted(len(list(place.iterdir())), "image"))] for place in frames
    ]
    parts: list[Part] = [Table([Column("File"), Column("Size")], rows)]
    room, shown, left = MOST_EMBEDDED, [], 0
    for file in found:
        if file.suffix in PICTURES:
            if file.stat().st_size > room:
                left += 1
                continue
            room -= file.stat().st_size
            shown.append(_picture(file))
    if shown:
        parts.append(Plots(shown))
    if left:
        parts.append(Text([f"{counted(left, 'larger image')} not shown; see the links in the table."], muted=True))
    return [Section("pictures", "Images", parts)]


def _picture(file: Path) -> Plot:
    data = base64.b64encode(file.read_bytes()).decode()
    name = printable(file.name)
    source = f"data:{PICTURES[file.suffix]};base64,{data}"
    return Plot(name, Markup(f'<img class="picture" alt="{escape(name)}" src="{source}">'), "", "full")
