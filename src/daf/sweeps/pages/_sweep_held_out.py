"""Held-out section of the sweep page: held-out values of the best trials, next to the values that selected them."""

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
