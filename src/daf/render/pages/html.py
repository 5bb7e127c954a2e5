"""Self-contained HTML pages: style and script inside, nothing fetched, everything that is not ours escaped.

A page carries a Content-Security-Policy that forbids every request, so that even a mistake here could not make one.
Templates extend `base.html.j2`; the same view gives the same bytes.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup, escape

from daf.render.theme import DARK, DARK_GROUND, LIGHT, LIGHT_GROUND, Ground

if TYPE_CHECKING:
    from jinja2 import Environment


def page(template: str, view: Mapping[str, object]) -> str:
    """Render `template` (a file in `templates/`) with `view`. A name missing from the view is an error."""
    return environment().get_template(template).render(view, palette=palette_css())


@cache
def environment() -> "Environment":
    """The Jinja environment for the templates that DAF ships, with autoescape; undefined names are errors."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("daf", "render/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["link"] = link
    found.filters["breakable"] = breakable
    found.filters["commands"] = commands
    return found


def shared_script(name: str) -> str:
    """The JavaScript module `name` of `templates/`, for pages that import it instead of including it."""
    return resources.files("daf.render").joinpath("templates", name).read_text(encoding="utf-8")


def link(path: str) -> str:
    """`path`, relative to the page, as a link that stays a path whatever its name is ("javascript:…" too)."""
    return "./" + quote(path.replace("\\", "/").lstrip("/"))


def breakable(text: str) -> Markup:
    """`text` that breaks after punctuation where a line is too narrow for it, instead of within a word."""
    return Markup("<wbr>").join(part for part in re.split(r"(?<=[,=/.:+(])", text) if part)


def commands(text: str) -> Markup:
    """`text` with what stands between backticks, as DAF's messages quote commands, as code."""
    parts = [escape(part) for part in text.split("`")]
    if len(parts) % 2 == 0:  # an odd backtick
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


@cache
def palette_css() -> Markup:
    """The theme's colours as CSS variables and series classes, light and dark."""
    light, dark = _variables(LIGHT_GROUND, LIGHT), _variables(DARK_GROUND, DARK)
    series = "".join(f".s{slot}{{color:var(--s{slot})}}" for slot in range(len(LIGHT)))
    text = (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}{series}"
    )
    return Markup(text)


def _variables(ground: Ground, colors: tuple[str, ...]) -> str:
    around = f"--ground:{ground.background};--text:{ground.text};--muted:{ground.muted};--grid:{ground.grid};"
    return around + "".join(f"--s{slot}:{color};" for slot, color in enumerate(colors))
