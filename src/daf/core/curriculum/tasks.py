"""Tasks from missions × options.

Every mission (wildcards expanded) is combined with every value of every option, and each combination becomes a mission
string, which is also the task's name. Difficulty follows the order in which values are written, easiest first: the mean
of a task's relative positions on the axes that have more than one value.

Every combination that differs in more than its step limit is built once, so that a mission that cannot run, or cannot
share a run with the first task (`daf.core.curriculum._spaces`), is reported here and not in the middle of training.
"""

import itertools
import logging
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from daf.config.base import ConfigModel
from daf.core.curriculum._errors import TaskGenerationError
from daf.core.curriculum._spaces import differences, meanings_differ
from daf.core.curriculum._spans import Numbers, Span, expand
from daf.core.curriculum.interface import Task
from daf.errors import MissionError
from daf.game import missions
from daf.game.mission import Mission

logger = logging.getLogger(__name__)

NO_VARIANT = "none"
Names = Annotated[list[str | list[str]], Field(min_length=1)]
_Value = tuple[str, str | float]
"""The option's value in a mission string ("" omits the option), and on the axis."""


class CurriculumOptions(ConfigModel):
    """The options in which tasks differ, in addition to the mission; values from easy to hard."""

    cogs: Numbers | None = Field(default=None, description="Agents. All tasks of a run must have the same number.")
    max_steps: Numbers | None = Field(default=None, description="Step limits.")
    variants: Names | None = Field(
        default=None, description='Variants of each task: "a", "a+b" or [a, b]; "none" for none.'
    )
    rewards: Names | None = Field(
        default=None, description='Reward variants of each task: "a", "a+b" or [a, b]; "none" for none.'
    )


def check_fits(mission: str, others: Sequence[Task], *, game: str) -> None:
    """Build `mission` and compare it with the first of `others`. Raises `TaskGenerationError`."""
    built = _build(mission, game)
    if isinstance(built, MissionError):
        raise TaskGenerationError(f"{mission}: {built}")
    if others:
        first = missions.resolve(others[0].mission, game=game)[0]
        different = differences(first, built)
        if different is not None:
            raise TaskGenerationError(_unfit(mission, first, different))
        _warn_of_meanings([built], first)


def generate(
    names: Sequence[str], options: CurriculumOptions | None = None, *, game: str, skip_invalid: bool = False
) -> list[Task]:
    """The table of tasks; equal missions under two names become one task, so that none is drawn twice as often.

    Raises `TaskGenerationError`; with `skip_invalid` only if no task is left.
    """
    axes = _axes(names, options or CurriculumOptions(), game)
    tasks: list[Task] = []
    invalid: list[str] = []
    built: dict[str, Mission | MissionError] = {}
    contents: dict[str, str] = {}
    known: dict[tuple[str, int], str] = {}
    reference: Mission | None = None
    for places in itertools.product(*(range(len(values)) for values in axes.values())):
        chosen = {axis: values[place] for (axis, values), place in zip(axes.items(), places, strict=True)}
        text = _mission_string(chosen)
        kind = ",".join(value for axis, (value, _) in chosen.items() if axis != "max_steps")
        if kind not in built:
            built[kind] = _build(text, game)
        mission = built[kind]
        if isinstance(mission, MissionError):
            invalid.append(f"{text}: {mission}")
            continue
        reference = reference or mission
        different = differences(reference, mission)
        if different is not None:
            invalid.append(_unfit(text, reference, different))
            continue
        if kind not in contents:
            contents[kind] = missions.content_hash(missions.with_max_steps(mission, 1))
        content = (contents[kind], int(chosen["max_steps"][0]) if "max_steps" in chosen else mission.max_steps)
        first = known.setdefault(content, text)
        if first != text:
            logger.warning("%s is the same task as %s: it is drawn once.", text, first)
            continue
        difficulty = _difficulty(places, [len(values) for values in axes.values()])
        on_axes = {axis: on_axis for axis, (_, on_axis) in chosen.items()}
        tasks.append(Task(len(tasks), text, text, on_axes, difficulty))
    _report(tasks, invalid, skip_invalid)
    _warn_of_meanings([mission for mission in built.values() if isinstance(mission, Mission)], reference)
    return tasks


