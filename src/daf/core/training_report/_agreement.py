"""Where the student does what its teacher does, on the page of a training run."""

from collections.abc import Sequence
from pathlib import Path

from daf.core.agreement import Agreement, Share, read_agreement
from daf.render.pages.parts import Column, Part, Section, Table, Text, cell
from daf.stats.sentences import counted

NOTE = (
    "Labelled states of episodes that the student led, other than those of training. Agreement: the student's most "
    "probable action is the teacher's."
)


def agreement_section(run_dir: Path) -> list[Section]:
    """The section; empty if the agreement was not measured."""
    found = read_agreement(run_dir)
    if found is None:
        return []
    parts: list[Part] = [Text([agreement_sentence(found)])]
    for what, shares in (("Teacher's action", found.actions), ("Role", found.roles), ("Agent", found.agents)):
        if shares:
            parts.append(_table(what, shares))
    return [Section("agreement", f"Agreement with {found.teacher}", parts)]


def agreement_sentence(found: Agreement) -> str:
    """The whole agreement as a sentence."""
    loops = "" if found.looping is None else f" Students loop in {100 * found.looping:.1f} % of the time."
    new = ""
    if found.new_views is not None:
        views = counted(found.new_views.states, "view")
        new = f", and in {100 * found.new_views.agreement:.1f} % of the {views} that an agent had for the first time"
    return (
        f"In {counted(found.states, 'labelled state')} of {counted(found.episodes, 'episode')} that it leads, the "
        f"policy agrees with {found.teacher} in {100 * found.agreement:.1f} %{new}.{loops}"
    )


def _table(what: str, shares: Sequence[Share]) -> Table:
    columns = [Column(what), Column("States", number=True), Column("Agreement", number=True)]
    rows = [[cell(one.name), cell(f"{one.states:,}"), cell(f"{100 * one.agreement:.1f} %")] for one in shares]
    return Table(columns, rows, note=NOTE if what == "Teacher's action" else "")
