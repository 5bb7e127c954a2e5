"""The page of a sweep: failures, the best trial and its uncertainty, the search, importance, and all trials."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from daf.output_manager.kinds import run_of
from daf.render.pages.files import SWEEP, pages_of, write_pages
from daf.render.pages.parts import Alert, Cell, Column, Folded, RunPage, Section, Table, cell
from daf.render.pages.run_facts import (
    RunFacts,
    ending_alerts,
    facts_of,
    setting_column,
    shown,
    subtitle_of,
    what_was_run,
)
from daf.render.replays.players import player_of, recordings, write_players
from daf.render.text import duration, printable, same_decimals
from daf.stats.sentences import counted, number
from daf.storage.printable import printable_lines
from daf.sweeps.held_out_summary import held_out_finding
from daf.sweeps.pages._sweep_episodes import episodes_parts, trial_key
from daf.sweeps.pages._sweep_figures import front_section, history_section, hyperparameter_section
from daf.sweeps.pages._sweep_held_out import held_out_section, held_out_sentences
from daf.sweeps.pages._sweep_importance import importance_section, importances_of, ranking
from daf.sweeps.pages._sweep_space import cost_section, space_sections
from daf.sweeps.result import SweepResult, SweepTrialResult, Value, hyperparameter_names

MOST_CELLS = 60_000
"""If the table of all trials would have more cells, the page omits some of them."""
TOP = 10


def write_sweep_page(run_dir: Path) -> None:
    """Write the page of the sweep in `run_dir`, from its files."""
    write_players(run_dir, recordings(run_dir))
    write_pages(run_dir, pages_of(sweep_page(SweepResult.load(run_dir), facts_of(run_of(run_dir)))), SWEEP)


def sweep_page(result: SweepResult, facts: RunFacts) -> RunPage:
    """Build the page of `result`."""
    counts = result.counts()
    importances = importances_of(result)
    watched = _watched(facts.info.path)
    played = episodes_parts(result, facts)
    shown_trials = {part.key for part in played if isinstance(part, Folded)}
    sections = [
        *_best(result, watched, shown_trials),
        *([] if result.held_out is None else held_out_section(result.held_out)),
        *history_section(result),
        *front_section(result),
        *importance_section(result, importances),
        *hyperparameter_section(result, _logarithms(facts)),
        *space_sections(result, ranking(importances)),
        *cost_section(result),
        *_trials(result, facts, watched, shown_trials),
        *([Section("episodes", "Episodes by trial", played)] if played else []),
        what_was_run(facts),
    ]
    return RunPage(
        title=printable(result.name or facts.info.title),
        subtitle=subtitle_of(facts.info),
        chips=[
            f"{len(result.trials):,} of {result.planned:,} trials"
            if result.planned
            else f"{len(result.trials):,} trials",
            *(f"{count:,} {status}" for status, count in counts.items() if count),
            *([printable(result.strategy)] if result.strategy else []),
            *(
                printable(f"{direction} {name}")
                for name, direction in zip(result.objectives, result.directions, strict=True)
            ),
        ],
        alerts=_alerts(result, facts),
        finding=_finding(result),
        sections=sections,
        reading=_reading(result),
    )


def _alerts(result: SweepResult, facts: RunFacts) -> list[Alert]:
    alerts = list(ending_alerts(facts))
    reasons = Counter(trial.reason or "no reason recorded" for trial in result.failed)
    for reason, count in reasons.most_common(8):
        first, _, rest = reason.partition("\n")
        trials = [str(trial.trial_id) for trial in result.failed if (trial.reason or "no reason recorded") == reason]
        listed = f"Trials {', '.join(trials[:40])}" + (f" and {count - 40} more" if count > 40 else "")
        alerts.append(
            Alert(
                f"{counted(count, 'trial')} failed: {printable(first)}",
                bad=True,
                detail=printable_lines(f"{listed}\n{rest}".strip()),
            )
        )
    if len(reasons) > 8:
        alerts.append(
            Alert(f"See the table of trials for {counted(len(reasons) - 8, 'more reason')} of failure.", bad=True)
        )
    findings = {*held_out_sentences(result.held_out)}
    notes = [note for note in result.notes if printable(note) not in findings and " trials failed; " not in note]
    return [*alerts, *(Alert(printable(note)) for note in notes)]


def _finding(result: SweepResult) -> str:
    best = result.top_trials(1)
    if not best:
        return "No trial is complete."
    trial = best[0]
    settings = ", ".join(f"{name} = {_value(value)}" for name, value in trial.hyperparameters.items())
    text = f"Trial {trial.trial_id} is the best of {_complete(result)} in the sweep: {result.objectives[0]} "
    text += number(trial.values[0]) + (f" with {settings}." if settings else ".")
    found = held_out_sentences(result.held_out)
    if not found:
        text += (
            " The value is biased upwards, because it selected the trial; the trial was not played on held-out seeds."
        )
    summary = held_out_finding(result.held_out or {})
    return printable(" ".join([text, *([summary] if summary else []), *found[:1]]))


def _complete(result: SweepResult) -> str:
    return counted(len(result.finished), "complete trial")


def _best(result: SweepResult, watched: Mapping[int, tuple[str, str]], shown_trials: Collection[str]) -> list[Section]:
    top = result.top_trials(TOP)
    if not top:
        return []
    names, folders = hyperparameter_names(top), any(trial.run_dir for trial in top)
    scores = [same_decimals([trial.values[position] for trial in top]) for position in range(len(result.objectives))]
    settings = [setting_column([trial.hyperparameters.get(name) for trial in top]) for name in names]
    rows = [
        [
            _number(trial, shown_trials),
            *(cell(column[place]) for column in scores),
            *(cell(column[place]) for column in settings),
            *([_folder(trial)] if folders else []),
            *([_replay(trial, watched)] if watched else []),
        ]
        for place, trial in enumerate(top)
    ]
    columns = [
        Column("Trial", number=True),
        *(Column(printable(name), number=True) for name in result.objectives),
        *_columns(names, top),
        *([Column("Run")] if folders else []),
        *([Column("Replay")] if watched else []),
    ]
    return [Section("best", "Best trials", [Table(columns, rows)])]


def _trials(
    result: SweepResult,
    facts: RunFacts,
    watched: Mapping[int, tuple[str, str]],
    shown_trials: Collection[str],
) -> list[Section]:
    listed = result.trials[: MOST_CELLS // (6 + len(result.objectives) + len(hyperparameter_names(result.trials)))]
    if not listed:
        return []
    names, folders = hyperparameter_names(listed), any(trial.run_dir for trial in listed)
    tags = {"complete": "ok", "failed": "failed", "infeasible": "failed"}
    rows = []
    scores = [
        same_decimals([trial.values[position] if position < len(trial.values) else None for trial in listed])
        for position in range(len(result.objectives))
    ]
    settings = [setting_column([trial.hyperparameters.get(name) for trial in listed]) for name in names]
    for place, trial in enumerate(listed):
        rows.append(
            [
                _number(trial, shown_trials),
                cell(trial.status, tag=tags.get(trial.status, "open")),
                *(cell(column[place]) for column in scores),
                *(cell(column[place]) for column in settings),
                cell(None if trial.seconds is None else duration(trial.seconds)),
                cell(trial.source),
                cell(_short(trial.reason or "")),
                *([_folder(trial)] if folders else []),
                *([_replay(trial, watched)] if watched else []),
            ]
        )
    columns = [
        Column("Trial", number=True),
        Column("Status", choice=True),
        *(Column(printable(name), number=True) for name in result.objectives),
        *_columns(names, listed),
        Column("Duration"),
        Column("Source", choice=True),
        Column("Reason", prose=True),
        *([Column("Run")] if folders else []),
        *([Column("Replay")] if watched else []),
    ]
    left = len(result.trials) - len(listed)
    note = [
        _episodes(facts),
        printable(result.step_limits_text()),
        f"{left:,} more are in trials.jsonl." if left else "",
    ]
    return [Section("trials", "Trials", [Table(columns, rows, note=" ".join(text for text in note if text))])]


def _logarithms(facts: RunFacts) -> set[str]:
    space = facts.config.get("search_space")
    found = space.items() if isinstance(space, dict) else ()
    return {str(name) for name, searched in found if isinstance(searched, dict) and searched.get("log")}


def _episodes(facts: RunFacts) -> str:
    seed, count = facts.config.get("seed"), facts.config.get("episodes_per_trial")
    if not isinstance(seed, int) or not isinstance(count, int):
        return ""
    seeds = f"seeds {seed} to {seed + count - 1}" if count > 1 else f"seed {seed}"
    return f"Every trial was evaluated on the same episodes of each mission: {seeds}."


def _value(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shown(value)


def _columns(names: Sequence[str], trials: Sequence[SweepTrialResult]) -> list[Column]:
    def numeric(name: str) -> bool:
        values = [trial.hyperparameters[name] for trial in trials if name in trial.hyperparameters]
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)

    return [Column(printable(name), number=numeric(name), choice=not numeric(name)) for name in names]


def _folder(trial: SweepTrialResult) -> Cell:
    place = trial.run_dir or ""
    name = place.rstrip("/").rpartition("/trials/")[2] if "/trials/" in place else place.removeprefix("trials/")
    if not place or "/" in name:
        return cell(place)
    return cell(f"trials/{name}", link=f"trials/{name}")


def _watched(folder: Path) -> dict[int, tuple[str, str]]:
    """By trial, how the page names a recording of it, and the player or the recording itself.

    It is one of the trial's episodes, else of the last evaluation in its training.
    """
    found: dict[int, tuple[str, str]] = {}
    by_kind = sorted(recordings(folder), key=lambda replay: not replay.startswith("replays/"))
    for replay in by_kind:
        number = re.match(r"(?:replays/trial_|trials/)(\d+)/", replay)
        player = player_of(folder, replay)
        if number is not None:
            found.setdefault(int(number[1]), ("recording", replay) if player is None else ("play", player))
    return found


def _replay(trial: SweepTrialResult, watched: Mapping[int, tuple[str, str]]) -> Cell:
    name, link = watched.get(trial.trial_id, (None, None))
    return cell(name, link=link)


def _number(trial: SweepTrialResult, shown_trials: Collection[str]) -> Cell:
    key = trial_key(trial)
    return cell(trial.trial_id, anchor=key if key in shown_trials else None)


def _short(reason: str) -> str:
    first = reason.partition("\n")[0]
    return first if len(first) <= 160 else f"{first[:159]}…"


def _reading(result: SweepResult) -> list[tuple[str, str]]:
    notes = [
        (
            "The winner's curse",
            "The best of many noisy values is biased upwards, and more so with more trials. Only episodes that played "
            "no part in the selection (held-out seeds) give an unbiased value.",
        ),
        (
            "Stopped trials",
            "A trial that was stopped early has the value at which it was stopped, and is not compared with others.",
        ),
    ]
    if result.infeasible:
        notes.append(
            (
                "Infeasible trials",
                "A trial that violates a constraint keeps its values, but is never best and not compared with others.",
            )
        )
    if len(result.objectives) > 1:
        notes.append(
            (
                "Pareto front",
                "Trials for which no complete trial is better in one objective without being worse in another.",
            )
        )
    return notes