def _mission_string(chosen: dict[str, _Value]) -> str:
    parts = [(axis, value) for axis, (value, _) in chosen.items() if value]
    return ",".join(value if axis == "mission" else f"{axis}={value}" for axis, value in parts)


def _difficulty(places: Sequence[int], sizes: Sequence[int]) -> float:
    """The mean of the relative positions on the axes with more than one value, rounded so that equal ones are equal."""
    relative = [place / (size - 1) for place, size in zip(places, sizes, strict=True) if size > 1]
    return round(sum(relative) / len(relative), 12) if relative else 0.0


def _axes(names: Sequence[str], options: CurriculumOptions, game: str) -> dict[str, list[_Value]]:
    if not names:
        raise TaskGenerationError("a curriculum needs missions: list at least one.")
    found: dict[str, list[_Value]] = {"mission": [(name, name) for name in _expanded(names, game)]}
    for axis in ("cogs", "max_steps"):
        numbers: int | list[int] | Span | None = getattr(options, axis)
        if numbers is not None:
            found[axis] = [(str(number), on_axis) for number, on_axis in expand(numbers)]
    for axis in missions.NAMED_OPTIONS:
        listed: list[str | list[str]] | None = getattr(options, axis)
        if listed is not None:
            texts = [entry if isinstance(entry, str) else "+".join(entry) for entry in listed]
            found[axis] = [("", NO_VARIANT) if text in ("", NO_VARIANT) else (text, text) for text in texts]
    for axis, values in found.items():
        written = [value for value, _ in values]
        twice = next((value for value in written if written.count(value) > 1), None)
        if twice is not None:
            raise TaskGenerationError(f"{axis}: {twice or NO_VARIANT} is listed twice.")
        if not values:
            raise TaskGenerationError(f"{axis}: the list is empty; list values, or leave the option out.")
    return found


def _expanded(names: Sequence[str], game: str) -> list[str]:
    """The names, with wildcards replaced by the matching missions."""
    found: list[str] = []
    for name in names:
        if any(character in name for character in "*?["):
            try:
                found += [mission.name for mission in missions.resolve(name, game=game)]
            except MissionError as error:
                raise TaskGenerationError(str(error)) from error
        else:
            found.append(name)
    return found


def _unfit(mission: str, reference: Mission, different: str) -> str:
    text = f"{mission} cannot share a run with {reference.name}: they differ in {different}."
    if different.startswith("agents "):
        text += (
            " All environments of a run share buffers made for one number of agents: train a run for each number, the "
            "next from the last one's checkpoint (daf train --branch-from)."
        )
    return text


def _build(text: str, game: str) -> Mission | MissionError:
    try:
        mission = missions.resolve(text, game=game)[0]
        missions.check_runs(mission)
    except MissionError as error:
        return error
    return mission


def _report(tasks: Sequence[Task], invalid: Sequence[str], skip_invalid: bool) -> None:
    if not invalid:
        return
    if skip_invalid and tasks:
        logger.warning(
            "%d of %d tasks are left out: %s", len(invalid), len(invalid) + len(tasks), " ".join(invalid[:5])
        )
        return
    more = f" (and {len(invalid) - 3} more)" if len(invalid) > 3 else ""
    way_out = "Remove them, or leave them out with skip_invalid: true." if tasks else "No task is left."
    raise TaskGenerationError(
        f"{len(invalid)} of {len(invalid) + len(tasks)} tasks cannot be built: {' '.join(invalid[:3])}{more} {way_out}"
    )


def _warn_of_meanings(built: Sequence[Mission], reference: Mission | None) -> None:
    for mission in built:
        if reference is None or differences(reference, mission) is not None:
            continue
        count = meanings_differ(reference, mission)
        if count:
            logger.warning(
                "the observation tokens of %s and %s differ in the meaning of some features (%d): the network has to "
                "learn to distinguish these missions.", mission.name, reference.name, count,
            )  # fmt: skip
