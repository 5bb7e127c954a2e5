"""Stages and what each needs as inline SVG: a layer per step of the longest way there, arrows from top to bottom.

Status is in the box's text as well as in its colour, so nothing relies on colour alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from daf.errors import DataError
from daf.render.text import shortened

WIDEST_FIGURE = 832
BOX_HEIGHT = 46
WIDEST = 190
ROOM = 18
LAYER = 84
TOP = 8
CHARACTER = 7.3


@dataclass(frozen=True)
class Node:
    """A box. needs: names of the boxes that come first. tag: "ok", "failed" or "open"; link: relative to the page."""

    name: str
    text: str
    needs: tuple[str, ...] = ()
    tag: str = "open"
    link: str | None = None


def graph_figure(nodes: Sequence[Node], *, description: str) -> Markup:
    """The SVG of `nodes`, each after those that it needs. Raises `DataError` without a node or for any other order."""
    if not nodes:
        raise DataError("a graph needs a node.")
    depth: dict[str, int] = {}
    for node in nodes:
        if any(need not in depth for need in node.needs):
            raise DataError(f"{node.name} must come after all that it needs: {', '.join(node.needs)}.")
        depth[node.name] = max((depth[need] + 1 for need in node.needs), default=0)
    layers = [[node for node in nodes if depth[node.name] == level] for level in range(max(depth.values()) + 1)]
    most = max(map(len, layers))
    box = min(WIDEST, WIDEST_FIGURE / most - ROOM)
    width = most * (box + ROOM)
    places: dict[str, tuple[float, float]] = {}
    for level, layer in enumerate(layers):
        for index, node in enumerate(layer):
            middle = width / 2 + (index - (len(layer) - 1) / 2) * (box + ROOM)
            places[node.name] = (middle, TOP + level * LAYER)
    height = TOP + (len(layers) - 1) * LAYER + BOX_HEIGHT + TOP
    parts = [
        f'<svg class="figure graph wide{min(most, 4)}" role="img" viewBox="0 0 {width:.0f} {height}" '
        f'aria-label="{escape(description)}">'
    ]
    for node in nodes:
        parts += [_arrow(places[need], places[node.name]) for need in _direct(node, nodes)]
    parts += [_box(node, *places[node.name], box) for node in nodes]
    return Markup("".join(parts) + "</svg>")


def _direct(node: Node, nodes: Sequence[Node]) -> list[str]:
    """What a node needs, without what another of its needs needs already: those arrows would lie behind boxes."""
    by_name = {one.name: one for one in nodes}
    implied: set[str] = set()
    open_ = [need for name in node.needs for need in by_name[name].needs]
    while open_:
        name = open_.pop()
        if name not in implied:
            implied.add(name)
            open_ += by_name[name].needs
    return [need for need in node.needs if need not in implied]


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = (start[0], start[1] + BOX_HEIGHT), end
    bend = (y2 - y1) / 2
    return (
        f'<path class="arrow" d="M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}'
        f'm-4 -7l4 7l4 -7"/>'
    )


def _box(node: Node, middle: float, top: float, width: float) -> str:
    most = max(4, int((width - 12) / CHARACTER))
    name, text = shortened(node.name, most), shortened(node.text, most)
    drawn = (
        f'<g class="node {node.tag}"><title>{escape(node.name)}: {escape(node.text)}</title>'
        f'<rect x="{middle - width / 2:.1f}" y="{top}" width="{width:.1f}" height="{BOX_HEIGHT}" rx="6"/>'
        f'<text text-anchor="middle" x="{middle:.1f}" y="{top + 20}">{escape(name)}</text>'
        f'<text class="second" text-anchor="middle" x="{middle:.1f}" y="{top + 37}">{escape(text)}</text></g>'
    )
    return drawn if node.link is None else f'<a href="{escape(node.link)}">{drawn}</a>'
