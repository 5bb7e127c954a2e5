"""The page of a variant sweep: the effect of each variant, what could not be played, and interactions of pairs."""

from collections.abc import Sequence
from pathlib import Path

from daf.errors import DataError
from daf.output_manager.kinds import read_json, run_of
from daf.render.pages.files import pages_of, write_pages
from daf.render.pages.parts import (
    Alert,
    Cell,
    Column,
    Part,
    Plot,
    Plots,
    RunPage,
    Section,
    Sentences,
    Table,
    Text,
    cell,
)
from daf.render.pages.run_facts import RunFacts, ending_alerts, facts_of, subtitle_of, what_was_run
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import estimates, printable, same_decimals
from daf.render.theme import style
from daf.stats.sentences import counted, half_width, number, p_text
from daf.sweeps.variants_result import FORMAT, VariantResult, VariantSweepResult

FILE = "variants.json"
_DECIDED = ("raises", "lowers")


def write_variants_page(run_dir: Path) -> None:
    """Write the page of the variant sweep in `run_dir`."""
    write_pages(run_dir, pages_of(variants_page(facts_of(run_of(run_dir)))))


def variants_page(facts: RunFacts) -> RunPage:
    """Build the page of the variant sweep in a run directory. Raises `DataError` if its result is not one."""
    data = read_json(facts.info.path / FILE)
    if data is None or data.get("format") != FORMAT:
        raise DataError(f"{facts.info.path / FILE} is not a result of a variant sweep (format {FORMAT}).")
    result = VariantSweepResult.from_data(data)
    unit = printable("reward per agent" if result.metric == "reward" else result.metric)
    singles = [row for row in result.played if len(row.variants) == 1]
    pairs = [row for row in result.played if len(row.variants) > 1]
    sections = [
        *_section("variants", "Single variants", singles, unit),
        *_section("pairs", "Pairs of variants", pairs, unit),
        *_refused(result),
        what_was_run(facts),
    ]
    decided = [row for row in result.played if row.verdict in _DECIDED]
    strongest = max(decided, key=lambda row: abs(row.difference or 0.0)) if decided else None
    finding = (
        strongest.sentence
        if strongest is not None
        else f"No variant differs significantly from {result.mission}, with {counted(result.episodes, 'episode')} each."
    )
    return RunPage(
        title=printable(f"{result.policy} across variants of {result.mission}"),
        subtitle=subtitle_of(facts.info),
        chips=[
            printable(f"base mission: {'–' if result.base_mean is None else number(result.base_mean)} {unit}"),
            f"{counted(result.episodes, 'episode')} each, seeds from {result.seed}",
            f"{len(result.played)} of {len(result.rows)} played",
        ],
        alerts=[*ending_alerts(facts), *(Alert(printable(note), bad=result.status != "ok") for note in result.notes)],
        finding=printable(finding),
        sections=sections,
        reading=[
            ("Difference", "With the variant less without, paired by seed; negative if the variant lowers the metric."),
            (
                "Adjusted p",
                "Sign-flip test on paired episodes, Holm over all variants and pairs: the probability of any false "
                f"verdict on this page is at most {result.alpha:g}.",
            ),
            (
                "Interaction",
                "The effect of two variants together less the sum of their single effects: an estimate with an "
                "interval, not tested.",
            ),
        ],
    )


def _section(key: str, title: str, rows: Sequence[VariantResult], unit: str) -> list[Section]:
    if not rows:
        return []
    figure = interval_figure(
        [IntervalRow(printable(row.name), style(0), row.difference, row.ci) for row in rows],
        axis_title=f"change in {unit}",
        description=f"Effect of each on {unit}, with intervals",
    )
    few = " Without a line: too few episodes for an interval." if any(row.ci is None for row in rows) else ""
    n = sorted({row.n for row in rows})
    count = f"n = {n[0]}" if len(n) == 1 else f"n = {n[0]} to {n[-1]}"
    caption = f"With the variant less without; lines: 95 % intervals by inversion of the sign-flip test, {count}.{few}"
    tags = {"raises": "decided", "lowers": "decided", "identical": "equal"}
    parts: list[Part] = [
        Sentences([(tags.get(row.verdict, "open"), row.verdict, printable(row.sentence)) for row in rows]),
        Plots([Plot(f"Change in {unit}", figure, caption, "full")]),
        _table(rows),
    ]
    return [Section(key, title, parts)]


def _table(rows: Sequence[VariantResult]) -> Table:
    paired = any(row.together is not None for row in rows)
    names = ["Base", "With variant", "Difference", "95 % interval", "Adjusted p", "n", "More / same / less"]
    names += ["Interaction", "Interaction interval"] if paired else []
    columns = [Column("Variant"), *(Column(name, number=True) for name in names)]
    bounds = [row.ci for row in rows]
    halves = list(map(half_width, bounds))
    texts = [same_decimals([getattr(row, name) for row in rows], halves) for name in ("base", "mean")]
    texts += estimates([row.difference for row in rows], bounds)
    together = estimates([row.together for row in rows], [row.together_ci for row in rows]) if paired else ()
    cells = [_cells(row, numbers) for row, *numbers in zip(rows, *texts, strict=True)]
    for line, *more in zip(cells, *together, strict=True):
        line += map(cell, more)
    return Table(columns, cells)


def _cells(row: VariantResult, numbers: Sequence[str]) -> list[Cell]:
    p = None if row.p_adjusted is None else p_text(row.p_adjusted).removeprefix("p").removeprefix("=").strip()
    counts = f"{row.more} / {row.same} / {row.less}"
    return [cell(row.name, code=True), *map(cell, numbers), cell(p), cell(row.n), cell(counts)]


def _refused(result: VariantSweepResult) -> list[Section]:
    rows = [[cell(row.name, code=True), cell(row.reason)] for row in result.rows if row.refused]
    if not rows:
        return []
    parts: list[Part] = [
        Text(["These are excluded from all comparisons."], muted=True),
        Table([Column("Variant"), Column("Reason")], rows),
    ]
    return [Section("refused", "Not compared", parts)]
