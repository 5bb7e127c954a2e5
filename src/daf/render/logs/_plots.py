"""The interactive plots of a log, as data for plotly: curves with their bands, visits, returns, shares.

plotly itself is not imported. Names from the log are escaped for plotly's markup, and the JSON cannot close the script
element around it.
"""

import html
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from daf.render import theme
from daf.render.logs.data import Canvas, LogTables, axis_label, curve, pack, sampling, series

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_SHOWN = 1_500
"""Dots per panel: the first of the sample in hash order, which are a uniform sample of it."""
MAPS_OFFERED = 40


def rewards_part(logs: Sequence[LogTables], names: Sequence[str], smooth_window: int | None) -> dict[str, Any]:
    """A panel for each reward column, with every log in it."""
    columns = list(dict.fromkeys(str(c) for log in logs for c in log.components.index))
    across = min(3, len(columns)) or 1
    down = -(-len(columns) // across) or 1
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "template": theme.plotly_template(),
        "grid": {"rows": down, "columns": across, "pattern": "independent", "ygap": 0.32, "xgap": 0.12},
        "margin": {"l": 50, "r": 16, "t": 60, "b": 44},
        "showlegend": len(logs) > 1,
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "yref": "container", "x": 0, "yshift": -20},
        "annotations": [],
        "hovermode": "closest",
    }
    layout["legend"] = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1 + 0.12 / down, "yanchor": "bottom"}
    for position, column in enumerate(columns):
        axis = "" if position == 0 else str(position + 1)
        layout[f"xaxis{axis}"] = {"tickformat": "~s", "title": {"text": "", "standoff": 4}}
        if position + across >= len(columns):
            layout[f"xaxis{axis}"]["title"] = {"text": axis_label(logs[0]), "font": {"size": 11}, "standoff": 6}
        layout["annotations"].append(
            {
                "text": f"<b>{html.escape(column)}</b>",
                "xref": f"x{axis} domain",
                "yref": f"y{axis} domain",
                "x": 0,
                "y": 1.0,
                "yanchor": "bottom",
                "xanchor": "left",
                "showarrow": False,
            }
        )
        for index, (log, name) in enumerate(zip(logs, names, strict=True)):
            if column in log.components.index:
                color = (theme.style(index) if len(logs) > 1 else series(log)[column]).color()
                data += _reward_traces(log, column, name, axis, color, smooth_window, alone=len(logs) == 1)
                data[-1]["showlegend"] = position == 0
    shown = min(SAMPLE_SHOWN, min((len(log.sample) for log in logs), default=0))
    dots = f" Dots: {shown:,} records of the uniform sample." if len(logs) == 1 else ""
    return _part(
        "rewards",
        "Rewards over training",
        data,
        layout,
        250 * down + 100,
        f"{'; '.join(sampling(log) for log in logs)}. Lines: means of all records per bin of training time, smoothed; "
        f"bands: ± 1 standard deviation of the records in a bin.{dots} Drag to zoom, double click to return.",
    )


def _reward_traces(
    log: LogTables, column: str, name: str, axis: str, color: str, smooth_window: int | None, *, alone: bool
) -> list[dict[str, Any]]:
    line = curve(log, column, smooth_window=smooth_window)
    where = {"xaxis": f"x{axis}", "yaxis": f"y{axis}", "legendgroup": html.escape(name)}
    traces: list[dict[str, Any]] = []
    if alone and column in log.sample:
        dots = log.sample.head(SAMPLE_SHOWN)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": _list(dots["time"]),
                "y": _list(dots[column]),
                "marker": {"size": 2.5, "color": color, "opacity": 0.25},
                "hoverinfo": "skip",
                "showlegend": False,
                **where,
            }
        )
    low, high = line.mean - line.sd, line.mean + line.sd
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": [*_list(line.middle), *_list(line.middle)[::-1]],
            "y": [*_list(high), *_list(low)[::-1]],
            "fill": "toself",
            "fillcolor": _transparent(color, 0.18),
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
            **where,
        }
    )
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": html.escape(name),
            "x": _list(line.middle),
            "y": _list(line.smooth),
            "line": {"width": 2, "color": color, "dash": "solid"},
            "customdata": [[n, m, s] for n, m, s in zip(_list(line.n), _list(line.mean), _list(line.sd), strict=True)],
            "hovertemplate": f"{html.escape(name)}<br>%{{x:,.0f}}: %{{y:.4g}}<br>bin mean %{{customdata[1]:.4g}}, "
            "SD %{customdata[2]:.3g}, n = %{customdata[0]:,}<extra></extra>",
            **where,
        }
    )
    return traces


def heatmap_part(log: LogTables, identity: str, canvas: Canvas | None = None) -> dict[str, Any]:
    """All maps on one canvas (`canvas`, if logs share one), and single maps from a menu; colours are logarithmic."""
    canvas = canvas or pack(log.visits)
    maps = [int(m) for m in log.maps["map"].head(MAPS_OFFERED)]
    data: list[dict[str, Any]] = []
    labels: list[str] = []
    most = max(int(log.visits["visits"].max()), 2) if len(log.visits) else 2
    if canvas is not None and len(log.visits):
        column, row = canvas.positions(log.visits)
        data.append(_cells(log.visits, column, row, most))
        labels.append(f"all {len(canvas.places)} maps")
    for m in maps:
        cells = log.visits[log.visits["map"] == m]
        data.append(_cells(cells, cells["x"].to_numpy(), cells["y"].to_numpy(), most))
        labels.append(f"map {m}")
    for index, trace in enumerate(data):
        trace["visible"] = index == 0
    buttons = [
        {"label": label, "method": "restyle", "args": [{"visible": [other == index for other in range(len(data))]}]}
        for index, label in enumerate(labels)
    ]
    layout = {
        "template": theme.plotly_template(),
        "margin": {"l": 50, "r": 16, "t": 50, "b": 44},
        "yaxis": {
            "autorange": "reversed",
            "scaleanchor": "x",
            "title": {"text": "y (tiles, downwards)"},
            "showgrid": False,
        },
        "xaxis": {"title": {"text": "x (tiles)"}, "constrain": "domain", "showgrid": False},
        "updatemenus": [
            {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"b": 6}}
        ],
    }
    packed = "On the joint canvas maps are packed by size, not by their place in the world. " if canvas else ""
    left_out = (
        f"The {MAPS_OFFERED} most visited of {len(log.maps)} maps are in the menu. "
        if len(log.maps) > MAPS_OFFERED
        else ""
    )
    return _part(
        identity,
        "Where the agents went",
        data,
        layout,
        640,
        f"n = {int(log.visits['visits'].sum()) if len(log.visits) else 0:,} visits, all records; colours on a log "
        f"scale, white is in no record. {packed}{left_out}",
    )


