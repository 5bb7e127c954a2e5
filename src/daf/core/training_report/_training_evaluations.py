"""The evaluations of a training run on its page: scores with intervals by mission, and replays."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from daf.core.recorded_training import RecordedScore, RecordedTraining, TrainingEvaluation
from daf.render.pages.parts import Cell, Column, Part, Plot, Plots, Section, Table, Text, cell
from daf.render.pages.replay_links import replay_cell
from daf.render.replays.players import player_of
from daf.render.svg.curves import CurveSeries, curve_figure
from daf.render.text import duration, estimates, interval, same_decimals
from daf.render.theme import style
from daf.stats.sentences import half_width, labels

MOST_MISSIONS = 8
"""With more missions, a table shows the last evaluation, and missions have no separate figure."""
INTERVAL = "95 %"


def evaluations_section(run: RecordedTraining, folder: Path) -> list[Section]:
    """The section; empty if there are no evaluations. folder: of the run."""
    found = run.evaluations
    if not found:
        return []
    names = list(dict.fromkeys(name for one in found for name in one.missions))
    shown = dict(zip(names, labels(names), strict=True))
    drawn = names if 1 < len(names) <= MOST_MISSIONS else []
    plots = [*_overall(found, several=len(names) > 1), *_by_mission(found, {name: shown[name] for name in drawn})]
    parts: list[Part] = [Plots(plots) if plots else Text(["No evaluation has a result."])]
    parts.append(_table(found, {name: shown[name] for name in drawn}, folder))
    if len(names) > MOST_MISSIONS:
        parts.append(_missions_table(found[-1], shown))
    return [Section("evaluations", "Evaluations", parts)]


def scored(run: RecordedTraining) -> list[TrainingEvaluation]:
    """The evaluations in which an episode finished."""
    return [one for one in run.evaluations if one.mean is not None]


def _table(found: Sequence[TrainingEvaluation], missions: Mapping[str, str], folder: Path) -> Table:
    means = [one.mean for one in found if one.mean is not None]
    best = max(means, default=None)
    seeds = {one.seed for one in found}
    replays, failed = any(one.replays for one in found), any(one.failed for one in found)
    scores = _texts(found)
    of_missions = [_texts([one.missions.get(name) for one in found])[0] for name in missions]
    rows = [
        [
            cell(f"{one.step:,}" if one.start is None else f"{one.step:,} ({one.start})"),
            cell(score, strong=one.mean == best and len(means) > 1),
            cell(ci),
            cell(f"{one.n:,}"),
            *([cell(one.failed or "", tag="failed" if one.failed else None)] if failed else []),
            *(cell(column[place]) for column in of_missions),
            *([cell(one.seed)] if len(seeds) > 1 else []),
            cell(None if one.seconds is None else duration(one.seconds)),
            *([_replay_cell(one, folder)] if replays else []),
        ]
        for place, (one, score, ci) in enumerate(zip(found, *scores, strict=True))
    ]
    columns = [
        Column("Agent steps", number=True),
        Column("Reward per agent", number=True),
        Column(f"{INTERVAL} interval", number=True),
        Column("Episodes", number=True),
        *([Column("Failed", number=True)] if failed else []),
        *(Column(name, number=True) for name in missions.values()),
        *([Column("First seed", number=True)] if len(seeds) > 1 else []),
        Column("Duration"),
        *([Column("Replay")] if replays else []),
    ]
    seed = next(iter(seeds)) if len(seeds) == 1 else None
    note = [] if seed is None else [f"Every evaluation plays the same seeds, starting at {seed}."]
    if len(means) > 1:
        note.append("Bold: the highest score. The best of noisy scores is biased upwards; evaluate it on new seeds.")
    if any(player_of(folder, replay) is None for one in found for replay in one.replays):
        note.append("Recordings without a player: daf replay html FILE writes one.")
    if not replays:
        note.append(
            "No episode was recorded; `eval_replays: 1` in the training config records the best of each evaluation."
        )
    return Table(columns, rows, note=" ".join(note))


def _texts(scores: Sequence[RecordedScore | TrainingEvaluation | None]) -> tuple[list[str], list[str]]:
    """The columns of means and of their intervals."""
    around = [None if one is None else interval(one.low, one.high) for one in scores]
    return estimates([None if one is None else one.mean for one in scores], around)


def _replay_cell(one: TrainingEvaluation, folder: Path) -> Cell:
    if not one.replays:
        return cell(None)
    more = f" (1 of {len(one.replays)})" if len(one.replays) > 1 else ""
    return replay_cell(folder, one.replays[0], more)


def _series(
    label: str, position: int, rows: Sequence[tuple[int, float | None, float | None, float | None]]
) -> CurveSeries:
    there = [(step, mean, low, high) for step, mean, low, high in rows if mean is not None]
    ends = [(low, high) for _, _, low, high in there if low is not None and high is not None]
    full = len(ends) == len(there)
    return CurveSeries(
        label,
        style(position),
        [step for step, *_ in there],
        [mean for _, mean, *_ in there],
        [low for low, _ in ends] if full else (),
        [high for _, high in ends] if full else (),
        points=True,
    )


def _overall(found: Sequence[TrainingEvaluation], *, several: bool) -> list[Plot]:
    series = _series("all missions", 0, [(one.step, one.mean, one.low, one.high) for one in found])
    if not series.x:
        return []
    counts = sorted({one.n for one in found if one.mean is not None})
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    figure = curve_figure(
        [series],
        x_title="agent steps",
        y_title="reward per agent",
        description="Evaluations during training: mean reward per agent with intervals, by agent steps",
        size="full",
    )
    lines = f"; lines: {INTERVAL} intervals" if series.low else "; intervals are not drawn because some are missing"
    title = "Score in evaluations" + (" (mean of the missions)" if several else "")
    return [Plot(title, figure.svg, f"Markers: means, {n} episodes each{lines}.", "full")]


def _by_mission(found: Sequence[TrainingEvaluation], names: Mapping[str, str]) -> list[Plot]:
    each = []
    for position, (name, label) in enumerate(names.items()):
        rows = [(one.step, score.mean, score.low, score.high) for one in found if (score := one.missions.get(name))]
        series = _series(label, position, rows)
        if series.x:
            each.append(series)
    if not each:
        return []
    figure = curve_figure(
        each,
        x_title="agent steps",
        y_title="reward per agent",
        description="Evaluations during training, by mission",
        size="full",
    )
    return [Plot("Score by mission", figure.svg, f"Markers: means; lines: {INTERVAL} intervals.", "full")]


def _missions_table(last: TrainingEvaluation, names: Mapping[str, str]) -> Table:
    scores = list(last.missions.values())
    around = [interval(score.low, score.high) for score in scores]
    middles = same_decimals([score.iqm for score in scores], map(half_width, around))
    rows = [
        [cell(names[name]), cell(mean), cell(ci), cell(middle), cell(f"{score.n:,}")]
        for name, score, mean, ci, middle in zip(last.missions, scores, *_texts(scores), middles, strict=True)
    ]
    columns = [
        Column("Mission"),
        *(Column(name, number=True) for name in ("Mean", f"{INTERVAL} interval", "IQM", "Episodes")),
    ]
    return Table(columns, rows, note=f"The last evaluation, after {last.step:,} agent steps.")
