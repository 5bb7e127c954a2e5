"""The game's own pictures, from the installed mettagrid package.

`sprite(name)` gives a picture as RGBA, cropped to its visible part, or None if the package has none of that name: the
caller must then draw a plain shape. Nothing is downloaded and nothing is copied.
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from daf.errors import EnvironmentCheckError

if TYPE_CHECKING:
    from PIL.Image import Image

DIRECTIONS = ("n", "s", "w", "e")
"""Directions that an agent can face, as suffixes of the pictures' names: up, down, left, right."""

PLAIN = re.compile(r"[a-z]+/[\w-]+(\.[\w-]+)*", re.ASCII)
"""Allowed names of pictures: names come from replays, and must not lead out of the folder."""

ROLES = ("agent", "aligner", "miner", "scout", "scrambler")


@cache
def data_dir() -> Path:
    """Where mettagrid keeps its pictures and sample replays; the folder need not exist."""
    package = find_spec("mettagrid")
    if package is None or package.origin is None:
        raise EnvironmentCheckError("mettagrid is not installed. Install DAF with its dependencies.")
    return Path(package.origin).parent / "nim" / "mettascope" / "data"


def sprite(name: str, *, crop: bool = True) -> "Image | None":
    """The picture `name` ("objects/hub", "agents/miner.e") as RGBA, or None.

    crop: cut to the visible part, without shadows.
    """
    from PIL import Image

    path = data_dir() / f"{name}.png"
    if not PLAIN.fullmatch(name) or not path.is_file():
        return None
    with Image.open(path) as opened:
        picture = opened.convert("RGBA")
    if not crop:
        return picture
    solid = picture.getchannel("A").point(lambda alpha: 255 if alpha > 128 else 0)
    box = solid.getbbox()
    return picture.crop(box) if box else None


def object_sprite(type_name: str) -> "Image | None":
    """The picture of a building, or None."""
    return first_of([f"objects/{name}" for name in _names(type_name)])


def remnant_sprite(type_name: str) -> "Image | None":
    """The picture of the remains of a building that is gone, or None if it leaves none."""
    return first_of([f"objects/{name}.remnant" for name in _names(type_name)])


def agent_sprite(role: str, direction: str) -> "Image | None":
    """The picture of an agent in a role, looking one of `DIRECTIONS`, or None."""
    return first_of([f"agents/{role}.{direction}", f"agents/agent.{direction}"])


def vibe_sprite(vibe: str) -> "Image | None":
    """The sign over an agent's head for a vibe, or None."""
    return sprite(f"vibe/{vibe}")


def first_of(names: Sequence[str]) -> "Image | None":
    """The first of the pictures that exists."""
    return next((found for name in names if (found := sprite(name)) is not None), None)


def _names(type_name: str) -> list[str]:
    """The names that a type's picture may have: its own, and without a team before or after it."""
    if ":" not in type_name:
        return [type_name]
    return [type_name, type_name.split(":", 1)[1], type_name.rsplit(":", 1)[0]]
