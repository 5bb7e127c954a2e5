"""Held-out section of the sweep page: held-out values of the best trials, next to the values that selected them."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from daf.render.pages.parts import Column, Part, Plot, Plots, Section, Sentences, Table, Text, cell
from daf.render.pages.plain import parts_of
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import estimates, interval, printable, same_decimals
from daf.render.theme import style
from daf.stats.sentences import p_text
from daf.storage.numbers import finite

_TAGS = {"better": "decided", "worse": "decided", "identical": "equal"}


def held_out_section(record: Mapping[str, Any]) -> list[Section]:
    """The section for `SweepResult.held_out`; a record of another shape is shown unchanged."""
    trials = _trials(record)
    if not trials:
        return [Section("held-out", "Held-out episodes", parts_of(record))]
    seed, episodes = record.get("seed"), record.get("episodes")
    known = seed is not None and episodes is not None
    which = f" ({episodes} on each mission, with seeds from {seed})" if known else ""
    text = f"The best trials and the default configuration, on episodes that played no part in the selection{which}."
    parts: list[Part] = [Text([text], muted=True)]
    compared = [trial for trial in trials if trial.get("sentence")]
    if compared:
        rows = []
        for trial in compared:
            verdict = str(trial.get("verdict", ""))
            tag = _TAGS.get(verdict, "open")
            rows.append((tag, "decided" if tag == "decided" else printable(verdict), printable(str(trial["sentence"]))))
        parts.append(Sentences(rows))
    parts += _figure(compared, str(record.get("difference_of") or record.get("objective", "objective")))
    parts.append(_table(trials, record))
    over_seeds = record.get("training_seeds")
    return [
        Section("held-out", "Held-out episodes", parts),
        *(_training_seeds(over_seeds, record) if isinstance(over_seeds, dict) else []),
    ]


def _training_seeds(over_seeds: Mapping[str, Any], record: Mapping[str, Any]) -> list[Section]:
    """The section for several training runs of the best configurations."""
    default = over_seeds.get("default")
    entries = [*_entries(over_seeds.get("trials")), *_entries([default])]
    objective = printable(str(record.get("objective", "objective")))
    scored = [entry for entry in entries if finite(entry.get("mean")) is not None]
    if not scored:
        return []
    parts: list[Part] = [
        Text(
            [
                "The best configurations and the default, each trained with the same new training seeds and evaluated "
                "on the held-out episodes."
            ],
            muted=True,
        ),
        *(Text([printable(str(text))]) for text in over_seeds.get("sentences", ())),
    ]
    rows = [
        IntervalRow(
            _configuration(entry),
            style(place),
            finite(entry.get("mean")),
            interval(*_ends(entry)),
            points={run: value for run, value in enumerate(_run_values(entry)) if value is not None},
        )
        for place, entry in enumerate(scored)
    ]
    figure = interval_figure(
        rows,
        axis_title=objective,
        description=f"{objective} of each configuration over training runs",
    )
    level = 100 * (1 - (finite(record.get("significance_level")) or 0.05))
    caption = "Points: training runs, joined where the seed is the same; "
    caption += f"bars: {level:g} % intervals of the mean (Student's t)."
    parts.append(Plots([Plot(f"{objective} over training runs", figure, caption, "full")]))
    means, bounds = estimates(
        [finite(entry.get("mean")) for entry in entries], [interval(*_ends(entry)) for entry in entries]
    )
    spreads = same_decimals([finite(entry.get("spread")) for entry in entries])
    runs = [_run_values(entry) for entry in entries]
    texts = iter(same_decimals([value for of_entry in runs for value in of_entry]))
    table = [
        [
            cell(_configuration(entry), strong=entry.get("trial") == over_seeds.get("winner")),
            cell(len(values)),
            cell(mean),
            cell(ci),
            cell(spread),
            cell(", ".join(itertools.islice(texts, len(values)))),
        ]
        for entry, values, mean, ci, spread in zip(entries, runs, means, bounds, spreads, strict=True)
    ]
    columns = [
        Column("Configuration"),
        Column("Training runs", number=True),
        Column("Mean", number=True),
        Column("Interval", number=True),
        Column("Standard deviation", number=True),
        Column("Values"),
    ]
    retrain = over_seeds.get("retrain")
    note = "Bold: the best over training runs." + (f" To train it again: {retrain}" if retrain else "")
    parts.append(Table(columns, table, note=printable(note)))
    return [Section("training-seeds", "Training seeds", parts)]


def _entries(entries: Any) -> list[Mapping[str, Any]]:
    return [e for e in entries if isinstance(e, dict) and "trial" in e] if isinstance(entries, list) else []


def _configuration(entry: Mapping[str, Any]) -> str:
    return "default" if entry["trial"] == -1 else f"trial {entry['trial']}"


def _run_values(entry: Mapping[str, Any]) -> list[float | None]:
    runs = entry.get("runs")
    return [finite(run.get("value")) for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []


def held_out_sentences(record: Mapping[str, Any] | None) -> list[str]:
    """The findings on held-out episodes, one sentence per trial, the best trial first."""
    if record is None:
        return []
    trials = sorted(_trials(record), key=lambda trial: trial.get("trial") != record.get("winner"))
    return [printable(str(trial["sentence"])) for trial in trials if trial.get("sentence")]


def _trials(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    trials = record.get("trials")
    found = [trial for trial in trials if isinstance(trial, dict)] if isinstance(trials, list) else []
    return [trial for trial in found if "trial" in trial and "value" in trial]


def _ends(trial: Mapping[str, Any]) -> tuple[float | None, float | None]:
    bounds = trial.get("ci")
    return (finite(bounds[0]), finite(bounds[1])) if isinstance(bounds, list) and len(bounds) == 2 else (None, None)


def _figure(trials: Sequence[Mapping[str, Any]], objective: str) -> list[Part]:
    rows = []
    for position, trial in enumerate(trials):
        difference, (low, high) = finite(trial.get("difference")), _ends(trial)
        if difference is not None:
            ci = None if low is None or high is None else (low, high)
            rows.append(IntervalRow(f"trial {trial['trial']}", style(position), difference, ci))
    if not rows:
        return []
    figure = interval_figure(
        rows,
        axis_title=printable(f"difference from the default configuration ({objective})"),
        description="Difference between each of the best trials and the default configuration on held-out episodes",
    )
    caption = "Lines: unadjusted intervals of the paired differences; verdicts are adjusted for the number of trials."
    return [Plots([Plot("Difference from the default configuration", figure, caption, "full")])]


def _table(trials: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> Table:
    rows = []
    default = record.get("default")
    played = [*trials, *([default] if isinstance(default, dict) else [])]
    columns_of_scores = [same_decimals([finite(one.get(key)) for one in played]) for key in ("in_the_sweep", "value")]
    scores = [list(map(cell, texts)) for texts in zip(*columns_of_scores, strict=True)]
    around = [interval(*_ends(one)) for one in trials]
    differences = estimates([finite(one.get("difference")) for one in trials], around)
    for trial, score, difference, ci in zip(trials, scores, *differences, strict=False):
        p, error = finite(trial.get("p_adjusted")), trial.get("error")
        rows.append(
            [
                cell(f"trial {trial['trial']}", strong=trial["trial"] == record.get("winner")),
                *score,
                cell(difference),
                cell(ci),
                cell(None if p is None else p_text(p).removeprefix("p").removeprefix("=")),
                cell(str(error) if error else "", tag="failed" if error else None),
            ]
        )
    if isinstance(default, dict):
        error = default.get("error")
        unknown = [cell(None)] * 3
        rows.append([cell("default"), *scores[-1], *unknown, cell(error or "", tag="failed" if error else None)])
    columns = [
        Column("Configuration"),
        Column("In the sweep", number=True),
        Column("Held out", number=True),
        Column("Difference", number=True),
        Column("Interval", number=True),
        Column("Adjusted p", number=True),
        Column("Error"),
    ]
    reason = record.get("default_failed")
    note = "Bold: the best on held-out episodes." + (
        f" The default configuration has no result: {reason}" if reason else ""
    )
    return Table(columns, rows, note=printable(note))
