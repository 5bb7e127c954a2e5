"""Held-out section of the sweep page: held-out values of the best trials, next to the values that selected them."""

from collections.abc import Mapping, Sequence
from typing import Any

from daf.render.pages.parts import Column, Part, Plot, Plots, Section, Sentences, Table, Text, cell
from daf.render.pages.plain import parts_of
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import bounds_text, interval, printable
from daf.render.theme import style
from daf.stats.sentences import half_width, number, p_text
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
    return [Section("held-out", "Held-out episodes", parts)]


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
    for trial in trials:
        low, high = _ends(trial)
        half = half_width(interval(low, high))
        difference, p = finite(trial.get("difference")), finite(trial.get("p_adjusted"))
        error = trial.get("error")
        rows.append(
            [
                cell(f"trial {trial['trial']}", strong=trial["trial"] == record.get("winner")),
                cell(_number(trial.get("in_the_sweep"))),
                cell(_number(trial.get("value"))),
                cell(None if difference is None else number(difference, half)),
                cell(bounds_text(interval(low, high))),
                cell(None if p is None else p_text(p).removeprefix("p").removeprefix("=")),
                cell(str(error) if error else "", tag="failed" if error else None),
            ]
        )
    default = record.get("default")
    if isinstance(default, dict):
        error = default.get("error")
        values = [cell(_number(default.get(key))) for key in ("in_the_sweep", "value")]
        unknown = [cell(None)] * 3
        rows.append([cell("default"), *values, *unknown, cell(error or "", tag="failed" if error else None)])
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


def _number(value: object) -> str | None:
    found = finite(value)
    return None if found is None else number(found)