def _cells(cells: "pd.DataFrame", column: Any, row: Any, most: int) -> dict[str, Any]:
    """One heatmap of the visited cells at (column, row), limited to their bounding box."""
    left, top = int(column.min()), int(row.min())
    width, height = int(column.max()) - left + 1, int(row.max()) - top + 1
    if width * height > 1_000_000:
        return {
            "type": "scatter",
            "mode": "markers",
            "x": _list(column),
            "y": _list(row),
            "hoverinfo": "x+y",
            "marker": {"color": _list(np.log10(cells["visits"])), "size": 3, "colorscale": "Viridis"},
        }
    z: list[list[float | None]] = [[None] * width for _ in range(height)]
    text: list[list[str]] = [[""] * width for _ in range(height)]
    for i, j, m, x, y, n in zip(
        (column - left).tolist(),
        (row - top).tolist(),
        *(cells[key].tolist() for key in ("map", "x", "y", "visits")),
        strict=True,
    ):
        z[j][i] = round(float(np.log10(n)), 3)
        text[j][i] = f"map {m}, x {x}, y {y}: {n:,}"
    ticks = [10**k for k in range(int(np.log10(most)) + 1)]
    return {
        "type": "heatmap", "x0": left, "dx": 1, "y0": top, "dy": 1, "z": z, "text": text, "hoverongaps": False,
        "hovertemplate": "%{text} visits<extra></extra>", "zmin": 0, "zmax": float(np.log10(most)),
        "colorscale": "Viridis",
        "colorbar": {"title": {"text": "visits"}, "tickvals": [float(np.log10(t)) for t in ticks],
                     "ticktext": [f"{t:,}" for t in ticks]},
    }  # fmt: skip


def statistics_parts(log: LogTables) -> list[dict[str, Any]]:
    """Returns at the ends of stretches and component shares."""
    parts: list[dict[str, Any]] = []
    base = {"template": theme.plotly_template(), "margin": {"l": 60, "r": 16, "t": 20, "b": 50}}
    if len(log.returns):
        low, high = log.returns["low"].to_numpy(), log.returns["high"].to_numpy()
        edges = np.linspace(float(low.min()), float(high.max()) or 1.0, 41)
        counts, _ = np.histogram((low + high) / 2, bins=edges, weights=log.returns["count"])
        bars = {
            "type": "bar",
            "x": _list((edges[1:] + edges[:-1]) / 2),
            "y": _list(counts),
            "width": float(edges[1] - edges[0]),
            "marker": {"color": theme.LIGHT[0]},
            "hovertemplate": "about %{x:.4g}: %{y:,} stretches<extra></extra>",
        }
        layout = base | {
            "xaxis": {"title": {"text": "total reward at a stretch's last record"}},
            "yaxis": {"title": {"text": "stretches"}},
        }
        caption = (
            f"n = {log.stretches['n']:,} stretches (an environment's records of one episode in a flush), all of them."
        )
        parts.append(_part("returns", "Returns at the ends of stretches", [bars], layout, 320, caption))
    shares = log.components["share"].dropna().sort_values()
    if len(shares):
        names = [html.escape(str(name)) for name in shares.index]
        below = [bool(log.components.loc[name, "mean"] < 0) for name in shares.index]
        bars = {
            "type": "bar",
            "orientation": "h",
            "x": _list(shares * 100),
            "y": names,
            "marker": {
                "color": [theme.LIGHT[1] if b else theme.LIGHT[0] for b in below],
                "pattern": {"shape": ["/" if b else "" for b in below]},
            },
            "hovertemplate": "%{y}: %{x:.2f} %<extra></extra>",
        }
        layout = base | {
            "xaxis": {"title": {"text": "share of the summed |mean| (%)"}},
            "margin": {"l": 110, "r": 16, "t": 20, "b": 50},
        }
        caption = f"n = {log.records:,} records, all of them. Hatched: the component's mean is negative."
        parts.append(_part("shares", "Component shares", [bars], layout, 120 + 28 * len(names), caption))
    return parts


def _part(
    identity: str, heading: str, data: list[dict[str, Any]], layout: dict[str, Any], height: int, caption: str
) -> dict[str, Any]:
    return {
        "id": f"plot-{identity}",
        "heading": heading,
        "data": _json(data),
        "layout": _json(layout),
        "height": height,
        "caption": caption,
    }


def _json(value: Any) -> Markup:
    """`value` as JSON that cannot close the script element around it."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _list(values: Any) -> list[float | None]:
    """Numbers for JSON: six significant digits, NaN as null."""
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in np.asarray(values, dtype=np.float64).tolist()]


def _transparent(color: str, alpha: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
