"""Tasks that have a name and a difficulty but no mission: the curriculum's base mission, made harder.

How a mission gets harder from difficulty 0 to 1:

- `training_facility_1`, `training_facility_2` and `assembler_2` get variants, by quarters: none, `sparse`, `large`,
  `sparse+large`. Variants that the base mission names are kept.
- Any other mission gets less time: its full step limit at 0, a quarter of it at 1.

Options that the task sets override these.
"""

from collections.abc import Mapping
from typing import Any

from daf.core.curriculum._errors import TaskGenerationError
from daf.core.curriculum._mission_parts import FIELDS
from daf.errors import MissionError, nearest, unknown
from daf.game import mission_files, missions
from daf.game.missions import NAMED_OPTIONS

LEVELS: tuple[tuple[str, ...], ...] = ((), ("sparse",), ("large",), ("sparse", "large"))
LEAST_TIME = 0.25
"""The fraction of the step limit that is left at difficulty 1."""


def names_mission(text: str, game: str) -> bool:
    """Whether `text` refers to a mission: a name, even misspelled, a file, a pattern, or anything with options."""
    head = mission_files.split(text)[0]
    if head != text or head.lower().endswith(mission_files.SUFFIXES) or any(character in head for character in "*?[/"):
        return True
    return missions.is_known(head, game) or bool(nearest(head, (entry.name for entry in missions.catalogue(game))))


def at_difficulty(base: str, difficulty: float, given: Mapping[str, Any], *, game: str) -> dict[str, Any]:
    """The parts of the mission `base` at a difficulty, with the options in `given`.

    Raises `TaskGenerationError` for a difficulty outside 0 to 1, an unknown option, or a base that is not one mission.
    """
    if not 0 <= difficulty <= 1:
        raise TaskGenerationError(
            f"difficulty {difficulty:g} is outside 0 to 1, and the task names no mission: give its mission as config, "
            "or a difficulty between 0 (the base mission) and 1."
        )
    wrong = next((name for name in given if name not in FIELDS), None)
    if wrong is not None:
        raise TaskGenerationError(unknown("field", str(wrong), FIELDS))
    try:
        (mission,) = missions.resolve(base, game=game)
    except (MissionError, ValueError) as error:
        raise TaskGenerationError(f"base_mission {base}: {error}") from error
    head = mission_files.split(mission.name)[0]
    parts: dict[str, Any] = {"mission": head, **missions.options_of(mission.name)}
    if missions.is_small(head, game):
        level = LEVELS[min(int(difficulty * len(LEVELS)), len(LEVELS) - 1)]
        parts["variants"] = list(dict.fromkeys([*parts.get("variants", []), *level]))
    else:
        parts["max_steps"] = max(1, round(mission.max_steps * (1 - (1 - LEAST_TIME) * difficulty)))
    parts |= given
    return {name: value for name, value in parts.items() if value or name not in NAMED_OPTIONS}
