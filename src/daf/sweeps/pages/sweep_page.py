"""The page of a sweep: failures, the best trial and its uncertainty, the search, importance, and all trials."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from daf.output_manager.kinds import run_of
from daf.render.pages.files import SWEEP, pages_of, write_pages
from daf.render.pages.parts import Alert, Cell, Column, RunPage, Section, Table, cell
from daf.render.pages.run_facts import RunFacts, ending_alerts, facts_of, shown, subtitle_of, what_was_run
from daf.render.replays.players import player_of, recordings, write_players
from daf.render.text import duration, printable, same_decimals
from daf.stats.sentences import counted, number
from daf.storage.printable import printable_lines
from daf.sweeps.held_out_summary import held_out_finding
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
    sections = [
        *_best(result, watched := _watched(facts.info.path)),
        *([] if result.held_out is None else held_out_section(result.held_out)),
        *history_section(result),
        *front_section(result),
        *importance_section(result, importances),
        *hyperparameter_section(result, _logarithms(facts)),
        *space_sections(result, ranking(importances)),
        *cost_section(result),
        *_trials(result, facts, watched),
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


def _best(result: SweepResult, watched: Mapping[str, tuple[str, str]]) -> list[Section]:
    top = result.top_trials(TOP)
    if not top:
        return []
    names, folders = hyperparameter_names(top), any(trial.run_dir for trial in top)
    scores = [same_decimals([trial.values[position] for trial in top]) for position in range(len(result.objectives))]
    rows = [
        [
            cell(trial.trial_id),
            *(cell(column[place]) for column in scores),
            *(cell(_value(trial.hyperparameters[name]) if name in trial.hyperparameters else None) for name in names),
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
        *([Column("Last replay")] if watched else []),
    ]
    return [Section("best", "Best trials", [Table(columns, rows)])]


def _trials(result: SweepResult, facts: RunFacts, watched: Mapping[str, tuple[str, str]]) -> list[Section]:
    listed = result.trials[: MOST_CELLS // (6 + len(result.objectives) + len(hyperparameter_names(result.trials)))]
    if not listed:
        return []
    names, folders = hyperparameter_names(listed), any(trial.run_dir for trial in listed)
    tags = {"complete": "ok", "failed": "failed"}
    rows = []
    scores = [
        same_decimals([trial.values[position] if position < len(trial.values) else None for trial in listed])
        for position in range(len(result.objectives))
    ]
    for place, trial in enumerate(listed):
        rows.append(
            [
                cell(trial.trial_id),
                cell(trial.status, tag=tags.get(trial.status, "open")),
                *(cell(column[place]) for column in scores),
                *(cell(_value(trial.hyperparameters[n]) if n in trial.hyperparameters else None) for n in names),
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
        *([Column("Last replay")] if watched else []),
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


def _watched(folder: Path) -> dict[str, tuple[str, str]]:
    """By the directory of a trial, how the page names its last recording, and the player or the recording itself."""
    found: dict[str, tuple[str, str]] = {}
    for replay in recordings(folder):
        place = replay.partition("/replays/")[0]
        player = player_of(folder, replay)
        if place != "replays":
            found.setdefault(place, ("recording", replay) if player is None else ("play", player))
    return found


def _replay(trial: SweepTrialResult, watched: Mapping[str, tuple[str, str]]) -> Cell:
    name, link = watched.get(f"trials/{_folder(trial).text.removeprefix('trials/')}", (None, None))
    return cell(name, link=link)


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
    if len(result.objectives) > 1:
        notes.append(
            (
                "Pareto front",
                "Trials for which no complete trial is better in one objective without being worse in another.",
            )
        )
    return notes
