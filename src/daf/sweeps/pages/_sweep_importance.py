"""Importance section of the sweep page: values with intervals, next to the level that chance reaches."""

from collections.abc import Sequence

from daf.errors import DataError
from daf.render.pages.parts import Column, Part, Plot, Plots, Section, Table, Text, cell
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import printable
from daf.render.theme import style
from daf.stats.sentences import number
from daf.sweeps.importance import Importances, daf_sweep_importance
from daf.sweeps.result import SweepResult

_TITLES = {"pedanova": "PED-ANOVA: what the best trials have in common", "fanova": "fANOVA: share of the variance"}
Found = Sequence[Importances | str]
"""The importances, or the reason why there are none."""


def importances_of(result: SweepResult) -> Found:
    """Both measures for the primary objective, PED-ANOVA for the others, or the reason why there is none."""
    found: list[Importances | str] = []
    asked = [("pedanova", result.objectives[0]), ("fanova", result.objectives[0])]
    asked += [("pedanova", name) for name in result.objectives[1:]]
    for method, objective in asked:
        try:
            found.append(daf_sweep_importance(result, method, objective=objective))  # type: ignore[arg-type]
        except DataError as error:
            if str(error) not in found:
                found.append(str(error))
    return found


def ranking(found: Found) -> list[str]:
    """Hyperparameters by their importance for the primary objective; [] if there is none."""
    first = next((one for one in found if isinstance(one, Importances)), None)
    return [] if first is None else [row.name for row in first.rows]


def importance_section(result: SweepResult, found: Found) -> list[Section]:
    """The section; empty if no trial is complete."""
    if not result.finished:
        return []
    parts: list[Part] = []
    for one in found:
        if isinstance(one, str):
            parts.append(Text([printable(one)], muted=True))
            continue
        parts.append(Text([_sentence(one)]))
        rows = [IntervalRow(printable(r.name), style(0), r.value, (r.low, r.high), iqm=r.noise) for r in one.rows[:20]]
        title = _TITLES[one.method] + (f" ({printable(one.objective)})" if len(result.objectives) > 1 else "")
        axis = "divergence of the best trials" if one.method == "pedanova" else "share of the variance"
        figure = interval_figure(rows, axis_title=axis, description=printable(f"Importance for {one.objective}"))
        parts += [Plots([Plot(title, figure, one.how, "full")]), _table(one)]
    parts.append(
        Text(
            [
                "Importance describes the region that was searched; adaptive strategies sample good regions more "
                "densely. "
                "A random search gives the importance in the whole space."
            ],
            muted=True,
        )
    )
    return [Section("importance", "Hyperparameter importance", parts)]


def _sentence(one: Importances) -> str:
    beyond = [row.name for row in one.rows if row.significant]
    what = "the values of the best trials" if one.method == "pedanova" else "the variance explained"
    if not beyond:
        return printable(f"{one.objective}: by {what}, no hyperparameter matters beyond chance.")
    return printable(
        f"{one.objective}: by {what}, {_listed(beyond)} matter{'s' if len(beyond) == 1 else ''} beyond chance."
    )


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:5]) + ([f"{len(names) - 5} more"] if len(names) > 5 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _table(one: Importances) -> Table:
    shares = one.method == "pedanova"
    rows = []
    for row in one.rows:
        half = (row.high - row.low) / 2
        values = [number(value, half) for value in (row.value, row.low, row.high, row.noise)]
        verdict = cell("beyond chance", tag="decided") if row.significant else cell("not significant", tag="open")
        rows.append(
            [
                cell(row.name, code=True),
                cell(values[0]),
                cell(f"{values[1]} to {values[2]}"),
                cell(values[3]),
                *([cell(None if row.share is None else f"{row.share:.0%}")] if shares else []),
                cell(f"{row.trials:,}"),
                verdict,
            ]
        )
    names = ["Value", "95 % interval", "Chance level", *(["Share"] if shares else []), "Trials"]
    columns = [Column("Hyperparameter"), *(Column(name, number=True) for name in names), Column("Verdict")]
    left = "; ".join(f"{name}: {reason}" for name, reason in one.left_out.items())
    return Table(columns, rows, note=printable(f"Without a value: {left}" if left else ""), folded="Values")
