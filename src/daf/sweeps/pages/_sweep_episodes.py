"""The episodes of each trial on the sweep page: their values, players, and the command that records them."""

from collections.abc import Sequence

from daf.render.pages.parts import Code, Column, Folded, Part, Table, Text, cell
from daf.render.pages.replay_links import replay_cell
from daf.render.pages.run_facts import RunFacts
from daf.render.replays.players import recordings
from daf.render.text import printable, same_decimals
from daf.stats.sentences import counted, number
from daf.sweeps.analysis_columns import stored_config
from daf.sweeps.result import SweepResult, SweepTrialResult
from daf.sweeps.trial_episodes import TrialEpisode, evaluate_command, trial_episodes

MOST_ROWS = 5_000
"""The page lists the episodes of the best trials, until there are this many; a note counts the other trials."""
RECORD = "To play and record every episode of this trial (results come from the cache):"


def episodes_parts(result: SweepResult, facts: RunFacts) -> list[Part]:
    """One folded part for each trial that played episodes, the best first."""
    config, recorded = stored_config(result), recordings(facts.info.path)
    ranked = result.top_trials(len(result.trials))
    complete = {trial.trial_id for trial in ranked}
    played = [
        trial
        for trial in (*ranked, *(trial for trial in result.trials if trial.trial_id not in complete))
        if any(entry.get("values") for entry in trial.mission_results.values())
    ]
    parts: list[Part] = []
    rows = 0
    for place, trial in enumerate(played):
        episodes = trial_episodes(trial, facts.info.path, config, recorded)
        rows += len(episodes)
        if rows > MOST_ROWS:
            parts.append(Text([f"The episodes of {counted(len(played) - place, 'more trial')} are in trials.jsonl."]))
            break
        parts.append(_trial(trial, result.objectives[0], episodes, evaluate_command(trial, config), facts))
    return parts


def trial_key(trial: SweepTrialResult) -> str:
    """The anchor of the trial's episodes."""
    return f"trial-{trial.trial_id}"


def _trial(
    trial: SweepTrialResult, objective: str, episodes: Sequence[TrialEpisode], command: str | None, facts: RunFacts
) -> Folded:
    values = same_decimals([episode.value for episode in episodes])
    rows = [
        [
            cell(episode.mission),
            cell(episode.index),
            cell(episode.seed),
            cell(value),
            replay_cell(facts.info.path, episode.replay),
        ]
        for episode, value in zip(episodes, values, strict=True)
    ]
    columns = [
        Column("Mission"),
        Column("Episode", number=True),
        Column("Seed", number=True),
        Column(printable(objective), number=True),
        Column("Replay"),
    ]
    parts: list[Part] = [Table(columns, rows)]
    if command is not None:
        parts += [Text([RECORD], muted=True), Code(printable(command))]
    score = "" if trial.primary_metric is None else f": {objective} {number(trial.primary_metric)}"
    summary = f"Trial {trial.trial_id}{score}, {counted(len(episodes), 'episode')}"
    return Folded(printable(summary), trial_key(trial), parts)
