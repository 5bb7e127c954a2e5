"""Trials as lines through their settings to their value, as inline SVG: parallel coordinates.

The stronger the colour, the better the trial, by rank; the best is thick. A setting that was not searched in a trial
is placed below its axis, at "not searched". With the page's script (`sweep.js`), dragging over a stretch of any axis
selects the trials inside it; without the script the figure is still complete.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from daf.errors import DataError
from daf.render.scales import SettingScale
from daf.render.svg._shades import BANDS, BEST, bands_of, shade
from daf.render.text import shortened

WIDTH, TOP, BELOW, HEIGHT = 1020, 66, 40, 420
LEFT, RIGHT = 60, 90
_CSS = (
    ".parallel .trial{fill:none;stroke-width:1.3;stroke-opacity:var(--many)}"
    ".parallel .best{stroke-width:3;stroke-opacity:1}.parallel .off{stroke-opacity:.04}"
    ".parallel .upright{stroke:var(--muted)}.parallel .chosen{fill:var(--s1);"
    "fill-opacity:.18;stroke:var(--s1)}.parallel .catch{fill:transparent;cursor:crosshair;touch-action:pan-x}"
    ".parallel text{fill:var(--text);font-size:11px}.parallel .mark{fill:var(--text);paint-order:stroke;"
    "stroke:var(--ground);stroke-width:3px}.parallel .name{font-weight:600}"
)


def parallel_svg(
    settings: Sequence[SettingScale],
    trials: Sequence[tuple[int, Mapping[str, Any], float]],
    *,
    maximize: bool,
    description: str,
) -> Markup:
    """The figure. settings: one axis each, the last for the value. trials: number, settings, value.

    Raises `DataError` without a trial or with fewer than two axes.
    """
    if not trials or len(settings) < 2:
        raise DataError("parallel coordinates need a trial and a setting.")
    step = (WIDTH - LEFT - RIGHT) / (len(settings) - 1)
    xs = [LEFT + step * place for place in range(len(settings))]
    bottom = HEIGHT - BELOW
    missing = any(setting.name not in given for setting in settings[:-1] for _, given, _ in trials)

    def height(setting: SettingScale, value: Any) -> float:
        return bottom - setting.at(value) * (bottom - TOP)

    bands = bands_of([value for *_, value in trials], maximize=maximize)
    order = sorted(range(len(trials)), key=lambda i: bands[i])
    best = (max if maximize else min)(range(len(trials)), key=lambda i: trials[i][2])
    lines: list[list[str]] = [[] for _ in range(BANDS)]
    heights = []
    for i in order:
        number, given, value = trials[i]
        ys = [height(s, given[s.name]) if s.name in given else bottom + 20 for s in settings[:-1]]
        ys.append(height(settings[-1], value))
        heights.append([round(y, 1) for y in ys])
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))
        thick = " best" if i == best else ""
        color = f' style="stroke:{BEST}"' if i == best else ""
        lines[bands[i]].append(f'<path class="trial{thick}"{color} d="{path}"><title>trial {number}</title></path>')
    data = escape(json.dumps(heights, separators=(",", ":")))
    opacity = max(0.2, min(0.8, 60 / len(trials)))
    parts = [
        f'<svg class="figure parallel" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-label="{escape(description)}" '
        f'style="max-width:none;--many:{opacity:.2f}" data-parallel="{data}"><style>{_CSS}</style>'
    ]
    parts += [f'<g style="stroke:{shade(band)}">{"".join(drawn)}</g>' for band, drawn in enumerate(lines) if drawn]
    parts += [_upright(x, setting, step, bottom) for x, setting in zip(xs, settings, strict=True)]
    if missing:
        parts.append(f'<text class="mark" x="4" y="{bottom + 24}">not searched</text>')
    return Markup("".join(parts) + "</svg>")


def _upright(x: float, setting: SettingScale, step: float, bottom: float) -> str:
    room = max(6, int(step / 7))
    label = shortened(setting.name, room)
    more = " (log)" if setting.log and len(label) + 6 <= room else ""
    title = f"<title>{escape(setting.name)}{' (logarithmic)' if setting.log else ''}</title>"
    at, anchor = (4.0, "start") if x == LEFT else (WIDTH - 4.0, "end") if x > WIDTH - RIGHT - 1 else (x, "middle")
    parts = [
        f'<path class="upright" d="M{x:.1f} {TOP}V{bottom}"/>'
        f'<text class="name" text-anchor="{anchor}" x="{at:.1f}" y="{TOP - 18}">{escape(label)}{more}{title}</text>'
    ]
    for value, text in setting.ticks():
        y = bottom - setting.at(value) * (bottom - TOP)
        parts.append(f'<path class="upright" d="M{x - 3:.1f} {y:.1f}h6"/>')
        parts.append(f'<text class="mark" x="{x + 6:.1f}" y="{y + 4:.1f}">{escape(shortened(text, 14))}</text>')
    parts.append(
        f'<rect class="catch" data-axis x="{x - 16:.1f}" y="{TOP - 8}" width="32" height="{bottom - TOP + 36}"/>'
    )
    return "".join(parts)
