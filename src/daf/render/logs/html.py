"""Interactive pages of a log: one self-contained file each, plotly embedded once, byte-for-byte reproducible."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from daf.render.logs._plots import heatmap_part, rewards_part, statistics_parts
from daf.render.logs.data import LogTables, pack, sampling
from daf.render.logs.tables import alerts, components_table, headline, tables
from daf.render.pages.html import page
from daf.render.pages.parts import FILTER_ROWS, Section


def rewards_page(log: LogTables, name: str, *, smooth_window: int | None = None) -> str:
    """Rewards over training, interactive."""
    return _page(f"Rewards: {name}", log, [rewards_part([log], [name], smooth_window)], with_tables=False)


def heatmap_page(log: LogTables, name: str) -> str:
    """Visits, interactive: all maps or one."""
    return _page(f"Visits: {name}", log, [heatmap_part(log, "visits")], with_tables=False)


def report_page(
    log: LogTables, name: str, *, smooth_window: int | None = None, sections: Sequence[Section] = ()
) -> str:
    """Everything about a log on one page. sections: those that follow, such as how the run was made."""
    figures = [rewards_part([log], [name], smooth_window), heatmap_part(log, "visits"), *statistics_parts(log)]
    return _page(f"Training log: {name}", log, figures, with_tables=True, sections=sections)


def comparison_page(logs: Sequence[LogTables], names: Sequence[str], smooth_window: int | None = None) -> str:
    """Several logs side by side."""
    import pandas as pd

    figures = [rewards_part(logs, names, smooth_window)]
    canvas = pack(pd.concat([log.visits for log in logs]))
    for index, (log, name) in enumerate(zip(logs, names, strict=True)):
        part = heatmap_part(log, f"visits{index}", canvas)
        figures.append({**part, "heading": f"{part['heading']}: {name}"})
    chips = [f"{name}: {log.records:,} records" for log, name in zip(logs, names, strict=True)]
    rows = [replace(components_table(log), heading=f"Rewards: {name}") for log, name in zip(logs, names, strict=True)]
    said = [f"{name}: {alert}" for log, name in zip(logs, names, strict=True) for alert in alerts(log)]
    return _render(f"Training logs: {' and '.join(names)}", "", chips, said, figures, rows)


def _page(
    title: str,
    log: LogTables,
    figures: list[dict[str, Any]],
    *,
    with_tables: bool,
    sections: Sequence[Section] = (),
) -> str:
    rows = tables(log) if with_tables else []
    return _render(title, sampling(log), headline(log), alerts(log), figures, rows, sections)


def _render(
    title: str,
    subtitle: str,
    chips: Sequence[str],
    warnings: Sequence[str],
    figures: Sequence[Any],
    rows: Sequence[Any],
    sections: Sequence[Section] = (),
) -> str:
    from plotly.offline import get_plotlyjs

    view = {
        "title": title,
        "subtitle": subtitle,
        "chips": chips,
        "alerts": warnings,
        "figures": figures,
        "tables": rows,
        "sections": sections,
        "filter_rows": FILTER_ROWS,
        "plotly": Markup(get_plotlyjs()),
    }
    return page("logs_page.html.j2", view)
